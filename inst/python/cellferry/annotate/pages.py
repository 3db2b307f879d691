"""The page of an annotated object: what its cells and its genes look like, in one file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations.decisions.decision import markers_by_cluster
from ..annotations.labelled import labelled
from ..annotations.report import (
    REPORT_MB,
    Cells,
    Content,
    Embedding,
    check_report_file,
    write_report,
)
from ..annotations.report.content import cells_of_study
from ..annotations.stored import present_annotations
from ..artifacts.marker_sums import read_genes
from ..errors import MarkersRequiredError
from ..runs.figures import keep_figures, kept_figures
from ..runs.progress import progress_events
from ..runs.worker import run_in_worker
from ..study.build import assemble_study
from ..study.clustering import metadata_column
from ..study.embeddings import choose_embedding, embedding_of
from ..study.expression.gene_summary import GeneFigures, GeneSummary
from ..study.inputs.objects import opened_object
from ..study.inputs.readers import path_of_r, reader_of_r
from ..study.layers import choose_matrices
from ..study.markers.testable import check_testable

if TYPE_CHECKING:
    import anndata
    import pandas as pd
    from numpy.typing import NDArray

    from ..annotations.clusters import Annotations
    from ..runs.run import Run
    from ..runs.worker import Event, Events
    from ..study.clusters import Clusters
    from ..study.expression.source import ExpressionSource
    from ..study.study import Study

logger = logging.getLogger("cellferry")

TOP_GENES = 5
"""Markers of each row whose values are drawn, beside its evidence."""
MOST_DRAWN = 400
"""Genes whose values are drawn at most."""
MOST_FEATURES = 500
"""Features of another assay that can be drawn: one with more is a matrix of genes or peaks."""
SPATIAL = ("spatial", "fov", "slice", "image")
"""What names of places in tissue begin with, with or without ``X_``."""
MAPS = ("umap", "tsne")
INTEGRATED = ("wnn", "integrated", "harmony", "scvi", "cca", "rpca", "mnn", "bbknn", "totalvi")
"""What names of maps have that were made of several samples, or assays, brought together."""
OF_CELLS = ("pca", "lsi", "scvi", "harmony")
"""Embeddings whose first two dimensions say little: shown where there is no other."""


def annotation_report(
    adata: anndata.AnnData | str | os.PathLike[str],
    file: str | os.PathLike[str],
    key: str | None = None,
    *,
    coordinates_key: str | None = None,
    obs_columns: Sequence[str] = (),
    expression: bool = True,
    cell_values: bool = True,
    report_mb: float = REPORT_MB,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Write the page of an object's annotations: one HTML file that opens from disk.

    It has a map of the cells, mean and share of every gene in every cluster, so that the picture of
    any gene is of all cells, the evidence, and a place to decide. It makes no request. Names of
    cells are not in it.

    Parameters
    ----------
    adata
        An AnnData that was labelled, or the path of a labelled object. Cells x genes; the figures
        are of log-normalised values.
    file
        The HTML file. A report of cellferry is replaced, another file is not.
    key
        Name of the label column; None is the newest.
    coordinates_key
        Name of the embedding in ``obsm`` that is shown first; None is the newest UMAP or t-SNE of
        an integration, else UMAP, t-SNE, PCA, else the first.
    obs_columns
        Metadata that the page may show, beside the columns that cellferry wrote.
    expression
        Whether the matrix is read; without it the page has no figures of genes.
    cell_values
        Whether it has values per cell of the genes of the evidence.
    report_mb
        Megabytes that its data may take. What does not fit is left out in this order, and said on
        the page: values of genes, columns, cells (small clusters stay whole).
    overwrite
        Replace a file that is no report of cellferry.
    progress
        Show a progress bar on a terminal or in a notebook.

    Raises
    ------
    AnnotationsMissingError
    GroupMissingError
        There is no embedding, or no column, of that name.
    OutputError
        The name is not that of an HTML file, or the file may not or cannot be written.

    Examples
    --------
    >>> import anndata, numpy as np, cellferry
    >>> adata = anndata.AnnData(np.eye(4, 5, dtype="float32"))
    >>> adata.var_names = ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]
    >>> adata.obs["leiden"] = ["0", "0", "1", "1"]
    >>> markers = {"0": ["CD79A", "MS4A1", "CD79B"], "1": ["CD19", "BANK1"]}
    >>> found = cellferry.annotate_clusters(adata, markers, group_key="leiden", progress=False)
    >>> annotation_report(adata, getfixture("tmp_path") / "report.html", progress=False).name
    'report.html'
    """
    path = None if hasattr(adata, "uns") else Path(str(adata)).expanduser()
    of_r = None if path is None else path_of_r(path)
    if of_r is not None and expression:
        check_report_file(file, overwrite=overwrite)
        written: Path = reader_of_r("page", of_r)(
            of_r, Path(file), key, coordinates_key=coordinates_key, obs_columns=obs_columns,
            cell_values=cell_values, report_mb=report_mb, overwrite=overwrite, progress=progress,
        )  # fmt: skip
        return written
    metadata = labelled(adata, coordinates_key)
    now = present_annotations(metadata, key)
    check_report_file(file, overwrite=overwrite)
    own = own_columns(metadata.obs, key or str(now.found.provenance.get("key")))
    check_columns(metadata.obs, obs_columns)
    coordinates_key = coordinates_key or integrated(metadata.obsm)
    chosen = embedding_of(metadata, coordinates_key)
    content, embedding = Content(), None
    if now.clusters is not None:
        cells = cells_of(metadata, now.clusters, own, [*own, *obs_columns], coordinates_key)
        content = Content(cells)
        if chosen is not None:
            embedding = Embedding(*chosen, now.clusters)
        if expression:
            opened: Any = nullcontext(adata) if path is None else opened_object(path, [])
            with opened as data, progress_events(show=progress, title="Reading genes") as on_event:
                genes, values = genes_of_object(
                    data, now.found, now.clusters, on_event, cell_values=cell_values
                )
            content = Content(cells, genes, values)
    return write_report(
        now.found, Path(file), embedding=embedding, content=content, report_mb=report_mb
    )


def own_columns(obs: pd.DataFrame, key: str) -> list[str]:
    """Return the columns that cellferry wrote under a key."""
    from ..annotations.delivery import COLUMN_SOURCES
    from ..annotations.labelling.labels import CLUSTER, DECISION
    from ..annotations.levels import SUFFIXES

    wanted = {key + suffix for suffix in (*COLUMN_SOURCES, *SUFFIXES, CLUSTER, DECISION)}
    return [str(c) for c in obs.columns if str(c) in wanted]


def check_columns(obs: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse columns that are not there.

    Raises
    ------
    GroupMissingError
    """
    for name in columns:
        metadata_column(obs, name)


def cells_of(
    adata: anndata.AnnData,
    clusters: Clusters,
    own: Sequence[str],
    columns: Sequence[str] | None,
    coordinates_key: str | None = None,
) -> Cells:
    """Return the cells of an object as the page shows them.

    Parameters
    ----------
    adata
        Its metadata and embeddings are read.
    clusters
        The row of each cell.
    own
        Columns that cellferry wrote.
    columns
        Columns of the metadata that are shown, in this order; None is all.
    coordinates_key
        The embedding that is shown first.
    """
    obs = adata.obs
    names = [str(c) for c in obs.columns]
    wanted = names if columns is None else list(dict.fromkeys(columns))
    places = [names.index(name) for name in wanted]
    embeddings = embeddings_of(adata.obsm, len(obs), coordinates_key)
    spatial = frozenset(name for name, _ in embeddings if is_spatial(name))
    return Cells(
        clusters,
        embeddings,
        spatial,
        obs.iloc[:, places],
        frozenset(own),
        [str(name) for name in obs.index],
    )


def is_spatial(name: str) -> bool:
    """Whether an embedding is of places in tissue, by its name.

    Examples
    --------
    >>> is_spatial("X_spatial"), is_spatial("X_umap")
    (True, False)
    """
    return name.lower().removeprefix("x_").startswith(SPATIAL)


def integrated(available: Any) -> str | None:
    """Return the newest map of an integration or of several assays, which a person looks at first.

    Parameters
    ----------
    available
        Names of embeddings, the oldest first.

    Examples
    --------
    >>> integrated(["X_umap", "X_umap_harmony"]), integrated(["X_umap", "X_pca_harmony"])
    ('X_umap_harmony', None)
    """
    made = [
        name
        for name in map(str, available)
        if any(kind in name.lower() for kind in MAPS)
        and any(word in name.lower() for word in INTEGRATED)
    ]
    return made[-1] if made else None


def embeddings_of(
    available: Any, n_cells: int, coordinates_key: str | None = None
) -> tuple[tuple[str, NDArray[np.number]], ...]:
    """Return the embeddings that can be drawn, the one to be shown first at the head.

    Parameters
    ----------
    available
        Name -> n x dimensions, such as ``adata.obsm``.
    n_cells
        Rows that they must have.
    coordinates_key
        The one that is shown first, if it is there.
    """
    first = choose_embedding(available, n_cells, coordinates_key)
    found = [] if first is None else [first]
    for name in map(str, available):
        if first is not None and name == first[0]:
            continue
        plain = name.lower()
        is_map = any(kind in plain for kind in MAPS)
        if not is_map and any(kind in plain for kind in OF_CELLS):
            continue
        one = choose_embedding({name: available[name]}, n_cells)
        if one is not None:
            found.append(one)
    return tuple(found)


def genes_of_object(
    adata: Any,
    found: Annotations,
    clusters: Clusters,
    on_event: Callable[[Event], None] | None = None,
    *,
    cell_values: bool = True,
) -> tuple[GeneSummary | None, tuple[int, ...]]:
    """Read the matrix of an object once, by gene; None where its values are not log-normalised.

    Parameters
    ----------
    adata
        An AnnData, or an .h5ad that is open.
    found
        The annotations, whose evidence says which genes are drawn.
    clusters
        The row of each cell.
    on_event
        Called in this thread with progress.
    cell_values
        Whether values per cell are kept.

    Returns
    -------
    tuple
        The figures, and the positions of the genes whose values are kept.
    """
    source = values_of_object(adata)
    if source is None:
        return None, ()
    return read_figures(source, found, clusters, on_event, cell_values=cell_values)


def values_of_object(adata: Any) -> ExpressionSource | None:
    """Return the log-normalised values of an object; None, which is said, where it has none.

    Parameters
    ----------
    adata
        An AnnData, or an .h5ad that is open.
    """
    return values_of(assemble_study(adata, None, choose_matrices(adata, any_kind=True)))


def values_of(study: Study) -> ExpressionSource | None:
    """Return the values of a study that figures are made of; see :func:`values_of_object`."""
    try:
        check_testable(study.normalized, study.counts_in)
    except MarkersRequiredError as error:
        logger.info("The page has no figures of genes: %s", error.message)
        return None
    return study.normalized


def read_figures(
    source: ExpressionSource,
    found: Annotations,
    clusters: Clusters,
    on_event: Callable[[Event], None] | None = None,
    *,
    cell_values: bool = True,
) -> tuple[GeneSummary, tuple[int, ...]]:
    """Read a source once, by gene; see :func:`genes_of_object`."""
    figures, values = figures_of(source.genes, found, clusters, cell_values=cell_values)

    def read(events: Events) -> None:
        read_genes(source, figures.take, events, "Reading genes")

    run_in_worker(read, on_event)
    return figures.summary(), values


def content_of_run(
    run: Run,
    study: Study,
    found: Annotations,
    clusters: Clusters,
    coordinates: tuple[str, NDArray[np.number]] | None,
) -> Content:
    """Return what the page of a run shows of its input.

    The figures of genes are those of the search for markers; where markers were given, the values
    are read once for them.

    Parameters
    ----------
    run
        Where the figures are kept.
    study
        What was annotated.
    found
        The table.
    clusters
        The row of each cell.
    coordinates
        The embedding that is drawn.
    """
    cells = cells_of_study(study, clusters, coordinates)
    genes = kept_figures(run.folder)
    if genes is None and cells is not None and study.normalized is not None:
        source = values_of(study)
        if source is not None:
            genes, _ = read_figures(source, found, clusters, cell_values=False)
            keep_figures(run.folder, genes)
    return Content(cells, genes)


def figures_of(
    genes: Sequence[str],
    found: Annotations,
    clusters: Clusters,
    *,
    cell_values: bool = True,
    scale: float = 1.0,
) -> tuple[GeneFigures, tuple[int, ...]]:
    """Return empty figures of the genes, and the positions of those whose values are kept.

    Parameters
    ----------
    genes
        All genes of the matrix.
    found, clusters, cell_values
        As in :func:`genes_of_object`.
    scale
        As of :class:`GeneFigures`.
    """
    drawn = drawn_genes(found, genes)
    assert clusters.codes is not None
    cells = np.arange(len(clusters.codes)) if cell_values else None
    figures = GeneFigures(genes, clusters, drawn=drawn, cells=cells, scale=scale)
    return figures, tuple(drawn) if cell_values else ()


def drawn_genes(found: Annotations, genes: Sequence[str]) -> list[int]:
    """Return the positions of the genes of the evidence, the most important first."""
    place: dict[str, int] = {}
    for i, gene in enumerate(genes):
        place.setdefault(gene, i)
    markers = markers_by_cluster(found)
    ranked = [
        [
            *row.supporting[:3],
            *markers[row.cluster][:TOP_GENES],
            *row.supporting[3:],
            *row.conflicting,
            *row.missing,
        ]
        for row in found
    ]
    # The first of every row come before the second of any.
    longest = max(map(len, ranked), default=0)
    turns = [names[i] for i in range(longest) for names in ranked if i < len(names)]
    chosen = dict.fromkeys(place[gene] for gene in turns if gene in place)
    return list(chosen)[:MOST_DRAWN]


__all__ = ["annotation_report", "cells_of", "figures_of", "genes_of_object", "read_figures"]
