"""Marker tables in: recognise the format, read it, and return one kind of table.

=====================  ======================================================================
Format                 What becomes of it
=====================  ======================================================================
Seurat FindAllMarkers  ``avg_log2FC`` as it is; ``avg_logFC`` (v3, natural logarithm) divided
                       by ln 2. ``test.use = "roc"``: ``avg_log2FC``, else ``avg_diff``
                       (natural logarithm) divided by ln 2; ``power`` is the score.
                       ``avg_diff`` without ``myAUC`` (``slot = "scale.data"``) is a score.
scanpy                 ``scores`` is the score, ``pct_nz_group`` and ``pct_nz_reference`` are
                       ``pct_1`` and ``pct_2``; also straight from ``adata.uns``.
presto wilcoxauc       ``logFC`` (natural logarithm) divided by ln 2; ``auc`` is the score;
                       percentages divided by 100.
lists                  Two columns, or a named list. The order of the genes is their rank.
=====================  ======================================================================

Extra columns are ignored. A column that is empty throughout counts as missing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeGuard

import numpy as np

from ...errors import (
    MarkersEmptyError,
    MarkersFormatError,
    MarkersStatisticError,
    UnsupportedObjectError,
    listing,
)
from ..clusters import cluster_text, natural_key
from .columns import THE_FORMATS, find_layout, no_statistic
from .files import WHY_EMPTY, Cells, Columns, check_unique, read_text_columns
from .table import Markers
from .values import check_probabilities, fractions, gene_text, is_list, numbers, split_genes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Source: TypeAlias = (
        pd.DataFrame
        | str
        | os.PathLike[str]
        | Mapping[str, object]
        | Mapping[int, object]
        | Markers
    )


class Ranking(TypedDict, total=False):
    """What ``scanpy.tl.rank_genes_groups`` leaves in ``adata.uns``.

    Structured arrays have one field per group, frames are genes x groups.
    """

    params: Mapping[str, object]
    names: NDArray[np.void]
    scores: NDArray[np.void]
    logfoldchanges: NDArray[np.void]
    pvals: NDArray[np.void]
    pvals_adj: NDArray[np.void]
    pts: pd.DataFrame
    pts_rest: pd.DataFrame


def read_markers(
    source: Source,
    *,
    cluster_column: str | None = None,
    gene_column: str | None = None,
    name: str = "markers",
) -> Markers:
    """Read a marker table of any known format.

    Parameters
    ----------
    source
        A data frame; the path of a CSV or TSV file (also ``.gz``; separated by comma, tab
        or semicolon; UTF-8); a dict of cluster -> genes, best first; the dict
        ``adata.uns["rank_genes_groups"]``; or a table that was read already.
    cluster_column, gene_column
        Names of these columns, for tables that call them otherwise. They win over
        everything that would be recognised.
    name
        What to call the table in messages.

    Returns
    -------
    Markers
        Rows in the order given. Clusters are text: exact text from a file, and without
        ``.0`` from float columns. Rows without a gene or a cluster are left out and
        counted in the log.

    Raises
    ------
    MarkersUnreadableError
        No such file, or not a text file.
    MarkersFormatError
        The columns are in no known format, or ambiguous, or have impossible values.
    MarkersEmptyError
        No rows.
    MarkersStatisticError
        Nothing to rank the genes by.
    InvalidOptionError
        ``cluster_column`` or ``gene_column`` names no column.
    UnsupportedObjectError
        ``source`` is something else.

    Examples
    --------
    >>> markers = read_markers({"0": ["CD79A", "MS4A1"], "1": "IL7R,CCR7"})
    >>> markers.select(n_genes=1)["1"].genes
    ('IL7R',)
    """
    if isinstance(source, Markers):
        return source
    if isinstance(source, str | os.PathLike):
        columns = read_text_columns(source)
    elif isinstance(source, Mapping):
        if is_ranking(source):
            return markers_from_ranking(source, name=name)
        return _from_lists(source, f"`{name}`")
    elif type(source).__name__ == "DataFrame" and hasattr(source, "iloc"):
        columns = _frame_columns(source, f"`{name}`")
    else:
        message = f"`{name}` is of class {type(source).__name__}, which is no marker table."
        hint = "Give a pandas DataFrame, the path of a CSV or TSV file, or a dict of gene lists."
        if hasattr(source, "uns"):
            hint = 'Give its ranking: adata.uns["rank_genes_groups"].'
        raise UnsupportedObjectError(message, hint)
    return _from_columns(columns, cluster_column, gene_column)


def markers_from_ranking(ranking: Ranking, *, name: str = "rank_genes_groups") -> Markers:
    """Read what ``scanpy.tl.rank_genes_groups`` leaves in ``adata.uns``.

    Parameters
    ----------
    ranking
        The dict with the structured arrays ``names``, ``scores`` and, depending on the
        method, ``logfoldchanges``, ``pvals`` and ``pvals_adj``, one field per group, and
        the frames ``pts`` and ``pts_rest`` (genes x groups, fractions) of ``pts=True``.
        With a reference group, ``pts`` of that group is ``pct_2``.
    name
        What to call it in messages.

    Raises
    ------
    MarkersFormatError, MarkersEmptyError, MarkersStatisticError
    """
    if not is_ranking(ranking):
        message = f"`{name}` is not a result of scanpy.tl.rank_genes_groups()."
        raise MarkersFormatError(message, 'Give adata.uns["rank_genes_groups"].')
    groups = _groups(ranking["names"])
    genes = [[gene_text(g) for g in np.asarray(ranking["names"][group])] for group in groups]
    found: dict[str, NDArray[np.float64]] = {}
    for statistic, key, values in (
        ("score", "scores", ranking.get("scores")),
        ("avg_log2fc", "logfoldchanges", ranking.get("logfoldchanges")),
        ("p_val", "pvals", ranking.get("pvals")),
        ("p_val_adj", "pvals_adj", ranking.get("pvals_adj")),
    ):
        if values is not None:
            parts = [numbers(np.asarray(values[g]), key, f"`{name}`") for g in groups]
            found[statistic] = np.concatenate(parts) if parts else np.empty(0)
    parameters = ranking.get("params", {})
    reference = str(parameters.get("reference", "rest"))
    inside, outside = ranking.get("pts"), ranking.get("pts_rest")
    if inside is not None:
        found["pct_1"] = _looked_up(inside, groups, groups, genes)
        if outside is not None:
            found["pct_2"] = _looked_up(outside, groups, groups, genes)
        elif reference in inside:
            found["pct_2"] = _looked_up(inside, groups, [reference] * len(groups), genes)
    labels = [group for group, part in zip(groups, genes, strict=True) for _ in part]
    flat = [gene for part in genes for gene in part]
    if not _rankable(found):
        message = f"`{name}` has nothing to rank genes by: no scores, fold changes or p-values."
        raise MarkersStatisticError(message, "Run scanpy.tl.rank_genes_groups(adata, ...) again.")
    return assemble(f"`{name}`", labels, groups, flat, found, source="scanpy")


def is_ranking(source: object) -> TypeGuard[Ranking]:
    """Return whether a value is a ranking with at least one group."""
    names = source.get("names") if isinstance(source, Mapping) else None
    return names is not None and bool(_groups(names))


def _groups(values: object) -> list[str]:
    """Return the fields of a structured array or the columns of a frame."""
    of_array = getattr(getattr(values, "dtype", None), "names", None)
    of_frame = getattr(values, "columns", None) if type(values).__name__ == "DataFrame" else None
    fields = of_frame if of_array is None else of_array
    return list(fields) if fields is not None else []


def _looked_up(
    frame: pd.DataFrame, groups: Sequence[str], columns: Sequence[str], genes: list[list[str]]
) -> NDArray[np.float64]:
    row = {gene_text(gene): i for i, gene in enumerate(frame.index)}
    parts = []
    for column, part in zip(columns, genes, strict=True):
        values = np.append(np.asarray(frame[column], dtype=np.float64), np.nan)
        parts.append(values[[row.get(gene, -1) for gene in part]])
    return np.concatenate(parts) if len(groups) else np.empty(0)


def _frame_columns(frame: pd.DataFrame, what: str) -> Columns:
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
    return Columns(values, what, levels)


def _from_columns(columns: Columns, cluster_column: str | None, gene_column: str | None) -> Markers:
    what = columns.what
    # write.csv() and to_csv() put row names into a column without a name. Row names are never
    # genes: R makes them unique by adding ".1".
    named = [n for n in columns.values if n.strip() and not n.startswith("Unnamed: ")]
    requested = [c for c in (cluster_column, gene_column) if c in columns.values and c not in named]
    layout = find_layout([*named, *requested], what, cluster_column, gene_column)
    labels, cells = columns.values[layout.cluster], columns.values[layout.gene]
    levels = columns.levels.get(layout.cluster)
    found = {
        statistic: numbers(columns.values[column], column, what, columns.decimal) * factor
        for statistic, (column, factor) in layout.statistics.items()
    }
    once = len({cluster_text(label) for label in labels}) == len(labels)
    several = any(is_list(cell) for cell in cells)
    if _rankable(found) and not (once and several):
        genes = [gene_text(cell) for cell in cells]
        return assemble(what, labels, levels, genes, found, source=layout.source)
    # Without statistics the order is the rank. But a long table of more columns has its
    # statistics under unknown names, and must not pass for a list.
    if not (several or once or len(named) == 2):
        raise no_statistic(named, what)
    lists = [split_genes(cell) for cell in cells]
    if layout.guessed and all(gene.replace(".", "").isdigit() for part in lists for gene in part):
        message = f'{what} has only numbers in "{layout.gene}", where the genes should be.'
        raise MarkersFormatError(message, THE_FORMATS)
    return assemble_lists(what, labels, levels, lists)


def _rankable(found: Mapping[str, NDArray[np.float64]]) -> bool:
    there = {k for k, v in found.items() if not np.isnan(v).all()}
    return (
        bool(there & {"avg_log2fc", "p_val", "p_val_adj", "score"}) or {"pct_1", "pct_2"} <= there
    )


def _from_lists(source: Mapping[str, object] | Mapping[int, object], what: str) -> Markers:
    if not source:
        message = f"{what} is an empty dict."
        raise MarkersEmptyError(message, "Give the genes of each cluster, best first.")
    texts = [cluster_text(key) for key in source]
    twice = sorted({t for t in texts if t is not None and texts.count(t) > 1})
    if twice:
        message = f"{what} has several keys for the same cluster: {listing(twice)}."
        raise MarkersFormatError(message, "Use one key for each cluster.")
    lists = []
    for key, genes in source.items():
        missing = genes is None or (isinstance(genes, float) and np.isnan(genes))
        of_frame = type(genes).__name__ == "DataFrame" or isinstance(genes, Mapping)
        if of_frame or not (missing or isinstance(genes, str) or is_list(genes)):
            message = f'{what} has a {type(genes).__name__} where the genes of "{key}" should be.'
            hint = (
                'Give a list of genes, as in {"0": ["CD3D", "CD3E"]}, or one table of all clusters.'
            )
            raise MarkersFormatError(message, hint)
        lists.append([] if missing else split_genes(genes))
    return assemble_lists(what, list(source), None, lists)


logger = logging.getLogger("cellferry")


def assemble(
    what: str,
    labels: Cells,
    levels: Sequence[object] | None,
    genes: Sequence[str],
    statistics: dict[str, NDArray[np.float64]],
    *,
    source: str,
) -> Markers:
    """Build a table from one label, one gene and one value of each statistic per row.

    Rows without a cluster or a gene ("") are left out and counted in the log; a cluster
    that loses all of its rows stays. Statistics without any value are left out.

    Parameters
    ----------
    what
        What the table is called in messages.
    labels, genes
        Per row, its cluster and its gene.
    levels
        All clusters in order; None orders them naturally.
    statistics
        Field of :class:`Markers` -> float64 per row, NaN where missing. Percentages may be
        fractions or of 0..100.
    source
        ``"seurat"``, ``"scanpy"`` or ``"list"``.

    Raises
    ------
    MarkersEmptyError, MarkersFormatError
    """
    statistics = {k: v for k, v in statistics.items() if not np.isnan(v).all()}
    check_probabilities(statistics, what)
    statistics = fractions(statistics, what)
    texts = [cluster_text(label) or None for label in labels]
    clusters = cluster_order([t for t in texts if t is not None], levels)
    keep = np.array([t is not None and g != "" for t, g in zip(texts, genes, strict=True)], bool)
    if not keep.any():
        message = f"{what} has no row with both a cluster and a gene."
        raise MarkersEmptyError(message, WHY_EMPTY)
    if not keep.all():
        left_out = int((~keep).sum())
        logger.info("%s: %d rows without a cluster or a gene were left out.", what, left_out)
    position = {name: i for i, name in enumerate(clusters)}
    rows = np.flatnonzero(keep)
    codes = np.array([position[texts[i] or ""] for i in rows], dtype=np.int32)
    kept: dict[str, Any] = {k: v[rows] for k, v in statistics.items()}
    return Markers(
        clusters=clusters,
        cluster=codes,
        gene=np.array(genes, dtype=object)[rows],
        source=source,
        **kept,
    )


def assemble_lists(
    what: str,
    labels: Cells,
    levels: Sequence[object] | None,
    lists: Sequence[Sequence[str]],
) -> Markers:
    """Build a table from lists of genes, best first; the lists of one cluster are joined.

    A cluster without genes stays as a cluster without rows, so that nobody loses it.

    Parameters
    ----------
    what
        What the table is called in messages.
    labels, lists
        Per row, its cluster and its genes.
    levels
        All clusters in order; None orders them naturally.

    Raises
    ------
    MarkersEmptyError
        No cluster has a gene.
    """
    joined: dict[str, dict[str, None]] = {}
    without = 0
    for label, genes in zip(labels, lists, strict=True):
        text = cluster_text(label)
        if not text:
            without += 1
            continue
        joined.setdefault(text, {}).update(dict.fromkeys(genes))
    if without:
        logger.info("%s: %d rows without a cluster were left out.", what, without)
    if not any(joined.values()):
        message = f"{what} lists no gene for any cluster."
        raise MarkersEmptyError(message, "Give at least one gene for at least one cluster.")
    empty = [cluster for cluster, genes in joined.items() if not genes]
    if empty:
        logger.info("%s: %d clusters have no gene.", what, len(empty))
    clusters = cluster_order(list(joined), levels)
    sizes = [len(joined[c]) for c in clusters]
    return Markers(
        clusters=clusters,
        cluster=np.repeat(np.arange(len(clusters), dtype=np.int32), sizes),
        gene=np.array([g for c in clusters for g in joined[c]], dtype=object),
        source="list",
    )


def cluster_order(texts: Sequence[str], levels: Sequence[object] | None) -> tuple[str, ...]:
    """Return each cluster once: in the order of the levels, else in natural order.

    Parameters
    ----------
    texts
        Clusters that are there, also several times.
    levels
        All clusters in order, of any type; None sorts naturally.

    Examples
    --------
    >>> cluster_order(["10", "2", "2"], None), cluster_order(["10", "2"], [10.0, 3.0, 2.0])
    (('2', '10'), ('10', '2'))
    """
    present = set(texts)
    if levels is None:
        return tuple(sorted(present, key=natural_key))
    ordered = dict.fromkeys(cluster_text(level) for level in levels)
    return tuple(t for t in ordered if t is not None and t in present)
