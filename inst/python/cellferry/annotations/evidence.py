"""What speaks for the labels of an object: supporting genes, and the markers that were read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import InvalidOptionError
from .cells import CellAnnotations
from .clusters import Annotations
from .labelled import labelled
from .stored import read_annotations, stored_annotations

if TYPE_CHECKING:
    import anndata
    import pandas as pd


def supporting_markers(
    data: anndata.AnnData | Annotations | CellAnnotations | str | os.PathLike[str],
    key: str | None = None,
    n: int = 3,
) -> dict[str, list[str]]:
    """Return the genes that support each label, ready for a dot plot.

    Parameters
    ----------
    data
        AnnData that was labelled, the path of a labelled object, or what annotating returned.
    key
        Name of the label column of an AnnData; None is the newest of clusters, else of cells.
    n
        Most genes of a label.

    Returns
    -------
    dict of str to list of str
        Label -> genes, in the order of the clusters, no gene twice, under the names that the
        object has for them. Labels without cells, as after a subset, are left out.

    Raises
    ------
    AnnotationsMissingError
        The AnnData has no annotations under this key.
    InvalidOptionError
        ``n`` is no whole number above 0.

    Examples
    --------
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> row = Annotation("0", "ok", label="B cell", supporting=("CD79A", "MS4A1"))
    >>> supporting_markers(Annotations((row,)), n=1)
    {'B cell': ['CD79A']}

    With scanpy: ``sc.pl.dotplot(adata, cellferry.supporting_markers(adata), "cell_type")``.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        message = f"`n` must be a whole number above 0, and is {n!r}."
        raise InvalidOptionError(message)
    found = _annotations_of(labelled(data), key)
    names = {str(k): str(v) for k, v in dict(found.provenance.get("gene_names", {})).items()}
    made: dict[str, list[str]] = {}
    used: set[str] = set()
    for row in found:
        if row.status != "ok" or row.label is None or row.n_cells == 0 or row.label in made:
            continue
        same = (r for r in found if r.label == row.label and r.n_cells != 0)
        genes = dict.fromkeys(g for r in same for g in r.supporting if g not in used)
        chosen = list(genes)[:n]
        used.update(chosen)
        if chosen:
            made[row.label] = [names.get(gene, gene) for gene in chosen]
    return made


def markers(
    data: anndata.AnnData | Annotations | CellAnnotations | str | os.PathLike[str],
    key: str | None = None,
) -> pd.DataFrame:
    """Return the markers that labels were made from, up to 50 of each cluster.

    Parameters
    ----------
    data
        AnnData that was labelled, the path of a labelled object, or what annotating returned.
    key
        Name of the label column of an AnnData; None is the newest of clusters, else of cells.

    Returns
    -------
    pandas.DataFrame
        The columns of Seurat's ``FindAllMarkers()``; ``cluster`` is categorical, in the order of
        the clusters. Without rows for labels of cells, which are made without markers.

    Raises
    ------
    AnnotationsMissingError
        The AnnData has no annotations under this key.

    Examples
    --------
    >>> import cellferry
    >>> found = cellferry.annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> markers(found)["gene"].tolist()[:2]
    ['CD79A', 'MS4A1']
    """
    import pandas as pd

    data = labelled(data)
    if isinstance(data, Annotations | CellAnnotations):
        found = data.summary()
    else:
        found = stored_annotations(data, key, of_clusters=True)
    frame = pd.DataFrame(dict(found.markers) or {"cluster": [], "gene": []})
    frame["cluster"] = pd.Categorical(frame["cluster"], categories=found.column("cluster"))
    return frame


def _annotations_of(
    data: anndata.AnnData | Annotations | CellAnnotations, key: str | None
) -> Annotations:
    if isinstance(data, Annotations | CellAnnotations):
        return data.summary()
    if key is None:
        key = str(stored_annotations(data, of_clusters=True).provenance.get("key") or "") or None
    return read_annotations(data, key)
