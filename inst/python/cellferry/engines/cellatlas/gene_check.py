"""The genes before they are sent: a wrong order or other identifiers spoil every answer."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...errors import GeneIdentifiersError, GenesUnrecognisedWarning, listing
from ...gene_tables import resolve
from ...genes import Species, identifier_kind

FEW = 0.5
"""Share of the genes that must be known symbols."""


def check_genes(genes: Sequence[str], species: str | None) -> dict[str, Any]:
    """Return what is known of the gene names: how many, how many of them are symbols.

    Raises
    ------
    GeneIdentifiersError
        Some names are there twice, or they are no symbols and cannot be converted.
    """
    twice = [g for g, n in Counter(genes).items() if n > 1]
    if twice:
        message = (
            f"{len(twice)} gene names stand for several columns ({listing(twice, 3)}), so that the "
            "service could not tell them apart."
        )
        hint = "Make them unique: adata.var_names_make_unique(), or in R make.unique(rownames(x))."
        raise GeneIdentifiersError(message, hint, examples=twice[:10])
    kind = identifier_kind(genes)
    vocabulary: Species = "mouse" if species == "mouse" else "human"
    known = sum(resolve(g, vocabulary) is not None for g in genes)
    found = {"genes": len(genes), "recognised": known, "of": f"{vocabulary} symbols"}
    if kind != "symbol":
        message = f"The genes are {kind} identifiers, of which {known} have a symbol."
        hint = 'Put the symbols in their place, for example adata.var_names = adata.var["symbol"].'
        raise GeneIdentifiersError(message, hint, **found)
    if known < FEW * len(genes):
        message = f"Only {known} of {len(genes)} gene names are known {vocabulary} symbols."
        examples = {"human": ("CD3E", "CD19"), "mouse": ("Cd3e", "Cd19")}[vocabulary]
        hint = f"The service expects symbols such as {listing(examples)}."
        warnings.warn(GenesUnrecognisedWarning(message, hint), stacklevel=5)
    return found
