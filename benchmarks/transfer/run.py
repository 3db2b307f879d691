"""Seconds and peak memory of bringing expression from R to Python and back.

Beside every way there is a plain copy of the same bytes into freshly allocated memory: as the
system gives it, which is what R and Python do too, and in huge pages, which numpy asks for. Every
figure is the fastest of three, each from a process of its own, all in one run. On a busy machine
the seconds of processor time say more than those of the clock. To run it:
``make bench-transfer``, or ``python benchmarks/transfer/run.py 10 40 70`` (millions of values).
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
METHODS = {
    "copy": "plain copy of the same bytes (bytearray)",
    "copy_huge": "plain copy of the same bytes into huge pages (numpy)",
    "cellferry": "cellferry: Seurat to Study (reticulate)",
    "cellferry_split": "cellferry: Seurat to Study, four split layers",
    "reticulate": "reticulate: its own conversion of the matrix",
    "to_anndata": "cellferry: Seurat to AnnData (rpy2)",
    "anndata2ri_read": "anndata2ri: SingleCellExperiment to AnnData",
    "to_seurat": "cellferry: AnnData to Seurat (rpy2)",
    "anndata2ri_write": "anndata2ri: AnnData to SingleCellExperiment",
}
IN_R = {"copy", "copy_huge", "cellferry", "cellferry_split", "reticulate"}
REPEATS = 3

Found = dict[str, float | str]


def measure(method: str, millions: str) -> Found:
    if method in IN_R:
        command = ["Rscript", "--vanilla", str(HERE / "measure.R")]
    else:
        command = [sys.executable, str(HERE / "measure_rpy2.py")]
    done = subprocess.run([*command, method, millions], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return {"error": f"ended with {done.returncode}: {done.stderr.strip()[-100:]}"}
    found: Found = json.loads(lines[-1])
    return found


def rounds(millions: str) -> dict[str, Found]:
    """Measure all methods in turn, some times, so that a busy minute meets all of them."""
    best: dict[str, Found] = {}
    for _ in range(REPEATS):
        for method in METHODS:
            if "error" in best.get(method, {}):
                continue
            found = measure(method, millions)
            failed = "error" in found
            if failed or method not in best or float(found["cpu"]) < float(best[method]["cpu"]):
                best[method] = found
    return best


def main() -> int:
    sizes = sys.argv[1:] or ["10", "40", "70"]
    print("| values | way | seconds | processor | times the copy | extra memory / matrix |")
    print("| --- | --- | --- | --- | --- | --- |")
    for millions in sizes:
        best = rounds(millions)
        for method, found in best.items():
            if "error" in found:
                print(f"| {millions} M | {METHODS[method]} | {found['error']} | | | |", flush=True)
                continue
            seconds = float(found["seconds"])
            cpu = float(found["cpu"])
            slower = cpu / float(best["copy"]["cpu"])
            extra = float(found["extra"]) / float(found["bytes"])
            row = f"{seconds:.2f} | {cpu:.2f} | {slower:.1f} | {extra:.2f}"
            print(f"| {millions} M | {METHODS[method]} | {row} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
