"""What is known of cells and genes before they are sent: what would be left out, and why."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ...biology.gene_tables import resolve
from ...biology.genes import identifier_kind
from ...biology.species import known_species
from ...errors import CellsQualityWarning, GeneIdentifiersError, in_language, listing
from .doublets import METHOD, THRESHOLD, scores_of
from .droplets import can_be_tested, empty_droplets

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ...study.expression.source import ExpressionSource

MITOCHONDRIAL = re.compile(r"(?:MT|mt|Mt)-.+")
DOUBLET_CLASSES = (
    re.compile(r"predicted_doublets?"),
    re.compile(r"scDblFinder\.class"),
    re.compile(r"DF\.classifications.*"),
)
DOUBLET_SCORES = (
    re.compile(r"doublet_?scores?"),
    re.compile(r"scDblFinder\.score"),
    re.compile(r"pANN.*"),
)
DOUBLET_SCORE = 0.5


class Numbers(TypedDict):
    """What was measured; shares are 0..1, None where nothing could be measured."""

    cells: int
    flagged: dict[str, int]
    median_counts: float | None
    median_mitochondrial_share: float | None
    mitochondrial_genes: int
    doublet_column: str | None
    doublets_by: str | None
    droplets_by: str
    min_counts: int | None
    max_mitochondrial: float


@dataclass(frozen=True)
class Quality:
    """What was measured and found.

    Attributes
    ----------
    reasons
        One text per cell: why it should be left out, or None.
    numbers
        Counts and medians, plain data.
    doublet_scores
        Of each cell, where they were computed.
    """

    reasons: list[str | None] = field(repr=False)
    numbers: Numbers
    doublet_scores: NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def good(self) -> NDArray[np.bool_]:
        """The cells that nothing speaks against."""
        return np.array([r is None for r in self.reasons], dtype=bool)

    def warn(self, *, filtered: bool) -> None:
        """Warn if there are cells that something speaks against, and say what is done."""
        flagged = {k: n for k, n in self.numbers["flagged"].items() if n}
        if not flagged:
            return
        reasons = ", ".join(f"{n} {what}" for what, n in flagged.items())
        bad = int((~self.good).sum())
        message = f"{bad} of {len(self.reasons)} cells should not be annotated: {reasons}."
        hint = (
            'They are left out (`qc="filter"`) and get no label.'
            if filtered
            else 'They are sent all the same. `qc="filter"` leaves them out, `qc="off"` looks not.'
        )
        warnings.warn(CellsQualityWarning(message, hint), stacklevel=5)


def measure(
    source: ExpressionSource,
    obs: pd.DataFrame | None,
    *,
    counts: bool,
    min_counts: int,
    max_mitochondrial: float,
    compute_doublets: bool = False,
) -> Quality:
    """Measure all cells.

    Empty droplets have fewer than ``min_counts`` counts (of normalised values: no value at
    all), and where near-empty barcodes are there those that a test does not distinguish from
    them (:mod:`.droplets`); dying cells have a larger mitochondrial share than
    ``max_mitochondrial`` (0..1, of genes named MT-...); doublets are what a column of the object
    calls so, or scores above 0.5. Where there is no such column and ``compute_doublets`` says
    so, they are scored (:mod:`.doublets`).
    """
    n = source.shape[0]
    is_mitochondrial = np.array([MITOCHONDRIAL.fullmatch(g) is not None for g in source.genes])
    total, mitochondrial = np.zeros(n), np.zeros(n)
    for start, block in source:
        values = block.data if counts else np.expm1(block.data)
        rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        stop = start + block.shape[0]
        total[start:stop] = np.bincount(rows, weights=values, minlength=block.shape[0])
        if is_mitochondrial.any():
            inside = is_mitochondrial[block.indices]
            mitochondrial[start:stop] = np.bincount(
                rows[inside], weights=values[inside], minlength=block.shape[0]
            )
    share = np.divide(mitochondrial, total, out=np.zeros(n), where=total > 0)
    doublet, column = _doublets(obs, n)
    scores = None
    if column is None and compute_doublets and counts:
        scores = scores_of(source, n)
        doublet = scores > THRESHOLD
    empty = total < min_counts if counts else total <= 0
    tested = counts and can_be_tested(total)
    by_test = np.zeros(n, dtype=bool)
    if tested:
        by_test = empty_droplets(source, total) & ~empty
    found = {
        "empty droplets": empty,
        "droplets like empty ones": by_test,
        "dying cells": share > max_mitochondrial,
        "doublets": doublet,
    }
    words = {
        "empty droplets": f"Fewer than {min_counts} counts: an empty droplet."
        if counts
        else "No expression at all: an empty droplet.",
        "droplets like empty ones": "Its counts do not differ from those of empty droplets.",
        "dying cells": f"More than {100 * max_mitochondrial:g} % mitochondrial: a dying cell.",
        "doublets": f'A doublet, says the column "{column}".'
        if column
        else f"A doublet, says {METHOD}: a score above {THRESHOLD:g}.",
    }
    reasons: list[str | None] = [None] * n
    for what in reversed(found):
        for i in np.flatnonzero(found[what]).tolist():
            reasons[i] = words[what]
    numbers: Numbers = {
        "cells": n,
        "flagged": {
            what: int(flags.sum())
            for what, flags in found.items()
            if tested or what != "droplets like empty ones"
        },
        "median_counts": float(np.median(total)) if counts and n else None,
        "median_mitochondrial_share": float(np.median(share)) if n else None,
        "mitochondrial_genes": int(is_mitochondrial.sum()),
        "doublet_column": column,
        "doublets_by": column or (None if scores is None else METHOD),
        "droplets_by": "counts and a test against the ambient profile" if tested else "counts",
        "min_counts": min_counts if counts else None,
        "max_mitochondrial": max_mitochondrial,
    }
    return Quality(reasons, numbers, scores)


def _doublets(obs: pd.DataFrame | None, n: int) -> tuple[NDArray[np.bool_], str | None]:
    """Return which cells a column of the object calls doublets, and the column."""
    none = np.zeros(n, dtype=bool)
    if obs is None:
        return none, None
    names = [str(c) for c in obs.columns]
    for patterns, is_class in ((DOUBLET_CLASSES, True), (DOUBLET_SCORES, False)):
        column = next((c for p in patterns for c in names if p.fullmatch(c)), None)
        if column is None:
            continue
        values = obs[column]
        if is_class:
            return np.array([str(v).lower() in {"true", "doublet"} for v in values]), column
        try:
            return np.asarray(values, dtype=np.float64) > DOUBLET_SCORE, column
        except (TypeError, ValueError):
            continue
    return none, None


def check_genes(genes: Sequence[str], species: str | None) -> dict[str, object]:
    """Return what is known of the gene names: how many, how many of them are symbols.

    That few are is warned of before any engine runs, in :mod:`cellferry.annotate.recognition`.

    Raises
    ------
    GeneIdentifiersError
        Some names are there twice, or they are no symbols and cannot be converted.
    """
    twice = [g for g, n in Counter(genes).items() if n > 1]
    if twice:
        message = (
            f"{len(twice)} gene names stand for several columns ({listing(twice, 3)}), so that the "
            "service could not distinguish them."
        )
        hint = "Make them unique: " + in_language(
            python="adata.var_names_make_unique()",
            r="rownames(counts) <- make.unique(rownames(counts)), before CreateSeuratObject()",
            cli="adata.var_names_make_unique() in Python, make.unique(rownames(counts)) in R.",
        )
        raise GeneIdentifiersError(message, hint, examples=twice[:10])
    kind = identifier_kind(genes)
    stated = known_species(species)
    vocabulary = (None if stated is None else stated.reads) or "human"
    known = sum(resolve(g, vocabulary) is not None for g in genes)
    found = {"genes": len(genes), "recognised": known, "of": f"{vocabulary} symbols"}
    if kind != "symbol":
        message = f"The genes are {kind} identifiers, of which {known} have a symbol."
        hint = "Put the symbols in their place: " + in_language(
            python='adata.var_names = adata.var["symbol"]',
            r="counts <- Read10X(dir, gene.column = 2), or rownames(counts) <- symbols, before "
            "CreateSeuratObject(counts)",
            cli='adata.var_names = adata.var["symbol"] in Python, rownames(counts) in R.',
        )
        raise GeneIdentifiersError(message, hint, **found)
    return found
