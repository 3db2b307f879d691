"""Plain scores on the same knowledge: overlap count, hypergeometric test, and ScType's score."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cellferry.engines.local.knowledge.base import Knowledge
from cellferry.study.markers.table import Markers

BEST_GENES = 50
GENOME = 20_000


@dataclass(frozen=True)
class Count:
    """What a plain score names, and the score; None where it names nothing."""

    name: str | None
    score: float = 0.0


def best_genes(markers: Markers, cluster: int) -> set[str]:
    """Return the best genes of a cluster, by fold change x difference in prevalence.

    Without prevalences it is the fold change, without fold changes the order of the list. All
    that tie at the end are in.
    """
    rows = np.flatnonzero(markers.cluster == cluster)
    if not len(rows):
        return set()
    fold = markers.avg_log2fc
    values = fold[rows] if fold is not None else -np.arange(len(rows), dtype=np.float64)
    if fold is not None and markers.pct_1 is not None and markers.pct_2 is not None:
        values = values * np.maximum(markers.pct_1[rows] - markers.pct_2[rows], 0)
    least = np.sort(values)[::-1][min(BEST_GENES, len(rows)) - 1]
    return {str(markers.gene[r]) for r in rows[values >= least]}


def overlap(knowledge: Knowledge, species: str, markers: Markers, cluster: int) -> Count:
    """Return the type that shares most genes with the best of a cluster."""
    genes = best_genes(markers, cluster)
    counts = {
        t.name: len({m.name for m in t.positive[species]} & genes)
        for t in knowledge.types
        if t.kind == "type" and species in t.positive
    }
    best = max(sorted(counts), key=lambda n: counts[n])
    return Count(best, counts[best]) if counts[best] else Count(None)


def hypergeometric(knowledge: Knowledge, species: str, markers: Markers, cluster: int) -> Count:
    """Return the type whose overlap is least likely by chance; none above 0.05 (Bonferroni)."""
    genes = best_genes(markers, cluster)
    best, least, tests = None, 1.0, 0
    for cell_type in sorted(knowledge.types, key=lambda t: t.name):
        if cell_type.kind != "type" or species not in cell_type.positive:
            continue
        tests += 1
        listed = {m.name for m in cell_type.positive[species]}
        p = tail(len(listed & genes), len(listed), len(genes), GENOME)
        if p < least:
            best, least = cell_type.name, p
    return Count(best, -math.log10(least)) if least * tests < 0.05 else Count(None)


def tail(shared: int, listed: int, drawn: int, total: int) -> float:
    """Return P(X >= shared) for ``drawn`` genes out of ``total`` of which ``listed`` count."""
    if shared == 0:
        return 1.0
    ways = sum(
        math.comb(listed, k) * math.comb(total - listed, drawn - k)
        for k in range(shared, min(listed, drawn) + 1)
    )
    return ways / math.comb(total, drawn)


def sctype(knowledge: Knowledge, species: str, markers: Markers, cluster: int) -> Count:
    """Return the type with the highest score of Ianevski et al. (2022), on cluster level.

    Sum of fold change x specificity over the markers that the table names, divided by the
    square root of their number; the same of the negative markers is subtracted.
    """
    types = [t for t in knowledge.types if t.kind == "type" and species in t.positive]
    count: dict[str, int] = {}
    for cell_type in types:
        for gene in {m.name for m in cell_type.positive[species]}:
            count[gene] = count.get(gene, 0) + 1
    named = set(map(str, markers.gene))
    rows = np.flatnonzero(markers.cluster == cluster)
    fold = np.ones(len(rows)) if markers.avg_log2fc is None else markers.avg_log2fc[rows]
    value = {str(markers.gene[r]): float(f) for r, f in zip(rows, fold, strict=True)}

    def part(genes: set[str], *, weighted: bool) -> float:
        present = sorted(genes & named)
        weight = {g: (len(types) - count.get(g, 0)) / (len(types) - 1) for g in present}
        total = sum(value.get(g, 0.0) * (weight[g] if weighted else 1.0) for g in present)
        return total / math.sqrt(max(len(present), 1))

    scores = {
        t.name: part({m.name for m in t.positive[species]}, weighted=True)
        - part({m.name for m in t.negative.get(species, ())}, weighted=False)
        for t in types
    }
    best = max(sorted(scores), key=lambda n: scores[n])
    return Count(best, scores[best]) if scores[best] > 0 else Count(None)
