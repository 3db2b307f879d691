"""The package of a stranger with an engine, really installed, in a folder of its own."""

import os
import shutil
import subprocess
import sys

from paths import ROOT

SOURCE = ROOT / "tests" / "python" / "engines" / "stranger"


def install(folder):
    """Install the package with pip, as its users do, and return where it is."""
    source, target = folder / "source", folder / "installed"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    kept = {k: v for k, v in os.environ.items() if k not in {"LD_LIBRARY_PATH", "PYTHONPATH"}}
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--target"]
    command = [sys.executable, "-m", "pip", "install", "-q", *flags, str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=kept)
    assert done.returncode == 0, done.stderr
    return target
