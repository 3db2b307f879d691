"""How labels of other columns stand to those of the rows of a page, in the Cell Ontology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..agreement.comparison import MOSTLY, RELATIONS, relation
from ..agreement.terms import Resolver, is_text
from ..delivery import COLUMN_SOURCES

MOST_LEVELS = 200
"""A column with more categories has no labels that could be looked at side by side."""
LEAST_KNOWN = 0.5
"""More than this share of its categories are terms, where a column has labels of cells."""
_NO_LABELS = tuple(end for end in COLUMN_SOURCES if end not in {"", "_detail"})


def terms_of(levels: Sequence[str]) -> list[str | None] | None:
    """Return the terms of the categories of a column; None where they are no labels of cells.

    Parameters
    ----------
    levels
        Texts of the categories.

    Returns
    -------
    list or None
        Ids, texts as :class:`~..agreement.terms.Resolver` makes them, None for "unknown".

    Examples
    --------
    >>> terms_of(["B cells", "Monocytes", "cluster 7"])
    ['CL:0000236', 'CL:0000576', 'text:cluster 7']
    >>> terms_of(["donor 1", "donor 2"]) is None
    True
    """
    if not 0 < len(levels) <= MOST_LEVELS:
        return None
    resolver = Resolver()
    terms = [resolver.term(level) for level in levels]
    known = sum(term is not None and not is_text(term) for term in terms)
    return terms if known > LEAST_KNOWN * len(levels) else None


def relations_of(index: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how the rows stand to the labels of each column that has some.

    Parameters
    ----------
    index
        Of a page, with its rows and the columns of its cells.

    Returns
    -------
    dict or None
        ``names``, the relations; ``mostly``, the share of agreeing cells below which a row wants a
        look; ``columns``, place of a column -> for each row one digit for each category, which is
        the place of the relation in ``names``. None where there is no such column.
    """
    cells = index["cells"]
    if cells is None:
        return None
    resolver = Resolver()
    rows = [resolver.term(row["label"], row["ontology_id"]) for row in index["rows"]]
    own = {f"{index['key']}{end}" for end in COLUMN_SOURCES}
    columns = {}
    for place, column in enumerate(cells["columns"]):
        if column["kind"] != "category" or column["name"] in own:
            continue
        if column["own"] and column["name"].endswith(_NO_LABELS):
            continue
        terms = terms_of(column["levels"])
        if terms is not None:
            columns[str(place)] = [
                "".join(str(RELATIONS.index(relation(row, term))) for term in terms) for row in rows
            ]
    return {"names": list(RELATIONS), "mostly": MOSTLY, "columns": columns} if columns else None
