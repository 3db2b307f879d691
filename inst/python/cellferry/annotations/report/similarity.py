"""Which rows have similar markers, and a map of the rows by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..clusters import Annotations

NEAREST = 5
"""Rows that are named as the nearest."""
FEWEST = 3
"""Rows from which a map says something."""


def figure(annotations: Annotations, column: str, i: int) -> float | None:
    """Return a figure of a marker, or None where there is none, or it is no finite number.

    Parameters
    ----------
    annotations
        With markers.
    column
        Such as ``"avg_log2FC"``.
    i
        Place of the marker.
    """
    values = annotations.markers.get(column)
    try:
        number = math.nan if values is None else float(values[i])
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


class Places(NamedTuple):
    """Where each row is on the map, between 0 and 1."""

    x: tuple[float, ...]
    y: tuple[float, ...]


def likeness(annotations: Annotations) -> NDArray[np.float64]:
    """Return rows x rows: the cosine of their markers, weighed by fold change or by rank.

    Examples
    --------
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> rows = tuple(Annotation(name, "ok", label="B cell") for name in "ab")
    >>> markers = {"cluster": ["a", "b", "b"], "gene": ["CD79A", "CD79A", "CD3E"]}
    >>> likeness(Annotations(rows, markers=markers)).round(2).tolist()
    [[1.0, 0.74], [0.74, 1.0]]
    """
    rows = {row.cluster: i for i, row in enumerate(annotations)}
    ranked = list(annotations.ranked())
    genes: dict[str, int] = {}
    for _, _, gene in ranked:
        genes.setdefault(gene, len(genes))
    weights = np.zeros((len(rows), len(genes)))
    seen = np.zeros(len(rows), dtype=np.int64)
    for i, cluster, gene in ranked:
        row = rows.get(cluster)
        if row is None:
            continue
        change = figure(annotations, "avg_log2FC", i)
        by_rank = 1 / (1 + 0.1 * seen[row])
        # A gene that is lowered says little of what two clusters have in common.
        weights[row, genes[gene]] = by_rank if change is None else max(change, 0.0)
        seen[row] += 1
    length = np.linalg.norm(weights, axis=1, keepdims=True)
    unit = weights / np.where(length > 0, length, 1)
    return np.asarray(unit @ unit.T)


def nearest(alike: NDArray[np.float64], most: int = NEAREST) -> list[list[int]]:
    """Return the rows most like each, the nearest first; those without anything in common not.

    Examples
    --------
    >>> nearest(np.array([[1, 0.2, 0.6], [0.2, 1, 0], [0.6, 0, 1]]))
    [[2, 1], [0], [0]]
    """
    found = []
    for i, row in enumerate(alike):
        order = np.argsort(-row, kind="stable")
        found.append([int(j) for j in order if j != i and row[j] > 0][:most])
    return found


def places(alike: NDArray[np.float64]) -> Places | None:
    """Return a map of the rows, on which similar ones are near; None for too few rows.

    Classical scaling of the distances ``1 - cosine`` (Torgerson 1952,
    https://doi.org/10.1007/BF02288916). The same input gives the same map.
    """
    n = len(alike)
    if n < FEWEST:
        return None
    distance = (1 - np.clip(alike, 0, 1)) ** 2
    np.fill_diagonal(distance, 0)
    centre = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centre @ distance @ centre)
    found = vectors[:, -1:-3:-1] * np.sqrt(np.maximum(values[-1:-3:-1], 0))
    # The sign of an axis is arbitrary: the row that is farthest from the middle says it.
    found *= np.sign(found[np.abs(found).argmax(axis=0), [0, 1]] + 1e-300)
    low, high = found.min(axis=0), found.max(axis=0)
    # One scale for both axes: what the second tells apart is not more than it is.
    unit = float((high - low).max()) or 1.0
    scaled = (0.5 + (found - (low + high) / 2) / unit).round(4)
    return Places(tuple(scaled[:, 0].tolist()), tuple(scaled[:, 1].tolist()))
