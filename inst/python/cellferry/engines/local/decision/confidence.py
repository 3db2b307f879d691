"""The confidence: the share of such answers that were right."""

from __future__ import annotations

import math

INTERCEPT = 1.42
FIT = 1.37
"""Per unit of the natural logarithm of the fit."""
MARGIN = 3.53
MIXED = -0.7
"""Where a second lineage is in the cluster; given, as there were too few mixtures to fit it."""
FURTHEST = 0.6
"""Margin beyond which there were too few answers to distinguish one from another."""
LEAST_FIT = 0.05
MOST_FIT = 2.0
LITTLE = 5.5
"""Surprise that lists of random markers hardly ever reach."""
FEW_SEEN = 0.6
"""Confidence that it allows; twice as much of it allows all."""


def confidence(fit: float, margin: float, seen: float = 20.0, *, mixed: bool) -> float:
    """Return the share of such answers that were right, 0 to 1.

    Parameters
    ----------
    fit
        Of the label; see :mod:`.score`.
    margin
        What it is ahead of the closest answer that is not compatible, 0 to 1.

    Examples
    --------
    >>> round(confidence(1.5, 0.5, mixed=False), 2)
    0.96
    """
    x = features(fit, margin, mixed=mixed)
    weights = (INTERCEPT, FIT, MARGIN, MIXED)
    sure = 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, x, strict=True))))
    return min(sure, FEW_SEEN + (1 - FEW_SEEN) * max(seen - LITTLE, 0) / LITTLE)


def features(fit: float, margin: float, *, mixed: bool) -> tuple[float, float, float, float]:
    """Return what the parameters are multiplied with."""
    return 1.0, math.log(min(max(fit, LEAST_FIT), MOST_FIT)), min(margin, FURTHEST), float(mixed)
