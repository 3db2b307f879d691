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
scran                  ``findMarkers()``: ``summary.logFC`` (base 2), ``FDR``, ``summary.AUC`` is
                       the score. ``scoreMarkers()``: ``self.average - other.average`` (base 2),
                       detected fractions, ``mean.AUC`` or ``mean.logFC.cohen`` is the score.
monocle3               ``top_markers()``: ``marker_score`` is the score, ``fraction_expressing``
                       is ``pct_1``.
FindConservedMarkers   The mean of ``<group>_avg_log2FC`` and of the percentages over the groups;
                       the largest p-values.
edgeR, limma, muscat   ``logFC`` (base 2), known by ``logCPM``, ``AveExpr``, ``adj.P.Val`` or
                       ``p_adj.loc``.
DESeq2                 ``log2FoldChange``, ``padj``, with a column of clusters, or a table each.
several tables         A dict (or a named list of R) of one table for each cluster, whose genes
                       may be row names: there they are unique and not made so.
wide tables            See :mod:`cellferry.study.markers.wide`.
lists                  Two columns, or a named list. The order of the genes is their rank.
=====================  ======================================================================

Extra columns are ignored. A column that is empty throughout counts as missing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeGuard, TypeVar

import numpy as np

from ...errors import (
    InputError,
    MarkersEmptyError,
    MarkersFormatError,
    MarkersStatisticError,
    UnsupportedObjectError,
    listing,
)
from ..clusters import cluster_text, natural_key
from .columns import THE_FORMATS, Layout, find_layout, no_statistic
from .files import WHY_EMPTY, Cells, Columns, Plan, read_text_columns
from .frames import frame_columns, frames_columns, is_frame
from .table import Markers
from .values import check_probabilities, fractions, gene_text, is_list, numbers, split_genes
from .wide import Wide, find_wide, head_of, known_share

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
        | Columns
    )


logger = logging.getLogger("cellferry")

_T = TypeVar("_T")


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
        or semicolon; UTF-8); a dict of cluster -> genes, best first, or of cluster -> data
        frame; the dict ``adata.uns["rank_genes_groups"]``, or the array or frame ``names`` in
        it; or a table that was read already, or columns of one.
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
    what = f"`{name}`"
    if isinstance(source, Columns):
        columns = replace(source, what=what)
    elif isinstance(source, str | os.PathLike):
        columns = read_text_columns(source, _planner(cluster_column, gene_column))
    elif isinstance(source, Mapping):
        if is_ranking(source):
            return markers_from_ranking(source, name=name)
        if source and all(is_frame(value) for value in source.values()):
            columns = frames_columns(source, what)
            cluster_column = cluster_column or next(iter(columns.values))
        else:
            return _from_lists(source, what)
    elif is_frame(source):
        columns = frame_columns(source, what)
    elif getattr(getattr(source, "dtype", None), "names", None):
        return _from_lists({group: source[group] for group in _groups(source)}, what)
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
    of_frame = getattr(values, "columns", None) if is_frame(values) else None
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


def _named(names: Sequence[str], *requested: str | None) -> list[str]:
    """Return the columns that have a name, and those that were asked for.

    write.csv() and to_csv() put row names into a column without a name. Row names are never
    genes: R makes them unique by adding ".1".
    """
    named = [n for n in names if n.strip() and not n.startswith("Unnamed: ")]
    return [*named, *(c for c in requested if c is not None and c in names and c not in named)]


def _planner(
    cluster_column: str | None, gene_column: str | None
) -> Callable[[list[str], Mapping[str, Sequence[object]]], Plan | None]:
    """Return what says which columns of a file are read."""

    def plan(names: list[str], head: Mapping[str, Sequence[object]]) -> Plan | None:
        named = _named(names, cluster_column, gene_column)
        try:
            found = _layout_of(named, head, "", cluster_column, gene_column)
        except InputError:
            return None  # the message needs all that is known
        if isinstance(found, Wide):
            return Plan(found.used, found.numeric)
        # Two columns may be a list, where anything may be in the other.
        return Plan(frozenset(names) if len(named) == 2 else frozenset({found.cluster, found.gene}),
                    found.numeric)  # fmt: skip

    return plan


def _layout_of(
    named: Sequence[str],
    head: Mapping[str, Sequence[object]],
    what: str,
    cluster_column: str | None,
    gene_column: str | None,
) -> Wide | Layout:
    if cluster_column is None and gene_column is None:
        wide = find_wide(named, head)
        if wide is not None:
            return wide
    return find_layout(named, what, cluster_column, gene_column)


def _from_columns(columns: Columns, cluster_column: str | None, gene_column: str | None) -> Markers:
    what = columns.what
    named = _named(tuple(columns.values), cluster_column, gene_column)
    layout = _layout_of(named, head_of(columns), what, cluster_column, gene_column)
    if isinstance(layout, Wide):
        return _from_wide(columns, layout)
    labels, cells = columns.values[layout.cluster], columns.values[layout.gene]
    levels = columns.levels.get(layout.cluster)
    found = _statistics(columns, layout)
    once = len({cluster_text(label) for label in labels}) == len(labels)
    several = any(is_list(cell) for cell in _different(cells))
    if layout.guessed and once and not several:
        _check_clusters_are_none(labels, layout, what)
    if _rankable(found) and not (once and several):
        genes = _mapped(gene_text, cells)
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


def _check_clusters_are_none(labels: Cells, layout: Layout, what: str) -> None:
    """Refuse two columns of genes: each gene of the first would become a cluster."""
    texts = [text for text in _mapped(gene_text, labels[:1000]) if text]
    if len(texts) > 2 and known_share(texts) > 0.8:
        message = f'{what} has genes in "{layout.cluster}" and in "{layout.gene}", and no clusters.'
        hint = (
            "If each column is a cluster, leave out what makes a gene occur twice in one; else add "
            "a column cluster."
        )
        raise MarkersFormatError(message, hint)


def _statistics(columns: Columns, layout: Layout) -> dict[str, NDArray[np.float64]]:
    def column(name: str) -> NDArray[np.float64]:
        return numbers(columns.values[name], name, columns.what, columns.decimal)

    found = {}
    for statistic, (name, factor) in layout.statistics.items():
        found[statistic] = column(name) if factor == 1.0 else column(name) * factor
    for statistic, (way, names) in layout.combined.items():
        several = np.array([column(name) for name in names])
        if way == "difference":
            found[statistic] = several[0] - several[1]
            continue
        there = ~np.isnan(several)
        if way == "mean":
            n = there.sum(axis=0)
            total = np.where(there, several, 0.0).sum(axis=0)
            found[statistic] = np.where(n > 0, total / np.maximum(n, 1), np.nan)
        else:
            largest = np.where(there, several, -np.inf).max(axis=0)
            found[statistic] = np.where(there.any(axis=0), largest, np.nan)
        logger.info("%s: %s of %s is read.", columns.what, f"the {way}", listing(names, 4))
    return found


def _from_wide(columns: Columns, wide: Wide) -> Markers:
    """Build a table from one that has columns for each cluster."""
    what, clusters = columns.what, list(wide.clusters)
    logger.info("%s has columns for each cluster: %s.", what, listing(clusters, 10))
    if wide.form == "rows":
        parts = [columns.values[fields["gene"]] for fields in wide.clusters.values()]
        rows = [_unique(map(gene_text, row)) for row in zip(*parts, strict=True)]
        labels = columns.values[wide.gene]
        return assemble_lists(what, labels, columns.levels.get(wide.gene), rows)
    own = {c: columns.values[f.get("gene", wide.gene)] for c, f in wide.clusters.items()}
    genes = {cluster: _mapped(gene_text, cells) for cluster, cells in own.items()}
    found: dict[str, NDArray[np.float64]] = {}
    for statistic in ("avg_log2fc", "p_val", "p_val_adj", "pct_1", "pct_2", "score"):
        if not any(statistic in fields for fields in wide.clusters.values()):
            continue
        found[statistic] = np.concatenate([
            numbers(columns.values[fields[statistic]], fields[statistic], what, columns.decimal)
            if statistic in fields
            else np.full(len(genes[cluster]), np.nan)
            for cluster, fields in wide.clusters.items()
        ])  # fmt: skip
    # The columns are in somebody's order: that of the factor or the categories.
    if not _rankable(found):
        return assemble_lists(what, clusters, clusters, [_unique(genes[c]) for c in clusters])
    labels = [cluster for cluster in clusters for _ in genes[cluster]]
    flat = [gene for cluster in clusters for gene in genes[cluster]]
    return assemble(what, labels, clusters, flat, found, source="scanpy")


def _unique(genes: Iterable[str]) -> list[str]:
    return [gene for gene in dict.fromkeys(genes) if gene]


def _different(values: Cells) -> Iterable[object]:
    """Return each text once; what cannot be looked up as it is."""
    try:
        return set(values)
    except TypeError:
        return list(values)


def _mapped(function: Callable[[object], _T], values: Cells) -> list[_T]:
    """Return a function of each value, which is asked once for each text."""
    known: dict[str, _T] = {}
    found = []
    for value in values:
        if not isinstance(value, str):
            found.append(function(value))
            continue
        if value not in known:
            known[value] = function(value)
        found.append(known[value])
    return found


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
                'Give a list of genes, as in {"0": ["CD3D", "CD3E"]}, or a table for each cluster.'
            )
            raise MarkersFormatError(message, hint)
        lists.append([] if missing else split_genes(genes))
    return assemble_lists(what, list(source), None, lists)


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
    texts = [text or None for text in _mapped(cluster_text, labels)]
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
