"""Results: annotations read back from an AnnData that was labelled."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import (
    AnnotationsFormatError,
    AnnotationsMissingError,
    ClustersChangedWarning,
    UnsupportedObjectError,
    listing,
    nearest,
)
from .clusters import Annotations
from .delivery import APART, STORE
from .label_colors import COLORS, ordered_colors, uns_colors, with_colors
from .labelled import labelled
from .present import Present, present

if TYPE_CHECKING:
    import anndata


def read_annotations(
    adata: anndata.AnnData | str | os.PathLike[str], key: str | None = None
) -> Annotations:
    """Return the annotations that travel with an AnnData, for the cells it has now.

    After a subset the cells are counted anew; a cluster that is gone keeps its row, with
    0 cells. The table belongs to the labels that were written: where the cells have other
    clusters by now, they are counted by those labels, and a warning says so. What is to be
    said of the counts is in ``provenance["note"]``. Works on what ``read_h5ad`` returns.

    Parameters
    ----------
    adata
        An object that :func:`cellferry.annotate_clusters` labelled, or its path: an .h5ad, a zarr
        folder or an .rds, of which no matrix is read.
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
    return present_annotations(labelled(adata), key).found


def present_annotations(adata: anndata.AnnData, key: str | None = None) -> Present:
    """Return annotations with the cells that their rows have now; see :func:`read_annotations`.

    Parameters
    ----------
    adata
        An object that was labelled.
    key
        The key it was labelled under; None is the newest.
    """
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
    refuse_path(adata)
    if not hasattr(adata, "uns"):
        message = f"Annotations travel with an AnnData, and this is a {type(adata).__name__}."
        raise UnsupportedObjectError(message, "Give the AnnData, or the path of a file.")
    store: dict[str, object] = dict(adata.uns.get(STORE, {}))
    return annotations_of(store, key, of_clusters=of_clusters)


def refuse_path(data: object) -> None:
    """Refuse a path, where the object itself is changed or shown.

    Raises
    ------
    UnsupportedObjectError
        It is one.
    """
    if isinstance(data, str | os.PathLike):
        message = f'This needs the object itself, and was given a path, "{data}".'
        hint = (
            f"Read it first: anndata.read_h5ad({str(data)!r}). "
            "Labels in a file are decided on the command line: cellferry label --help"
        )
        raise UnsupportedObjectError(message, hint)


def annotations_of(
    store: Mapping[str, object], key: str | None = None, *, of_clusters: bool = False
) -> Annotations:
    """Return annotations of what an object of any kind keeps; as :func:`stored_annotations`.

    Parameters
    ----------
    store
        Key -> the record as text.
    key, of_clusters
        As there.
    """
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


def readable_records(stored: Mapping[str, str]) -> dict[str, Annotations]:
    """Return key -> record, without those that can't be read and those that were kept of parts.

    Parameters
    ----------
    stored
        Key -> what is stored under it.
    """
    found = {}
    for key, text in stored.items():
        if APART not in key:
            try:
                found[key] = Annotations.from_json(text)
            except AnnotationsFormatError:
                continue
    return found


def _preference(found: Annotations, *, of_clusters: bool) -> tuple[bool, str]:
    is_first = of_clusters and found.provenance.get("level") != "cells"
    return is_first, str(found.provenance.get("created", ""))


def label_colors(
    adata: anndata.AnnData,
    key: str | None = None,
    *,
    colors: Mapping[str, str] | None = None,
    dark: bool = False,
) -> dict[str, str]:
    """Return the colour of each label, the same in every picture, object and language.

    Parameters
    ----------
    adata
        An AnnData that was labelled.
    key
        Name of the label column; None is the newest. A column that cellferry did not write has
        colours too: its labels are looked up in the Cell Ontology.
    colors
        Own colours, label -> ``#rrggbb``, that are kept with the record, in place, and in
        ``uns["<key>_colors"]``.
    dark
        For a dark page.

    Returns
    -------
    dict of str to str
        Label -> ``#rrggbb``, in lineage order, also for labels that no cell has any more.

    Raises
    ------
    AnnotationsMissingError
        There are no annotations, or neither annotations nor a column under that key.
    InvalidOptionError
        ``colors`` names a label that is not there, or has a value that is no colour.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"label": ["T cell", "B cell"]}, index=["a", "b"])
    >>> label_colors(anndata.AnnData(obs=obs), "label")
    {'T cell': '#0072b2', 'B cell': '#540c00'}
    """
    store: dict[str, object] = dict(getattr(adata, "uns", {}).get(STORE, {}))
    if key is not None and key not in store and colors is None and key in adata.obs:
        column = adata.obs[key]
        names = column.cat.categories if hasattr(column, "cat") else column.dropna().unique()
        return ordered_colors(None, [str(name) for name in names], dark=dark)
    # The stored text is what is coloured: the key of the newest is asked for only.
    found = stored_annotations(adata, key)
    key = key or str(found.provenance.get("key"))
    if colors:
        store[key] = with_colors(str(store[key]), colors)
        adata.uns[STORE] = store
        if hasattr(adata.obs.get(key), "cat"):
            adata.uns[key + COLORS] = uns_colors(str(store[key]), adata.obs[key].cat.categories)
    return ordered_colors(str(store[key]), dark=dark)
