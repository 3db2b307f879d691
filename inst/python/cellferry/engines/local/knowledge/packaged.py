"""The table of cell types that comes with cellferry."""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING

from .base import Knowledge

if TYPE_CHECKING:
    from ....biology.genes import Species


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


def packaged_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of another table that comes with cellferry, each a column -> its text.

    Parameters
    ----------
    name
        Of the file in ``data``: tabs, a header, lines of comment that begin with ``#``.

    Examples
    --------
    >>> packaged_rows("knowledge_siblings.tsv")[0]["prompted_by"]
    ''
    """
    path = resources.files("cellferry") / "data" / name
    lines = path.read_text(encoding="utf-8").splitlines()
    header, *rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [dict(zip(header, row, strict=True)) for row in rows]


def column_of(name: str, species: Species) -> str:
    """Return the column of such a table that has the genes of a species.

    Examples
    --------
    >>> column_of("genes", "human"), column_of("genes", "mouse")
    ('genes', 'genes_mouse')
    """
    return name if species == "human" else f"{name}_{species}"


@functools.cache
def transcription_factors(species: Species) -> frozenset[str]:
    """Return the transcription factors, and their cofactors, among the markers of a species.

    Examples
    --------
    >>> sorted(transcription_factors("mouse") & {"Pax5", "Cd79a"})
    ['Pax5']
    """
    column = column_of("genes", species)
    rows = packaged_rows("transcription_factors.tsv")
    return frozenset(gene for cells in rows for gene in cells[column].split())
