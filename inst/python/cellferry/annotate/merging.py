"""Annotated parts of an AnnData are put into the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..annotations.clusters import Annotations
from ..annotations.delivery import STORE
from ..annotations.labelling import write_into
from ..annotations.merging.merge import merge
from ..annotations.merging.parts import Source
from ..errors import UnsupportedObjectError

if TYPE_CHECKING:
    import anndata


def merge_annotations(
    adata: anndata.AnnData,
    parts: Mapping[str, anndata.AnnData] | Sequence[anndata.AnnData] | anndata.AnnData,
    *,
    add_cell_ids: Sequence[str] | str | None = None,
    key: str | None = None,
) -> Annotations:
    """Put the annotations of parts into the whole: of subclusters, subsets, samples.

    Cells are joined by their exact names, and only those of the parts change: each gets the label,
    confidence, status and decisions that it has in its part. A cell of which its part says
    nothing, because it has no cluster there, keeps what it has.

    The table of ``adata`` gets the rows of the parts as ``<part>:<cluster>``. Rows whose cells a
    part has taken stay, and ``refined_by`` names the part. The row of each cell is in the column
    ``<key>_cluster``; the record of each part is kept whole in ``uns["cellferry"]`` as
    ``<key>@<part>``. The same part again replaces its rows, which changes nothing; another one
    that is called alike gets a number. Where every cell was annotated by itself there is one row
    per label, and no column of rows.

    Parameters
    ----------
    adata
        The whole, with annotations or without, as ``anndata.concat`` leaves it; changed in place.
    parts
        Annotated AnnData, by their names or in a list (then ``part1``, ``part2``, …). Each is read
        under ``key`` where it has that, else its newest key of clusters, else of cells.
    add_cell_ids
        What the names of cells got when the parts were put together, one entry for each part:
        ``"A"`` for ``A_cell`` (or ``cell_A``, ``cell-A``), ``"_1"`` for ``cell_1``, ``""`` for
        names as they are. It is applied only where it is given: an error names it where it is
        needed.
    key
        Name of the label column of ``adata``; None is that of its newest labels of clusters, else
        the key of the parts.

    Returns
    -------
    Annotations
        The table of the whole.

    Raises
    ------
    MergeError
        Cells of a part are not in ``adata``, or have other labels in another part; or labels of a
        part were edited by hand.
    LabelsEditedError
        Labels of ``adata`` that would be replaced were edited by hand.
    ColumnExistsError, InvalidKeyError, InvalidOptionError

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> from cellferry.annotations.labelling import attach
    >>> from cellferry.study.clusters import Clusters
    >>> whole = anndata.AnnData(np.zeros((3, 1)), pd.DataFrame(index=["a", "b", "c"]))
    >>> part = whole[["b", "c"]].copy()
    >>> row = Annotation("0", "ok", label="B cell")
    >>> _ = attach(part, Annotations((row,)), Clusters(("0",), np.zeros(2, "i4")), "cell_type")
    >>> merge_annotations(whole, {"liver": part}).labels()
    {'liver:0': 'B cell'}
    >>> whole.obs["cell_type"].tolist()
    [nan, 'B cell', 'B cell']
    """
    if isinstance(parts, Mapping):
        named = {str(name): part for name, part in parts.items()}
    else:
        several = [parts] if hasattr(parts, "obs") else list(parts)
        named = {f"part{i + 1}": part for i, part in enumerate(several)}
    whole = _source("", adata)
    sources = [_source(name, part) for name, part in named.items()]
    ids = [add_cell_ids] if isinstance(add_cell_ids, str) else add_cell_ids
    made = merge(whole, sources, ids=None if ids is None else [str(x) for x in ids], key=key)
    write_into(adata, made.written, made.key)
    return made.written.record


def _source(name: str, data: anndata.AnnData) -> Source:
    if not hasattr(data, "uns") or not hasattr(data, "obs_names"):
        message = f"Annotations are merged between AnnData, and this is a {type(data).__name__}."
        raise UnsupportedObjectError(message, "For an .h5ad: anndata.read_h5ad(path) first.")
    stored = {str(k): str(v) for k, v in dict(data.uns.get(STORE, {})).items()}
    return Source(name, tuple(map(str, data.obs_names)), data.obs, stored)
