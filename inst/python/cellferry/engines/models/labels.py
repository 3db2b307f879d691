"""The labels of a reference: where they are read, and whether anything can be learned of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...biology.genes import require_names
from ...biology.text import says_unknown
from ...errors import ModelError, counted, listing
from ...study.build import study_of_cells
from ...study.inputs.objects import read_object
from ...study.inputs.readers import path_of_r, reader_of_r
from ...study.study import Study

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

logger = logging.getLogger("cellferry")

_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of a reference, in alphabetical order, and the class of each cell or -1."""

    names: tuple[str, ...]
    codes: NDArray[np.intp]

    @property
    def sizes(self) -> NDArray[np.intp]:
        """How many cells each class has."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))


def with_labelled(
    data: anndata.AnnData | Study | str | os.PathLike[str],
    labels: str,
    work: Callable[[Study], _Result],
    *,
    assay: str | None = None,
) -> _Result:
    """Do something with the study of a labelled object, whose clusters are its labels.

    Parameters
    ----------
    data
        AnnData, a study, or the path of an .h5ad, zarr or .rds.
    labels
        Column of the metadata.
    work
        What is done; of an .rds the study is gone afterwards.
    assay
        Of an .rds; None is its default assay.

    Raises
    ------
    GroupMissingError, GroupNotClustersError, InputError
    """
    file = path_of_r(data, assay)
    if file is not None:
        read = reader_of_r("reference", file)
        found: _Result = read(file, work, group_key=labels, assay=assay)
        return found
    if isinstance(data, Study):
        return work(data)
    is_path = isinstance(data, str | os.PathLike)
    adata: Any = read_object(Path(data).expanduser()) if is_path else data
    return work(study_of_cells(adata, group_key=labels))


def labels_of(
    study: Study, *, leave_out: bool, fewest: int, what: str = "model", option: str = "leave_out"
) -> Labels:
    """Return the classes of a study whose clusters are labels; refuses what teaches nothing.

    Parameters
    ----------
    study
        Of cells.
    leave_out
        Leave out cells without a label, and labels of too few cells; else they are errors.
    fewest
        How many cells a label must have.
    what
        ``"model"`` or ``"reference"``, for the message.
    option
        How the caller calls ``leave_out``, for the message.

    Raises
    ------
    ModelError
        There are no labels, some are missing, there is one class, or too few cells of one.
    GeneIdentifiersError
        The genes have no names, by which it could be applied to other cells.
    """
    require_names(study.genes or (), what)
    given = study.clusters
    if given.codes is None or study.cells is None or study.group_key is None:
        message = f"A {what} is made of cells with labels, and this has none."
        raise ModelError(message, "Give an object, and the column of its labels.")
    column = f'"{study.group_key}"'
    names = sorted(name for name in given.names if not says_unknown(name))
    place = {name: i for i, name in enumerate(names)}
    moved = np.array([*(place.get(name, -1) for name in given.names), -1], dtype=np.intp)
    found = Labels(tuple(names), moved[given.codes])
    missing = int(np.sum(found.codes < 0))
    if missing and not leave_out:
        message = f"{missing} of {counted(len(found.codes), 'cell')} have no label in {column}."
        raise ModelError(message, f"Leave them out with `{option}=True`, or label them.")
    sizes = dict(zip(names, found.sizes.tolist(), strict=True))
    small = [n for n, k in sizes.items() if 0 < k < fewest]
    if small and not leave_out:
        shown = ", ".join(f'"{n}" ({sizes[n]})' for n in small[:5])
        message = (
            f"{counted(len(small), 'label')} of {column} {'has' if len(small) == 1 else 'have'} "
            f"fewer than {fewest} cells: {shown}."
        )
        raise ModelError(message, f"Leave them out with `{option}=True`, or join them to others.")
    kept = [n for n, k in sizes.items() if k >= max(fewest, 1)]
    if len(kept) < 2:
        there = listing(kept) if kept else "none"
        of = f" of {fewest} cells or more" if fewest > 1 else ""
        message = f"A {what} needs two labels{of}; {column} has {there}."
        raise ModelError(message, "Name another column as `labels`, or give a larger reference.")
    if missing or small:
        logger.info("Left out: %s without a label, %s of too few cells.",
                    counted(missing, "cell"), counted(len(small), "label"))  # fmt: skip
    place = {name: i for i, name in enumerate(kept)}
    moved = np.array([*(place.get(name, -1) for name in names), -1], dtype=np.intp)
    return replace(found, names=tuple(kept), codes=moved[found.codes])
