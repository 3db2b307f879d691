"""How near a batch comes to the ideal: a server that answers in a second, 60 clusters, 12 workers.

    make bench-llm

The server is another process. The ideal is the number of calls made, divided by the workers,
times the server's delay. The time is that of the whole annotation, from the checks to the files
of the run; starting Python and importing the model's package are measured separately.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests" / "python" / "support"
sys.path.insert(0, str(TESTS))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clusters", type=int, default=60)
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--delay", type=float, default=1.0)
    parser.add_argument("--within", type=float, default=0.15, help="allowed excess over the ideal")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CELLFERRY_HOME"] = folder
        command = [sys.executable, TESTS / "llm_server.py", "--delay", str(given.delay)]
        server = subprocess.Popen(
            [*command, "--log", f"{folder}/log"], stdout=subprocess.PIPE, text=True
        )
        try:
            return measure(given, server.stdout.readline().strip(), Path(folder) / "log")
        finally:
            server.terminate()


def measure(given: argparse.Namespace, url: str, log: Path) -> int:
    began = time.perf_counter()
    import cellferry
    from cellferry.engines.llm import LLM, batch  # noqa: F401 - imports the client stack
    from llm_cases import many

    imports = time.perf_counter() - began
    engine = LLM(provider=url, model="bench", max_workers=given.workers)
    began, processor = time.perf_counter(), time.process_time()
    found = cellferry.annotate_clusters(
        many(given.clusters), engine=engine, species="human", progress=False
    )
    spent, processor = time.perf_counter() - began, time.process_time() - processor
    assert {row.status for row in found} == {"ok"}, found.summary_line()
    calls = log.read_text(encoding="utf-8").count("\n")
    ideal = calls * given.delay / given.workers
    excess = spent / ideal - 1
    print(f"clusters             {given.clusters}, all answered")
    print(f"workers              {given.workers}")
    print(f"calls                {calls}, each answered in {given.delay:g} s")
    print(f"ideal                {ideal:.2f} s")
    print(f"measured             {spent:.2f} s ({100 * excess:+.1f} %)")
    print(f"overhead per cluster {1000 * (spent - ideal) / given.clusters:.0f} ms")
    print(f"processor time       {processor:.2f} s, load of the machine {os.getloadavg()[0]:.1f}")
    print(f"imports, once        {imports:.2f} s")
    if excess > given.within:
        print(f"more than {100 * given.within:.0f} % above the ideal")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
