"""Builders of a Study, for clusters and for cells: from an AnnData, from a marker table."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import (
    GroupMissingError,
    MarkersStatisticError,
    NormalisationWarning,
    listing,
    nearest,
)
from .clustering import check_clustering, clustering_columns, numbers_of
from .clusters import Clusters
from .embeddings import choose_embedding
from .layers import AnnDataLike, Matrices, Place, choose_matrices
from .markers.read import read_markers
from .markers.table import Markers
from .study import Context, Study

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from .expression.matrix import MatrixSource
    from .markers.read import Source

RANKING = "rank_genes_groups"
USUAL_GROUPS = ("leiden", "louvain", "seurat_clusters", "clusters", "cluster")
GRAPH = "connectivities"


@dataclass(frozen=True)
class Reading:
    """How an AnnData is read for an engine that has wishes of its own.

    Attributes
    ----------
    rank_key
        Where in ``uns`` the ranking is.
    coordinates_key
        The wanted embedding; see :func:`cellferry.study.embeddings.choose_embedding`.
    symbols
        Whether genes get their symbols, from a column of ``var`` if it has them.
    gene_symbols_column
        That column; None looks for it.
    """

    rank_key: str = RANKING
    coordinates_key: str | None = None
    symbols: bool = False
    gene_symbols_column: str | None = None


def study_from_markers(
    markers: Source, *, group_key: str | None = None, context: Context | None = None
) -> Study:
    """Build a study from a marker table alone; ``group_key`` names its cluster column.

    Parameters
    ----------
    markers
        Anything :func:`cellferry.read_markers` reads.
    group_key
        Name of its column of clusters; None looks for it.
    context
        What is known beside the data.

    Raises
    ------
    MarkersError, InvalidOptionError
        The table cannot be read, or has no such column.
    """
    if not isinstance(markers, Markers):
        markers = read_markers(markers, cluster_column=group_key)
    return Study(
        clusters=Clusters(markers.clusters),
        group_key=group_key,
        markers=markers,
        context=context or Context(),
    )


def study_from_anndata(
    adata: AnnDataLike,
    markers: Source | None = None,
    *,
    group_key: str | None = None,
    context: Context | None = None,
    reading: Reading | None = None,
) -> Study:
    """Build a study from an AnnData without changing it.

    Parameters
    ----------
    adata
        Cells x genes. Which matrices are read says :mod:`cellferry.study.layers`; where
        nothing is log-normalised the best there is is read.
    markers
        Anything :func:`cellferry.read_markers` reads. None: the ranking stored in
        ``uns["rank_genes_groups"]`` if it is of the same group and has fold changes, else the
        study has none; :func:`cellferry.artifacts.markers.with_markers` finds them.
    group_key
        Column of ``obs`` with the clusters. None: the group of the stored ranking, else
        the one column with a usual name (``leiden``, ``louvain``, ...).
    context
        What is known beside the data: tissue, species, a sentence, metadata.
    reading
        What the engine asks for; None is the usual way.

    Raises
    ------
    GroupMissingError, GroupEmptyError, MarkersError
    """
    wishes = reading or Reading()
    key = group_key_of(adata, group_key, wishes.rank_key)
    matrices = choose_matrices(adata, any_kind=True)
    study = assemble_study(
        adata,
        key,
        matrices,
        coordinates=choose_embedding(adata.obsm, len(adata.obs), wishes.coordinates_key),
        context=context,
    )
    given = None if markers is None else read_markers(markers)
    ranked = given is None and _ranking_group(adata, wishes.rank_key) == key
    if not ranked:
        refuse_no_clustering(study, adata.obs, () if given is None else given.clusters)
    if given is None:
        given = _stored_markers(adata, key, wishes.rank_key)
    if given is not None:
        study = study.with_parts(markers=given, clusters=_as_in_table(study, given))
    return _with_symbols(study, wishes.gene_symbols_column) if wishes.symbols else study


def _as_in_table(study: Study, markers: Markers) -> Clusters:
    """Return the clusters with true and false as R writes them, if the table is of R.

    Values of a column that are True and False have no text of their own.
    """
    clusters = study.clusters
    if study.obs is None or not set(markers.clusters) <= {"TRUE", "FALSE"}:
        return clusters
    values = study.obs[study.group_key]
    levels = values.cat.categories if hasattr(values, "cat") else values.dropna().unique()
    if not len(levels) or not all(isinstance(v, bool | np.bool_) for v in levels):
        return clusters
    return replace(clusters, names=tuple(name.upper() for name in clusters.names))


def study_of_cells(
    adata: AnnDataLike, *, group_key: str | None = None, context: Context | None = None
) -> Study:
    """Build the study of an AnnData's cells without changing it; clusters may be absent.

    Parameters
    ----------
    adata
        Cells x genes. Which matrices are read says :mod:`cellferry.study.layers`; counts do
        not take the place of normalised values, and scaled values are not read at all.
    group_key
        Column of ``obs`` with clusters to compare with. None: the one column with a usual
        name, if there is one.
    context
        What is known beside the data.

    Raises
    ------
    GroupMissingError
        There is no such column.
    """
    usual = [c for c in USUAL_GROUPS if c in adata.obs.columns]
    key = group_key or (usual[0] if len(usual) == 1 else None)
    key = None if key is None else group_key_of(adata, key)
    embedding = choose_embedding(adata.obsm, len(adata.obs))
    study = assemble_study(adata, key, choose_matrices(adata), embedding, context)
    if group_key is not None:
        refuse_no_clustering(study, adata.obs)
    return study


def refuse_no_clustering(study: Study, obs: pd.DataFrame, known: Collection[str] = ()) -> None:
    """Raise :class:`GroupNotClustersError`, before anything is computed, for a measurement.

    Parameters
    ----------
    study
        With its clusters; their column is ``group_key``.
    obs
        Metadata of the cells.
    known
        Clusters of a marker table that was given.
    """
    key = str(study.group_key)
    check_clustering(
        study.clusters,
        key,
        numbers_of(obs[key]),
        known=known,
        candidates=lambda: clustering_columns(obs),
    )


def assemble_study(
    adata: AnnDataLike,
    group_key: str | None,
    matrices: Matrices,
    coordinates: tuple[str, NDArray[np.number]] | None = None,
    context: Context | None = None,
) -> Study:
    """Return the study of an AnnData, or of an .h5ad that is open, from what was chosen of it.

    Nothing is copied.

    Parameters
    ----------
    adata
        Cells x genes.
    group_key
        Column of ``obs`` with the clusters; None: there are none.
    matrices
        What :func:`cellferry.study.layers.choose_matrices` chose.
    coordinates
        Name and n x 2 numbers of the embedding, or None.
    context
        What is known beside the data.
    """
    matrices.log()
    normalized, counts = matrices.normalized, matrices.counts
    main = normalized or counts
    cells = tuple(map(str, adata.obs.index))
    if group_key is None:
        clusters = Clusters((), np.full(len(cells), -1, dtype=np.int32))
    else:
        clusters = Clusters.from_column(adata.obs[group_key])
    graph = getattr(adata, "obsp", {}).get(GRAPH)
    return Study(
        clusters=clusters,
        group_key=group_key,
        cells=cells,
        genes=tuple(map(str, adata.var.index)) if main is None else main.genes,
        normalized=None if normalized is None else normalized.source,
        counts=None if counts is None else _in_order_of(counts, normalized),
        coordinates=coordinates,
        obs=adata.obs,
        var=adata.var if main is None else main.var,
        graph=None if graph is None else (GRAPH, graph),
        counts_in=None if counts is None else counts.name,
        context=context or Context(),
    )


def _in_order_of(counts: Place, normalized: Place | None) -> MatrixSource:
    """Return the counts, in the order of the normalised genes if they are the same genes."""
    if normalized is None or len(normalized.genes) != len(counts.genes):
        return counts.source
    return counts.of_genes(normalized.genes)[0] or counts.source


def _with_symbols(study: Study, column: str | None) -> Study:
    """Return the study with symbols for its genes, in the matrix and in the markers."""
    from ..biology.symbols import choose_symbols

    if study.var is None or study.genes is None:
        return study
    chosen = choose_symbols(study.genes, study.var, column)
    if chosen.symbols == study.genes:
        return study
    symbol = dict(zip(study.genes, chosen.symbols, strict=True))
    markers = study.markers
    if markers is not None:
        named = np.array([symbol.get(g, g) for g in markers.gene], dtype=object)
        markers = replace(markers, gene=named)
    sources = {"normalized": study.normalized, "counts": study.counts}
    named_sources = {
        part: source.renamed(chosen.symbols)
        for part, source in sources.items()
        if source is not None
    }
    own_names = {s: g for g, s in symbol.items() if s != g}
    return study.with_parts(
        genes=chosen.symbols, gene_names=own_names, markers=markers, **named_sources
    )


def group_key_of(adata: AnnDataLike, group_key: str | None, rank_key: str = RANKING) -> str:
    """Return the column of clusters: the one given, that of the ranking, or a usual one.

    Parameters
    ----------
    adata
        Cells x genes; its ``obs`` and ``uns`` are looked at.
    group_key
        Column of ``obs``; None takes that of the ranking, else the one with a usual name.
    rank_key
        Where in ``uns`` the ranking is.

    Raises
    ------
    GroupMissingError
        There is no such column, or not exactly one usual one.
    """
    columns = [str(c) for c in adata.obs.columns]
    if group_key is not None:
        if group_key in columns:
            return group_key
        guess = nearest(group_key, columns)
        has = listing(columns) if columns else "none at all"
        message = f'The obs of this AnnData has no column "{group_key}"; it has {has}.'
        raise GroupMissingError(message, f'Did you mean "{guess}"?' if guess else "")
    groups_to_rank = _ranking_group(adata, rank_key)
    if groups_to_rank in columns:
        return str(groups_to_rank)
    usual = [c for c in USUAL_GROUPS if c in columns]
    if len(usual) == 1:
        return usual[0]
    raise group_key_missing(columns, usual)


def group_key_missing(columns: Sequence[str], usual: Sequence[str] = ()) -> GroupMissingError:
    """Return the error for an AnnData whose column of clusters nobody names.

    Parameters
    ----------
    columns
        Of its ``obs``.
    usual
        Those with a usual name.
    """
    if not columns:
        message = "There are no clusters: the obs of this AnnData has no columns."
        hint = (
            "Cluster the cells first, for example with scanpy.tl.leiden(adata); or annotate each "
            "cell: cellferry.annotate_cells(adata), on the command line --cells."
        )
        return GroupMissingError(message, hint)
    message = (
        "`group_key` must name the column of clusters; this AnnData "
        f"has {listing(list(usual or columns))}."
    )
    return GroupMissingError(message, 'For example `group_key="leiden"`.')


def _ranking_group(adata: AnnDataLike, rank_key: str) -> str | None:
    stored = adata.uns.get(rank_key)
    if not isinstance(stored, Mapping):
        return None
    found = stored.get("params", {}).get("groupby")
    return None if found is None else str(found)


def _stored_markers(adata: AnnDataLike, group_key: str | None, rank_key: str) -> Markers | None:
    """Return the stored ranking of this group, if it is one of genes by their fold changes."""
    from .markers.read import markers_from_ranking

    if _ranking_group(adata, rank_key) != group_key or _of_counts(adata, rank_key):
        return None
    ranking: Any = adata.uns[rank_key]
    try:
        stored = markers_from_ranking(ranking)
    except MarkersStatisticError:
        return None
    return stored if stored.avg_log2fc is not None else None


def _of_counts(adata: AnnDataLike, rank_key: str) -> bool:
    """Whether the stored ranking compares raw counts, and say so.

    scanpy ranks ``raw`` unasked where there is one, and in files of CELLxGENE it has the counts.
    """
    ranking: Any = adata.uns[rank_key]
    parameters = ranking.get("params", {})
    layer = parameters.get("layer")
    if layer is not None and layer in adata.layers:
        name, of, cure = f'layers["{layer}"]', Place("", "", adata.layers[layer], adata.var), ""
    elif bool(parameters.get("use_raw")) and adata.raw is not None:
        name, of = "raw", Place("", "", adata.raw.X, adata.raw.var)
        cure = ", use_raw=False"
    else:
        return False
    if of.look.kind_of_finite != "counts":
        return False
    group = parameters.get("groupby")
    message = (
        f'The ranking in uns["{rank_key}"] was made of {name}, which has raw counts, and is not '
        "used: the genes are ranked anew."
    )
    hint = (
        "To rank log-normalised values yourself: scanpy.tl.rank_genes_groups(adata, "
        f'"{group}", pts=True{cure}).'
    )
    warnings.warn(NormalisationWarning(message, hint), stacklevel=5)
    return True
