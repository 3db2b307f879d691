"""``make bench-artifacts``: ours beside the published client's own writers, in one run.

    python run.py [--folder build/bench-artifacts] [--runs 5] [--cells 50000] [--curve]

1. Generates a reproducible matrix (see generate.py) and measures both, and a Seurat object
   of the same values in R, alternating, each run in a process of its own; prints medians,
   ratios, and whether the files contain the same. All of it twice: see measure.py.
2. With --curve: four files of up to ten times the cells, read piece by piece, counts
   included; writes curve.json and man/figures/artifacts.svg.

Where the cycles go (perf; 50,000 cells, 72 million values, memory touched; processor seconds of
2.0 in all): LZ4 0.65, of which the genes of the counts are 0.37 and their values 0.23 (the
normalised values hardly get smaller and are stored); csr_tocsc() of SciPy 0.3; copies 0.15;
counting by cluster 0.1; writing past the page cache 0.1; obs.duckdb 0.15. What was not work was
memory: the whole matrix was transposed into as much fresh memory, whose first touch took 0.4 to
1.9 s where the host had taken it back. Now it is done in ten passes into two arrays that are used
again (690 MB of extra memory became 260 MB; 0.2 s more of work, 0.4 to 1.2 s less of the system),
and chunks wait for the device in a thread of their own. A higher acceleration of LZ4 would save
0.08 s and make the file 3 % larger, none of it 0.6 s and 35 %: a file that is sent somewhere is
not worth that.

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
from measure import Figures
from picture import picture

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VERSION = "cytetype==0.19.4"
PICTURE = ROOT / "man" / "figures" / "artifacts.svg"


def measured(command: list[str | Path], environment: dict[str, str]) -> Figures:
    done = subprocess.run(
        [str(c) for c in command], check=True, capture_output=True, text=True, env=environment
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


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


def beside(folder: Path, cells: int, runs: int) -> None:
    source = folder / f"cells{cells}.h5ad"
    if not source.exists():
        print(f"generating {cells} cells ...", flush=True)
        generate.in_memory(cells).write_h5ad(source)
    commands = commands_of(folder, source)
    every = {memory: compared(commands, memory, runs) for memory in ("found", "touched")}
    if "theirs" in commands:
        same = same_content(folder / "ours.h5", folder / "theirs.h5")
        print(f"vars.h5 of both contain {'the same' if same else 'DIFFERENT'} values")
    (folder / "beside.json").write_text(json.dumps(every, indent=1))


def compared(
    commands: dict[str, tuple[list[str | Path], dict[str, str]]], memory: str, runs: int
) -> dict[str, list[Figures]]:
    """Measure all commands in turn, print what was found, and return it."""
    found: dict[str, list[Figures]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, (command, environment) in commands.items():
            load = os.getloadavg()[0]
            figures = measured(command, {**environment, "MEMORY": memory})
            found[name].append({**figures, "load": load})
    print("Memory as a process finds it:" if memory == "found" else "Memory touched before:")
    for rows in found.values():
        report(rows)
    for name, words in (
        ("theirs", "cytetype takes {:.2f}"),
        ("seurat", "a Seurat object takes {:.2f}"),
    ):
        for how, pick in (("median", statistics.median), ("best", min)):
            if name in found:
                totals = [pick([r["total"] for r in found[n]]) for n in (name, "ours")]
                ratio = totals[0] / totals[1]
                print(f"{words.format(ratio)} times as long ({how} of {runs}, fsync apart)")
    return found


def commands_of(folder: Path, source: Path) -> dict[str, tuple[list[str | Path], dict[str, str]]]:
    """Return what is measured: ours, theirs where it is installed, and ours from R."""
    environment = clean_environment()
    own = {**environment, "PYTHONPATH": str(ROOT / "inst" / "python")}
    commands = {"ours": ([sys.executable, HERE / "ours.py", folder, source], own)}
    if python := their_python(folder):
        commands["theirs"] = ([python, HERE / "theirs.py", folder, source], environment)
    else:
        print("cytetype 0.19.4 is not measured: it needs Python 3.12 or later.")
    if shutil.which("Rscript"):
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


def curve(folder: Path, largest: int) -> None:
    own = {"PYTHONPATH": str(ROOT / "inst" / "python"), "MEMORY": "touched"}
    environment = {**clean_environment(), **own}
    points: list[Figures] = []
    whole = folder / f"curve{largest}.h5ad"
    if not whole.exists():
        print(f"generating {largest} cells ...", flush=True)
        generate.write_h5ad(whole, largest)
    for cells in (largest // 8, largest // 4, largest // 2, largest):
        source = folder / f"curve{cells}.h5ad"
        if source != whole:
            generate.subset_h5ad(whole, source, cells)
        found = measured([sys.executable, HERE / "ours.py", folder, source, "--file"], environment)
        if source != whole:
            source.unlink()
        points.append({"cells": cells, **found})
        print(
            f"{cells:8} cells {found['total']:7.1f} s"
            f"  processor {found['processor_seconds']:6.1f} s"
            f"  extra memory {found['extra_memory'] / 1e6:5.0f} MB"
            f"  vars.h5 {found['vars_h5_bytes'] / 1e6:6.0f} MB",
            flush=True,
        )
    (folder / "curve.json").write_text(json.dumps(points, indent=1))
    PICTURE.write_text(picture(points))
    print(f"wrote {PICTURE}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--folder", type=Path, default=ROOT / "build" / "bench-artifacts")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--cells", type=int, default=50_000)
    options.add_argument("--curve", action="store_true")
    options.add_argument("--only-curve", action="store_true")
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not given.only_curve:
        beside(given.folder, given.cells, given.runs)
    if given.curve or given.only_curve:
        curve(given.folder, 10 * given.cells)


if __name__ == "__main__":
    main()
