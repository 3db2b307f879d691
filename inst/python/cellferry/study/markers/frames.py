"""Data frames as columns of a marker table: one of all clusters, or one for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ...biology.text import token_of
from ...errors import MarkersEmptyError, MarkersFormatError, listing
from ..clusters import cluster_text
from .columns import ALIASES, FORMATS
from .files import WHY_EMPTY, Cells, Columns, check_unique

if TYPE_CHECKING:
    import pandas as pd

CLUSTER = "cluster"
GENE = "gene"


def is_frame(value: object) -> TypeGuard[pd.DataFrame]:
    """Whether a value is a data frame of pandas, without importing it."""
    return any(c.__name__ == "DataFrame" for c in type(value).__mro__) and hasattr(value, "iloc")


def frame_columns(frame: pd.DataFrame, what: str) -> Columns:
    """Return the columns of a data frame.

    An index of two levels has clusters and genes, as ``pd.concat({"0": frame, ...})`` makes it,
    where the columns have none.

    Parameters
    ----------
    frame
        One row per cluster and gene, or of another form that is known.
    what
        What the table is called in messages.
    """
    if frame.shape[0] == 0:
        message = f"{what} has no rows."
        raise MarkersEmptyError(message, WHY_EMPTY)
    names = [str(c) for c in frame.columns]
    check_unique(names, what)
    values: dict[str, Cells] = {}
    levels: dict[str, tuple[object, ...]] = {}
    for position, column in enumerate(names):
        series = frame.iloc[:, position]
        categories = getattr(series.dtype, "categories", None)
        if categories is not None:
            levels[column] = tuple(categories)
        if series.dtype.kind in "iuf":  # numpy's and the nullable kinds alike
            whole = series.dtype.kind != "f" and not series.hasnans
            values[column] = (
                series.to_numpy() if whole else series.to_numpy(np.float64, na_value=np.nan)
            )
        else:
            values[column] = series.astype(object).to_numpy()
    if frame.index.nlevels == 2 and not _has(CLUSTER, names):
        index = frame.index
        values = {CLUSTER: index.get_level_values(0).astype(object).to_numpy(), **values}
        if not _has(GENE, names):
            values[GENE] = index.get_level_values(1).astype(object).to_numpy()
    return Columns(values, what, levels)


def frames_columns(frames: Mapping[Any, Any], what: str) -> Columns:
    """Return the columns of one data frame for each cluster; the first is that of the clusters.

    Genes are in a column of a known name, else in the index: in the table of one cluster row
    names are unique by themselves.

    Parameters
    ----------
    frames
        Cluster -> what ``FindMarkers()``, ``scanpy.get.rank_genes_groups_df(adata, group)``,
        DESeq2, scran or another test says of it.
    what
        What the table is called in messages.
    """
    import pandas as pd

    texts = [cluster_text(key) for key in frames]
    twice = sorted({t for t in texts if t is not None and texts.count(t) > 1})
    if twice:
        message = f"{what} has several keys for the same cluster: {listing(twice)}."
        raise MarkersFormatError(message, "Use one key for each cluster.")
    parts = []
    for key, frame in frames.items():
        part = frame.set_axis([str(c) for c in frame.columns], axis=1)
        check_unique(list(part.columns), f'{what}["{key}"]')
        part = part.drop(columns=_own_names(part, cluster_text(key), f'{what}["{key}"]'))
        if not _has(GENE, list(part.columns)):
            if len(part) and not all(isinstance(name, str) for name in part.index):
                message = f'{what}["{key}"] has neither a column of genes nor row names of text.'
                hint = f"Its columns: {listing(list(part.columns))}. Add a column gene."
                raise MarkersFormatError(message, hint)
            part = part.assign(**{GENE: part.index.astype(object)})
        parts.append(part.assign(**{_CLUSTER: cluster_text(key)}))
    joined = pd.concat(parts, ignore_index=True)
    found = frame_columns(joined.drop(columns=_CLUSTER), what)
    labels = joined[_CLUSTER].to_numpy(object)
    # A key may be a position; a factor or a dict is in somebody's order.
    levels = {CLUSTER: tuple(texts)} if any(not _is_number(t) for t in texts) else {}
    return Columns({CLUSTER: labels, **found.values}, what, {**found.levels, **levels})


_CLUSTER = "\0cluster"


def _own_names(part: pd.DataFrame, cluster: str | None, what: str) -> list[str]:
    """Return the columns in which the table of a cluster names it again."""
    own = [str(c) for c in part.columns if token_of(str(c)) in ALIASES["cluster"]]
    for column in own:
        named = {cluster_text(value) for value in part[column].unique()} - {None}
        if len(named) > 1 or (len(named) == 1 and column in _OF_CLUSTERS and named != {cluster}):
            others = sorted(str(text) for text in named)
            message = f'{what} has the clusters {listing(others, 5)} in its column "{column}".'
            raise MarkersFormatError(
                message, "Give one table of all clusters as it is, or a table for each cluster."
            )
    return own


_OF_CLUSTERS = {pair[0] for pair in FORMATS.values()}


def _is_number(text: str | None) -> bool:
    return text is not None and text.isdigit()


def _has(role: str, names: list[str]) -> bool:
    exact = {pair[role == GENE] for pair in FORMATS.values()}
    return any(name in exact or token_of(name) in ALIASES[role] for name in names)
