"""Fit the confidence to the development data: ``python -m benchmarks.accuracy.calibrate``.

A logistic regression of "right" (compatible with the truth) on the features of
:mod:`cellferry.engines.local.choose`, with every kind of data counting alike. What it prints
are the constants of that module. There are too few mixtures to fit what they take from the
confidence: that constant is given.
"""

from __future__ import annotations

import numpy as np

from cellferry.engines.local.choose import MIXED

from .__main__ import METHODS
from .datasets import datasets
from .measures import Outcome

STEPS = 50
RIDGE = 1e-3


def fit(outcomes: list[Outcome]) -> list[float]:
    """Return the weights of the features, by Newton's method."""
    features = np.array([o.features for o in outcomes])
    x, offset = features[:, :-1], MIXED * features[:, -1]
    y = np.array([o.compatible for o in outcomes], dtype=np.float64)
    kinds = [o.kind for o in outcomes]
    share = np.array([len(kinds) / (len(set(kinds)) * kinds.count(k)) for k in kinds])
    weights = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-x @ weights - offset))
        slope = x.T @ (share * (y - p)) - RIDGE * weights
        curve = (x * (share * p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(weights))
        weights += np.linalg.solve(curve, slope)
    return [float(w) for w in weights]


def main() -> None:
    answers: list[Outcome] = []
    for dataset in datasets():
        if dataset.use == "development":
            answers += METHODS["local, object"](dataset)
            if dataset.study.normalized is not None:
                answers += METHODS["local, markers only"](dataset)
    known = [o for o in answers if o.found is not None and o.features]
    names = ("INTERCEPT", "FIT", "MARGIN")
    for name, weight in zip(names, fit(known), strict=True):
        print(f"{name} = {weight:.2f}")
    print(f"from {len(known)} answers")


if __name__ == "__main__":
    main()
