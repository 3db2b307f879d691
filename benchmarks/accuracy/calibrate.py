"""Fit the confidence to labelled answers: ``python -m benchmarks.accuracy.calibrate``.

A logistic regression of "right" (full or half right) on the features of
:mod:`cellferry.engines.local.decision.confidence`: real clusters, whole and cut, and published
lists, half of the weight each. What it prints are the constants of that module, and the Brier
score where each study is left out in turn. There are too few mixtures to fit what they take from
the confidence: that constant is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellferry.engines.local.decision.confidence import MIXED, features

from .compare import VARIANTS, judged, run
from .dataset import Dataset
from .datasets import datasets

STEPS = 50
RIDGE = 0.5
FORMS = ("full table", "tissue stated", "best 50", "names of 50", "best 20", "names of 10")
LISTS = "published lists"
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One answer: where from, what its confidence is made of, and whether it was right."""

    source: str
    kind: str
    features: tuple[float, ...]
    right: bool


def fit(
    x: NDArray[np.float64], y: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weights of the features but the last, by Newton's method."""
    offset, x = MIXED * x[:, -1], x[:, :-1]
    weights = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-x @ weights - offset))
        slope = x.T @ (share * (y - p)) - RIDGE * weights
        curve = (x * (share * p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(weights))
        weights += np.linalg.solve(curve, slope)
    return weights


def cases(dataset: Dataset, form: str) -> list[Case]:
    """Return the answers to a set in one form."""
    changed = VARIANTS[form](dataset)
    found = run(changed.study)
    rows = []
    for r in found:
        if r.status == "ok" and r.cluster in dataset.gold:
            evidence = found.evidence[r.cluster]
            x = features(evidence["fit"], evidence["margin"], mixed=bool(r.mixed))
            right = judged(changed, r.cluster, r.ontology_id) != "wrong"
            kind = LISTS if dataset.kind == LISTS else form
            rows.append(Case(dataset.source or dataset.name, kind, x, right))
    return rows


def main() -> None:
    found: list[Case] = []
    for dataset in datasets():
        for form in FORMS[:1] if dataset.kind == LISTS else FORMS:
            found += cases(dataset, form)
    x = np.array([c.features for c in found])
    y = np.array([c.right for c in found], dtype=np.float64)
    kinds = [c.kind for c in found]
    each = [0.5 if k == LISTS else 0.5 / len(FORMS) for k in kinds]
    share = np.array([len(found) * e / kinds.count(k) for e, k in zip(each, kinds, strict=True)])
    for name, weight in zip(("INTERCEPT", "FIT", "MARGIN"), fit(x, y, share), strict=True):
        print(f"{name} = {weight:.2f}")
    sources = np.array([c.source for c in found])
    stated = np.zeros(len(found))
    for source in sorted(set(sources)):
        out = sources == source
        weights = fit(x[~out], y[~out], share[~out])
        stated[out] = 1 / (1 + np.exp(-x[out, :-1] @ weights - MIXED * x[out, -1]))
    print(f"from {len(found)} answers; each study left out, Brier {np.mean((stated - y) ** 2):.4f}")


if __name__ == "__main__":
    main()
