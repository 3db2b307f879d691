"""A study whose genes are Ensembl identifiers, with symbols in their place."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..biology.gene_tables import Conversion, to_symbols
from ..biology.genes import identifier_kind, require_symbols

if TYPE_CHECKING:
    from .expression.source import ExpressionSource
    from .study import Study

logger = logging.getLogger("cellferry")

ENOUGH = 0.5
"""Part of the identifiers of a marker table that needs a symbol, or the table is refused."""


def with_symbols(study: Study) -> Study:
    """Return the study with symbols for genes wherever its marker table has Ensembl ids.

    Markers, genes and expression are renamed alike; a gene without a symbol keeps its
    identifier. Two identifiers of one symbol stay two rows: nothing is averaged.

    Raises
    ------
    GeneIdentifiersError
        The identifiers are not of Ensembl, or fewer than half have a symbol.
    """
    if study.markers is None or identifier_kind(study.markers.gene) == "symbol":
        return study
    found = to_symbols(study.markers.gene)
    if identifier_kind(study.markers.gene) != "ensembl" or found.share < ENOUGH:
        require_symbols(study.markers.gene, "marker table")
    _report(found, "marker table")
    genes = [found.symbols.get(g, g) for g in map(str, study.markers.gene)]
    markers = replace(study.markers, gene=np.array(genes, dtype=object))
    names = None if study.genes is None else symbols_of(study.genes)
    # Of several identifiers of one symbol, one that the table names is the one that is meant.
    given = {g: s for s, g in zip(study.genes or (), names or (), strict=True) if s != g}
    given |= {g: str(s) for s, g in zip(study.markers.gene, genes, strict=True) if str(s) != g}
    return with_gene_symbols(study).with_parts(markers=markers, gene_names=given)


def with_gene_symbols(study: Study) -> Study:
    """Return the study with symbols for Ensembl identifiers of its genes and its expression.

    Its marker table has symbols already: it was renamed before it was stored.
    """
    normalized, counts = (_renamed(source) for source in (study.normalized, study.counts))
    genes = None if study.genes is None else symbols_of(study.genes)
    return study.with_parts(genes=genes, normalized=normalized, counts=counts)


def with_expression_symbols(study: Study) -> Study:
    """Return a study without markers with symbols for Ensembl identifiers of its genes.

    A gene without a symbol keeps its identifier, and so do all but the first of those that
    share one. How many had one is reported.
    """
    if study.genes is None or identifier_kind(study.genes) != "ensembl":
        return study
    _report(to_symbols(study.genes), "study")
    sources = (study.normalized, study.counts)
    normalized, counts = (None if s is None else s.renamed(_different(s.genes)) for s in sources)
    return study.with_parts(genes=_different(study.genes), normalized=normalized, counts=counts)


def _different(genes: Sequence[str]) -> tuple[str, ...]:
    seen: set[str] = set()
    made = []
    for gene, symbol in zip(genes, symbols_of(genes), strict=True):
        made.append(gene if symbol in seen else symbol)
        seen.add(made[-1])
    return tuple(made)


def symbols_of(genes: Sequence[str]) -> tuple[str, ...]:
    """Return the same genes with symbols for Ensembl identifiers, if that is what they are."""
    if identifier_kind(genes) != "ensembl":
        return tuple(genes)
    table = to_symbols(genes).symbols
    return tuple(table.get(g, g) for g in genes)


def names_by_symbol(genes: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return which genes of an object are meant by symbols, under the object's names.

    Parameters
    ----------
    genes
        The object's names.
    wanted
        Symbols, or the object's names.
    """
    names = tuple(genes)
    requested = set(wanted)
    return [n for n, s in zip(names, symbols_of(names), strict=True) if {n, s} & requested]


def _report(found: Conversion, what: str) -> None:
    total = len(found.symbols) + len(found.lost)
    text = (
        f"The genes of the {what} are Ensembl identifiers; {len(found.symbols)} of {total} "
        "were given their symbols."
    )
    if found.ambiguous:
        text += f" {len(found.ambiguous)} symbols stand for several identifiers."
    logger.info("%s", text)


def _renamed(source: ExpressionSource | None) -> ExpressionSource | None:
    if source is None:
        return None
    genes = symbols_of(source.genes)
    return source if genes == tuple(source.genes) else source.renamed(genes)
