"""How strongly a marker table says that a gene marks a cluster: one number between -1 and 1.

Fold change and difference in prevalence are combined as a geometric mean of two
saturating terms, so that neither a huge fold change of a gene in a few cells nor a small
shift of a gene in all cells can decide alone, and nothing is divided by ``pct_2``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from ...study.expression.statistics import fraction_expressed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from ...files import Json
    from ...study.expression.source import ExpressionSource
    from ...study.markers.table import Markers
    from ...study.study import Study

FOLD_HALF = 1.0
"""log2 fold change at which the fold-change term is one half."""
PREVALENCE_HALF = 0.2
"""Difference of the fractions of cells at which the prevalence term is one half."""
AMBIENT = 0.5
"""What the prevalence term can reach through the fold change alone."""
STEEP_FOLD_HALF = 3.0
"""log2 fold change at which it reaches half of that."""
RANK_HALF = 25.0
"""Rank at which a gene of a list without statistics counts one half."""
NOT_SIGNIFICANT = 0.5
"""Factor for genes whose adjusted p-value is above :data:`ALPHA`."""
ALPHA = 0.05
GENOME = 15_000
"""Genes assumed to have been tested where only a filtered table is known."""
SMALLEST_PANEL = 100
"""Genes below which a table was cut to its best, though each cluster names them all.

Panels of probes begin above; among the best genes of all clusters no mean of all tested is found.
"""


@dataclass(frozen=True)
class Evidence:
    """What a marker table says, as genes x clusters.

    Attributes
    ----------
    genes
        Gene -> row.
    strength
        float64, -1 to 1: how strongly the gene marks the cluster; negative where it is
        lower than elsewhere; 0 where the table says nothing.
    fold, prevalence
        float64 or NaN: log2 fold change, and fraction of the cluster's cells that express
        the gene.
    mean, deviation
        Per cluster: mean and standard deviation of the strength over all tested genes,
        also those that the table leaves out.
    listed
        Per cluster: number of genes with positive strength.
    measured
        All genes of the object, or None where unknown.
    """

    genes: dict[str, int]
    strength: NDArray[np.float64]
    fold: NDArray[np.float64]
    prevalence: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    listed: NDArray[np.int64]
    measured: frozenset[str] | None

    @classmethod
    def from_markers(
        cls, markers: Markers, n_genes: int, measured: Sequence[str] | None = None
    ) -> Evidence:
        """Read a table; rows of one cluster and gene that occur twice count once.

        Parameters
        ----------
        n_genes
            The strongest genes of a cluster count in full up to this rank; further down
            the strength falls with the square root of the rank.
        measured
            Names of all genes of the object, if known.
        """
        # Sorted, so that sums are the same to the last bit in whatever order rows come.
        index = {g: i for i, g in enumerate(sorted({str(g) for g in markers.gene}))}
        row = np.fromiter((index[str(g)] for g in markers.gene), np.intp, len(markers.gene))
        column = np.asarray(markers.cluster, dtype=np.intp)
        shape = (len(index), len(markers.clusters))
        value = _row_strength(markers)
        # The strongest of several rows is written last and stays.
        order = np.lexsort((value, np.abs(value)))
        strength, fold, prevalence = (np.full(shape, x) for x in (0.0, np.nan, np.nan))
        for target, source in (
            (strength, value),
            (fold, markers.avg_log2fc),
            (prevalence, markers.pct_1),
        ):
            if source is not None:
                target[row[order], column[order]] = source[order]
        strength *= _rank_discount(strength, n_genes)
        known = frozenset(map(str, measured)) if measured is not None else None
        tested = max(len(index), GENOME if known is None else len(known))
        if known is None and _is_complete(markers, shape):
            tested = len(index)
        mean = strength.sum(axis=0) / max(tested, 1)
        spread = (strength**2).sum(axis=0) / max(tested, 1) - mean**2
        listed = (strength > 0).sum(axis=0)
        return cls(
            index,
            strength,
            fold,
            prevalence,
            mean,
            np.sqrt(np.maximum(spread, 1e-12)),
            listed,
            known,
        )


def _row_strength(markers: Markers) -> NDArray[np.float64]:
    fold = markers.avg_log2fc
    if fold is not None and np.isfinite(fold).any():
        value = saturate(fold, FOLD_HALF)
        if markers.pct_1 is not None and markers.pct_2 is not None:
            sign = np.sign(value)
            apart = saturate(np.maximum((markers.pct_1 - markers.pct_2) * sign, 0), PREVALENCE_HALF)
            # A gene of every cell that is very much higher here is a marker although some of
            # its RNA is found in all droplets (insulin, haemoglobin).
            steep = AMBIENT * markers.pct_1 * np.abs(saturate(fold, STEEP_FOLD_HALF))
            apart = np.fmax(apart, np.where(sign > 0, steep, 0))
            both = sign * np.sqrt(np.abs(value) * apart)
            value = np.where(np.isnan(apart), value, both)
    elif markers.score is not None and np.isfinite(markers.score).any():
        value = _by_rank(markers, markers.score) * np.sign(markers.score)
    elif markers.p_val is not None or markers.p_val_adj is not None:
        p = markers.p_val_adj if markers.p_val_adj is not None else markers.p_val
        value = _by_rank(markers, -np.asarray(p, dtype=np.float64))
    else:
        value = _by_rank(markers, None)
    value = np.nan_to_num(np.asarray(value, dtype=np.float64), nan=0.0)
    if markers.p_val_adj is not None:
        value = np.where(markers.p_val_adj > ALPHA, value * NOT_SIGNIFICANT, value)
    return value


def saturate(value: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    """Return x / (|x| + half): sign kept, one half at ``half``, 1 at infinity (and there)."""
    finite = np.clip(value, -1e9, 1e9)
    return np.asarray(finite / (np.abs(finite) + half), dtype=np.float64)


def _by_rank(markers: Markers, statistic: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return 1 / (1 + rank / half) within each cluster; without a statistic, list order."""
    value = np.zeros(len(markers.gene), dtype=np.float64)
    for cluster in range(len(markers.clusters)):
        rows = np.flatnonzero(markers.cluster == cluster)
        if statistic is None:
            first: dict[str, int] = {}
            rank = np.array([first.setdefault(str(g), len(first)) for g in markers.gene[rows]])
        else:
            rank = _rank(np.nan_to_num(statistic[rows], nan=-np.inf))
        value[rows] = 1 / (1 + rank / RANK_HALF)
    return value


def _rank(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many values are larger; equal values share a rank."""
    ordered = np.sort(value)
    return np.asarray(len(value) - np.searchsorted(ordered, value, side="right"), np.float64)


def _rank_discount(strength: NDArray[np.float64], n_genes: int) -> NDArray[np.float64]:
    """Return the factor for ranks beyond ``n_genes``, raised and lowered genes each by themselves.

    What is lower in a cluster must not take the ranks of what is higher: tables with and without
    lowered genes (``only.pos``) would give other answers.
    """
    discount = np.ones_like(strength)
    for cluster in range(strength.shape[1]):
        for sign in (1, -1):
            which = strength[:, cluster] * sign > 0
            rank = _rank(np.abs(strength[which, cluster])) + 1
            discount[which, cluster] = np.minimum(1, np.sqrt(n_genes / rank))
    return discount


def _is_complete(markers: Markers, shape: tuple[int, int]) -> bool:
    """Whether every cluster names every gene: an unfiltered table, so all tested are known."""
    named_by_all = shape[1] > 1 and len(markers.gene) >= shape[0] * shape[1]
    return named_by_all and shape[0] >= SMALLEST_PANEL


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
"""Prevalence below which (or above 1 minus which) a gene says nothing of depth."""
MOST = 0.999
FEWEST = 50
"""Informative genes without which depths count as equal."""
BACKGROUND = 2.0
"""Multiple of the mean prevalence of all markers that an alike gene must exceed."""


@runtime_checkable
class _Narrowable(Protocol):
    def only(self, wanted: Sequence[str]) -> ExpressionSource: ...


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
        source: ExpressionSource | None = study.normalized
        if source is None and study.lookup is not None:
            return cls._looked_up(study, wanted)
        if source is None or study.clusters.codes is None:
            return None
        names = set(wanted)
        if isinstance(source, _Narrowable):
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

    @classmethod
    def _looked_up(cls, study: Study, wanted: Iterable[str]) -> Prevalence | None:
        """Look the genes up where the matrix is; None where that cannot be done."""
        lookup = study.lookup
        figures = None if lookup is None else lookup.figures(sorted(set(wanted)))
        if figures is None or figures.clusters != study.clusters.names or not figures.genes:
            return None
        outside = figures.expressed.sum(axis=1, keepdims=True) - figures.expressed
        others = np.maximum(figures.sizes.sum() - figures.sizes, 1)
        return cls(
            figures.genes,
            figures.clusters,
            np.round(figures.share, 6),
            np.round(outside / others, 6),
        )

    def digest(self) -> str:
        """Return a hash of the figures, whatever the order of the clusters."""
        order = np.argsort(np.array(self.clusters, dtype=object))
        content = np.stack([self.inside, self.outside])[:, :, order]
        names = "\x1f".join([*self.genes, *sorted(self.clusters)])
        return hashlib.sha256(names.encode() + content.astype(">f8").tobytes()).hexdigest()

    def to_dict(self) -> dict[str, Json]:
        """Return plain data for the folder of the run."""
        return {
            "genes": list(self.genes),
            "clusters": list(self.clusters),
            "inside": self.inside.tolist(),
            "outside": self.outside.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Sequence[object]]) -> Prevalence:
        """Read what :meth:`to_dict` wrote."""
        shape = (len(stored["genes"]), len(stored["clusters"]))
        inside, outside = (
            np.array(values, dtype=np.float64).reshape(shape)
            for values in (stored["inside"], stored["outside"])
        )
        genes, clusters = (tuple(map(str, stored[k])) for k in ("genes", "clusters"))
        return cls(genes, clusters, inside, outside)


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
    informative = (outside > RARE) & (outside < 1 - RARE) & (inside > RARE) & (inside < 1 - RARE)
    depth = np.ones(inside.shape[1])
    for cluster in np.flatnonzero(informative.sum(axis=0) >= FEWEST):
        genes = informative[:, cluster]
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
    shares = extended(evidence.prevalence, np.nan)
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
    # A cluster that only the table has was measured nowhere, and has no mean.
    measured = np.maximum(np.isfinite(inside).sum(axis=0, keepdims=True), 1)
    usual = np.nansum(inside, axis=0, keepdims=True) / measured
    clear = np.maximum(inside - BACKGROUND * usual, 0)
    value = np.where(alike, np.maximum(value, ALIKE * clear), value)
    unlisted = (strength[rows] == 0) & np.isfinite(value)
    strength[rows] = np.where(unlisted, value, strength[rows])
    shares[rows] = np.where(np.isfinite(shares[rows]), shares[rows], inside)
    return replace(evidence, genes=index, strength=strength, fold=fold, prevalence=shares)
