"""Results: annotations read back from an AnnData that was labelled, and their report."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import (
    AnnotationsMissingError,
    ClustersChangedWarning,
    UnsupportedObjectError,
    listing,
    nearest,
)
from .clusters import Annotations
from .delivery import APART, STORE
from .present import Present, present

if TYPE_CHECKING:
    import anndata


def read_annotations(adata: anndata.AnnData, key: str | None = None) -> Annotations:
    """Return the annotations that travel with an AnnData, for the cells it has now.

    After a subset the cells are counted anew; a cluster that is gone keeps its row, with
    0 cells. The table belongs to the labels that were written: where the cells have other
    clusters by now, they are counted by those labels, and a warning says so. What is to be
    said of the counts is in ``provenance["note"]``. Works on what ``read_h5ad`` returns.

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
    return _present(adata, key).found


def _present(adata: anndata.AnnData, key: str | None) -> Present:
    found = stored_annotations(adata, key)
    now = present(found, adata.obs, key or str(found.provenance.get("key")))
    if now.changed:
        hint = "Annotate again for the clusters that the object has now."
        warnings.warn(ClustersChangedWarning(now.changed, hint), stacklevel=3)
    note = " ".join(filter(None, (now.changed, now.gone)))
    if not note:
        return now
    noted = replace(now.found, provenance={**now.found.provenance, "note": note})
    return replace(now, found=noted)


def stored_annotations(
    adata: anndata.AnnData, key: str | None = None, *, of_clusters: bool = False
) -> Annotations:
    """Return annotations as they were stored.

    Parameters
    ----------
    adata
        An object that was labelled.
    key
        Name of the label column; None is the newest, but for the records that were kept of
        parts, ``<key>@<part>``.
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
        whole = {k: v for k, v in kept.items() if APART not in k} or kept
        return max(whole.values(), key=lambda a: _preference(a, of_clusters=of_clusters))
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
    from ..study.embeddings import embedding_of
    from .report import Embedding, check_report_file, write_report

    now = _present(adata, key)
    check_report_file(file, overwrite=overwrite)
    coordinates, embedding = embedding_of(adata, coordinates_key), None
    if coordinates is not None and now.clusters is not None:
        embedding = Embedding(*coordinates, now.clusters)
    return write_report(now.found, Path(file), embedding=embedding)
