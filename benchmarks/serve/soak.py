"""A soak: `cellferry serve` under mixed load for half an hour, memory flat and nothing lost.

Run with ``make soak`` (``SECONDS=300`` for a shorter one). Clients submit small and large jobs,
upload artifacts and ask about them, read reports, annotate cells, and a few behave badly: they
go away in the middle, or send half a request. Every accepted job is looked at in the end. Exit 1
if one is lost or wrong, if memory grew, or if /status was late.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "python" / "support"))

import httpx
import psutil
from tests.attack.server.traffic import JSON, Watch, body, connected

from server_files import write_obs_duckdb, write_vars_h5
from server_process import MARKERS, ServerProcess, submission, upload

GROWTH = 1.10
SPARE_BYTES = 30 * 2**20
LATE_SECONDS = 0.25


class Load:
    """The clients, and what they were promised."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server = server
        self.large = body(5000, 20)
        self.vars = write_vars_h5(folder / "v").read_bytes()
        self.obs = write_obs_duckdb(folder / "o", n_cells=90).read_bytes()
        self.accepted: dict[str, str] = {}
        self.answers: dict[int, int] = {}
        self.faults: list[str] = []
        self.stop = threading.Event()

    def count(self, answer: httpx.Response) -> None:
        """Remember how often each status came."""
        self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self.faults.append(f"{answer.status_code}: {answer.text[:200]}")
        if answer.status_code == 503:  # it says when to ask again
            self.stop.wait(float(answer.headers.get("Retry-After", 1)))

    def client(self, number: int) -> None:
        """Do one thing after the other until the end."""
        draw = random.Random(number)
        does = [self.small_job, self.small_job, self.large_job, self.files, self.cells, self.rude]
        with httpx.Client(base_url=self.server.url, timeout=120) as client:
            while not self.stop.is_set():
                try:
                    draw.choice(does)(client, draw)
                except (httpx.HTTPError, OSError) as error:
                    self.faults.append(repr(error))
                self.stop.wait(draw.random())

    def small_job(self, client: httpx.Client, draw: random.Random) -> None:
        """Submit a job of three clusters and read its report."""
        answer = client.post("/annotate", json=submission())
        self.count(answer)
        if answer.status_code == 200:
            job = answer.json()["job_id"]
            self.accepted[job] = "small"
            self.stop.wait(draw.random())
            self.count(client.get(f"/report/{job}"))

    def large_job(self, client: httpx.Client, _draw: random.Random) -> None:
        """Submit a job with percentages of 5,000 genes."""
        answer = client.post("/annotate", content=self.large, headers=JSON)
        self.count(answer)
        if answer.status_code == 200:
            self.accepted[answer.json()["job_id"]] = "large"

    def files(self, client: httpx.Client, draw: random.Random) -> None:
        """Upload artifacts, submit a job with them, ask for a gene and for counts."""

        class Here:
            pass

        here = Here()
        here.client = client  # type: ignore[attr-defined]
        files = {
            "vars_h5": upload(here, "vars_h5", self.vars),
            "obs_duckdb": upload(here, "obs_duckdb", self.obs),
        }
        answer = client.post("/annotate", json=submission(uploaded_files=files))
        self.count(answer)
        if answer.status_code != 200:
            return
        job = answer.json()["job_id"]
        self.accepted[job] = "small"
        for _ in range(5):
            gene = draw.choice(["CD3D", "LYZ", "NKG7"])
            self.count(client.get(f"/data/{job}/expression", params={"gene": gene}))
            self.count(client.post(f"/data/{job}/counts", json={"filters": []}))

    def cells(self, client: httpx.Client, draw: random.Random) -> None:
        """Annotate 300 cells."""
        genes = [gene for of_cluster in MARKERS.values() for gene in of_cluster]
        n, indices, data, indptr = len(genes), [], [], [0]
        for _ in range(300):
            chosen = sorted(draw.sample(range(n), 6))
            indices += chosen
            data += [draw.random() * 5 for _ in chosen]
            indptr.append(len(indices))
        matrix = {"indptr": indptr, "indices": indices, "data": data, "shape": [300, n]}
        sent = {"genes": genes, "matrix": matrix}
        self.count(client.post("/v1/singlecell/annotate", json=sent))

    def rude(self, client: httpx.Client, draw: random.Random) -> None:
        """Send half a request, and go away."""
        connection = connected(self.server)
        head = b"POST /annotate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head[: draw.randrange(len(head))])
        if draw.random() < 0.5:
            connection.sendall(head + b"Content-Length: 5000000\r\n\r\n" + b" " * 100_000)
        self.stop.wait(draw.random())
        connection.close()
        self.count(client.post("/annotate", content=b"{" * draw.randint(1, 9), headers=JSON))


def memory(process: psutil.Process) -> tuple[int, int]:
    """Return the bytes of a server, and of its helpers."""
    helpers = 0
    for child in process.children(recursive=True):
        try:
            helpers += child.memory_info().rss
        except psutil.Error:
            continue
    return process.memory_info().rss, helpers


def labels(server: ServerProcess, job: str) -> dict[str, str]:
    """Return cluster -> label."""
    results = server.client.get(f"/results/{job}").json()["annotations"]
    return {c: a["latest"]["annotation"]["annotation"] for c, a in results.items()}


def lost(server: ServerProcess, load: Load, expected: dict[str, dict[str, str]]) -> int:
    """Wait for all accepted jobs; return how many are lost or wrong."""
    n, end = 0, time.monotonic() + 600
    for job, kind in load.accepted.items():
        while True:
            state = server.client.get(f"/status/{job}").json().get("jobStatus")
            if state not in {"pending", "processing"} or time.monotonic() > end:
                break
            time.sleep(0.1)
        if state != "completed" or labels(server, job) != expected[kind]:
            n += 1
            load.faults.append(f"job {job} ({kind}): {state}")
    return n


def middle(values: list[int]) -> float:
    """Return the median."""
    return float(sorted(values)[len(values) // 2]) if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--clients", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ServerProcess(Path(name) / "data") as server:
        load = Load(server, Path(name))
        expected = {}
        for kind, content in (("small", json.dumps(submission()).encode()), ("large", load.large)):
            job = server.client.post("/annotate", content=content, headers=JSON).json()["job_id"]
            server.wait_for(job)
            expected[kind] = labels(server, job)
        watch = Watch(server, job, pause=0.1)
        watch.start()
        clients = [threading.Thread(target=load.client, args=(i,)) for i in range(options.clients)]
        for client in clients:
            client.start()
        process, begun, seen = psutil.Process(server.process.pid), time.monotonic(), []
        next_line = 0.0
        print(f"{'seconds':>8} {'server':>9} {'helpers':>9} {'accepted':>9} {'faults':>7}")
        while (now := time.monotonic() - begun) < options.seconds:
            of_server, of_helpers = memory(process)
            seen.append(of_server)
            if now >= next_line:
                next_line += options.seconds / 20
                print(f"{now:8.0f} {of_server / 2**20:5.0f} MiB {of_helpers / 2**20:5.0f} MiB "
                      f"{len(load.accepted):9} {len(load.faults):7}", flush=True)  # fmt: skip
            time.sleep(1)
        load.stop.set()
        for client in clients:
            client.join()
        watch.stop()
        n_lost = lost(server, load, expected)
        third = len(seen) // 3
        before, after = middle(seen[third : 2 * third]), middle(seen[2 * third :])
        grew = after > GROWTH * before + SPARE_BYTES
        late = watch.quantile(0.99)
        print(f"jobs accepted {len(load.accepted)}, answered {len(load.accepted) - n_lost}, "
              f"lost or wrong {n_lost}")  # fmt: skip
        print(f"answers by status {dict(sorted(load.answers.items()))}, faults {len(load.faults)}")
        print(f"/status: {len(watch.seconds)} asked, p50 {1000 * watch.quantile(0.5):.0f} ms, "
              f"p99 {1000 * late:.0f} ms, failures {len(watch.failures)}")  # fmt: skip
        print(f"memory of the server: middle third {before / 2**20:.0f} MiB, last third "
              f"{after / 2**20:.0f} MiB ({'grew' if grew else 'flat'})")  # fmt: skip
        for fault in load.faults[:10]:
            print(f"  {fault}")
        if late > LATE_SECONDS:
            print(f"/status was later than {1000 * LATE_SECONDS:.0f} ms")
        if n_lost or grew or load.faults or watch.failures:
            sys.exit(1)


if __name__ == "__main__":
    main()
