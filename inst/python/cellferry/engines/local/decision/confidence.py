"""The confidence: the share of such answers that were right."""

from __future__ import annotations

import math

from .floor import scattered

INTERCEPT = 1.47
FIT = 1.19
"""Per unit of the natural logarithm of the fit."""
MARGIN = 3.35
MIXED = -0.7
"""Where a second lineage is in the cluster; given, as there were too few mixtures to fit it."""
FURTHEST = 0.6
"""Margin beyond which there were too few answers to distinguish one from another."""
LEAST_FIT = 0.05
MOST_FIT = 2.0
LITTLE = 6.3
"""Surprise that lists of random markers hardly ever reach."""
FEW_SEEN = 0.6
"""Confidence that it allows."""
BEYOND_CHANCE = 1.5
"""How much more of it allows all: chance gives thirty times as seldom as much."""


def confidence(
    fit: float, margin: float, seen: float = 20.0, explained: float = 1.0, *, mixed: bool
) -> float:
    """Return the share of such answers that were right, 0 to 1.

    Parameters
    ----------
    fit
        Of the label; see :mod:`.score`.
    margin
        What it is ahead of the closest answer that is not compatible, 0 to 1.
    seen
        How little chance would give as many markers of it (:func:`.seen.surprise`).
    explained
        The part of the best markers of the cluster that are of it (:func:`.seen.explained`).
    mixed
        Whether a second lineage is there.

    Examples
    --------
    >>> round(confidence(1.5, 0.5, mixed=False), 2)
    0.98
    """
    x = features(fit, margin, mixed=mixed)
    weights = (INTERCEPT, FIT, MARGIN, MIXED)
    sure = 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, x, strict=True))))
    return min(sure, allowed(seen, explained))


def allowed(seen: float, explained: float = 1.0) -> float:
    """Return the highest confidence of an answer that rests on as little as this.

    Of real lists with as few markers more are right; but who gives genes that were chosen by what
    they are (transcription factors, two genes, genes at random) must not be told a name for sure.

    Examples
    --------
    >>> allowed(5.0), allowed(8.0), allowed(8.0, 0.1)
    (0.6, 1.0, 0.6)
    """
    little = LITTLE + scattered(explained)
    return FEW_SEEN + (1 - FEW_SEEN) * min(max(seen - little, 0.0) / BEYOND_CHANCE, 1.0)


def features(fit: float, margin: float, *, mixed: bool) -> tuple[float, float, float, float]:
    """Return what the parameters are multiplied with."""
    return 1.0, math.log(min(max(fit, LEAST_FIT), MOST_FIT)), min(margin, FURTHEST), float(mixed)
