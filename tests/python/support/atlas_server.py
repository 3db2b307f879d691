"""A Cell Atlas service on loopback for tests, with scripted faults.

The label of a cell is its strongest gene, so that a test can check that every answer reached
its cell whatever went wrong on the way.
"""

import argparse
import gzip
import json
import socket
import threading
import time
from contextlib import contextmanager

import numpy as np
from scipy.sparse import csr_matrix

from loopback import LoopbackServer, QuietHandler


class AtlasServer:
    """What was asked, and what goes wrong: ``faults`` maps a request's number to a fault.

    A fault is a status (or a status and headers), or one of "drop" (before reading), "lose"
    (answered, and the answer is lost), "truncate", "garble", "short" (one call is missing),
    "nameless" (the last call has no label), "texts" (numbers are texts), "deeper" (the answer is
    in ``data``), "queued" (202 and no answer), or a number of seconds as float. Bodies of more
    than ``largest`` bytes are refused.
    """

    def __init__(self, *, token=None, takes_gzip=False, refuses_gzip=False, largest=10**9, port=0):
        self.largest, self.port = largest, port
        self.token, self.takes_gzip, self.refuses_gzip = token, takes_gzip, refuses_gzip
        self.faults = {}
        self.requests = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.answered = []

    @contextmanager
    def running(self):
        with LoopbackServer(handler_of(self), self.port).serving() as http:
            self.url = f"{http.url}/v1/singlecell/annotate"
            yield self


def label_of(genes, row):
    """The label that the server gives to a row of values."""
    row = np.asarray(row, dtype=np.float64).ravel()
    return f"{genes[int(np.argmax(row))]} cell" if row.any() else "Unknown"


def answer(sent):
    matrix = sent["matrix"]
    rows = csr_matrix((matrix["data"], matrix["indices"], matrix["indptr"]), shape=matrix["shape"])
    calls = []
    for i in range(rows.shape[0]):
        label = label_of(sent["genes"], rows[i].toarray())
        call = {"label": label, "confidence": 0.75, "alternates": ["Other"], "extra": 1,
                "markers": [label.removesuffix(" cell")]}  # fmt: skip
        calls.append(call)
    return {"calls": calls, "model": sent.get("model"), "unknown_key": True}


def handler_of(server):
    class Handler(QuietHandler):
        def do_POST(self):
            with server.lock:
                number = len(server.requests)
                server.requests.append({"headers": dict(self.headers), "time": time.monotonic()})
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self.serve(number, server.faults.get(number))
            finally:
                with server.lock:
                    server.at_once -= 1

        def serve(self, number, fault):
            if fault == "drop":
                return self.cut()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.requests[number]["size"] = len(body)
            if len(body) > server.largest:
                return self.send(413, {}, b"{}")
            if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
                return self.send(401, {}, b'{"detail": "no"}')
            if self.headers.get("Content-Encoding") == "gzip":
                if server.refuses_gzip:
                    return self.send(415, {}, b"{}")
                body = gzip.decompress(body)
            if isinstance(fault, int):
                return self.send(fault, {}, b'{"detail": "scripted"}')
            if isinstance(fault, tuple):
                return self.send(fault[0], fault[1], b"{}")
            if isinstance(fault, float):
                time.sleep(fault)
            sent = json.loads(body)
            server.requests[number]["body"] = sent
            found = answer(sent)
            if fault == "short":
                found["calls"].pop()
            if fault == "nameless":
                found["calls"][-1]["label"] = None
            if fault == "texts":
                for call in found["calls"]:
                    call["confidence"] = str(call["confidence"])
            if fault == "deeper":
                found = {"data": found}
            if fault == "queued":
                return self.send(202, {}, b'{"status": "queued"}')
            content = json.dumps(found).encode()
            if fault == "lose":
                return self.cut()
            if fault == "garble":
                content = content[: len(content) // 2]
            headers = {"Accept-Encoding": "gzip"} if server.takes_gzip else {}
            if fault == "truncate":
                self.send(200, {"Content-Length": str(len(content) + 9)}, content[:-9])
                return self.cut()
            with server.lock:
                server.answered.append(sent["matrix"]["shape"][0])
            return self.send(200, headers, content)

        def send(self, status, headers, content):
            self.send_response(status)
            given = {"Content-Length": str(len(content)), "Content-Type": "application/json"}
            for key, value in {**given, **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        def cut(self):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


def main():
    """Serve until the process is ended; for tests in another language.

    The first line printed is the address, then one number per request: of how many cells.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    with AtlasServer(port=parser.parse_args().port).running() as server:
        print(server.url, flush=True)  # noqa: T201 - how the test learns the address
        printed = 0
        while True:
            time.sleep(0.02)
            while printed < len(server.answered):
                print(server.answered[printed], flush=True)  # noqa: T201 - and what was asked
                printed += 1


if __name__ == "__main__":
    main()
