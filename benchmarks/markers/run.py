"""``make bench-markers``: ours beside what a user would use instead, in one run.

    python -m benchmarks.markers.run [--folder build/bench-markers] [--cells 5000 40000 50000]
        [--seconds 120] [--no-file] [--write]

1. Generates reproducible matrices of 20,000 genes and 20 clusters (see generate.py), and a file of
   500,000 cells.
2. Measures ours, illico, scanpy and the path that Seurat takes, each in a process of its own, and
   compares their p-values.
3. Prints the tables; with --write puts the largest into the README and the vignette, and makes
   man/figures/markers.svg.

illico 0.6.0 needs statsmodels and does not say so: ``pip install illico==0.6.0 statsmodels``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import generate
from .picture import picture
from .table import table, written

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PICTURE = ROOT / "man" / "figures" / "markers.svg"
PAGES = [ROOT / "README.md", ROOT / "vignettes" / "markers.Rmd"]
LARGE = 500_000
WAYS = (
    "ours rows",
    "ours genes",
    "illico rows",
    "illico genes",
    "scanpy t-test",
    "scanpy wilcoxon",
)
Figures = dict[str, Any]


def ways() -> list[str]:
    found = [w for w in WAYS if importlib.util.find_spec(w.split()[0].replace("ours", "cellferry"))]
    return [*found, "ours R", "seurat"] if shutil.which("Rscript") else found


def measured(way: str, folder: Path, cells: int, seconds: int) -> Figures:
    python = os.pathsep.join([str(ROOT / "inst" / "python"), str(ROOT)])
    environment = {**os.environ, "MEMORY": "touched", "PYTHONPATH": python}
    command: list[Any] = [sys.executable, "-m", "benchmarks.markers.one", way, folder, cells]
    if way in {"ours R", "seurat"}:
        environment.pop("PYTHONPATH")
        command = ["Rscript", HERE / "seurat.R", way, folder, cells, seconds]
    done = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True,
        env=environment, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        message = f"{way}, {cells} cells:\n{done.stderr[-3000:]}"
        raise SystemExit(message)
    return json.loads(done.stdout.strip().splitlines()[-1])


def largest_difference(way: str, folder: Path, cells: int) -> float | None:
    """Return how far p-values are from ours, relative to them; NaN where none is to be."""
    mine = np.load(folder / f"{cells}-ours-rows.npy")
    if way == "ours rows":
        return None
    if way == "ours genes":
        tables = [pd.read_pickle(folder / f"{cells}-ours-{k}.table") for k in ("rows", "genes")]
        pd.testing.assert_frame_equal(*tables)
        return 0.0
    if way in {"ours R", "seurat"}:
        found = pd.read_csv(folder / f"{cells}-{way.replace(' ', '-')}.csv")
        genes = found["gene"].str[4:].astype(int).to_numpy()
        clusters = found["cluster"].str[1:].astype(int).to_numpy()
        return relative(mine[genes, clusters], found["p_val"].to_numpy(np.float64))
    theirs = np.load(folder / f"{cells}-{way.replace(' ', '-')}.npy")
    both = np.isfinite(theirs) & np.isfinite(mine)
    return relative(mine[both], theirs[both])


def relative(mine: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference, relative, of p from 1e-300 on and below 1.

    Ours is 0 where R's is, and others go on to the smallest of numbers. Where U is less than 1/2
    from its mean ours is 1 as R's is, and illico's a little less.
    """
    shown = (mine >= 1e-300) & (mine < 1)
    mine, theirs = mine[shown], theirs[shown]
    return float(np.max(np.abs(mine - theirs) / mine, initial=0))


def beside(folder: Path, cells: int, seconds: int) -> list[Figures]:
    found = []
    for way in ways():
        figures = measured(way, folder, cells, seconds)
        figures["difference"] = largest_difference(way, folder, cells)
        found.append(figures)
        print(json.dumps(figures), flush=True)
    return found


def prepare(folder: Path, sizes: list[int], *, file: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for cells in {5000, *sizes}:
        if not (folder / f"cells{cells}").exists():
            print(f"generating {cells} cells ...", flush=True)
            generate.write_arrays(folder / f"cells{cells}", cells)
    path = folder / f"cells{LARGE}.h5ad"
    if file and not path.exists():
        print(f"generating {LARGE} cells ...", flush=True)
        generate.write_file(path, LARGE)


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--folder", type=Path, default=ROOT / "build" / "bench-markers")
    options.add_argument("--cells", type=int, nargs="+", default=[5_000, 40_000, 50_000])
    options.add_argument("--seconds", type=int, default=120, help="for the tests of Seurat")
    options.add_argument("--no-file", action="store_true")
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    prepare(given.folder, given.cells, file=not given.no_file)
    found = [beside(given.folder, cells, given.seconds) for cells in given.cells]
    if not given.no_file:
        found[-1].append(measured("ours file", given.folder, LARGE, 0))
        print(json.dumps(found[-1][-1]), flush=True)
    (given.folder / "figures.json").write_text(json.dumps(found, indent=1))
    for figures in found:
        print(f"\n{figures[0]['cells']:,} cells\n\n{table(figures)}")
    if given.write:
        for page in PAGES:
            made = table(found[-1], short=page.name == "README.md")
            page.write_text(written(page.read_text(), made))
        PICTURE.write_text(picture(found[-1]))


if __name__ == "__main__":
    main()
