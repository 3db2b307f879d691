"""Genes of another lineage that a type has itself: no evidence that both are in a cluster.

Endocrine cells have what neurons release by, pluripotent cells what epithelia hold together by, and
fibroblasts, above all in culture, what smooth muscle contracts by. The table
``data/knowledge_shared.tsv`` names these genes. They are no markers: nothing is named by them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .packaged import column_of, packaged_rows

if TYPE_CHECKING:
    from ....biology.genes import Species


@dataclass(frozen=True)
class Programme:
    """Genes that types, and all kinds of them, share with a lineage that they are not of.

    Attributes
    ----------
    source
        Of the line; never a labelled table of the benchmark.
    """

    types: tuple[str, ...]
    lineage: str
    genes: frozenset[str]
    source: str


@functools.cache
def programmes(species: Species) -> tuple[Programme, ...]:
    """Return the programmes that come with cellferry.

    Examples
    --------
    >>> [p.types for p in programmes("human") if p.lineage == "Smooth muscle cell"]
    [('Connective tissue cell', 'Myoepithelial cell')]
    """
    column = column_of("genes", species)
    return tuple(
        Programme(
            tuple(map(str.strip, cells["types"].split(";"))),
            cells["lineage"],
            frozenset(cells[column].split()),
            cells["source"],
        )
        for cells in packaged_rows("knowledge_shared.tsv")
    )
