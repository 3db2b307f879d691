"""What tells siblings apart: the few genes by which a biologist names a subtype.

A score of many markers hardly distinguishes siblings that share most of them. The table
``data/knowledge_siblings.tsv`` says which genes decide: those that must be raised, and those that
must not be. Where exactly one subtype of an answer is shown in this way, it is the answer. Where a
long list leaves out all genes that a type needs, though they were measured, it is not.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..knowledge.packaged import column_of, packaged_rows
from ..score import SILENT_HALF, SUPPORT

if TYPE_CHECKING:
    from ....biology.genes import Species
    from ..hierarchy import Hierarchy
    from ..score import Signal


@dataclass(frozen=True)
class Rule:
    """Genes that show a type among its siblings.

    Attributes
    ----------
    shown
        Groups of genes, of each of which a number must be raised.
    silent
        Genes of which none may be raised.
    needs
        Genes of which one is raised in every cluster of the type and its subtypes, as far as they
        were measured.
    source
        Of the line; never a labelled table of the benchmark.
    prompted_by
        Labelled tables that made us look for the line: it is left out where they are judged.
    """

    name: str
    shown: tuple[tuple[int, tuple[str, ...]], ...]
    silent: tuple[str, ...]
    needs: tuple[str, ...]
    source: str
    prompted_by: tuple[str, ...] = ()


@functools.cache
def rules(species: Species) -> tuple[Rule, ...]:
    """Return the rules that come with cellferry.

    Examples
    --------
    >>> next(r for r in rules("human") if r.name == "CD4 T cell").silent
    ('CD8A', 'CD8B', 'TRDC')
    """
    found = []
    for cells in packaged_rows("knowledge_siblings.tsv"):
        groups = cells[column_of("shown", species)].split(";")
        shown = tuple(_group(part) for part in groups if part.strip())
        if shown:
            silent, needs = (
                tuple(cells[column_of(c, species)].split()) for c in ("silent", "needs")
            )
            prompted = tuple(cells["prompted_by"].split())
            found.append(Rule(cells["name"], shown, silent, needs, cells["source"], prompted))
    return tuple(found)


def _group(text: str) -> tuple[int, tuple[str, ...]]:
    count, _, genes = text.rpartition(":")
    return int(count or 1), tuple(genes.split())


def with_needs(hierarchy: Hierarchy, signal: Signal, label: int) -> int:
    """Go up from a type of which a long list leaves out what it needs."""
    if signal.listed < SILENT_HALF:
        return label
    for rule in rules(hierarchy.profiles.species):
        i = hierarchy.positions.get(rule.name)
        if i is None or not rule.needs or not hierarchy.inside[label, i] or hierarchy.own[label]:
            continue
        columns = [hierarchy.gene_positions.get(g) for g in rule.needs]
        seen = [j for j in columns if j is not None and signal.seen[j]]
        if seen and (signal.strength[seen] < SUPPORT).all():
            return hierarchy.above(i)[0]
    return label


def shown_below(hierarchy: Hierarchy, signal: Signal, label: int) -> int | None:
    """Return the one subtype of a type that its deciding genes show; the narrowest, or None."""
    names = hierarchy.profiles.names
    found = {
        i
        for rule in rules(hierarchy.profiles.species)
        if (i := hierarchy.positions.get(rule.name)) is not None
        and i != label
        and hierarchy.inside[i, label]
        and not hierarchy.own[i]
        and _holds(hierarchy, signal, rule)
    }
    narrowest = [i for i in found if not any(j != i and hierarchy.inside[j, i] for j in found)]
    if len(narrowest) != 1:
        above = None
        for i in narrowest:
            name = (
                names[i] if above is None else hierarchy.knowledge.common_ancestor(above, names[i])
            )
            above = name
        shared = None if above is None else hierarchy.positions.get(above)
        return shared if shared in found else None
    return narrowest[0]


def _holds(hierarchy: Hierarchy, signal: Signal, rule: Rule) -> bool:
    columns = hierarchy.gene_positions

    def is_raised(gene: str) -> bool:
        j = columns.get(gene)
        return j is not None and bool(signal.strength[j] >= SUPPORT)

    # Of genes that a panel does not have, none is silent; one of them stands for all.
    silent = [columns[g] for g in rule.silent if g in columns]
    if silent and not signal.measured[silent].any():
        return False
    return all(sum(map(is_raised, genes)) >= count for count, genes in rule.shown) and not any(
        map(is_raised, rule.silent)
    )
