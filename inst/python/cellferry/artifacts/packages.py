"""The packages that read and write the two files: the extra ``artifacts``, 250 MB."""

from __future__ import annotations

import importlib.util
import os
import sys

from .._version import pip_install
from ..errors import DependencyError, in_language

NEEDED = ("duckdb", "hdf5plugin")


def missing_packages(needed: tuple[str, ...] = NEEDED) -> list[str]:
    """Return which of some packages are not installed; nothing is imported.

    Examples
    --------
    >>> missing_packages(("json", "no_such_package"))
    ['no_such_package']
    """
    return [name for name in needed if importlib.util.find_spec(name) is None]


def check_packages() -> None:
    """Raise where the packages are missing, before anything is read.

    Raises
    ------
    DependencyError
        Has the line that installs them.
    """
    missing = missing_packages()
    if not missing:
        return
    be = "is" if len(missing) == 1 else "are"
    message = f"vars.h5 and obs.duckdb need {' and '.join(missing)}, which {be} not installed."
    line = f"{sys.executable} -m {pip_install('artifacts')}"
    # Of a Python that the user manages only he can say what is in it.
    own = f"in a terminal: {sys.executable} -m pip install {' '.join(missing)}"
    managed = os.environ.get("RETICULATE_PYTHON")
    install = in_language(python=line, r=own if managed else "InstallBackend()", cli=line)
    raise DependencyError(message, f"Install: {install}")
