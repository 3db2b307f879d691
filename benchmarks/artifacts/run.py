"""``make bench-artifacts``: ours beside the published client's own writers, in one run.

    python run.py [--folder build/bench-artifacts] [--runs 5] [--cells 50000] [--who ours theirs]
        [--curve] [--only-curve] [--genes 20000] [--write]

1. Generates a reproducible matrix (see generate.py) and measures both, and a Seurat object
   of the same values in R, alternating, each run in a process of its own; prints a table with
   medians and ratios, and whether the files contain the same. All of it twice: see measure.py.
2. Measures what no writer gets around (floor.py), on the same matrix.
3. With --curve: four files of up to ten times the cells, read piece by piece, counts
   included; writes curve.json and, of files of all genes, man/figures/artifacts.svg.

With --write the tables go into the vignette "Artifacts and large data".

Where the cycles go (perf; 50,000 cells, 72 million values, memory touched; processor seconds of
1.8 in all): LZ4 0.6, all of it the counts, whose genes are 0.35 and values 0.23 (the normalised
values and their cells hardly get smaller and are stored); csr_tocsc() of SciPy 0.25; cutting rows
into ranges of genes 0.15; copies of what is stored 0.1; counting by cluster 0.1; checking counts
0.07; writing past the page cache 0.1; obs.duckdb 0.1. What was not work was memory: the system
fills new pages with zeros, which took 0.3 of 2.2, and now hardly any are new. A higher acceleration
of LZ4 would save 0.08 s of processor time and make the file 3 % larger, none of it 0.6 s and 35 %:
a file that is sent somewhere is not worth that.

The published client needs Python 3.12 or later: one named by CYTETYPE_PYTHON, else one on
the PATH, in which a virtual environment with cytetype 0.19.4 is made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import generate
import table
from measure import Figures, Floor, sync
from picture import picture

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VERSION = "cytetype==0.19.4"
PAGE = ROOT / "vignettes" / "artifacts-and-large-data.Rmd"
PICTURE = ROOT / "man" / "figures" / "artifacts.svg"


def said(command: list[str | Path], environment: dict[str, str]) -> str:
    """Run a command in a process of its own, and return the last line that it prints."""
    done = subprocess.run(
        [str(c) for c in command], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.strip().splitlines()[-1]


def clean_environment() -> dict[str, str]:
    dropped = {"LD_LIBRARY_PATH", "PYTHONPATH"}
    return {k: v for k, v in os.environ.items() if k not in dropped}


def their_python(folder: Path) -> Path | None:
    if given := os.environ.get("CYTETYPE_PYTHON"):
        return Path(given)
    made = folder / "cytetype" / "bin" / "python"
    if made.exists():
        return made
    # pyenv's shims exist for versions that are not switched on; what they stand for works.
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python"), reverse=True)
    for found in [*pyenv, *filter(None, map(shutil.which, ("python3.13", "python3.12")))]:
        tried = subprocess.run([found, "-m", "venv", folder / "cytetype"], check=False)
        pip = [made, "-m", "pip", "install", "--quiet", VERSION]
        if tried.returncode == 0 and subprocess.run(pip, check=False).returncode == 0:
            return made
        shutil.rmtree(folder / "cytetype", ignore_errors=True)
    return None


def same_content(ours: Path, theirs: Path) -> bool:
    """Compare every dataset of both files, piece by piece."""
    import h5py
    import hdf5plugin  # noqa: F401 - registers LZ4
    import numpy as np

    with h5py.File(ours, "r") as one, h5py.File(theirs, "r") as other:
        names: list[str] = []
        other.visititems(lambda n, o: names.append(n) if isinstance(o, h5py.Dataset) else None)
        step = 10_000_000
        return all(
            one[n].shape == other[n].shape
            and one[n].dtype == other[n].dtype
            and all(
                np.array_equal(one[n][i : i + step], other[n][i : i + step])
                for i in range(0, len(one[n]), step)
            )
            for n in names
        )


def beside(folder: Path, cells: int, runs: int, who: list[str]) -> dict[str, str]:
    """Measure everybody in both measures; print the tables, and return them by name."""
    source = folder / f"cells{cells}.h5ad"
    if not source.exists():
        print(f"generating {cells} cells ...", flush=True)
        generate.in_memory(cells).write_h5ad(source)
    commands = commands_of(folder, source, who)
    every = {memory: compared(commands, memory, runs) for memory in ("found", "touched")}
    if "theirs" in commands:
        same = same_content(folder / "ours.h5", folder / "theirs.h5")
        print(f"vars.h5 of both contain {'the same' if same else 'DIFFERENT'} values")
    _, own = commands["ours"]
    command = [sys.executable, HERE / "floor.py", folder, source]
    floor: Floor = json.loads(said(command, {**own, "MEMORY": "touched"}))
    (folder / "beside.json").write_text(json.dumps({**every, "floor": floor}, indent=1))
    made = {"beside": table.beside(every), "floor": table.floor_table(floor, every["touched"])}
    print("\n\n".join(["", *made.values()]))
    return made


def compared(
    commands: dict[str, tuple[list[str | Path], dict[str, str]]], memory: str, runs: int
) -> dict[str, list[Figures]]:
    """Measure all commands in turn, print what was found, and return it."""
    found: dict[str, list[Figures]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, (command, environment) in commands.items():
            load = os.getloadavg()[0]
            figures: Figures = json.loads(said(command, {**environment, "MEMORY": memory}))
            found[name].append({**figures, "load": load})
    print(f"With {table.MEMORY[memory]}:")
    for rows in found.values():
        report(rows)
    for name in found:
        for how, pick in (("median", statistics.median), ("best", min)):
            if name != "ours":
                times = table.ratio(found, name, pick)
                print(f"{table.NAMES[name]} takes {times:.2f} times as long ({how} of {runs})")
    return found


def commands_of(
    folder: Path, source: Path, who: list[str]
) -> dict[str, tuple[list[str | Path], dict[str, str]]]:
    """Return what is measured: ours, theirs where it is installed, and ours from R."""
    environment = clean_environment()
    own = {**environment, "PYTHONPATH": str(ROOT / "inst" / "python")}
    commands = {"ours": ([sys.executable, HERE / "ours.py", folder, source], own)}
    if "theirs" not in who:
        pass
    elif python := their_python(folder):
        commands["theirs"] = ([python, HERE / "theirs.py", folder, source], environment)
    else:
        print("cytetype 0.19.4 is not measured: it needs Python 3.12 or later.")
    if "seurat" in who and shutil.which("Rscript"):
        arrays = folder / "arrays"
        if not (arrays / "genes.txt").exists():
            subprocess.run([sys.executable, HERE / "arrays.py", source, arrays], check=True)
        commands["seurat"] = (["Rscript", HERE / "seurat.R", arrays], environment)
    return commands


def report(rows: list[Figures]) -> None:
    totals = sorted(r["total"] for r in rows)
    processor = statistics.median(r["processor_seconds"] for r in rows)
    print(
        f"{rows[0]['what']:16} median {statistics.median(totals):6.2f} s  best {totals[0]:6.2f} s"
        f"  processor {processor:6.2f} s"
        f"  fsync {statistics.median(r['fsync'] for r in rows):5.2f} s"
        f"  extra memory {max(r['extra_memory'] for r in rows) / 1e6:6.0f} MB"
        f"  vars.h5 {rows[0]['vars_h5_bytes'] / 1e6:6.0f} MB"
        f"  load {statistics.median(r['load'] for r in rows):4.1f}"
    )


def curve(folder: Path, largest: int, genes: int) -> str:
    """Measure files of up to so many cells, print the table, and return it."""
    own = {"PYTHONPATH": str(ROOT / "inst" / "python"), "MEMORY": "touched"}
    environment = {**clean_environment(), **own}
    points: list[Figures] = []
    whole = folder / f"curve{largest}x{genes}.h5ad"
    if not whole.exists():
        print(f"generating {largest} cells ...", flush=True)
        generate.write_h5ad(whole, largest, genes)
    for cells in (largest // 8, largest // 4, largest // 2, largest):
        source = whole if cells == largest else folder / f"curve{cells}x{genes}.h5ad"
        if source != whole:
            generate.subset_h5ad(whole, source, cells)
            # What is still to be written would be written while the next is measured.
            sync(source)
        command = [sys.executable, HERE / "ours.py", folder, source, "--file"]
        found: Figures = json.loads(said(command, environment))
        if source != whole:
            source.unlink()
        points.append({**found, "cells": cells})
        print(f"{cells:8} cells {found['total']:7.1f} s", flush=True)
    (folder / "curve.json").write_text(json.dumps(points, indent=1))
    if genes == generate.N_GENES:
        PICTURE.write_text(picture(points))
        print(f"wrote {PICTURE}")
    made = table.curve_table(points)
    print(f"\n{made}\n")
    return made


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--folder", type=Path, default=ROOT / "build" / "bench-artifacts")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--cells", type=int, default=50_000)
    options.add_argument("--genes", type=int, default=generate.N_GENES, help="of the files")
    options.add_argument("--who", nargs="+", choices=table.NAMES, default=[*table.NAMES])
    options.add_argument("--curve", action="store_true")
    options.add_argument("--only-curve", action="store_true")
    options.add_argument("--write", action="store_true", help="put the tables into the vignette")
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, str] = {}
    if not given.only_curve:
        made |= beside(given.folder, given.cells, given.runs, given.who)
    if given.curve or given.only_curve:
        made["curve"] = curve(given.folder, 10 * given.cells, given.genes)
    if given.write:
        page = PAGE.read_text()
        for name, text in made.items():
            page = table.written(page, name, text)
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
