"""What of an object becomes part of a study: every item once, taken, coerced or left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import UnsupportedObjectError
from .build import RANKING
from .embeddings import choose_embedding
from .expression.source import Matrix
from .layers import choose_matrices

if TYPE_CHECKING:
    import anndata
    import pandas as pd

COLUMNS = ("item", "kind", "what", "action", "why")
ACTIONS = ("taken", "coerced", "left")
UNREAD = "No engine reads it."

Row = tuple[str, str, str, str, str]


def study_report(data: anndata.AnnData) -> pd.DataFrame:
    """List every item of an AnnData once, with what cellferry does with it.

    For whoever wants to know, before or after an annotation, what an engine can see. The
    same list for a Seurat object is ``StudyReport()`` in R, or :func:`study_report` after
    ``cellferry.seurat.to_anndata``.

    Parameters
    ----------
    data
        Nothing is computed from it and it is not changed.

    Returns
    -------
    pandas.DataFrame
        One row per item with the columns ``item`` (its name), ``kind`` (cells, genes, layer,
        metadata, ...), ``what`` (class, size), ``action`` (a category: taken, coerced, left)
        and ``why``, empty for what is taken.

    Raises
    ------
    UnsupportedObjectError
        It is not an AnnData.

    Examples
    --------
    >>> import anndata, numpy
    >>> report = study_report(anndata.AnnData(numpy.eye(3)))
    >>> list(report["item"])
    ['cells', 'genes', 'X']
    """
    import pandas as pd

    if not hasattr(data, "obs_names") or not hasattr(data, "obsm"):
        message = f"A report is made of an AnnData, not of {type(data).__name__}."
        raise UnsupportedObjectError(message, "Of an R object: StudyReport(object) in R.")
    frame = pd.DataFrame(_rows(data), columns=list(COLUMNS))
    frame["action"] = pd.Categorical(frame["action"], categories=list(ACTIONS))
    return frame


def _rows(data: anndata.AnnData) -> Iterator[Row]:
    yield "cells", "cells", f"{data.n_obs} names", "taken", ""
    found = choose_matrices(data, any_kind=True)
    main = found.normalized
    used = {place.name for place in (main, found.counts) if place is not None}
    genes = len(data.var_names) if main is None else len(main.genes)
    yield "genes", "genes", f"{genes} names", "taken", ""
    instead = UNREAD if main is None else f"{main.name.removesuffix('.X')} is read in its place."
    if data.X is not None:
        yield "X", "layer", _what(data.X), *(("taken", "") if "X" in used else ("left", instead))
    if data.raw is not None:
        action = ("taken", "") if "raw.X" in used else ("left", instead)
        yield "raw", "layer", _what(data.raw.X), *action
    # From anndata 0.13 on X is also the layer None.
    for name in filter(None, data.layers):
        is_main = main is not None and main.name == f'layers["{name}"]'
        action = ("taken", "") if is_main else ("left", UNREAD)
        yield str(name), "layer", _what(data.layers[name]), *action
    for name in data.obs.columns:
        yield str(name), "metadata", str(data.obs[name].dtype), "taken", ""
    for name in data.var.columns:
        yield str(name), "gene metadata", str(data.var[name].dtype), "left", UNREAD
    drawn = choose_embedding(data.obsm, data.n_obs)
    for name in data.obsm:
        what = f"{data.obsm[name].shape[1]} dimensions"
        if drawn is None or str(name) != drawn[0]:
            yield str(name), "embedding", what, "left", "One embedding is read."
        elif data.obsm[name].shape[1] > 2:
            yield str(name), "embedding", what, "coerced", "The first two dimensions are read."
        else:
            yield str(name), "embedding", what, "taken", ""
    for kind, store in (("graph", data.obsp), ("loadings", data.varm), ("gene pairs", data.varp)):
        for name in store:
            yield str(name), kind, _what(store[name]), "left", UNREAD
    for name in data.uns:
        read = name in {RANKING, "cellferry"}
        what = type(data.uns[name]).__name__
        yield str(name), "uns", what, "taken" if read else "left", "" if read else UNREAD


def _what(values: Matrix) -> str:
    shape = " x ".join(str(n) for n in values.shape)
    return f"{type(values).__name__}, {shape}"
