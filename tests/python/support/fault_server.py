"""A server on loopback that speaks the documented CyteType protocol and fails on request.

It is written from ``cytetype-protocol.md`` alone and shares no code with cellferry, so that a
misreading on one side does not hide one on the other. Faults are scripted: which request, what
happens to it, and how often. With ``upstream`` it is a proxy before a real server, whose answers
it passes on, faults and all.
"""

import hashlib
import json
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field

from loopback import LoopbackServer, QuietHandler


@dataclass
class Fault:
    """What happens to the next ``times`` requests of this method and path."""

    kind: str
    method: str
    path: str
    times: int = 1
    seconds: float = 0.0
    status: int = 500
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    done: int = 0


class FaultServer:
    """Use as a context manager; ``url`` is its address, ``requests`` what it received."""

    def __init__(
        self, chunk_size=1000, mode="proxy", token=None, polls=2, lifetime=3600, upstream=None,
        port=0,
    ):  # fmt: skip
        self.chunk_size, self.mode, self.token, self.upstream = chunk_size, mode, token, upstream
        self.polls, self.lifetime, self.port = polls, lifetime, port
        self.faults, self.requests = [], []
        self.uploads, self.jobs, self.by_key, self.given = {}, {}, {}, {}
        self.failed_clusters, self.shape = set(), "flat"
        self.lock = threading.RLock()
        self._servers = ExitStack()

    def __enter__(self):
        for name, port in (("api", self.port), ("storage", 0)):
            server = LoopbackServer(handler_of(self, name), port)
            self._servers.enter_context(server.serving())
            setattr(self, name + "_port", server.server_port)
        self.url = f"http://127.0.0.1:{self.api_port}"
        return self

    def __exit__(self, *_):
        self._servers.close()

    def fault(self, kind, method, path, times=1, **details):
        self.faults.append(Fault(kind, method, path, times, **details))

    def fault_for(self, method, path):
        with self.lock:
            for fault in self.faults:
                fits = fault.method == method and re.search(fault.path, path)
                if fits and fault.done < fault.times:
                    fault.done += 1
                    return fault
        return None

    def count(self, method, path):
        return sum(
            r["method"] == method and bool(re.search(path, r["path"])) for r in self.requests
        )

    def content(self, kind):
        """The bytes of the newest completed upload of a kind."""
        done = [u for u in self.uploads.values() if u["kind"] == kind and u["complete"]]
        parts = done[-1]["parts"]
        return b"".join(parts[i] for i in sorted(parts))

    # --- the protocol -------------------------------------------------------------------

    def initiate(self, kind, body):
        if kind not in {"vars_h5", "obs_duckdb"}:
            return failure(404, "NOT_FOUND", "no such kind")
        upload = uuid.uuid4().hex
        size = int(json.loads(body)["file_size_bytes"])
        self.uploads[upload] = {"kind": kind, "size": size, "parts": {}, "complete": False}
        answer = {"upload_id": upload, "chunk_size_bytes": self.chunk_size,
                  "max_size_bytes": 53687091200}  # fmt: skip
        if self.mode == "presigned":
            n = -(-size // self.chunk_size)
            where = f"http://127.0.0.1:{self.storage_port}/{upload}"
            answer["presigned_urls"] = [f"{where}/{i}?X-Amz-Signature=s{i}" for i in range(n)]
            answer["r2_upload_id"] = "r2-" + upload
        return ok(answer)

    def chunk(self, upload, index, body):
        found = self.uploads.get(upload)
        if found is None or found["complete"]:
            return failure(404, "UPLOAD_NOT_FOUND", "no such upload")
        n = -(-found["size"] // self.chunk_size)
        expected = min(self.chunk_size, found["size"] - index * self.chunk_size)
        if not 0 <= index < n or len(body) != expected:
            return failure(422, "INVALID_CHUNK", f"chunk {index} has {len(body)} bytes")
        found["parts"][index] = body
        return ok({})

    def complete(self, upload, body):
        found = self.uploads.get(upload)
        if found is None:
            return failure(404, "UPLOAD_NOT_FOUND", "no such upload")
        if self.mode == "presigned":
            parts = json.loads(body)["parts"]
            assert [p["PartNumber"] for p in parts] == list(range(1, len(parts) + 1))
            for part in parts:
                content = found["parts"].get(part["PartNumber"] - 1, b"")
                if part["ETag"] != etag(content):
                    return failure(422, "INVALID_PART", "etag differs")
        if sum(map(len, found["parts"].values())) != found["size"]:
            return failure(422, "INCOMPLETE", "parts are missing")
        found["complete"] = True
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lifetime))
        return ok({"upload_id": upload, "file_kind": found["kind"], "file_name": found["kind"],
                   "size_bytes": found["size"], "expires_at": expires})  # fmt: skip

    def annotate(self, body, headers):
        sent = json.loads(body)
        for upload in (sent.get("uploaded_files") or {}).values():
            if not self.uploads.get(upload, {}).get("complete"):
                return failure(404, "UPLOAD_NOT_FOUND", f"upload {upload} is unknown or expired")
        key = headers.get("Idempotency-Key")
        job = self.by_key.get(key) if key else None
        if job is None:
            job = str(uuid.uuid4())
            self.jobs[job] = {"sent": sent, "polled": 0, "key": key}
            self.by_key[key] = job
        return ok({"job_id": job})

    def status(self, job):
        found = self.jobs.get(job)
        if found is None:
            return failure(404, "JOB_NOT_FOUND", "no such job")
        found["polled"] += 1
        clusters = list(found["sent"]["input_data"]["clusterLabels"])
        done = len(clusters) * found["polled"] // max(self.polls, 1)
        states = {
            c: ("failed" if c in self.failed_clusters else "completed")
            if i < done else "processing"
            for i, c in enumerate(clusters)
        }  # fmt: skip
        finished = done >= len(clusters)
        return ok({"jobStatus": "completed" if finished else "processing", "clusterStatus": states})

    def renew(self, job, body):
        self.given[job] = json.loads(body)["llm_configs"]
        return ok({"job_id": job})

    def results(self, job):
        found = self.jobs.get(job)
        if found is None:
            return failure(404, "JOB_NOT_FOUND", "no such job")
        data = found["sent"]["input_data"]
        annotations = {
            c: {"latest": answer_of(c, data["markerGenes"].get(c, []), self.shape)}
            for c in data["clusterLabels"] if c not in self.failed_clusters
        }  # fmt: skip
        categories = [{"categoryName": "All", "clusterIds": list(annotations)}]
        return ok({"annotations": annotations, "summary": {"n": len(annotations)},
                   "clusterCategories": categories, "studyContext": data["studyInfo"]})  # fmt: skip


def label_of(markers):
    """The label that a cluster gets, from which a test can check that it is the right one."""
    return f"{markers[0]} cell" if markers else "Unknown"


def answer_of(cluster, markers, shape):
    label = label_of(markers)
    flat = {"justification": f"{label} expresses {', '.join(markers[:3])}.",
            "supportingMarkers": markers[:3], "conflictingMarkers": markers[3:4],
            "missingExpression": "CD3E, CD19", "unexpectedExpression": ""}  # fmt: skip
    deep = {"label": label, "conclusion": flat["justification"], "keySupportingGenes": markers[:3],
            "unexpectedGenes": markers[3:4], "missingGenes": ["CD3E", "CD19"]}  # fmt: skip
    blank = {"justification": "", "supportingMarkers": [], "conflictingMarkers": [],
             "missingExpression": " ", "unexpectedExpression": ""}  # fmt: skip
    annotation = {
        "clusterId": cluster, "annotation": label, "granularAnnotation": f"{label}, fine",
        "cellState": "resting", "cellOntologyTermName": "T cell",
        "cellOntologyTerm": "CL_0000084" if shape == "flat" else "CL:0000084",
        **(flat if shape == "flat" else blank), "fullOutput": {"cellType": deep},
    }  # fmt: skip
    return {"annotation": annotation, "review": {"confidence": "High", "isHeterogeneous": False}}


def ok(content):
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


def failure(status, code, message):
    body = json.dumps({"detail": {"error_code": code, "message": message}}).encode()
    return status, {"Content-Type": "application/json"}, body


def etag(content):
    return '"' + hashlib.md5(content).hexdigest() + '"'


def forwarded(upstream, method, path, headers, body):
    """Ask the server behind, as a proxy that stands before it and changes nothing."""
    forwarded = urllib.request.Request(upstream + path, data=body or None, method=method)
    for key, value in headers.items():
        if key.lower() not in {"connection", "content-length", "transfer-encoding"}:
            forwarded.add_header(key, value)
    try:
        with urllib.request.urlopen(forwarded, timeout=30) as answer:
            found = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        found = error.code, error.headers, error.read()
    status, given, content = found
    kept = {k: v for k, v in given.items() if k.lower() in {"content-type", "etag", "retry-after"}}
    return status, kept, content


def handler_of(server, name):
    class Handler(QuietHandler):
        def do_GET(self):
            self.serve()

        do_POST = do_PUT = do_GET

        def serve(self):
            if self.path == "/_seen":
                seen = {"requests": server.requests, "jobs": list(server.jobs.values())}
                return self.send(*ok(seen))
            if self.path == "/_mend":
                server.faults.clear()
                return self.send(*ok({}))
            fault = server.fault_for(self.command, self.path)
            if fault and fault.kind == "drop":
                return self.cut()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with server.lock:
                server.requests.append({"method": self.command, "path": self.path, "at": name,
                                        "headers": dict(self.headers), "size": len(body),
                                        "time": time.monotonic()})  # fmt: skip
            if fault and fault.kind == "answer":
                return self.send(fault.status, fault.headers, fault.body)
            if fault and fault.kind == "delay":
                time.sleep(fault.seconds)
            status, headers, content = self.route(body)
            if fault and fault.kind == "lose":  # done, but the answer never arrives
                return self.cut()
            if fault and fault.kind == "truncate":
                headers = {**headers, "Content-Length": str(len(content) + 50)}
                self.send(status, headers, content[: len(content) // 2])
                return self.cut()
            if fault and fault.kind == "garble":
                content = content[: len(content) // 2]
            if fault and fault.kind == "dribble":
                return self.dribble(content, fault.seconds)
            self.send(status, headers, content)
            if fault and fault.kind == "duplicate":
                self.send(status, headers, content)
            return None

        def route(self, body):
            if server.upstream:
                return forwarded(server.upstream, self.command, self.path, self.headers, body)
            if name == "storage":
                return self.store(body)
            if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
                return failure(401, "INVALID_TOKEN", "The token is not valid.")
            patterns = [
                ("POST", r"^/upload/([^/]+)/initiate$", lambda m: server.initiate(m[1], body)),
                ("PUT", r"^/upload/([^/]+)/chunk/(\d+)$",
                 lambda m: server.chunk(m[1], int(m[2]), body)),
                ("POST", r"^/upload/([^/]+)/complete$", lambda m: server.complete(m[1], body)),
                ("POST", r"^/annotate$", lambda m: server.annotate(body, self.headers)),
                ("GET", r"^/status/([^/]+)$", lambda m: server.status(m[1])),
                ("GET", r"^/results/([^/]+)$", lambda m: server.results(m[1])),
                ("POST", r"^/jobs/([^/]+)/credentials$", lambda m: server.renew(m[1], body)),
            ]  # fmt: skip
            for method, pattern, answer in patterns:
                found = re.match(pattern, self.path)
                if self.command == method and found:
                    with server.lock:
                        return answer(found)
            return failure(404, "NOT_FOUND", "no such path")

        def store(self, body):
            upload, index = re.match(r"^/([^/]+)/(\d+)\?X-Amz-Signature=s", self.path).groups()
            with server.lock:
                server.uploads[upload]["parts"][int(index)] = body
            return 200, {"ETag": etag(body)}, b""

        def send(self, status, headers, content):
            self.send_response(status)
            headers = {"Content-Length": str(len(content)), **headers}
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        def dribble(self, content, seconds):
            self.send(200, {"Content-Length": str(len(content)),
                            "Content-Type": "application/json"}, b"")  # fmt: skip
            for i in range(len(content)):
                self.wfile.write(content[i : i + 1])
                self.wfile.flush()
                time.sleep(seconds)

        def cut(self):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


def main():
    """Serve until the standard input ends; for tests in another language.

    The first line printed is the address. Faults come as a JSON list in the first argument.
    ``GET /_seen`` answers with the requests and jobs so far, ``GET /_mend`` ends all faults.
    """
    with FaultServer(chunk_size=200_000, polls=1) as server:
        for fault in json.loads(sys.argv[1]) if len(sys.argv) > 1 else []:
            server.fault(**fault)
        print(server.url, flush=True)  # noqa: T201 - how the test learns the address
        sys.stdin.read()


if __name__ == "__main__":
    main()
