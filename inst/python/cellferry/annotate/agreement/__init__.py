"""Several labels of an AnnData: the consensus of them, and two of them beside each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, overload

from ...annotations import delivery
from ...annotations.agreement.request import Asked, comparison_of, consensus_of, listed
from ...annotations.agreement.sources import Labelled
from ...annotations.delivery import STORE
from ...annotations.labelled import labelled
from ...annotations.labelling.edited import check_unedited
from ...annotations.labelling.objects import attach, stored_labels
from ...annotations.stored import stored_annotations
from ...errors import InvalidOptionError, UnsupportedObjectError
from ...study.inputs.kinds import file_kind
from ...study.inputs.objects import read_object
from ...study.inputs.readers import reader_of_r
from ..files import as_path, check_output_file, replacing_output, write_h5ad

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from ...annotations.agreement.comparison import Comparison
    from ...annotations.cells import CellAnnotations
    from ...annotations.clusters import Annotations

    Object: TypeAlias = anndata.AnnData | str | os.PathLike[str]


@overload
def consensus(adata: Object, from_: None = None, *, key: str = ...) -> pd.DataFrame: ...


@overload
def consensus(
    adata: Object,
    from_: Sequence[str],
    *,
    key: str = ...,
    group_key: str | None = None,
    weights: Mapping[str, float] | None = None,
    groups: Mapping[str, str] | None = None,
    mapping: Mapping[str, str] | None = None,
    overwrite: bool = False,
    levels: bool = False,
    output: str | os.PathLike[str] | None = ...,
    scheduler: object = ...,
    resume: str | os.PathLike[str] | None = ...,
) -> Annotations | CellAnnotations: ...


def consensus(
    adata: Object,
    from_: Sequence[str] | None = None,
    *,
    key: str = "consensus",
    group_key: str | None = None,
    weights: Mapping[str, float] | None = None,
    groups: Mapping[str, str] | None = None,
    mapping: Mapping[str, str] | None = None,
    overwrite: bool = False,
    levels: bool = False,
    output: str | os.PathLike[str] | None = None,
    scheduler: object = None,
    resume: str | os.PathLike[str] | None = None,
) -> Annotations | CellAnnotations | pd.DataFrame:
    """Return what several annotators agree on, over the Cell Ontology; ``adata`` is labelled.

    Each vote is resolved to a term. A term wins with more weight for it (votes for it or a kind of
    it) than against it, two thirds of all weight for it or broader than it, and two groups behind
    it; of those that win the most specific is the answer. "T cell" and "CD4 T cell" so agree on
    "T cell", and "T cell" and "B cell" on "Lymphocyte". What is too general to be a label is no
    answer: the row is Unknown, with the leaders as alternatives. Votes that say Unknown, or
    failed, are none.

    Groups are families of annotators, and each has the weight 1, which its different answers
    share: the engines of cellferry (models of one vendor are one family), and each other tool.

    Parameters
    ----------
    adata
        AnnData (cells x genes) with labels, changed in place. Or the path of an .h5ad, a zarr
        folder or an .rds, which is not changed.
    from_
        Who votes: keys of annotations of cellferry (the labels in force), columns of ``obs``,
        tools whose columns are known (``"azimuth"``, ``"celltypist"``, ``"singler"``,
        ``"sctype"``, ``"popv"``, ``"scpred"``, ``"cellranger"``, ``"author"``), or the path of
        Cell Ranger's ``cell_types.csv``. Of several levels of one tool the finest consistent one
        votes. None changes nothing and returns a table of what is found.
    key
        Name of the label column. ``<key>_confidence`` and the others go beside it, the record to
        ``adata.uns["cellferry"][key]``.
    group_key
        Column of ``obs`` with the clusters that get an answer. None: the clusters of the first
        annotation in ``from_``, else each cell is answered. Labels of cells vote for a cluster
        in proportion to its cells; less than 5 % is dropped.
    weights
        Annotator or group -> weight, in place of 1.
    groups
        Annotator -> group, in place of its family.
    mapping
        Label -> id or name of a term, for labels that are no term by themselves.
    overwrite
        Replace columns of these names that cellferry did not write, and the file ``output``.
    levels
        Write ``<key>_broad``, ``_medium`` and ``_fine`` too.
    output
        Of a path: where the labelled object goes, an .rds where that was read, else an .h5ad.
        None writes none.
    scheduler
        Of the path of an .h5ad: a cluster of dask whose workers read the labels that vote, by
        ranges of cells: the address of a scheduler, a client of ``distributed``, or ``"local"``.
        Votes are counted here; the answer is the same to the bit.
    resume
        Id of a run whose cluster was lost: what it had done is not done again. The error names it.

    Returns
    -------
    Annotations, CellAnnotations or pandas.DataFrame
        One row per cluster, or one answer per cell. ``confidence`` is the agreement: the weight
        for the answer, of that for and against it. ``evidence[cluster]`` has ``agreement``,
        ``compatible``, ``entropy``, ``dissent`` and ``votes``. Without ``from_`` a frame of
        ``name``, ``group``, ``columns``, ``labels``, ``unresolved``, ``cells``.

    Raises
    ------
    InvalidOptionError
        ``from_`` names nobody that is there, or weights, groups or the mapping are wrong.
    GroupMissingError
        There is no column ``group_key``.
    ColumnExistsError, LabelsEditedError, InvalidKeyError
        The answer cannot be written under the key.
    UnsupportedObjectError
        This is no AnnData.
    InputError, OutputError
        The file cannot be read, or written.

    Warns
    -----
    LabelsUnresolvedWarning
        Labels are no term; with the nearest ones.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"SingleR.labels": ["T_cells", "B_cell"],
    ...                     "predicted_labels": ["Helper T cells", "B cells"],
    ...                     "azimuth_fine": ["CD4 TCM", "B naive"]}, index=["a", "b"])
    >>> adata = anndata.AnnData(obs=obs)
    >>> consensus(adata)["name"].tolist()
    ['azimuth_panhuman', 'celltypist', 'singler']
    >>> found = consensus(adata, ["singler", "celltypist", "azimuth_fine"],
    ...                   mapping={"Helper T cells": "CD4 T cell"})
    >>> adata.obs["consensus"].tolist()
    ['CD4 T cell', 'B cell']
    """
    if from_ is None:
        import pandas as pd

        columns = ["name", "group", "columns", "labels", "unresolved", "cells"]
        return pd.DataFrame(listed(labelled_object(adata), key), columns=columns)
    names = [from_] if isinstance(from_, str) else [str(name) for name in from_]
    asked = Asked(
        names, key, group_key, weights or {}, groups or {}, mapping or {}, levels=levels
    )  # fmt: skip
    path = as_path(adata)
    if scheduler is None and resume is not None:
        message = "`resume` goes on with what a cluster had done, and there is no `scheduler`."
        raise InvalidOptionError(message, "Give the address of one, or leave `resume` out.")
    if isinstance(path, Path):
        to = None if output is None else Path(output).expanduser()
        far = None if scheduler is None else _Far(scheduler, resume)
        return _of_file(path, asked, to, far, overwrite=overwrite)
    if scheduler is not None:
        message = "A cluster reads the labels from a file, and these are in memory."
        hint = 'Write the object to where all workers see it, and give its path: "atlas.h5ad".'
        raise UnsupportedObjectError(message, hint)
    if output is not None:
        message = "`output` is for the object of a path, and this is an object."
        raise InvalidOptionError(message, 'Leave it out, and: adata.write_h5ad("labelled.h5ad")')
    return _label(adata, asked, overwrite=overwrite)


@dataclass(frozen=True)
class _Far:
    """A cluster that reads the labels of a file."""

    scheduler: object
    resume: str | os.PathLike[str] | None

    def labels(self, path: Path, asked: Asked) -> Labelled:
        from .ranges import labels_by_ranges

        return labels_by_ranges(path, asked, self.scheduler, self.resume)


def _label(
    adata: anndata.AnnData, asked: Asked, labels: Labelled | None = None, *, overwrite: bool
) -> Annotations | CellAnnotations:
    """Label an AnnData with what its annotators agree on; ``labels`` where they were read."""
    key = asked.key
    made = consensus_of(labels or labelled_object(adata), asked)
    delivery.check_group_key(key, asked.group_key, made.level)
    delivery.check_object_key(
        adata, key, overwrite=overwrite, level=made.level, levels=asked.levels
    )  # fmt: skip
    previous = stored_labels(adata, key)
    if previous is not None:
        check_unedited(previous, overwrite=overwrite)
    return attach(adata, made.found, made.clusters, key)


def _of_file(
    path: Path, asked: Asked, output: Path | None, far: _Far | None, *, overwrite: bool
) -> Annotations | CellAnnotations:
    """Return what the annotators of an object in a file agree on, and write it labelled."""
    kind = file_kind(path)
    if far is not None and kind.is_of_r:
        message = "The workers of a cluster cannot read an .rds."
        raise UnsupportedObjectError(message, "Write the object as .h5ad, and give its path.")
    if output is None:
        if far is None:
            return _label(_object_of(path), asked, overwrite=overwrite)
        labels = far.labels(path, asked)
        return _label(_without_matrices(labels), asked, labels, overwrite=overwrite)
    check_output_file(output, ".rds" if kind.is_of_r else ".h5ad", overwrite=overwrite)
    if kind.is_of_r:
        read = reader_of_r("consensus", path)
        found: Annotations | CellAnnotations = read(path, asked, output, overwrite=overwrite)
        return found
    read_far = None if far is None else far.labels(path, asked)
    adata = read_object(path, kind)
    found = _label(adata, asked, read_far, overwrite=overwrite)
    with replacing_output(output) as partial:
        write_h5ad(adata, partial)
    return found


def _without_matrices(labels: Labelled) -> anndata.AnnData:
    import anndata

    return anndata.AnnData(obs=labels.obs, uns={STORE: dict(labels.stored)})


def compare_labels(
    adata: Object,
    key: str | None = None,
    with_: str = "author_cell_type",
    *,
    mapping: Mapping[str, str] | None = None,
) -> Comparison:
    """Return labels beside other labels of the same cells, over the Cell Ontology.

    Parameters
    ----------
    adata
        AnnData (cells x genes) with labels, or the path of one, or of an .rds; nothing is changed.
    key
        Key of annotations, column or tool; None is the newest annotation of clusters.
    with_
        What it is compared with: as ``key``. See :func:`consensus`, ``from_``.
    mapping
        Label -> id or name of a term, for labels that are no term by themselves.

    Returns
    -------
    Comparison
        ``rows`` (one per cluster: label, other label, relation, distance, agreeing part),
        ``cells`` (the relation of each cell), ``confusion``, ``adjusted_rand``, ``to_look_at``;
        ``to_frame()``, ``confusion_frame()``. A relation is exact, descendant (``key`` is
        narrower), ancestor, sibling, other_lineage, no_term or none.

    Raises
    ------
    InvalidOptionError
        There are no such labels, or both are the same.
    AnnotationsMissingError
        No key is given, and there is no annotation.

    Warns
    -----
    LabelsUnresolvedWarning
        Labels are no term.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"mine": ["T cell", "B cell"], "theirs": ["CD4 T cell", "Monocyte"]},
    ...                    index=["a", "b"])
    >>> found = compare_labels(anndata.AnnData(obs=obs), "mine", "theirs")
    >>> [(row.label, row.relation) for row in found.rows]
    [('B cell', 'other_lineage'), ('T cell', 'ancestor')]
    """
    labels = _object_of(adata)
    if key is None:
        key = str(stored_annotations(labels, of_clusters=True).provenance.get("key"))
    return comparison_of(labelled_object(labels), key, with_, mapping)


def labelled_object(adata: Object) -> Labelled:
    """Return the labels of an AnnData, or of an object in a file.

    Parameters
    ----------
    adata
        With labels of cellferry or of other tools.

    Raises
    ------
    UnsupportedObjectError
        This is no AnnData, nor is what is in the file.
    """
    labels = _object_of(adata)
    stored = {str(k): str(v) for k, v in dict(labels.uns.get(STORE, {})).items()}
    return Labelled(tuple(map(str, labels.obs_names)), labels.obs, stored)


def _object_of(adata: Object) -> anndata.AnnData:
    """Return an AnnData as it is, and of a path one without matrices."""
    found = labelled(adata)
    if not hasattr(found, "uns") or not hasattr(found, "obs_names"):
        message = f"Labels of cells are in an AnnData, and this is a {type(found).__name__}."
        raise UnsupportedObjectError(message, "An object in a file may be given by its path.")
    return found
