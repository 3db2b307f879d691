"""What of an object becomes part of a study: every item once, taken, coerced or left."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UnsupportedObjectError
from .build import RANKING
from .embeddings import choose_embedding
from .expression.source import Matrix
from .inputs.objects import anndata_of, read_object
from .inputs.readers import path_of_r, reader_of_r
from .layers import choose_matrices

if TYPE_CHECKING:
    import anndata
    import pandas as pd

COLUMNS = ("item", "kind", "what", "action", "why")
ACTIONS = ("taken", "coerced", "left")
UNREAD = "No engine reads it."

Row = tuple[str, str, str, str, str]


def study_report(
    data: anndata.AnnData | str | os.PathLike[str], *, assay: str | None = None
) -> pd.DataFrame:
    """List every item of an object once, with what cellferry does with it.

    For whoever wants to know, before or after an annotation, what an engine can see. The
    same list for a Seurat object is ``StudyReport()`` in R, or :func:`study_report` of its .rds.

    Parameters
    ----------
    data
        An AnnData, or the path of a file: .h5ad, zarr, a 10x .h5 or folder, which are read whole,
        or .rds, which R reads. Nothing is computed from it and it is not changed.
    assay
        Of an .rds; None is its default assay.

    Returns
    -------
    pandas.DataFrame
        One row per item with the columns ``item`` (its name), ``kind`` (cells, genes, layer,
        metadata, ...), ``what`` (class, size), ``action`` (a category: taken, coerced, left)
        and ``why``, empty for what is taken.

    Raises
    ------
    UnsupportedObjectError
        It is not an AnnData, nor is there one in the file.
    InputError, InvalidOptionError

    Examples
    --------
    >>> import anndata, numpy
    >>> report = study_report(anndata.AnnData(numpy.eye(3)))
    >>> list(report["item"])
    ['cells', 'genes', 'X']
    """
    path = path_of_r(data, assay)
    if path is not None:
        rows: list[Row] = reader_of_r("report", path)(path, assay=assay)
        return _frame(rows)
    if isinstance(data, str | os.PathLike):
        data = read_object(Path(data).expanduser())
    data = anndata_of(data)
    if not hasattr(data, "obs_names") or not hasattr(data, "obsm"):
        message = f"A report is made of an AnnData, not of {type(data).__name__}."
        hint = "Of an R object: StudyReport(object) in R, or give its .rds."
        raise UnsupportedObjectError(message, hint)
    return _frame(_rows(data))


def _frame(rows: Iterable[Row]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(COLUMNS))
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
