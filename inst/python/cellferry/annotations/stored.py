"""Results: annotations read back from an AnnData that was labelled, and their report."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AnnotationsMissingError, UnsupportedObjectError, listing, nearest
from ..study.clusters import cluster_text
from .clusters import Annotations
from .delivery import STORE

if TYPE_CHECKING:
    import anndata


def read_annotations(adata: anndata.AnnData, key: str | None = None) -> Annotations:
    """Return the annotations that travel with an AnnData, for the cells it has now.

    After a subset the cells are counted anew; a cluster that is gone keeps its row, with
    0 cells. Works on what ``read_h5ad`` returns.

    Parameters
    ----------
    adata
        An object that :func:`cellferry.annotate_clusters` labelled.
    key
        The key it was labelled under; None is the newest.

    Raises
    ------
    AnnotationsMissingError
        There are none, or none under that key. ``anndata.concat`` drops ``uns``: the labels
        are still in ``obs`` then.
    AnnotationsFormatError
        They are damaged, or of a newer version.
    UnsupportedObjectError
        This is no AnnData.
    """
    found = stored_annotations(adata, key)
    group_key = _group_key(adata, found)
    if group_key is None:
        return found
    left = Counter(cluster_text(label) for label in adata.obs[group_key])
    rows = tuple(replace(row, n_cells=left.get(row.cluster, 0)) for row in found)
    return replace(found, rows=rows)


def _group_key(adata: anndata.AnnData, found: Annotations) -> str | None:
    """Return the column of clusters; R's "ident" may be no column, and then names one."""
    provenance = found.provenance
    named = (provenance.get("group_key"), provenance.get("group_column"))
    return next((str(name) for name in named if name is not None and name in adata.obs), None)


def stored_annotations(
    adata: anndata.AnnData, key: str | None = None, *, of_clusters: bool = False
) -> Annotations:
    """Return annotations as they were stored.

    Parameters
    ----------
    adata
        An object that was labelled.
    key
        Name of the label column; None is the newest.
    of_clusters
        Whether, without a key, those of clusters come before newer ones of cells.
    """
    if not hasattr(adata, "uns"):
        message = f"Annotations travel with an AnnData, and this is a {type(adata).__name__}."
        raise UnsupportedObjectError(message, "For an .h5ad: anndata.read_h5ad(path) first.")
    store: dict[str, object] = dict(adata.uns.get(STORE, {}))
    if not store:
        message = "This object holds no annotations of cellferry."
        hint = "Annotate it with annotate_clusters(). concat() drops uns: labels stay in obs."
        raise AnnotationsMissingError(message, hint)
    kept = {str(k): Annotations.from_json(str(v)) for k, v in store.items()}
    if key is None:
        return max(kept.values(), key=lambda a: _preference(a, of_clusters=of_clusters))
    if key not in kept:
        guess = nearest(key, list(kept))
        message = f'No annotations under the key "{key}"; there are {listing(list(kept))}.'
        raise AnnotationsMissingError(message, f'Did you mean "{guess}"?' if guess else "")
    return kept[key]


def _preference(found: Annotations, *, of_clusters: bool) -> tuple[bool, str]:
    is_first = of_clusters and found.provenance.get("level") != "cells"
    return is_first, str(found.provenance.get("created", ""))


def annotation_report(
    adata: anndata.AnnData,
    file: str | os.PathLike[str],
    key: str | None = None,
    *,
    coordinates_key: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the HTML report of an AnnData's annotations, with its embedding if it has one.

    Parameters
    ----------
    adata
        An AnnData that was labelled.
    file
        The HTML file. A report of cellferry is replaced, another file is not.
    key
        Name of the label column; None is the newest.
    coordinates_key
        Name of the embedding in ``obsm``; None is UMAP, else t-SNE, else PCA, else the first.
    overwrite
        Replace a file that is no report of cellferry.

    Raises
    ------
    AnnotationsMissingError
    GroupMissingError
        There is no embedding of that name.
    OutputError
        The name is not that of an HTML file, or the file may not or cannot be written.
    """
    from ..study.clusters import Clusters
    from ..study.embeddings import embedding_of
    from .report import Embedding, check_report_file, write_report

    found = read_annotations(adata, key)
    check_report_file(file, overwrite=overwrite)
    coordinates, group_key = embedding_of(adata, coordinates_key), _group_key(adata, found)
    embedding = None
    if coordinates is not None and group_key is not None:
        clusters = Clusters.from_labels(list(adata.obs[group_key]), found.column("cluster"))
        embedding = Embedding(*coordinates, clusters)
    return write_report(found, Path(file), embedding=embedding)
