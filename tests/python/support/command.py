"""The command line, in this process or in one of its own."""

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from json import loads

from cellferry.cli import main
from paths import PACKAGE, SUPPORT

MARKERS = """cluster,marker_genes
0,"CD79A,MS4A1,CD79B,CD19,BANK1"
1,"CD3D,CD3E,CD3G,CD2,IL32"
2,"CD14,LYZ,S100A9,FCN1,S100A8"
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self):
        """What is on standard output, which is one document and nothing else."""
        return loads(self.out)


class Terminal(io.StringIO):
    """Standard input where nobody has piped anything."""

    def isatty(self):
        return True


def command(*arguments, stdin=b""):
    """Run the command in this process, as from a shell; no standard input is a terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    given = Terminal()
    if stdin is not None:
        given = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["cellferry", *map(str, arguments)], given
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
        code = 0
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv, sys.stdin = before
    for stream in (out, err):
        stream.flush()
    return Done(code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode())


def environment(**more):
    """The environment of a process of its own; a variable that is None is left out."""
    kept = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    path = os.pathsep.join([str(PACKAGE), str(SUPPORT)])
    found = {**kept, "PYTHONPATH": path, **more}
    return {k: v for k, v in found.items() if v is not None}


def start(*arguments, cwd, stdin=subprocess.DEVNULL, **more):
    """Start the command in a process of its own, as ``python -m cellferry``."""
    return subprocess.Popen(
        [sys.executable, "-m", "cellferry", *map(str, arguments)], cwd=cwd, stdin=stdin,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**more),
    )  # fmt: skip


def ended(process, seconds=60):
    """Wait for its end and return it."""
    out, err = process.communicate(timeout=seconds)
    return Done(process.returncode, out.decode(), err.decode())


def alone(*arguments, cwd, **more):
    """Run the command in a process of its own."""
    return ended(start(*arguments, cwd=cwd, **more))
