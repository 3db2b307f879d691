"""Levels: the ancestors of labels at which they are usually looked at, and their order.

``<key>_broad``, ``<key>_medium`` and ``<key>_fine`` are made from the label in force and its term
alone, so they follow every decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..biology.label_names import term_named
from ..biology.lineage import LEVELS, levels_of, place_of, row_of
from ..biology.ontology import cell_ontology
from ..biology.text import normalized
from .clusters import UNKNOWN

if TYPE_CHECKING:
    from .clusters import Annotations

SUFFIXES: tuple[str, ...] = tuple(f"_{level}" for level in LEVELS)
"""Suffixes of the columns of the levels, the broadest first."""


@dataclass(frozen=True)
class AtLevel:
    """What stands for a label at a level; None where nothing is known."""

    label: str | None
    ontology_id: str | None


def term_of(label: str | None, ontology_id: str | None = None) -> str | None:
    """Return the id of the term that is meant, None if there is none in use.

    Parameters
    ----------
    label
        Looked up where there is no id, as :func:`.term_named` reads it.
    ontology_id
        Says more than the label. An obsolete term is its replacement.

    Examples
    --------
    >>> term_of("anything", "CL:0000236"), term_of("natural killer cells"), term_of("Cluster 7")
    ('CL:0000236', 'CL:0000623', None)
    """
    if ontology_id is not None:
        return cell_ontology().current(ontology_id)
    return term_named(label) if label else None


def levels(label: str | None, ontology_id: str | None = None) -> tuple[AtLevel, AtLevel, AtLevel]:
    """Return what stands for a label at the three levels, the broadest first.

    A level is the label itself or something broader, and never contradicts a finer one. A label
    that is broader than a level stands there itself, as does one without a term, "Unknown", and
    None.

    Parameters
    ----------
    label
        The label in force, or None.
    ontology_id
        Its term in the Cell Ontology, or None.

    Examples
    --------
    >>> [found.label for found in levels("Th17 cell", "CL:0000899")]
    ['Leukocyte', 'T cell', 'CD4 T cell']
    >>> [found.label for found in levels("Lymphocytes", "CL:0000542")]
    ['Leukocyte', 'Lymphocytes', 'Lymphocytes']
    """
    itself = AtLevel(label, ontology_id)
    term = None
    if label is not None and label != UNKNOWN and ontology_id is not None:
        term = term_of(label, ontology_id)
    if term is None:
        return itself, itself, itself

    def at(identifier: str) -> AtLevel:
        row = row_of(identifier)
        if row is not None:
            return AtLevel(row.label, identifier)
        # Only the table has other terms than that of the label.
        return AtLevel(label, term)

    first, second, third = (at(identifier) for identifier in levels_of(term))
    return first, second, third


def level_columns(found: Annotations) -> dict[str, list[str | None]]:
    """Return the labels of the levels: suffix of the column -> one label or None per row.

    Parameters
    ----------
    found
        Labels in force.

    Examples
    --------
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> row = Annotation("0", "ok", label="Naive B cell", ontology_id="CL:0000788")
    >>> level_columns(Annotations((row,)))
    {'_broad': ['Leukocyte'], '_medium': ['B cell'], '_fine': ['Naive B cell']}
    """
    made = [levels(row.label, row.ontology_id) for row in found]
    return {suffix: [of[i].label for of in made] for i, suffix in enumerate(SUFFIXES)}


def lineage_order(
    labels: Iterable[str | None], ids: Sequence[str | None] | None = None
) -> list[str]:
    """Return the different labels in lineage order: related ones beside each other.

    By compartment, type and subtype as the table of levels has them, then by name; labels without
    a term come after those with one, by name, and "Unknown" is last.

    Parameters
    ----------
    labels
        May repeat; None is left out.
    ids
        Their terms, in the same order. A label without one is looked up.

    Examples
    --------
    >>> lineage_order(["Unknown", "Fibroblast", "B cell", "Naive CD4 T cell", "B cell"])
    ['Naive CD4 T cell', 'B cell', 'Fibroblast', 'Unknown']
    """
    given = list(labels)
    terms: dict[str, str | None] = {}
    for label, identifier in zip(given, ids or [None] * len(given), strict=True):
        if label is not None and terms.get(label) is None:
            terms[label] = identifier
    return sorted(terms, key=lambda label: _place(label, terms[label]))


def _place(label: str, ontology_id: str | None) -> tuple[int, tuple[int, int, int], str, str]:
    if label == UNKNOWN:
        # Before it is looked up: the names of all terms are read for that.
        return 2, (0, 0, 0), "", label
    term = term_of(label, ontology_id)
    if term is None:
        return 1, (0, 0, 0), normalized(label), label
    return 0, place_of(term), normalized(label), label
