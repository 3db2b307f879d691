"""What the metadata of the cells show: composition of clusters, and a sample to draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from .clusters import Clusters

SEED = 42
"""The published client's seed, so that the same cells are drawn."""


@dataclass(frozen=True)
class SampledCoordinates:
    """Some cells of each cluster in two dimensions, to draw the clusters.

    Attributes
    ----------
    key
        Name of the embedding.
    cells
        Position of each sampled cell among all cells.
    values
        Sampled cells x 2.
    clusters
        Cluster of each sampled cell.
    """

    key: str
    cells: NDArray[np.intp]
    values: NDArray[np.number]
    clusters: tuple[str, ...]


def sample_coordinates(
    key: str, values: NDArray[np.number], clusters: Clusters, max_cells_per_group: int = 1000
) -> SampledCoordinates:
    """Draw at most so many cells of each cluster, the same ones as the published client.

    Each cluster is drawn on its own without replacement with seed 42, clusters in the order
    in which they first occur. Cells whose coordinates are not finite are not drawn (the
    published client then fails to send its request).

    Parameters
    ----------
    key
        Name of the embedding.
    values
        n x 2 numbers.
    clusters
        Of the n cells.
    max_cells_per_group
        Most cells of each cluster.
    """
    codes = clusters.codes
    assert codes is not None
    usable = (codes >= 0) & np.isfinite(values).all(axis=1)
    found, first = np.unique(codes[codes >= 0], return_index=True)
    drawn, names = [], []
    for code in found[np.argsort(first)]:
        cells = np.flatnonzero(usable & (codes == code))
        size = min(max_cells_per_group, len(cells))
        if size:
            # The same call that pandas' sample(random_state=42) makes.
            chosen = np.random.RandomState(SEED).choice(len(cells), size, replace=False)
            drawn.append(cells[chosen])
            names.extend([clusters.names[code]] * size)
    cells = np.concatenate(drawn) if drawn else np.empty(0, dtype=np.intp)
    return SampledCoordinates(key, cells, values[cells], tuple(names))


def aggregate_metadata(
    obs: pd.DataFrame,
    clusters: Clusters,
    group_key: str | None,
    *,
    min_percentage: int = 10,
    max_categories: int = 500,
    columns: Iterable[str] | None = None,
) -> dict[str, dict[str, dict[str, int]]]:
    """Return, for each cluster and column of text, the values that many of its cells have.

    Parameters
    ----------
    obs
        Cell metadata. Columns of text and categories count; numbers and booleans do not.
    clusters
        Of its cells.
    group_key
        The column of the clusters themselves, left out.
    min_percentage
        A value is kept if more than this percentage of the cluster's cells that have a
        value have it; percentages are rounded down before they are compared.
    max_categories
        Columns with more different values are left out.
    columns
        Only these columns.

    Examples
    --------
    >>> import pandas as pd
    >>> from cellferry.study.study import Clusters
    >>> obs = pd.DataFrame({"donor": ["d1", "d1", "d2"]})
    >>> aggregate_metadata(obs, Clusters.from_labels(["a", "a", "a"]), None)
    {'a': {'donor': {'d1': 66, 'd2': 33}}}
    """
    codes = clusters.codes
    assert codes is not None
    wanted = None if columns is None else set(columns)
    result: dict[str, dict[str, dict[str, int]]] = {name: {} for name in clusters.names}
    for position, label in enumerate(obs.columns):
        name = str(label)
        if name == group_key or (wanted is not None and name not in wanted):
            continue
        coded = _coded(obs.iloc[:, position])
        if coded is None or len(coded[1]) > max_categories or not coded[1]:
            continue
        values, texts = coded
        both = (codes >= 0) & (values >= 0)
        table = np.zeros((len(clusters.names), len(texts)), dtype=np.int64)
        np.add.at(table, (codes[both], values[both]), 1)
        percent = 100 * table // np.maximum(table.sum(axis=1), 1)[:, None]
        for cluster, value in np.argwhere(percent > min_percentage):
            inner = result[clusters.names[cluster]].setdefault(name, {})
            inner[texts[value]] = int(percent[cluster, value])
    return result


def count_values(
    column: pd.Series, clusters: Clusters
) -> tuple[NDArray[np.int64], list[str]] | None:
    """Return clusters x values, how many cells of each have which value, and the values as text.

    None for numbers and the like. Cells without a value, or without a cluster, do not count.

    Parameters
    ----------
    column
        One value per cell; True and False are text here.
    clusters
        Of the same cells.
    """
    import pandas as pd

    codes = clusters.codes
    assert codes is not None
    flags = pd.api.types.is_bool_dtype(column.dtype)
    coded = _coded(column.astype(object) if flags else column)
    if coded is None:
        return None
    values, texts = coded
    both = (codes >= 0) & (values >= 0)
    table = np.zeros((len(clusters.names), len(texts)), dtype=np.int64)
    np.add.at(table, (codes[both], values[both]), 1)
    return table, texts


def _coded(column: pd.Series) -> tuple[NDArray[np.intp], list[str]] | None:
    """Return a code per cell (-1: missing) and the texts, or None for numbers and the like."""
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        codes = np.asarray(column.cat.codes, dtype=np.intp)
        used = np.unique(codes[codes >= 0])
        places, texts = _merged([str(column.cat.categories[c]) for c in used])
        # The last place stands for -1, which means missing.
        lookup = np.full(len(column.cat.categories) + 1, -1, dtype=np.intp)
        lookup[used] = places
        return lookup[codes], texts
    if not (pd.api.types.is_object_dtype(kind) or isinstance(kind, pd.StringDtype)):
        return None
    missing = np.asarray(column.isna())
    plain = [None if gone else str(v) for v, gone in zip(column, missing, strict=True)]
    texts = list(dict.fromkeys(v for v in plain if v is not None))
    place = {text: i for i, text in enumerate(texts)}
    return np.array([-1 if v is None else place[v] for v in plain], dtype=np.intp), texts


def _merged(texts: list[str]) -> tuple[list[int], list[str]]:
    """Return the place of each text among the different ones: 1 and "1" read the same."""
    different = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(different)}
    return [place[text] for text in texts], different
