"""Builders of a Study, for clusters and for cells: from an AnnData, from a marker table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import (
    GroupMissingError,
    MarkersComputedWarning,
    MarkersRequiredError,
    MarkersStatisticError,
    listing,
    nearest,
)
from .clusters import Clusters
from .expression.matrix import MatrixSource
from .markers.read import read_markers
from .markers.table import Markers
from .study import Context, Study

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

RANKING = "rank_genes_groups"
USUAL_GROUPS = ("leiden", "louvain", "seurat_clusters", "clusters", "cluster")
EMBEDDINGS = ("X_umap", "X_tsne", "X_pca")


@dataclass(frozen=True)
class Reading:
    """How an AnnData is read for an engine that has wishes of its own.

    Attributes
    ----------
    rank_key
        Where in ``uns`` the ranking is.
    coordinates_key
        The wanted embedding, in any case of letters; the usual ones are next.
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
    markers: Any, *, group_key: str | None = None, context: Context | None = None
) -> Study:
    """Build a study from a marker table alone; ``group_key`` names its cluster column."""
    if not isinstance(markers, Markers):
        markers = read_markers(markers, cluster_column=group_key)
    return Study(
        clusters=Clusters(markers.clusters),
        group_key=group_key,
        markers=markers,
        context=context or Context(),
    )


def study_from_anndata(
    adata: anndata.AnnData,
    markers: Any = None,
    *,
    group_key: str | None = None,
    context: Context | None = None,
    coordinates_key: str | None = None,
    reading: Reading | None = None,
) -> Study:
    """Build a study from an AnnData without changing it.

    Parameters
    ----------
    adata
        Cells x genes. Log-normalised values are read from ``.raw`` where it exists
        (scanpy ranks genes there), else from ``.X``.
    markers
        Anything :func:`cellferry.read_markers` reads. None: the ranking stored in
        ``uns["rank_genes_groups"]`` if it is of the same group and has fold changes, else
        scanpy's t-test.
    group_key
        Column of ``obs`` with the clusters. None: the group of the stored ranking, else
        the one column with a usual name (``leiden``, ``louvain``, ...).
    coordinates_key
        Key in ``obsm``; None takes UMAP, t-SNE or PCA, the first that exists.
    reading
        What the engine asks for; None is the usual way.

    Raises
    ------
    GroupMissingError, GroupEmptyError, MarkersRequiredError, MarkersError
    """
    asked = reading or Reading()
    key = group_key_of(adata, group_key, asked.rank_key)
    clusters = Clusters.from_column(adata.obs[key])
    # anndata 0.13 types it as a frame or a lazy one; what is read here is a frame.
    obs: Any = adata.obs
    genes, source = _normalized(adata)
    var = (adata.raw if adata.raw is not None else adata).var
    wanted = asked.coordinates_key
    study = Study(
        clusters=clusters,
        group_key=key,
        cells=tuple(str(c) for c in adata.obs_names),
        genes=genes,
        normalized=source,
        counts=_counts(adata, genes),
        coordinates=embedding_of(adata, coordinates_key)
        if wanted is None
        else _nearest_embedding(adata, wanted),
        obs=obs,
        context=context or Context(),
        var=var,
    )
    given = (
        read_markers(markers) if markers is not None else _own_markers(adata, study, asked.rank_key)
    )
    study = study.with_parts(markers=given)
    return _with_symbols(study, asked.gene_symbols_column) if asked.symbols else study


def _with_symbols(study: Study, column: str | None) -> Study:
    """Return the study with symbols for its genes, in the matrix and in the markers."""
    from dataclasses import replace

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


def _nearest_embedding(
    adata: anndata.AnnData, wanted: str
) -> tuple[str, NDArray[np.float64]] | None:
    """Return the wanted embedding or the first usual one that is usable, whatever its case."""
    by_lower = {str(k).lower(): str(k) for k in reversed(list(adata.obsm))}
    for key in (wanted, *EMBEDDINGS):
        found = key if key in adata.obsm else by_lower.get(key.lower())
        usable = None if found is None else embedding_of(adata, found)
        if usable is not None:
            return usable
    return None


def group_key_of(adata: anndata.AnnData, group_key: str | None, rank_key: str = RANKING) -> str:
    """Return the column of clusters: the one given, that of the ranking, or a usual one."""
    columns = [str(c) for c in adata.obs.columns]
    if group_key is not None:
        if group_key in columns:
            return group_key
        guess = nearest(group_key, columns)
        message = f'The obs of this AnnData has no column "{group_key}"; it has {listing(columns)}.'
        raise GroupMissingError(message, f'Did you mean "{guess}"?' if guess else "")
    ranked = _ranking_group(adata, rank_key)
    if ranked in columns:
        return str(ranked)
    usual = [c for c in USUAL_GROUPS if c in columns]
    if len(usual) == 1:
        return usual[0]
    found = listing(usual) if usual else listing(columns)
    message = f"`group_key` must name the column of clusters; this AnnData has {found}."
    raise GroupMissingError(message, 'For example group_key="leiden".')


def _ranking_group(adata: anndata.AnnData, rank_key: str) -> str | None:
    stored = adata.uns.get(rank_key)
    if not isinstance(stored, Mapping):
        return None
    found = stored.get("params", {}).get("groupby")
    return None if found is None else str(found)


def _normalized(adata: anndata.AnnData) -> tuple[tuple[str, ...], MatrixSource | None]:
    where = adata.raw if adata.raw is not None else adata
    genes = tuple(str(g) for g in where.var_names)
    return genes, None if where.X is None else MatrixSource(where.X, genes)


def _counts(adata: anndata.AnnData, genes: tuple[str, ...]) -> MatrixSource | None:
    """Return the layer of counts if it is of these genes."""
    if "counts" not in adata.layers or tuple(str(g) for g in adata.var_names) != genes:
        return None
    return MatrixSource(adata.layers["counts"], genes)


def embedding_of(
    adata: anndata.AnnData, key: str | None = None
) -> tuple[str, NDArray[np.float64]] | None:
    """Return name and n x 2 values of an embedding: the key's, else UMAP, t-SNE or PCA."""
    chosen = [key] if key is not None else [e for e in EMBEDDINGS if e in adata.obsm]
    if not chosen:
        return None
    if chosen[0] not in adata.obsm:
        valid = listing([str(k) for k in adata.obsm])
        message = f'There is no embedding "{chosen[0]}" in obsm; there is {valid}.'
        raise GroupMissingError(message)
    values = np.asarray(adata.obsm[chosen[0]], dtype=np.float64)
    return None if values.ndim != 2 or values.shape[1] < 2 else (chosen[0], values[:, :2])


def _own_markers(adata: anndata.AnnData, study: Study, rank_key: str) -> Markers:
    """Return the stored ranking of this group, or rank anew with scanpy."""
    from .markers.read import markers_from_ranking

    if _ranking_group(adata, rank_key) == study.group_key:
        try:
            stored = markers_from_ranking(adata.uns[rank_key])
        except MarkersStatisticError:
            stored = None
        if stored is not None and stored.avg_log2fc is not None:
            return stored
    return compute_markers(study)


def compute_markers(study: Study) -> Markers:
    """Rank genes per cluster with scanpy's t-test on a copy; the user's object is untouched.

    Raises
    ------
    MarkersRequiredError
        scanpy is missing, the data are scaled or raw counts, or there is one cluster.
    """
    import anndata
    import pandas as pd

    from .markers.read import markers_from_ranking

    recipe = (
        f'Run scanpy.tl.rank_genes_groups(adata, "{study.group_key}", pts=True) on log-normalised '
        "data, or pass markers=."
    )
    source, codes = study.normalized, study.clusters.codes
    if source is None or codes is None:
        message = "No markers were given and there is no expression to compute them from."
        raise MarkersRequiredError(message, recipe)
    if len(study.clusters.names) < 2:
        message = "Markers compare clusters, and there is only one cluster."
        raise MarkersRequiredError(message, "Cluster the cells, or pass markers=.")
    try:
        import scanpy
    except ImportError as error:
        message = "No markers were given, and scanpy, which would compute them, is not installed."
        raise MarkersRequiredError(message, recipe) from error
    counts = study.clusters.counts() or {}
    ranked = [name for name in study.clusters.names if counts[name] > 1]
    if not ranked:
        message = "No cluster has the two cells that a test needs."
        raise MarkersRequiredError(message, recipe)
    matrix = _stacked(source)
    problem = _not_normalised(matrix)
    if problem:
        message = f"No markers were given, and none can be computed: {problem}."
        raise MarkersRequiredError(message, recipe)
    message = (
        f"No markers were given: ranking {matrix.shape[1]} genes over {matrix.shape[0]} cells in "
        f"{len(study.clusters.names)} clusters with scanpy's t-test, which may take a while."
    )
    warnings.warn(MarkersComputedWarning(message), stacklevel=4)
    inside = codes >= 0
    groups = pd.Categorical.from_codes(codes[inside], categories=pd.Index(study.clusters.names))
    light = anndata.AnnData(
        matrix[inside],
        obs=pd.DataFrame({"group": groups}, index=[f"cell{i}" for i in range(int(inside.sum()))]),
        var=pd.DataFrame(index=pd.Index(source.genes, dtype="object")),
    )
    scanpy.tl.rank_genes_groups(light, "group", groups=ranked, method="t-test", pts=True)
    return markers_from_ranking(light.uns[RANKING])


def _stacked(source: Any) -> Any:
    from scipy.sparse import vstack

    return vstack([block for _, block in source], format="csr")


def _not_normalised(matrix: Any) -> str | None:
    """Say why values are not log-normalised, or None when they look so."""
    data = matrix.data
    if len(data) and float(data.min()) < 0:
        return "the data are scaled (some values are negative)"
    if len(data) and bool(np.all(data[:100_000] == np.floor(data[:100_000]))):
        return "the data look like raw counts (all values are whole numbers)"
    return None


COUNTS_LAYERS = ("counts", "raw_counts")
GRAPH = "connectivities"
LOOKED_AT = 2_000
"""Rows from which it is told what a matrix holds."""


def study_of_cells(
    adata: anndata.AnnData, *, group_key: str | None = None, context: Context | None = None
) -> Study:
    """Build the study of an AnnData's cells without changing it; clusters may be absent.

    Parameters
    ----------
    adata
        Cells x genes. Raw counts are looked for in ``layers["counts"]``, ``.raw`` and
        ``.X``, log-normalised values in ``.raw`` and ``.X``. Nothing is copied.
    group_key
        Column of ``obs`` with clusters to compare with. None: the one column with a usual
        name, if there is one.

    Raises
    ------
    GroupMissingError
        There is no such column.
    """
    columns = [str(c) for c in adata.obs.columns]
    usual = [c for c in USUAL_GROUPS if c in columns]
    key = group_key or (usual[0] if len(usual) == 1 else None)
    if key is None:
        clusters = Clusters((), np.full(adata.n_obs, -1, dtype=np.int32))
    else:
        clusters = Clusters.from_column(adata.obs[group_key_of(adata, key)])
    normalized, counts = _matrices(adata)
    source = normalized if normalized is not None else counts
    graph = adata.obsp.get(GRAPH)
    return Study(
        clusters=clusters,
        group_key=key,
        cells=tuple(str(c) for c in adata.obs_names),
        genes=None if source is None else source.genes,
        normalized=normalized,
        counts=counts,
        obs=adata.obs,
        graph=None if graph is None else (GRAPH, graph),
        context=context or Context(),
    )


def _matrices(adata: anndata.AnnData) -> tuple[MatrixSource | None, MatrixSource | None]:
    """Return the normalised values and the counts, as far as they are there."""
    names = tuple(str(g) for g in adata.var_names)
    raw = adata.raw
    candidates: list[tuple[Any, tuple[str, ...]]] = [
        (adata.layers[layer], names) for layer in COUNTS_LAYERS if layer in adata.layers
    ]
    counts = next((MatrixSource(m, g) for m, g in candidates if looks_like(m) == "counts"), None)
    normalized = None
    places = [] if raw is None else [(raw.X, tuple(str(g) for g in raw.var_names))]
    places += [] if adata.X is None else [(adata.X, names)]
    for matrix, genes in places:
        kind = looks_like(matrix)
        if kind == "counts" and counts is None:
            counts = MatrixSource(matrix, genes)
        elif kind == "normalized" and normalized is None:
            normalized = MatrixSource(matrix, genes)
    return normalized, counts


def looks_like(matrix: Any) -> str:
    """Tell from its first rows whether a matrix holds ``counts``, ``normalized`` or ``scaled``.

    Counts are whole numbers of at least 0; scaled values have some below 0.
    """
    from scipy.sparse import csr_matrix

    data = csr_matrix(matrix[:LOOKED_AT]).data
    if len(data) and float(data.min()) < 0:
        return "scaled"
    return "counts" if bool(np.all(data == np.floor(data))) else "normalized"
