"""Two plain scores on the same knowledge: overlap count, and the hypergeometric test."""

from __future__ import annotations

import math

import numpy as np

from cellferry.engines.local.knowledge import Knowledge
from cellferry.markers import Markers

BEST_GENES = 50
GENOME = 20_000


def best_genes(markers: Markers, cluster: int) -> set[str]:
    """Return the genes of a cluster with the largest fold changes."""
    rows = np.flatnonzero(markers.cluster == cluster)
    fold = markers.avg_log2fc
    values = fold[rows] if fold is not None else -np.arange(len(rows), dtype=np.float64)
    return {str(markers.gene[r]) for r in rows[np.argsort(-values, kind="stable")][:BEST_GENES]}


def overlap(knowledge: Knowledge, species: str, genes: set[str]) -> str | None:
    """Return the type that shares most genes with the list."""
    counts = {
        t.name: len({m.name for m in t.positive[species]} & genes)
        for t in knowledge.types
        if t.kind == "type" and species in t.positive
    }
    best = max(sorted(counts), key=lambda n: counts[n])
    return best if counts[best] else None


def hypergeometric(knowledge: Knowledge, species: str, genes: set[str]) -> str | None:
    """Return the type whose overlap is least likely by chance; None above 0.05 (Bonferroni)."""
    best, least, tests = None, 1.0, 0
    for cell_type in sorted(knowledge.types, key=lambda t: t.name):
        if cell_type.kind != "type" or species not in cell_type.positive:
            continue
        tests += 1
        listed = {m.name for m in cell_type.positive[species]}
        p = tail(len(listed & genes), len(listed), len(genes), GENOME)
        if p < least:
            best, least = cell_type.name, p
    return best if least * tests < 0.05 else None


def tail(shared: int, listed: int, drawn: int, total: int) -> float:
    """Return P(X >= shared) for ``drawn`` genes out of ``total`` of which ``listed`` count."""
    if shared == 0:
        return 1.0
    ways = sum(
        math.comb(listed, k) * math.comb(total - listed, drawn - k)
        for k in range(shared, min(listed, drawn) + 1)
    )
    return ways / math.comb(total, drawn)
