"""Load: many jobs at once against one server, none lost, memory bounded.

Run with ``make bench-serve``. Starts a real ``cellferry serve``, submits all jobs at the same
moment from as many threads, polls each as the published clients do, and compares every
answer with the one of an undisturbed job.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "python" / "support"))

from server_process import MARKERS, ServerProcess, submission


def body(n_genes: int, n_clusters: int) -> bytes:
    """Return a job of the size that real objects have: every gene in every cluster."""
    chosen = random.Random(1)
    names = [str(i) for i in range(n_clusters)]
    known = [*MARKERS.values()]
    genes = [f"GENE{i}" for i in range(n_genes - sum(map(len, known)))]
    genes += [gene for of_cluster in known for gene in of_cluster]
    markers = {n: known[i % 3] + chosen.sample(genes, 43) for i, n in enumerate(names)}
    expression = {g: {n: round(100 * chosen.random(), 2) for n in names} for g in genes}
    return json.dumps(submission(markers, expressionData=expression)).encode()


def run_job(server: ServerProcess, content: bytes) -> tuple[float, float, dict[str, str]]:
    """Submit and poll; returns seconds to acceptance, to completion, and the labels."""
    begun = time.perf_counter()
    json_type = {"Content-Type": "application/json"}
    answer = server.client.post("/annotate", content=content, headers=json_type, timeout=600)
    answer.raise_for_status()
    job = answer.json()["job_id"]
    accepted = time.perf_counter() - begun
    while (status := server.client.get(f"/status/{job}", timeout=600).json())["jobStatus"] != (
        "completed"
    ):
        if status["jobStatus"] == "failed":
            raise RuntimeError(status)
        time.sleep(0.25)
    results = server.client.get(f"/results/{job}", timeout=600).json()["annotations"]
    labels = {c: a["latest"]["annotation"]["annotation"] for c, a in results.items()}
    return accepted, time.perf_counter() - begun, labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--clusters", type=int, default=20)
    options = parser.parse_args()
    content = body(options.genes, options.clusters)
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder) / "data") as server:
        idle = server.memory_bytes()
        _, alone, expected = run_job(server, content)
        one = server.memory_bytes()
        barrier = threading.Barrier(options.jobs)

        def client(_: int) -> tuple[float, float, dict[str, str]]:
            barrier.wait()
            return run_job(server, content)

        begun = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            done = [*pool.map(client, range(options.jobs))]
        seconds = time.perf_counter() - begun
        right = sum(labels == expected for _, _, labels in done)
        print(f"{options.jobs} jobs at once, {len(content) / 1e6:.1f} MB each, "
              f"{options.genes} genes x {options.clusters} clusters")  # fmt: skip
        print(f"completed with the right labels: {right} of {options.jobs}")
        print(f"one job alone: {alone:.2f} s; all: {seconds:.1f} s")
        accepted = [a for a, _, _ in done]
        print(f"accepted after: median {statistics.median(accepted):.1f} s, "
              f"last {max(accepted):.1f} s")  # fmt: skip
        most = [f"{n / 2**20:.0f} MiB" for n in (idle, one, server.memory_bytes())]
        print(f"memory of the server, most: idle {most[0]}, after one job {most[1]}, "
              f"after all {most[2]}")  # fmt: skip
        if right != options.jobs:
            sys.exit(1)


if __name__ == "__main__":
    main()
