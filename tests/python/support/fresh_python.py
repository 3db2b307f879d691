"""Code in a Python process of its own."""

import os
import subprocess
import sys

from paths import PACKAGE


def python(code, **environment):
    """Run code in a new process that has never imported the package."""
    kept = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**kept, "PYTHONPATH": str(PACKAGE), **environment},
    )  # fmt: skip
