"""The score: how well the evidence of a cluster fits each cell type.

For a type with marker weights w and a cluster with strengths e (mean m and standard
deviation d over all tested genes)::

    fit          = (sum w (e - m) - sum v max(e, 0)) / sqrt(sum (w x)^2 + SHRINKAGE)
    significance =  sum w (e - m) / (d sqrt(sum w^2))

x is 1 for a gene that the table speaks of, and n / (n + SILENT_HALF) for one that a list of n
genes leaves out: ten best genes are silent about the eleventh, a thousand are not.

``fit`` is the weighted t-like score of univariate linear models (decoupler's ``ulm``)
with a shrinkage in place of the residual variance: under a random order of genes its
expectation is 0 and its variance does not grow with the number of markers, and short
lists cannot win by one lucky gene. ``significance`` is the analytic null of the same
permutation. v are negative markers. :mod:`.profiles` says where the weights come from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .profiles import Profiles, Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .evidence import Evidence

SHRINKAGE = 2.0
"""In units of the squared weight of one defining marker of one lineage."""
UNSEEN = 0.5
"""Factor for markers absent from a table that does not say which genes were measured."""
SILENT_HALF = 50.0
"""Length of a cluster's list at which being left out says half of what it could say.

Short lists are cut: the eleventh marker is missing from the ten best, and is not silent.
"""
SUPPORT = 0.2
"""Strength from which a gene supports (or contradicts) a type."""
EVEN = 0.1
"""Strength below which a gene counts as the same inside and outside of the cluster."""


@dataclass(frozen=True)
class Lookup:
    """Where the genes of the profiles are in the evidence; the same for all clusters.

    Attributes
    ----------
    first
        Per gene a row of the evidence, or -1.
    several
        Gene -> its rows, for genes that the table names in several ways.
    measured
        Per gene, whether the data have it; true where that is not known.
    """

    first: NDArray[np.intp]
    several: dict[int, list[int]]
    measured: NDArray[np.bool_]

    @classmethod
    def build(cls, profiles: Profiles, evidence: Evidence) -> Lookup:
        """Look every name of every gene up once."""
        first = np.full(len(profiles.genes), -1, dtype=np.intp)
        several: dict[int, list[int]] = {}
        measured = np.ones(len(profiles.genes), dtype=bool)
        for i, gene in enumerate(profiles.genes):
            names = profiles.symbols[gene]
            rows = [evidence.genes[s] for s in names if s in evidence.genes]
            if rows:
                first[i] = rows[0]
            if len(rows) > 1:
                several[i] = rows
            if evidence.measured is not None and not rows:
                measured[i] = not evidence.measured.isdisjoint(names)
        return cls(first, several, measured)

    def rows(self, evidence: Evidence, cluster: int) -> NDArray[np.intp]:
        """Return per gene its row, or -1; of several names the strongest in the cluster."""
        found = self.first.copy()
        for gene, rows in self.several.items():
            found[gene] = max(rows, key=lambda r: (abs(evidence.strength[r, cluster]), -r))
        return found


@dataclass(frozen=True)
class Signal:
    """What the marker table says of one cluster, one value per gene of the profiles.

    Attributes
    ----------
    strength, fold, prevalence
        As in :class:`Evidence`; strength is 0 where the table says nothing.
    factor
        0 where the gene was not measured, below 1 where its silence says little.
    expected
        The same, and less where the gene is only left out: how far a marker of the cluster
        would have been seen to be raised.
    seen
        Whether any cluster of the table names the gene.
    measured
        Whether the data have the gene; true where that is not known.
    mean, deviation
        Of the strength over all tested genes.
    listed
        How many genes the table has raised in the cluster; 0 where that is not known.
    """

    strength: NDArray[np.float64]
    fold: NDArray[np.float64]
    prevalence: NDArray[np.float64]
    factor: NDArray[np.float64]
    expected: NDArray[np.float64]
    seen: NDArray[np.bool_]
    measured: NDArray[np.bool_]
    mean: float
    deviation: float
    listed: float = 0.0

    @classmethod
    def read(
        cls, profiles: Profiles, evidence: Evidence, cluster: int, lookup: Lookup | None = None
    ) -> Signal:
        """Look the genes of the profiles up in one cluster (a column of the evidence).

        ``lookup`` is the same for all clusters; without one it is made here.
        """
        lookup = lookup or Lookup.build(profiles, evidence)
        rows = lookup.rows(evidence, cluster)
        seen = rows >= 0
        strength, fold, prevalence = (
            np.where(seen, values[rows, cluster] if len(values) else missing, missing)
            for values, missing in (
                (evidence.strength, 0.0),
                (evidence.fold, np.nan),
                (evidence.prevalence, np.nan),
            )
        )
        factor = np.where(seen, 1.0, np.where(lookup.measured, UNSEEN, 0.0))
        if evidence.measured is not None:
            factor = np.where(lookup.measured, 1.0, factor)
        # A gene that most cells of the cluster express is not silent only because the
        # other clusters express it too: it neither supports nor dilutes.
        even = (np.abs(strength) < EVEN) & (prevalence > 0)
        factor = np.where(even, factor * (1 - np.nan_to_num(prevalence)), factor)
        # Nothing is known of a gene that the list leaves out and no object speaks of.
        left_out = (strength == 0) & ~np.isfinite(fold) & ~np.isfinite(prevalence)
        listed = float(evidence.listed[cluster])
        expected = np.where(left_out, factor * listed / (listed + SILENT_HALF), factor)
        mean, deviation = evidence.mean[cluster], evidence.deviation[cluster]
        return cls(
            strength,
            fold,
            prevalence,
            factor,
            expected,
            seen,
            lookup.measured | seen,
            float(mean),
            float(deviation),
            listed,
        )

    @property
    def excess(self) -> NDArray[np.float64]:
        """Strength above the mean of all tested genes."""
        return self.strength - self.mean

    def without(self, genes: NDArray[np.bool_]) -> Signal:
        """Return the signal as if some genes had not been measured."""
        strength, factor, expected = (
            np.where(genes, 0.0, values) for values in (self.strength, self.factor, self.expected)
        )
        return replace(self, strength=strength, factor=factor, expected=expected)


@dataclass(frozen=True)
class Scores:
    """Scores of one cluster, one value per type of the profiles.

    Attributes
    ----------
    fit, own_fit
        With and without inherited markers. ``own_fit`` has no negative markers.
    significance, own_significance
        Standard deviations above a random order of genes.
    against
        What its negative markers take from the numerator of a type.
    """

    signal: Signal
    fit: NDArray[np.float64]
    own_fit: NDArray[np.float64]
    significance: NDArray[np.float64]
    own_significance: NDArray[np.float64]
    against: NDArray[np.float64]


def score_types(profiles: Profiles, signal: Signal) -> Scores:
    """Apply the formulas of the module to one cluster."""
    raised = profiles.specificity * np.maximum(signal.strength, 0)
    against = profiles.negative_weights.times(raised)

    weighted = signal.factor * signal.excess
    squared_factor, squared_expected = signal.factor**2, signal.expected**2

    def fit(
        weights: Weights,
        penalty: NDArray[np.float64] | float,
    ) -> _Pair:
        total = weights.times(weighted)
        squares = weights.squares(squared_factor)
        z = total / (signal.deviation * np.sqrt(np.maximum(squares, 1e-12)))
        fitted = (total - penalty) / np.sqrt(weights.squares(squared_expected) + SHRINKAGE)
        fitted = np.where(fitted > 0, fitted * profiles.prior, fitted)
        return fitted, np.where(squares > 0, z, 0.0)

    fitted, significance = fit(profiles.positive_weights, against)
    own_fit, own_significance = fit(profiles.own_weights, 0.0)
    return Scores(signal, fitted, own_fit, significance, own_significance, against)


_Pair = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
