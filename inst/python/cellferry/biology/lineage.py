"""Lineages: the levels at which cell types are usually looked at, and their order.

A small table over the Cell Ontology (``data/cell_type_levels.tsv``; ``data/README.md`` says how to
read it) names terms for three levels: compartments, types, subtypes. Every term of a level is an
ancestor of what stands below it, or the same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Literal, get_args

from .ontology import cell_ontology
from .text import normalized, singular

Level = Literal["broad", "medium", "fine"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels, the broadest first."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    id, label
        Of the term that stands at the level.
    colour
        Number of its colour in the palette.
    through
        The term of which it must be a kind; mostly ``id`` itself.
    """

    level: Level
    id: str
    label: str
    colour: int
    through: str


@functools.cache
def rows() -> tuple[Row, ...]:
    """Return the table, in lineage order."""
    path = resources.files("cellferry") / "data" / "cell_type_levels.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line.split("\t") for line in lines if line and not line.startswith("#")]
    levels: dict[str, Level] = {level: level for level in LEVELS}
    return tuple(
        Row(levels[level], identifier, label, int(colour), through or identifier)
        for level, identifier, _, label, colour, through in kept[1:]
    )


@functools.cache
def levels_of(identifier: str) -> tuple[str, str, str]:
    """Return the terms that stand for a term at each of :data:`LEVELS`.

    At a level stands the first row of the table that the term is a kind of, among those that are
    themselves kinds of what stands at the broader level. Where there is none, because the term is
    broader than the level or of a kind that the table does not have, it stands itself.

    Parameters
    ----------
    identifier
        Id of a term in use.

    Raises
    ------
    KeyError
        There is no such term.

    Examples
    --------
    >>> [cell_ontology()[term].label for term in levels_of("CL:0000904")]
    ['leukocyte', 'T cell', 'central memory CD4-positive, alpha-beta T cell']
    """
    ontology = cell_ontology()
    kinds = {identifier, *ontology.ancestors(identifier)}
    broad, medium, fine = LEVELS
    first = _first(broad, kinds, None) or identifier
    second = _first(medium, kinds, first) or identifier
    return first, second, _first(fine, kinds, second) or identifier


def _first(level: Level, kinds: set[str], above: str | None) -> str | None:
    ontology = cell_ontology()
    for row in rows():
        fits = row.level == level and row.through in kinds
        if fits and (above is None or ontology.is_a(row.id, above)):
            return row.id
    return None


@functools.cache
def _by_term() -> dict[str, tuple[int, Row]]:
    """Return term -> its first row and the place of it."""
    found: dict[str, tuple[int, Row]] = {}
    for place, row in enumerate(rows()):
        found.setdefault(row.id, (place, row))
    return found


def row_of(identifier: str) -> Row | None:
    """Return the row of a term, None if the table has none.

    Examples
    --------
    >>> row_of("CL:0000624").label
    'CD4 T cell'
    """
    found = _by_term().get(identifier)
    return None if found is None else found[1]


@functools.cache
def _by_label() -> dict[str, str]:
    return {normalized(row.label): row.id for row in reversed(rows())}


def named(text: str) -> str | None:
    """Return the id of the term that a text names, None if there is none.

    What the ontology does not find may be a usual name that the table has.

    Parameters
    ----------
    text
        Read as :meth:`.Ontology.find` reads it.

    Examples
    --------
    >>> named("CD4 T cells"), named("Cluster 7")
    ('CL:0000624', None)
    """
    found = cell_ontology().find(text)
    if found is not None:
        return found.term.id
    table, wanted = _by_label(), normalized(text)
    return table.get(wanted) or table.get(singular(wanted))


def place_of(identifier: str) -> tuple[int, int, int]:
    """Return where a term stands in the lineage order: its place at each level.

    What the table does not have comes before the first row that is a kind of it; without one it
    comes after what the table has.

    Parameters
    ----------
    identifier
        Id of a term in use.

    Examples
    --------
    >>> place_of("CL:0000084") < place_of("CL:0000236") < place_of("CL:0000115")
    True
    """
    first, second, third = (_place(term) for term in levels_of(identifier))
    return first, second, third


@functools.cache
def _place(identifier: str) -> int:
    found = _by_term().get(identifier)
    if found is not None:
        return 2 * found[0] + 1
    ontology = cell_ontology()
    kinds = (i for i, row in enumerate(rows()) if ontology.is_a(row.id, identifier))
    return 2 * next(kinds, len(rows()))
