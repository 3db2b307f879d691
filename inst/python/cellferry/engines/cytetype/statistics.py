"""What a payload says of the cells: percentages, metadata, sampled coordinates.

The rules, the rounding and the sampling are those of the published client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...expression import fraction_expressed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ...study import Study

SEED = 42


def percentages(study: Study) -> tuple[tuple[str, ...], NDArray[np.float64]] | None:
    """Return genes, and per gene and cluster the percentage of cells that express it.

    Shape genes x clusters, 0 to 100 with two decimals. A symbol that several genes have
    appears once, with the highest percentage. None without expression, or for scaled values.
    """
    if study.normalized is None or study.clusters.codes is None:
        return None
    fractions = fraction_expressed(study.normalized, study.clusters)
    if fractions is None:
        return None
    rounded = np.round(fractions.T * 100, 2)
    position: dict[str, int] = {}
    for gene in study.normalized.genes:
        position.setdefault(gene, len(position))
    highest = np.zeros((len(position), rounded.shape[1]))
    np.maximum.at(highest, [position[g] for g in study.normalized.genes], rounded)
    return tuple(position), highest


def metadata_percentages(
    study: Study,
    *,
    min_percentage: float,
    max_categories: int,
    columns: Sequence[str] | None = None,
) -> dict[str, dict[str, dict[str, int]]]:
    """Return cluster -> column -> value -> whole percentage of the cluster's cells.

    Of text and categorical columns with at most ``max_categories`` values; a percentage is of
    the cells that have a value, cut to a whole number, and kept if above ``min_percentage``.
    """
    import pandas as pd

    codes, names = study.clusters.codes, study.clusters.names
    found: dict[str, dict[str, dict[str, int]]] = {name: {} for name in names}
    if study.obs is None or codes is None:
        return found
    for column in study.obs.columns:
        if column == study.group_key or (columns is not None and column not in columns):
            continue
        values = study.obs[column]
        text = isinstance(values.dtype, pd.CategoricalDtype | pd.StringDtype)
        if not (text or values.dtype == object):
            continue
        value_codes, labels = pd.factorize(values.astype(object), use_na_sentinel=True)
        if not len(labels) or len(labels) > max_categories:
            continue
        kept = (codes >= 0) & (value_codes >= 0)
        counts = np.zeros((len(names), len(labels)), dtype=np.int64)
        np.add.at(counts, (codes[kept], value_codes[kept]), 1)
        totals = counts.sum(axis=1, keepdims=True)
        percent = np.floor(100 * counts / np.maximum(totals, 1)).astype(int)
        for i, name in enumerate(names):
            above = np.flatnonzero(percent[i] > min_percentage)
            if len(above):
                kept_values = {str(labels[int(j)]): int(percent[i, j]) for j in above}
                found[name][str(column)] = kept_values
    return found


def sampled_coordinates(study: Study, max_cells: int) -> tuple[list[list[float]], list[str]] | None:
    """Return points of the embedding and the cluster of each; None without an embedding.

    At most ``max_cells`` cells of each cluster, drawn with one seed; clusters in the order in
    which they first appear.
    """
    codes = study.clusters.codes
    if study.coordinates is None or codes is None:
        return None
    values = np.asarray(study.coordinates[1][:, :2], dtype=np.float64)
    usable = np.isfinite(values).all(axis=1)
    points: list[list[float]] = []
    clusters: list[str] = []
    present = codes[codes >= 0]
    _, first = np.unique(present, return_index=True)
    for code in present[np.sort(first)]:
        rows = np.flatnonzero((codes == code) & usable)
        n = min(max_cells, len(rows))
        drawn = rows[np.random.RandomState(SEED).choice(len(rows), n, replace=False)] if n else rows
        points.extend(values[drawn].tolist())
        clusters.extend([study.clusters.names[code]] * n)
    return points, clusters


def text_of(value: Any) -> str:
    """Return a value of ``metadata`` as text, as people write it.

    Examples
    --------
    >>> text_of(True), text_of(3.0), text_of("v1")
    ('true', '3', 'v1')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def texts_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return ``metadata`` with every value as text."""
    return {str(k): text_of(v) for k, v in metadata.items()}
