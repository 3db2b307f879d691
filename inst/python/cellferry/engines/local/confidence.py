"""How likely an answer is right: its margin and fit, on the scale of how often that was so.

"Right" is the same cell type as the truth, or a kind of it or of which it is a kind, of the
same lineage. The map is a logistic one with three parameters, fitted on the labelled data that
``make bench-accuracy`` calls development, and checked on those that it calls held out::

    python -m benchmarks.accuracy.calibrate
"""

from __future__ import annotations

import math

INTERCEPT = -0.16
FIT = 0.3
"""Per unit of the natural logarithm of the fit."""
MARGIN = 6.63
MIXED = -0.7
"""Where a second lineage is in the cluster; given, as there were too few mixtures to fit it."""
FURTHEST = 0.6
"""Margin beyond which there were too few answers to tell one from another."""
LEAST_FIT = 0.05


def confidence(fit: float, margin: float, *, mixed: bool) -> float:
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
    return 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, x, strict=True))))


def features(fit: float, margin: float, *, mixed: bool) -> tuple[float, float, float, float]:
    """Return what the parameters are multiplied with."""
    return 1.0, math.log(max(fit, LEAST_FIT)), min(margin, FURTHEST), float(mixed)
