"""Annotated parts of an AnnData are put into the whole."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..annotations.clusters import Annotations
from ..annotations.delivery import STORE
from ..annotations.labelled import labelled
from ..annotations.labelling.objects import write_into
from ..annotations.merging.merge import merge
from ..annotations.merging.sources import Source
from ..errors import InvalidOptionError, OutputError, UnsupportedObjectError
from ..files import replacing
from ..study.inputs.objects import read_object
from ..study.inputs.readers import path_of_r
from .files import check_output_file, write_h5ad

if TYPE_CHECKING:
    import anndata

Part: TypeAlias = "anndata.AnnData | Source | str | os.PathLike[str]"
"""An annotated part, its path, or what merging reads of it."""


def merge_annotations(
    adata: anndata.AnnData | str | os.PathLike[str],
    parts: Mapping[str, Part] | Sequence[Part] | Part,
    *,
    add_cell_ids: Sequence[str] | str | None = None,
    key: str | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
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
        Of a path (.h5ad, a zarr folder) the file stays as it is, see ``output``.
    parts
        Annotated AnnData, or their paths (.h5ad, a zarr folder, .rds), of which no matrix is read:
        by their names, or in a list (then ``part1``, ``part2``, …, and of a path the name of the
        file). Each is read under ``key`` where it has that, else its newest key of clusters, else
        of cells.
    add_cell_ids
        What the names of cells got when the parts were put together, one entry for each part:
        ``"A"`` for ``A_cell`` (or ``cell_A``, ``cell-A``), ``"_1"`` for ``cell_1``, ``""`` for
        names as they are. It is applied only where it is given: an error names it where it is
        needed.
    key
        Name of the label column of ``adata``; None is that of its newest labels of clusters, else
        the key of the parts.
    output
        Where the whole of a path is written with its labels, an .h5ad; None writes nothing.
    overwrite
        Replace ``output`` if it exists.

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
    UnsupportedObjectError
        The whole is an .rds, which is merged in R.
    InputError, OutputError

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> from cellferry.annotations.labelling.objects import attach
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
    target = None if output is None else Path(output).expanduser()
    if target is not None:
        if not isinstance(adata, str | os.PathLike):
            message = "`output` is for the whole of a path, and this is in memory."
            raise InvalidOptionError(message, "Leave it out, and write the object: write_h5ad().")
        check_output_file(target, ".h5ad", overwrite=overwrite)
    whole = _whole(adata)
    sources = [source_of(name, part) for name, part in _named(parts).items()]
    ids = [add_cell_ids] if isinstance(add_cell_ids, str) else add_cell_ids
    made = merge(
        source_of("", whole), sources, ids=None if ids is None else [str(x) for x in ids], key=key
    )
    write_into(whole, made.written, made.key)
    if target is not None:
        try:
            with replacing(target) as partial:
                write_h5ad(whole, partial)
        except OSError as error:
            message = f'The file "{target}" cannot be written: {error.strerror or error}.'
            raise OutputError(message, "Choose another place.") from error
    return made.written.record


def _whole(data: anndata.AnnData | str | os.PathLike[str]) -> anndata.AnnData:
    if not isinstance(data, str | os.PathLike):
        return data
    path = path_of_r(data)
    if path is None:
        return read_object(Path(data).expanduser())
    message = f'The whole, "{path}", is an R object (.rds), and parts are put into it by R.'
    line = f'MergeAnnotations("{path}", part = "part.rds", output = "merged.rds")'
    raise UnsupportedObjectError(message, f"In R: {line}")


def _named(parts: Mapping[str, Part] | Sequence[Part] | Part) -> dict[str, Part]:
    """Return the parts by name: of paths without one those of the files, unless two are alike."""
    if isinstance(parts, Mapping):
        return {str(name): part for name, part in parts.items()}
    if isinstance(parts, str | os.PathLike | Source) or hasattr(parts, "obs_names"):
        several: list[Part] = [parts]
    else:
        several = list(parts)
    stems = [
        Path(p).name.split(".")[0] if isinstance(p, str | os.PathLike) else "" for p in several
    ]
    return {
        stem if stem and stems.count(stem) == 1 else f"part{i + 1}": part
        for i, (stem, part) in enumerate(zip(stems, several, strict=True))
    }


def source_of(name: str, data: Part) -> Source:
    """Return what merging reads of an object or its path.

    Parameters
    ----------
    name
        What it is called.
    data
        The object.

    Raises
    ------
    UnsupportedObjectError
        It is no object with cells.
    """
    found = labelled(data)
    if isinstance(found, Source):
        return found
    if not hasattr(found, "uns") or not hasattr(found, "obs_names"):
        message = f"Annotations are merged between AnnData, and this is a {type(found).__name__}."
        raise UnsupportedObjectError(message, "Give the AnnData, or the path of its file.")
    stored = {str(k): str(v) for k, v in dict(found.uns.get(STORE, {})).items()}
    return Source(name, tuple(map(str, found.obs_names)), found.obs, stored)
