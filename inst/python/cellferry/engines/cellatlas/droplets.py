"""Which barcodes are droplets without a cell: a test against the ambient profile.

Where an object still has its near-empty barcodes, these show what floats in every droplet. A
barcode of few counts is a cell if its counts differ from that profile by more than chance: its
log-likelihood under a multinomial of the profile, against simulated barcodes of as many counts.

Source: Lun et al., EmptyDrops, Genome Biology 20:63 (2019); the profile is smoothed by a
pseudocount in place of the Good-Turing algorithm, and the multinomial has no overdispersion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ...study.expression.source import ExpressionSource

AMBIENT_COUNTS = 100
"""A barcode with at most so many counts is taken for an empty droplet, and makes the profile."""
FEWEST_AMBIENT = 100
"""So many of them are needed; an object that was filtered before has none."""
CERTAIN_COUNTS = 1000
"""A barcode with more counts is not tested: it is no empty droplet."""
FALSE_DISCOVERY = 0.01
SIMULATIONS = 1000


def can_be_tested(totals: NDArray[np.floating]) -> bool:
    """Say whether there are near-empty barcodes enough, and others to test.

    Parameters
    ----------
    totals
        Counts of each barcode.

    Examples
    --------
    >>> can_be_tested(np.array([5.0] * 200 + [500.0])), can_be_tested(np.array([500.0] * 300))
    (True, False)
    """
    ambient = int(np.sum(totals <= AMBIENT_COUNTS))
    return ambient >= FEWEST_AMBIENT and bool(np.any(_tested(totals)))


def _tested(totals: NDArray[np.floating]) -> NDArray[np.bool_]:
    return (totals > AMBIENT_COUNTS) & (totals <= CERTAIN_COUNTS)


def empty_droplets(
    source: ExpressionSource, totals: NDArray[np.floating], *, seed: int = 0
) -> NDArray[np.bool_]:
    """Return which barcodes cannot be distinguished from empty droplets.

    Parameters
    ----------
    source
        Raw counts, cells x genes; read twice.
    totals
        Counts of each barcode, n.
    seed
        Of the simulation.
    """
    n_genes = source.shape[1]
    ambient = np.zeros(n_genes)
    for start, block in source:
        low = totals[start : start + block.shape[0]] <= AMBIENT_COUNTS
        ambient += np.asarray(block[low].sum(axis=0)).ravel()
    profile = (ambient + 1) / (ambient.sum() + n_genes)
    tested = np.flatnonzero(_tested(totals))
    observed = np.zeros(len(totals))
    for start, block in source:
        rows = tested[(tested >= start) & (tested < start + block.shape[0])]
        if len(rows):
            observed[rows] = _likelihoods(block[rows - start], profile)
    whole = np.rint(totals[tested]).astype(np.int64)
    p = _p_values(observed[tested], whole, profile, seed)
    empty = totals <= AMBIENT_COUNTS
    # What is less likely than every simulation is a cell, however many there are to be tested.
    empty[tested[~_passes(p) & (p > 1 / SIMULATIONS)]] = True
    return empty


def _likelihoods(block: csr_matrix, profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-likelihood of each row, without what is the same for equal totals."""
    from scipy.special import gammaln

    rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    terms = block.data * np.log(profile[block.indices]) - gammaln(block.data + 1)
    found: NDArray[np.float64] = np.bincount(rows, terms, block.shape[0]).astype(np.float64)
    return found


def _p_values(
    observed: NDArray[np.float64],
    totals: NDArray[np.int64],
    profile: NDArray[np.float64],
    seed: int,
) -> NDArray[np.float64]:
    """Return the share of simulated barcodes of as many counts that are as unlikely.

    Each simulation draws one gene after another, so that one of n counts goes on to n + 1.
    """
    random = np.random.default_rng(seed)
    most = int(totals.max(initial=0))
    logs, ends = np.log(profile), np.cumsum(profile)
    ends[-1] = 1.0
    found = np.zeros(len(totals))
    order = np.argsort(totals, kind="stable")
    for _ in range(SIMULATIONS):
        genes = np.searchsorted(ends, random.random(most), side="right")
        # How often each gene was drawn before and now: its factorial grows by that factor.
        by_gene = np.argsort(genes, kind="stable")
        first = np.r_[True, np.diff(genes[by_gene]) > 0] if most else np.zeros(0, bool)
        starts = np.maximum.accumulate(np.where(first, np.arange(most), 0))
        times = np.empty(most)
        times[by_gene] = np.arange(most) - starts + 1
        path = np.cumsum(logs[genes] - np.log(times))
        found[order] += path[totals[order] - 1] <= observed[order]
    return (found + 1) / (SIMULATIONS + 1)


def _passes(p: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which p-values pass at the false discovery rate, by Benjamini and Hochberg."""
    order = np.argsort(p, kind="stable")
    limits = FALSE_DISCOVERY * np.arange(1, len(p) + 1) / max(len(p), 1)
    below = np.flatnonzero(p[order] <= limits)
    passes = np.zeros(len(p), dtype=bool)
    if len(below):
        passes[order[: below[-1] + 1]] = True
    return passes
