"""Attacks on the memory of runs: damage on the disk, two processes, kills, disks that fill up.

Each is one trial that says whether it was survived. The suite does a few; ``tests/attack/runs``
does many.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

from cellferry.errors import CellferryError, RunDamagedWarning
from llm_server import Server

GENES = ("CD79A", "CD3D", "NKG7", "LYZ", "PPBP", "FCER1A", "COL1A1", "PECAM1")
LIMIT = """import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))
"""
"""Code that lets files have so many bytes at most, as on a full disk."""
FILES = ("run.json", "journal.jsonl", "study.json", "annotations.json")


def table(path, n=8):
    """Write a marker table of as many clusters, each of which a model knows."""
    rows = ["cluster,gene,avg_log2FC,p_val_adj"]
    for i in range(n):
        first = GENES[i % len(GENES)]
        genes = [first, *(f"G{i}X{k}" for k in range(3))]
        rows += [f"{i},{gene},{3 - k / 2},1e-9" for k, gene in enumerate(genes)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def command(work, *arguments, url=None, file_size=None):
    """Start ``cellferry`` in a folder."""
    code = "from cellferry.cli import main; main()"
    if file_size is not None:
        code = f"{LIMIT.format(file_size)}{code}"
    options = []
    if url is not None:
        options = ["--engine", "llm", "--provider", "openai", "--model", "m", "--base-url", url]
        options += ["--max-workers", "1"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments, *options],
        cwd=work,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "CELLFERRY_HOME": str(work / "home"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def labels(work, name="out"):
    path = work / f"{name}_annotations.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {row["cluster"]: row["label"] for row in rows}


def harm(path, rng):
    """Damage a file as disks and people do; say how."""
    raw = path.read_bytes()
    ways = ["truncate", "flip", "garbage", "zero", "cut", "missing"]
    way = rng.choice(ways) if raw else "missing"
    at = rng.randrange(len(raw)) if raw else 0
    more = min(len(raw), at + rng.randrange(1, 200))
    if way == "truncate":
        path.write_bytes(raw[:at])
    elif way == "flip":
        path.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :])
    elif way == "garbage":
        path.write_bytes(raw[:at] + rng.randbytes(more - at) + raw[more:])
    elif way == "zero":
        path.write_bytes(raw[:at] + bytes(more - at) + raw[more:])
    elif way == "cut":
        path.write_bytes(raw[:at] + raw[more:])
    else:
        path.unlink()
    return way


class Damage:
    """One finished run of the engine local, damaged again and again.

    What is right: the same labels, or a clear error; never other labels, never a fault of ours.
    """

    def __init__(self, work):
        from cellferry import annotate_clusters

        self.work = work
        os.environ["CELLFERRY_HOME"] = str(work / "home")
        self.markers = {str(i): [g, "CD74", "CD27"] for i, g in enumerate(GENES)}
        found = annotate_clusters(self.markers, progress=False)
        self.labels = found.labels()
        self.run = found.provenance["run"]
        self.folder = work / "home" / "runs" / self.run
        self.kept = work / "kept"
        shutil.copytree(self.folder, self.kept)

    def trial(self, seed):
        from cellferry import resume

        rng = random.Random(seed)
        shutil.rmtree(self.folder)
        shutil.copytree(self.kept, self.folder)
        if rng.random() < 0.7:
            # One that was stopped: its journal and its study are read.
            (self.folder / "annotations.json").unlink()
            record = (self.folder / "run.json").read_text(encoding="utf-8")
            stopped = record.replace('"status": "finished"', '"status": "interrupted"')
            (self.folder / "run.json").write_text(stopped, encoding="utf-8")
        there = [name for name in FILES if (self.folder / name).exists()]
        name = rng.choice(there)
        way = harm(self.folder / name, rng)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = resume(self.folder, progress=False)
        except CellferryError as error:
            return error.code in {"run_damaged", "run_not_found"} and bool(error.hint), name, way
        return found.labels() == self.labels, name, way


def two_at_once(work, server):
    """Two commands on one run at once; then it is finished. Say what was asked and printed."""
    table(work / "m.csv")
    before = len(server.log)
    both = [command(work, "annotate", "m.csv", "--out", "out", url=server.url) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    codes = sorted(process.returncode for process in both)
    return codes, outputs, len(server.log) - before


def two_were_survived(codes, outputs, asked, alone):
    refused = [text for text in outputs if "being worked on" in text]
    clear = codes == [0, 1] and len(refused) == 1 and "Traceback" not in "".join(outputs)
    # Or one came when the other had ended: then it asked nothing again.
    return asked == alone and (clear or codes == [0, 0])


def killed(work, server, seconds, clusters=8):
    """Kill a command after a while, give it again, and say whether all is right."""
    table(work / "m.csv", clusters)
    process = command(work, "annotate", "m.csv", "--out", "out", url=server.url)
    time.sleep(seconds)
    process.kill()
    process.communicate()
    journal = work / "out_run" / "journal.jsonl"
    known = len(journal.read_bytes().splitlines()) if journal.exists() else 0
    before = len(server.log)
    again = command(work, "annotate", "m.csv", "--out", "out", url=server.url)
    output = again.communicate(timeout=120)[0]
    left = [path.name for path in work.rglob(".*partial*")]
    asked = len(server.log) - before
    # Two questions for each cluster that was not answered, and none for the others.
    right = again.returncode == 0 and not left and asked <= 2 * (clusters - known)
    return right and len(labels(work)) == clusters, output


def full(work, server, size, clusters=8):
    """Let files have so many bytes at most; then lift it and go on. Say whether all is right."""
    table(work / "m.csv", clusters)
    process = command(work, "annotate", "m.csv", "--out", "out", url=server.url, file_size=size)
    output = process.communicate(timeout=120)[0]
    journal = work / "out_run" / "journal.jsonl"
    known = journal.read_bytes().count(b"\n") if journal.exists() else 0
    clear = process.returncode == 0 or (
        process.returncode == 1 and "cannot be written" in output and "Traceback" not in output
    )
    if process.returncode == 1 and journal.exists():
        clear = clear and ("kept" in output or not known)
    left = [path.name for path in work.rglob(".*partial*")]
    before = len(server.log)
    again = command(work, "annotate", "m.csv", "--out", "out", url=server.url)
    more = again.communicate(timeout=120)[0]
    asked = len(server.log) - before
    right = clear and not left and again.returncode == 0 and asked <= 2 * (clusters - known)
    return right, f"{output}\n--- again ---\n{more}"


def new_folder(base, i):
    made = Path(base) / str(i)
    made.mkdir(parents=True)
    return made


__all__ = [
    "Damage", "RunDamagedWarning", "Server", "full", "harm", "killed", "new_folder", "table",
    "two_at_once", "two_were_survived",
]  # fmt: skip
