"""Names of cells and genes as Seurat takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..errors import InvalidObjectError, listing

FORBIDDEN = ("_", "|")
"""Seurat replaces these in the names of features, because they are in its keys."""


def seurat_genes(genes: Sequence[str]) -> list[str]:
    """Return the names with ``_`` and ``|`` as ``-``; where two become the same, with a number.

    Raises
    ------
    InvalidObjectError
        Names are empty, or not unique before the replacement.

    Examples
    --------
    >>> seurat_genes(["MT_CO1", "A-1", "A_1"])
    ['MT-CO1', 'A-1', 'A-1.1']
    """
    check_names(genes, "genes", "adata.var_names_make_unique()")
    plain = [g.replace("_", "-").replace("|", "-") for g in genes]
    # A gene keeps its own name; only one that was changed steps aside.
    taken = {g for g, p in zip(genes, plain, strict=True) if g == p}
    made = []
    for gene, name in zip(genes, plain, strict=True):
        chosen, n = name, 0
        while gene != name and chosen in taken:
            n += 1
            chosen = f"{name}.{n}"
        taken.add(chosen)
        made.append(chosen)
    return made


def check_names(names: Sequence[str], what: str, recipe: str) -> None:
    """Raise :class:`InvalidObjectError` if names are empty or not unique."""
    if any(not n for n in names):
        message = f"Some {what} have an empty name."
        raise InvalidObjectError(message, f"Name all {what}.")
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        message = f"The names of {what} must be unique, and {listing(twice, 3)} is not."
        raise InvalidObjectError(message, f"Make them unique: {recipe}")
