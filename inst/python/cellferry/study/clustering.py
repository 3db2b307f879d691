"""Whether a column of metadata is a clustering: the one judge, for R, Python and files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import (
    GroupMissingError,
    GroupNotClustersError,
    counted,
    in_language,
    listing,
    nearest,
)

if TYPE_CHECKING:
    import pandas as pd

    from .clusters import Clusters

FEWEST_CELLS = 3
"""Cells that a cluster has at least, most of the time."""
CELLS_PER_CLUSTER = 10
FEW_CELLS = 10
"""With fewer, sizes of clusters show nothing."""
FEW_CLUSTERS = 10
"""Up to so many values are not too many, however few cells there are."""
COUNTED_CLUSTERS = 20
"""From so many whole numbers on, they must count up as the names of clusters do."""
GAPS = 2
"""How many times as many numbers as clusters there may be below the largest name."""
MOST_CATEGORIES = 200


@dataclass(frozen=True)
class Numbers:
    """What the values of a numeric column look like.

    Attributes
    ----------
    fraction
        One of them that is not whole, as text; None where all are whole.
    largest
        The largest of them.
    """

    fraction: str | None
    largest: float


def numbers_of(column: pd.Series) -> Numbers | None:
    """Return what numbers a column has; None for text, logical values and categories.

    Examples
    --------
    >>> import pandas as pd
    >>> numbers_of(pd.Series([0.0, 2.0, None])), numbers_of(pd.Series(["0.5"]))
    (Numbers(fraction=None, largest=2.0), None)
    """
    from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype

    numeric = is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype)
    mixed = column.dtype == object and infer_dtype(column, skipna=True) in {
        "floating", "integer", "mixed-integer-float", "decimal",
    }  # fmt: skip
    if not numeric and not mixed:
        return None
    values = column.dropna().to_numpy(dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    fractions = values[values != np.trunc(values)]
    return Numbers(f"{fractions[0]:.6g}" if len(fractions) else None, float(values.max()))


def check_clustering(
    clusters: Clusters,
    group_key: str,
    numbers: Numbers | None = None,
    *,
    known: Collection[str] = (),
    candidates: Callable[[], Sequence[str]] = tuple,
) -> None:
    """Raise :class:`GroupNotClustersError` where values are a measurement or names of cells.

    That is numbers with fractions; most values with fewer than three cells; more values than a
    tenth of the cells; whole numbers that do not count up from 0 or 1. Values that a marker table
    names are clusters, whatever they look like.

    Parameters
    ----------
    clusters
        The values and their cells.
    group_key
        Name of the column.
    numbers
        What its values look like, where they are numbers.
    known
        Clusters of a marker table.
    candidates
        Returns the columns that could be meant; only called for the message.

    Examples
    --------
    >>> from cellferry.study.clusters import Clusters
    >>> check_clustering(Clusters.from_labels([0.0, 1.0] * 30), "leiden")
    """
    sizes = clusters.counts()
    names = clusters.names
    if not sizes or len(sizes) < 2 or 2 * len(set(known) & set(names)) > len(names):
        return
    problem = _problem(list(sizes.values()), numbers)
    if problem is None:
        return
    n_cells = sum(sizes.values())
    if max(sizes.values()) == 1 and len(names) == n_cells and numbers is None:
        message = (
            f'"{group_key}" has one cell per cluster ({listing(names, 3)}), so that no markers can '
            "be computed: is each cell a pseudobulk, or is this a column of names?"
        )
        verb = in_language(python="annotate_cells()", r="AnnotateCells()", cli="--cells")
        hint = (
            f"For pseudobulks use {verb}, which judges each by itself, or give the markers of the "
            "clusters."
        )
    else:
        message = (
            f'"{group_key}" has {counted(len(names), "value")} in {counted(n_cells, "cell")}, '
            f"{problem}: is it a clustering?"
        )
        hint = (
            "If it is one, make its values names: x$column <- factor(x$column), in Python "
            'adata.obs[column] = adata.obs[column].astype(str).astype("category").'
            if numbers is not None and _problem(list(sizes.values()), None) is None
            else "If it is one, give its marker table."
        )
    others = [c for c in candidates() if c != group_key]
    if others:
        hint = (
            f"Columns that can be clusters: {listing(others, 5)}. Name one with `group_key`. {hint}"
        )
    raise GroupNotClustersError(message, hint, group=group_key, values=len(names), cells=n_cells)


def _problem(sizes: list[int], numbers: Numbers | None) -> str | None:
    """Return what is not like a clustering, or None."""
    n, n_cells = len(sizes), sum(sizes)
    small = sum(size < FEWEST_CELLS for size in sizes)
    if numbers is not None and numbers.fraction is not None:
        return f"some with fractions ({numbers.fraction})"
    # Of an object of a few cells this says nothing, but where every cell is a value of its own.
    if 2 * small > n and (n_cells >= FEW_CELLS or max(sizes) == 1):
        return f"and {small} of them have fewer than {FEWEST_CELLS} cells"
    if n > FEW_CLUSTERS and n * CELLS_PER_CLUSTER > n_cells:
        return "more than a tenth of that"
    if numbers is not None and n > COUNTED_CLUSTERS and numbers.largest >= GAPS * n:
        return f"numbers up to {numbers.largest:,.0f} with many between them left out"
    return None


def clustering_columns(obs: pd.DataFrame) -> list[str]:
    """Return the columns that could be a clustering, for a message.

    Parameters
    ----------
    obs
        Metadata of the cells.

    Examples
    --------
    >>> import pandas as pd
    >>> clustering_columns(pd.DataFrame({"leiden": list("ab") * 20, "depth": [0.5, 0.7] * 20}))
    ['leiden']
    """
    from .clusters import Clusters

    found = []
    for name in map(str, obs.columns):
        column = obs[name]
        different = column.nunique()
        if not 2 <= different <= min(MOST_CATEGORIES, len(column)):
            continue
        sizes = list((Clusters.from_column(column).counts() or {}).values())
        if _problem(sizes, numbers_of(column)) is None:
            found.append(name)
    return found


def metadata_column(obs: pd.DataFrame | None, name: str) -> pd.Series:
    """Return a column of metadata that was named.

    Parameters
    ----------
    obs
        The metadata, or None.
    name
        Of the column.

    Raises
    ------
    GroupMissingError
        There is none of that name; names the nearest.
    """
    columns = [] if obs is None else [str(c) for c in obs.columns]
    if obs is None or name not in columns:
        message = f'The metadata has no column "{name}"; it has {listing(columns)}.'
        guess = nearest(name, columns)
        raise GroupMissingError(message, f'Did you mean "{guess}"?' if guess else "")
    return obs[name]
