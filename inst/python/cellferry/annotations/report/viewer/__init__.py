"""The script of the page: plain modules, joined into one function, byte for byte the same always.

There is no build step and no library: the page's policy allows this one script by its hash, and
forbids what graphics libraries need (code from text, workers, addresses of blobs).

How the modules depend on each other, each on those above it:

1. ``data`` is the one way to what the page shows, in the file or on a server; ``state`` is what a
   person chose, and tells who listens. ``words``, ``elements``, ``names`` (genes and terms),
   ``completion`` and ``scene`` (pictures as shapes) know nothing of a part of the page.
2. The parts of the page: ``table``; the map (``colouring``, ``view``, ``places``, ``points``,
   ``labels``, ``lasso``, ``moving``, ``map``, ``legend``); ``filters`` and ``composition``; genes
   (``dotplot``, ``violin``, ``genelists``, ``genes``); labels of other columns (``agreement``);
   ``compare``; decisions (``decisions`` keeps and sends them, ``decide`` is where a person makes
   them, ``history`` lists them); ``card``.
3. ``start`` builds what waits for all others.

A part does not call another to tell it something: it calls ``change()`` of ``state``, and those
who asked with ``on()`` hear of it. Names of later modules are used in functions only, which run
when the page is there: keys of ``table`` decide, ``lasso`` and ``moving`` have ``map`` draw,
``map`` has its ``legend``, which sets ``filters``, and ``genes`` draws a gene that the map cannot.

``types.d.ts`` says what the page is given; ``scripts/typescript`` looks at the types in comments,
and ``tests/python/annotations/test_viewer.py`` at names that two modules would take.
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
    "view",
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
    "agreement",
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
