"""What the object itself says: in how many cells of each cluster a gene is expressed.

A marker table of positive genes is silent about everything else. With the object, silence
becomes evidence: a marker that is expected and not expressed speaks against a type, and one
that all clusters express alike (CD3E in an object of T cells) still speaks for its lineage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...expression import fraction_expressed
from .evidence import PREVALENCE_HALF, saturate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ...study import Study
    from .evidence import Evidence

UNLISTED = 0.5
"""Factor for a difference in prevalence that the marker table does not list."""
EVEN_DIFFERENCE = 0.1
"""Difference of prevalence up to which a gene counts as expressed alike everywhere."""
COMMON = 0.25
"""Prevalence from which a gene that is expressed alike counts at all."""
ALIKE = 0.4
"""Strength of a gene that all cells of all clusters express."""

WEAKEST = 0.1
"""Part of a cluster's genes that are the weakest of the table."""
RARE = 0.05
"""Prevalence below which (or above 1 minus which) a gene tells nothing of depth."""
MOST = 0.999
FEWEST = 50
"""Telling genes without which depths count as equal."""
BACKGROUND = 2.0
"""Multiple of the mean prevalence of all markers that an alike gene must exceed."""


@dataclass(frozen=True)
class Prevalence:
    """Fractions of expressing cells.

    Attributes
    ----------
    genes
        Names of the genes.
    inside
        float64, genes x clusters, 0..1: in the cluster.
    outside
        The same in all other clusters together.
    """

    genes: tuple[str, ...]
    clusters: tuple[str, ...]
    inside: NDArray[np.float64]
    outside: NDArray[np.float64]

    @classmethod
    def from_study(cls, study: Study, wanted: Iterable[str]) -> Prevalence | None:
        """Read the study's expression once; None without one, or for scaled data."""
        source: Any = study.normalized
        if source is None or study.clusters.codes is None:
            return None
        names = set(wanted)
        if hasattr(source, "only"):
            kept = [g for g in dict.fromkeys(source.genes) if g in names]
            source = source if len(kept) == len(source.genes) else source.only(kept)
        fractions = fraction_expressed(source, study.clusters)
        if fractions is None:
            return None
        sizes = np.array(list((study.clusters.counts() or {}).values()), dtype=np.float64)
        order = sorted((g, i) for i, g in enumerate(source.genes) if g in names)
        # Of several rows of one name the most expressed counts; nothing is averaged.
        rows: dict[str, list[int]] = {}
        for gene, i in order:
            rows.setdefault(gene, []).append(i)
        inside = np.array([fractions[:, i].max(axis=1) for i in rows.values()])
        inside = inside.reshape(len(rows), len(sizes))
        cells = inside * sizes
        others = np.maximum(sizes.sum() - sizes, 1)
        outside = (cells.sum(axis=1, keepdims=True) - cells) / others
        # Rounded here, so that a resumed run, which reads what was kept, has the same figures.
        return cls(tuple(rows), study.clusters.names, np.round(inside, 6), np.round(outside, 6))

    def digest(self) -> str:
        """Return a hash of the figures, whatever the order of the clusters."""
        order = np.argsort(np.array(self.clusters, dtype=object))
        content = np.stack([self.inside, self.outside])[:, :, order]
        names = "\x1f".join([*self.genes, *sorted(self.clusters)])
        return hashlib.sha256(names.encode() + content.astype(">f8").tobytes()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the folder of the run."""
        return {
            "genes": list(self.genes),
            "clusters": list(self.clusters),
            "inside": self.inside.tolist(),
            "outside": self.outside.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Prevalence:
        """Read what :meth:`to_dict` wrote."""
        shape = (len(stored["genes"]), len(stored["clusters"]))
        inside, outside = (
            np.array(stored[k], dtype=np.float64).reshape(shape) for k in ("inside", "outside")
        )
        return cls(tuple(stored["genes"]), tuple(stored["clusters"]), inside, outside)


def at_depth(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return in how many cells genes would be found outside at the cluster's own depth.

    A cell is found to express a gene with 1 - exp(-depth x expression). The ratio of depths
    is the median over genes that are neither rare nor everywhere: where deeply sequenced
    cells are one cluster, all genes are more prevalent in it, and none marks it.

    Parameters
    ----------
    inside, outside
        Fractions, genes x clusters.
    """
    within, beyond = (-np.log1p(-np.clip(x, 0, MOST)) for x in (inside, outside))
    telling = (outside > RARE) & (outside < 1 - RARE) & (inside > RARE) & (inside < 1 - RARE)
    depth = np.ones(inside.shape[1])
    for cluster in np.flatnonzero(telling.sum(axis=0) >= FEWEST):
        genes = telling[:, cluster]
        depth[cluster] = np.median(within[genes, cluster] / beyond[genes, cluster])
    return np.asarray(1 - np.exp(-depth * beyond), dtype=np.float64)


def _weakest(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return per cluster the strength of the weakest genes that the table names, else 1.

    A table names all genes that pass its thresholds: what it leaves out did not pass them.
    """
    return np.array([np.quantile(s[s > 0], WEAKEST) if (s > 0).any() else 1.0 for s in strength.T])


def with_prevalence(
    evidence: Evidence, clusters: tuple[str, ...], prevalence: Prevalence
) -> Evidence:
    """Return the evidence of a marker table with what the object adds to it.

    What the table says of a gene and cluster stays as it is; only what it leaves out is
    filled in.

    Parameters
    ----------
    clusters
        The clusters of the evidence, in its order.
    """
    position = {c: i for i, c in enumerate(prevalence.clusters)}
    column = [position.get(c, -1) for c in clusters]
    known = np.array([c >= 0 for c in column], dtype=bool)
    index = dict(evidence.genes)
    for gene in prevalence.genes:
        index.setdefault(gene, len(index))
    grown = len(index) - len(evidence.genes)

    def extended(values: NDArray[np.float64], missing: float) -> NDArray[np.float64]:
        return np.vstack([values, np.full((grown, values.shape[1]), missing)])

    strength = extended(evidence.strength, 0.0)
    fold = extended(evidence.fold, np.nan)
    told = extended(evidence.prevalence, np.nan)
    rows = np.array([index[g] for g in prevalence.genes], dtype=np.intp)
    inside = np.where(known, prevalence.inside[:, column], np.nan)
    if not prevalence.genes:
        return evidence
    outside = np.where(known, prevalence.outside[:, column], np.nan)
    difference = inside - at_depth(inside, outside)
    value = UNLISTED * saturate(difference, PREVALENCE_HALF)
    value = np.minimum(value, _weakest(evidence.strength))
    alike = (np.abs(difference) < EVEN_DIFFERENCE) & (inside >= COMMON)
    # Deep sequencing finds most genes in most cells, and then being expressed says little.
    clear = np.maximum(inside - BACKGROUND * np.nanmean(inside, axis=0, keepdims=True), 0)
    value = np.where(alike, np.maximum(value, ALIKE * clear), value)
    unlisted = (strength[rows] == 0) & np.isfinite(value)
    strength[rows] = np.where(unlisted, value, strength[rows])
    told[rows] = np.where(np.isfinite(told[rows]), told[rows], inside)
    return replace(evidence, genes=index, strength=strength, fold=fold, prevalence=told)
