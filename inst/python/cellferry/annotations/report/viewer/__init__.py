"""The script of the page: plain modules, joined into one function, byte for byte the same always.

There is no build step and no library: the page's policy allows this one script by its hash, and
forbids what graphics libraries need (code from text, workers, addresses of blobs).
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources

MODULES: tuple[str, ...] = (
    "data",
    "state",
    "words",
    "elements",
    "names",
    "completion",
    "scene",
    "table",
    "colouring",
    "places",
    "points",
    "labels",
    "lasso",
    "moving",
    "map",
    "legend",
    "filters",
    "composition",
    "dotplot",
    "violin",
    "genelists",
    "genes",
    "compare",
    "decisions",
    "decide",
    "history",
    "card",
    "start",
)
"""Each sees what those before it declare; calls that wait for the page may go forward."""


@functools.cache
def script() -> str:
    """Return the text of the script.

    Examples
    --------
    >>> script().startswith('"use strict";')
    True
    """
    folder = resources.files(__name__)
    parts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in MODULES]
    return '"use strict";\n(function () {\n' + "\n".join(parts) + "})();\n"


@functools.cache
def script_hash() -> str:
    """Return the hash by which a Content-Security-Policy allows the script.

    Examples
    --------
    >>> script_hash().startswith("sha256-")
    True
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()}"


@functools.cache
def styles() -> str:
    """Return the rules of style of what the script draws."""
    folder = resources.files(__name__)
    return "".join((folder / f"{name}.css").read_text(encoding="utf-8") for name in ("map", "card"))
