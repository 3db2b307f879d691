"""Fit the confidence to labelled answers: ``python -m benchmarks.accuracy.calibrate``.

A logistic regression of "right" (full or half right) on the features of
:mod:`cellferry.engines.local.decision.confidence`: real clusters, whole and cut, and published
lists, half of the weight each. What is fitted is what is stated: not more than chance allows, and
less where genes are not explained. One name for a mixture of two types is not right; of those there
are as many as there are doublets among 10,000 cells of a 10x run. It prints the constants of that
module, and the Brier score where each study is left out in turn. Mixtures that are flagged are too
few to fit what they take from the confidence: that constant is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from cellferry.engines.local.decision.confidence import MIXED, allowed, features

from .compare import RATIOS, VARIANTS, judged, run
from .dataset import Dataset
from .datasets import datasets
from .variants import mixed_tables

RIDGE = 0.5
LEAST = 1e-6
DOUBLETS = 0.08
"""Multiplet rate of 10,000 recovered cells of 10x Next GEM Single Cell 3' v3.1, by its maker
(kb.10xgenomics.com, article 360059124751)."""
START = (1.0, 1.0, 4.0)
FORMS = ("full table", "tissue stated", "best 50", "names of 50", "best 20", "names of 10")
LISTS = "published lists"
MIXTURES = "mixtures"
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One answer: where from, what its confidence is made of, and whether it was right."""

    source: str
    kind: str
    features: tuple[float, ...]
    limits: tuple[float, float]
    right: bool


def stated(weights: Values, x: Values, limits: Values) -> Values:
    """Return what is stated: the logistic function of the features, within its limits."""
    sure = 1 / (1 + np.exp(-x[:, :-1] @ weights - MIXED * x[:, -1]))
    return np.asarray(np.minimum(sure, limits[:, 0]) * (1 - limits[:, 1]), dtype=np.float64)


def fit(x: Values, y: Values, share: Values, limits: Values) -> Values:
    """Return the weights of the features but the last, of most likelihood.

    Parameters
    ----------
    limits
        Per answer what chance allows, and what is taken off for what is not explained.
    """

    def loss(weights: Values) -> float:
        p = np.clip(stated(weights, x, limits), LEAST, 1 - LEAST)
        likelihood = share @ (y * np.log(p) + (1 - y) * np.log(1 - p))
        return float(RIDGE / 2 * weights @ weights - likelihood)

    best = minimize(loss, START, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4})
    return np.asarray(best.x, dtype=np.float64)


def cases(dataset: Dataset, form: str) -> list[Case]:
    """Return the answers to a set in one form."""
    changed = VARIANTS[form](dataset)
    found = run(changed.study)
    rows = []
    for r in found:
        evidence = found.evidence[r.cluster]
        # What all leaders have in common has a confidence of its own.
        if r.status == "ok" and r.cluster in dataset.gold and evidence["seen"] > 0:
            x = features(evidence["fit"], evidence["margin"], mixed=bool(r.mixed))
            right = judged(changed, r.cluster, r.ontology_id) != "wrong"
            kind = LISTS if dataset.kind == LISTS else form
            limits = (allowed(evidence["seen"], evidence["explained"]), evidence["doubted"])
            rows.append(Case(dataset.source or dataset.name, kind, x, limits, right))
    return rows


def mixtures(data: Sequence[Dataset]) -> tuple[list[Case], int]:
    """Return the answers to mixtures that are not flagged, and how many were made."""
    rows, made = [], 0
    for ratio in RATIOS:
        for dataset in mixed_tables(data, ratio):
            found = run(dataset.study)
            made += len(found)
            for r in found:
                evidence = found.evidence[r.cluster]
                if r.status == "ok" and not r.mixed:
                    x = features(evidence["fit"], evidence["margin"], mixed=False)
                    limits = (allowed(evidence["seen"], evidence["explained"]), evidence["doubted"])
                    rows.append(Case(dataset.source or dataset.name, MIXTURES, x, limits, False))
    return rows, made


def main() -> None:
    found: list[Case] = []
    data = list(datasets())
    for dataset in data:
        for form in FORMS[:1] if dataset.kind == LISTS else FORMS:
            found += cases(dataset, form)
    each = {LISTS: 0.5, **dict.fromkeys(FORMS, 0.5 / len(FORMS))}
    kinds = [c.kind for c in found]
    share = np.array([len(found) * each[k] / kinds.count(k) for k in kinds])
    two, made = mixtures([d for d in data if d.kind != LISTS])
    share = np.concatenate([share, np.full(len(two), DOUBLETS * len(found) / made)])
    found += two
    x = np.array([c.features for c in found])
    y = np.array([c.right for c in found], dtype=np.float64)
    limits = np.array([c.limits for c in found])
    names = ("INTERCEPT", "FIT", "MARGIN")
    for name, weight in zip(names, fit(x, y, share, limits), strict=True):
        print(f"{name} = {weight:.2f}")
    sources = np.array([c.source for c in found])
    held_out = np.zeros(len(found))
    for source in sorted(set(sources)):
        out = sources == source
        weights = fit(x[~out], y[~out], share[~out], limits[~out])
        held_out[out] = stated(weights, x[out], limits[out])
    brier = np.mean((held_out - y)[: -len(two)] ** 2)
    print(f"from {len(found) - len(two)} answers and {len(two)} of {made} mixtures")
    print(f"each study left out, Brier {brier:.4f}")


if __name__ == "__main__":
    main()
