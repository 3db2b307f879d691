"""Gene symbols of an AnnData: in the names of the genes, or in a column of ``var``.

The rules are those of the CyteType client: a value is like an identifier or not, a value made
of both gives its symbol, and the column with the fewest identifiers is the one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GroupMissingError, listing, nearest
from .genes import ENSEMBL, ENTREZ, REFSEQ, is_identifier

if TYPE_CHECKING:
    import pandas as pd

KNOWN_COLUMNS = (
    "feature_name",
    "gene_symbols",
    "gene_symbol",
    "gene_short_name",
    "gene_name",
    "symbol",
)
"""Usual names of a column of symbols, the best first; the published client's order."""

_LOOKED_AT = 2000
_LOOKED_AT_FOR_COMPOSITES = 200
_TOO_UNIQUE = 0.02
_MOSTLY = 50
"""Percent of identifiers from which on a column holds no symbols."""


@dataclass(frozen=True)
class Symbols:
    """One symbol for each gene, and where they are from: a column, or None for the names."""

    symbols: tuple[str, ...]
    column: str | None


def symbol_of(value: str) -> str:
    """Return the symbol of a name that holds an identifier and a symbol, else the name.

    Examples
    --------
    >>> symbol_of("CD3E_ENSG00000198851"), symbol_of("ENSG00000198851|CD3E"), symbol_of("CD3E")
    ('CD3E', 'CD3E', 'CD3E')
    """
    text = value.strip()
    found = re.search(r"[_|]", text)
    if found is None or _is_plain_identifier(text):
        return text
    left, right = text[: found.start()], text[found.end() :]
    if is_identifier(left) == is_identifier(right):
        return text
    return right if is_identifier(left) else left


_SIGN = r"[-_|.:/;\s]+"
_IDENTIFIER = r"ENS[A-Z]*G\d{11}(?:\.\d+)?(?:_PAR_Y)?"
_PAIR = re.compile(
    rf"(?P<id>{_IDENTIFIER}){_SIGN}(?P<symbol>\S+)|(?P<first>\S+?){_SIGN}(?P<second>{_IDENTIFIER})"
    r"|(?P<name>[A-Za-z]\S*?)\|(?P<entrez>\d+)|(?P<number>\d+)\|(?P<named>[A-Za-z]\S*)",
    re.IGNORECASE,
)


def pair_of(name: str) -> tuple[str, str] | None:
    """Return the symbol and the identifier of a name that holds both, None if it does not.

    Whatever is between them: underscore, hyphen (Seurat makes it of an underscore), dot, bar.

    Examples
    --------
    >>> pair_of("CD3D-ENSG00000167286.9"), pair_of("ENSG00000204287|HLA-DRA")
    (('CD3D', 'ENSG00000167286.9'), ('HLA-DRA', 'ENSG00000204287'))
    >>> pair_of("CD3D|915"), pair_of("HLA-DRA")
    (('CD3D', '915'), None)
    """
    if "|" not in name and "ENS" not in name and "ens" not in name:
        return None
    found = _PAIR.fullmatch(name.strip())
    if found is None:
        return None
    symbol = found["symbol"] or found["first"] or found["name"] or found["named"]
    identifier = found["id"] or found["second"] or found["entrez"] or found["number"]
    return symbol, identifier


def _is_plain_identifier(text: str) -> bool:
    return any(pattern.fullmatch(text) for pattern in (ENSEMBL, REFSEQ, ENTREZ))


def choose_symbols(names: Sequence[str], var: pd.DataFrame, column: str | None = None) -> Symbols:
    """Return the symbols of the genes.

    Parameters
    ----------
    names
        Names of the genes.
    var
        Their metadata, one row each.
    column
        The column to take; None takes the column, or the names, with the fewest identifiers.

    Raises
    ------
    GroupMissingError
        There is no such column.
    """
    columns = [str(c) for c in var.columns]
    if column is not None:
        if column not in columns:
            guess = nearest(column, columns)
            has = f"it has {listing(columns)}" if columns else "it has no columns"
            message = f'The var of this object has no column "{column}"; {has}.'
            hint = f'Did you mean "{guess}"?' if guess else "Leave gene_symbols_column out."
            raise GroupMissingError(message, hint)
        return Symbols(_cleaned(_texts(var[column]), names), column)
    own = _scored(list(map(str, names)), 1, None)
    candidates: list[tuple[float, int, float, str | None, list[str]]] = []
    for position, name in enumerate(columns):
        given = var.iloc[:, position]
        values = _texts(given)
        priority = 0 if name in KNOWN_COLUMNS else 2
        # Another column may be a description: it counts only where the names are no symbols.
        if priority == 2 and (own[0] < _MOSTLY or not _may_be_symbols(values, given)):
            continue
        candidates.append(_scored(values, priority, name))
    candidates.append(own)
    viable = [c for c in candidates if c[0] < _MOSTLY]
    order = {name: i for i, name in enumerate(KNOWN_COLUMNS)}
    best = min(viable or candidates[-1:], key=lambda c: (*c[:3], order.get(str(c[3]), len(order))))
    return Symbols(_cleaned(best[4], names), best[3])


def _may_be_symbols(values: Sequence[str], column: pd.Series) -> bool:
    different = len(set(values))
    return column.dtype.kind not in "biuf" and different >= max(10, 0.05 * len(values))


def _scored(
    values: list[str], priority: int, name: str | None
) -> tuple[float, int, float, str | None, list[str]]:
    composite = _are_composite(values)
    sample = values
    if len(values) > _LOOKED_AT:
        chosen = np.random.RandomState(42).choice(len(values), _LOOKED_AT, replace=False)
        sample = [values[i] for i in chosen]
    present = [v for v in sample if v]
    seen = [symbol_of(v) for v in present] if composite else present
    share = 100 * sum(map(is_identifier, seen)) / len(seen) if seen else 100.0
    unique = len(set(values)) / len(values) if values else 0.0
    # Values that are all different are more often identifiers of another kind.
    unique -= _TOO_UNIQUE if unique == 1.0 else 0.0
    return share, priority, -unique, name, values


def _are_composite(values: Sequence[str]) -> bool:
    first = values[:_LOOKED_AT_FOR_COMPOSITES]
    return sum(symbol_of(v) != v.strip() for v in first) * 2 > len(first)


def _cleaned(values: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return symbols; a gene without one keeps its name, so that no gene is nameless."""
    taken = [symbol_of(v) for v in values] if _are_composite(values) else values
    return tuple(v or str(n) for v, n in zip(taken, names, strict=True))


def _texts(column: pd.Series) -> list[str]:
    values, missing = column.to_numpy(dtype=object), column.isna().to_numpy()
    return ["" if gone else str(v) for v, gone in zip(values, missing.tolist(), strict=True)]
