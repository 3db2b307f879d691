"""Seconds and peak memory of bringing an R matrix to Python, beside a plain copy of its bytes.

Every figure is from a process of its own, all in one run: ``make bench-transfer``, or
``python benchmarks/transfer/run.py 10 40 70`` (millions of values).
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
METHODS = {
    "copy": "plain copy of the same bytes (numpy)",
    "cellferry": "Seurat -> Study, one layer",
    "cellferry_split": "Seurat -> Study, split in four layers",
    "reticulate": "reticulate's own conversion of the matrix",
}
REPEATS = 3


def measure(method: str, millions: str) -> dict[str, float | str]:
    command = ["Rscript", "--vanilla", str(HERE / "measure.R"), method, millions]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return {"error": f"R ended with {done.returncode}: {done.stderr.strip()[-200:]}"}
    found: dict[str, float | str] = json.loads(lines[-1])
    return found


def best(method: str, millions: str) -> dict[str, float | str]:
    """Return the fastest of some runs, with its memory."""
    found = [measure(method, millions) for _ in range(REPEATS)]
    good = [f for f in found if "seconds" in f]
    return min(good, key=lambda f: float(f["seconds"])) if good else found[0]


def main() -> int:
    sizes = sys.argv[1:] or ["10", "40", "70"]
    print("| values | method | seconds | times the copy | extra memory, times the matrix |")
    print("| --- | --- | --- | --- | --- |")
    for millions in sizes:
        copied = 0.0
        for method, title in METHODS.items():
            found = best(method, millions)
            if "error" in found:
                print(f"| {millions} M | {title} | {found['error']} | | |", flush=True)
                continue
            seconds = float(found["seconds"])
            copied = copied or seconds
            extra = float(found["extra"]) / float(found["bytes"])
            row = f"{seconds:.2f} | {seconds / copied:.1f} | {extra:.2f}"
            print(f"| {millions} M | {title} | {row} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
