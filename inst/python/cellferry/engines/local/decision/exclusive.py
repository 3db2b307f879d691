"""Two types of one lineage that no cell is both of, though most of their genes are the same.

A second lineage is known by what no type of the first lists (:mod:`.mixture`), so that T cells with
NK cells are never told by it: cytotoxic T cells list most of what NK cells have. The table
``data/knowledge_exclusive.tsv`` has the few genes that only one of both has, and the types that
truly have both programmes, which are not judged.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..knowledge.packaged import column_of, packaged_rows
from ..score import SUPPORT

if TYPE_CHECKING:
    from ....biology.genes import Species
    from ..hierarchy import Hierarchy
    from ..score import Signal

LEAST_GENES = 2
"""Raised genes of each that show that it is there."""


@dataclass(frozen=True)
class Pair:
    """Two types, and the genes that only one of both has.

    Attributes
    ----------
    of_both
        Types that have the genes of both.
    source
        Of the line; never a labelled table of the benchmark.
    """

    one: str
    of_one: tuple[str, ...]
    other: str
    of_other: tuple[str, ...]
    of_both: tuple[str, ...]
    source: str


@functools.cache
def pairs(species: Species) -> tuple[Pair, ...]:
    """Return the pairs that come with cellferry.

    Examples
    --------
    >>> pairs("human")[0].of_one
    ('CD3D', 'CD3E', 'CD3G', 'TRAC')
    """
    found = []
    for cells in packaged_rows("knowledge_exclusive.tsv"):
        one, other = (tuple(cells[column_of(f"of_{x}", species)].split()) for x in ("one", "other"))
        both = tuple(filter(None, map(str.strip, cells["of_both"].split(";"))))
        found.append(Pair(cells["one"], one, cells["other"], other, both, cells["source"]))
    return tuple(found)


def not_of_both(hierarchy: Hierarchy, signal: Signal, label: int) -> int | None:
    """Return the type that is in a cluster beside its label, though no cell is both; or None.

    Parameters
    ----------
    label
        The answer; nothing is asked where the user added it.
    """
    if hierarchy.own[label]:
        return None
    for pair in pairs(hierarchy.profiles.species):
        rows = [hierarchy.positions.get(name) for name in (pair.one, pair.other)]
        both = [i for x in pair.of_both if (i := hierarchy.positions.get(x)) is not None]
        if None in rows or hierarchy.inside[label, both].any():
            continue
        one, other = (int(i) for i in rows if i is not None)
        if not hierarchy.related[label, [one, other]].any():
            continue
        if all(
            sum(_is_raised(hierarchy, signal, gene) for gene in genes) >= LEAST_GENES
            for genes in (pair.of_one, pair.of_other)
        ):
            # Of an answer above both either would do.
            return one if hierarchy.inside[label, other] else other
    return None


def _is_raised(hierarchy: Hierarchy, signal: Signal, gene: str) -> bool:
    column = hierarchy.gene_positions.get(gene)
    return column is not None and bool(signal.strength[column] >= SUPPORT)
