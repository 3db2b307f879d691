"""The table of cell types that comes with cellferry."""

from __future__ import annotations

import functools
from importlib import resources

from .base import Knowledge


@functools.cache
def packaged_knowledge() -> Knowledge:
    """Return the table that comes with cellferry.

    Examples
    --------
    >>> packaged_knowledge().by_name["B cell"].ontology_id
    'CL:0000236'
    """
    from .table import read_types

    with resources.as_file(resources.files("cellferry") / "data" / "knowledge") as folder:
        files = sorted(folder.glob("*.tsv"))
        return Knowledge(tuple(t for path in files for t in read_types(path)))
