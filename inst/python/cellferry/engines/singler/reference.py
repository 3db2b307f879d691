"""A labelled reference as SingleR takes it: its genes, its labels and its log-normalised values."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidOptionError, ModelError, counted
from ...study.options import path as path_option
from ...study.symbols import with_expression_symbols
from ..models.genes import places
from ..models.labels import labels_of, with_labelled
from ..models.values import SAID, How, LogNormalized

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ...study.study import Study

FEWEST_CELLS = 10
"""A label of single cells with fewer tells nothing; of bulk samples one is enough."""
ONTOLOGY = "label.ont"
"""The column of the references of celldex with Cell Ontology identifiers."""
OBJECT = "object:"
"""How the name of a reference begins that is an object of this session, not a file."""
MOST_KEPT = 4
MOST_OF_BULK = 0.5
"""Part of the values that may be 0 in bulk samples; of single cells it is more."""
GENES_OF_BULK = 1_000
"""With fewer genes it cannot be told, because these may be the ones that every cell has."""

_kept: OrderedDict[str, SingleRReference] = OrderedDict()


@dataclass(frozen=True, eq=False)
class SingleRReference:
    """A reference of n cells or samples x g genes with K labels.

    Attributes
    ----------
    genes, names
        g symbols and K labels, in alphabetical order.
    codes
        The label of each of the n cells.
    matrix
        n x g log-normalised values.
    terms
        Label -> identifier that the column ``label.ont`` has for it.
    title
        What it is called in records: the name of its file, or of its kind.
    labels
        The column.
    how
        How its values were read; see :mod:`..models.values`.
    is_bulk
        Whether these are bulk samples.
    """

    genes: tuple[str, ...]
    names: tuple[str, ...]
    codes: NDArray[np.intp]
    matrix: csr_matrix
    title: str
    labels: str
    how: How
    is_bulk: bool
    terms: dict[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """How genes are found where nobody says it."""
        return "classic" if self.is_bulk else "wilcox"

    @property
    def said(self) -> str:
        """What it is, in words for the user."""
        what = counted(len(self.codes), "bulk sample" if self.is_bulk else "cell")
        return (
            f"{what} of {counted(len(self.names), 'label')}, by de_method "
            f'"{self.method}". {SAID[self.how]}'
        )

    @property
    def digest(self) -> str:
        """The hash of all that decides a label."""
        made = hashlib.sha256("\x1f".join((*self.genes, "", *self.names)).encode())
        matrix = self.matrix
        for values in (
            self.codes.astype("<i4"),
            matrix.indptr.astype("<i8"),
            matrix.indices.astype("<i4"),
            matrix.data.astype("<f4"),
        ):
            made.update(np.ascontiguousarray(values).tobytes())
        return made.hexdigest()

    @classmethod
    def read(
        cls,
        path: str,
        labels: str,
        *,
        leave_out_unusable: bool,
        bulk: bool,
        assay: str | None = None,
    ) -> SingleRReference:
        """Read a file, or take an object that was given in this session.

        Parameters
        ----------
        path
            Of the file, or a name that :func:`keep_reference` gave.
        labels, leave_out_unusable, assay
            As in :class:`cellferry.engines.singler.SingleR`.
        bulk
            Whether it may be of bulk samples, of which one has a label for itself.

        Raises
        ------
        ModelError
            There is no such reference, or its labels teach nothing.
        """
        if path.startswith(OBJECT):
            if path in _kept:
                return _kept[path]
            message = "The reference was an object of another session, and is not here."
            hint = (
                "Make the engine with it again, and go on: in R SingleREngine(reference, labels), "
                "in Python SingleR(reference=adata, labels=...)."
            )
            raise ModelError(message, hint)
        file = Path(path).expanduser()
        if not file.exists():
            message = f'There is no reference "{path}".'
            raise ModelError(message, "Give the path of a labelled object (.h5ad, zarr or .rds).")

        def work(study: Study) -> SingleRReference:
            return cls.of(study, file.name, leave_out_unusable=leave_out_unusable, bulk=bulk)

        return with_labelled(file, labels, work, assay=assay)

    @classmethod
    def of(
        cls, study: Study, title: str, *, leave_out_unusable: bool, bulk: bool
    ) -> SingleRReference:
        """Return the reference of a study whose clusters are labels.

        Parameters
        ----------
        study
            Of cells, with all genes of the object.
        title
            What it is called in records.
        leave_out_unusable, bulk
            As in :meth:`read`.

        Raises
        ------
        ModelError, NotNormalizedError, EngineNeedsError
        """
        study = with_expression_symbols(study)
        values = LogNormalized.of(study, "singler", exact=False)
        is_bulk = bulk and _looks_bulk(values)
        labels = labels_of(
            study, leave_out=leave_out_unusable, fewest=1 if is_bulk else FEWEST_CELLS,
            what="reference", option="leave_out_unusable",
        )  # fmt: skip
        place = places(values.source.genes)
        columns = np.fromiter(place.values(), dtype=np.intp, count=len(place))
        rows = np.flatnonzero(labels.codes >= 0)
        return cls(
            tuple(place),
            labels.names,
            labels.codes[rows],
            _read(values, rows, columns),
            title,
            str(study.group_key),
            values.how,
            is_bulk,
            _terms(study, labels.names, labels.codes),
        )


def named_reference(
    given: anndata.AnnData | str | os.PathLike[str] | None,
    labels: str | None,
    *,
    leave_out_unusable: bool,
    bulk: bool,
) -> tuple[str | None, SingleRReference | None]:
    """Return how a reference is called in a record, and the reference where it is an object.

    Parameters
    ----------
    given, labels, leave_out_unusable
        As in :class:`cellferry.engines.singler.SingleR`.
    bulk
        As in :meth:`SingleRReference.read`.
    """
    if given is None:
        return None, None
    if isinstance(given, str | os.PathLike):
        name = path_option("reference", given)
        return name, _kept.get(name)
    if not all(hasattr(given, part) for part in ("obs", "var", "X")):
        message = f"`reference` must be an AnnData or a path, not {type(given).__name__}."
        raise InvalidOptionError(message, "Give a labelled AnnData, or the path of its file.")
    if labels is None:
        return f"{OBJECT}AnnData", None

    def work(study: Study) -> SingleRReference:
        return SingleRReference.of(
            study, "AnnData", leave_out_unusable=leave_out_unusable, bulk=bulk
        )

    found = with_labelled(given, labels, work)
    return keep_reference(found), found


def keep_reference(reference: SingleRReference) -> str:
    """Keep a reference for this session, and return its name; the last few are kept."""
    name = f"{OBJECT}{reference.digest[:32]}"
    _kept[name] = reference
    _kept.move_to_end(name)
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
    return name


def is_kept(name: str) -> bool:
    """Whether a reference of this name is at hand."""
    return name in _kept


def _looks_bulk(values: LogNormalized) -> bool:
    """Whether most values of the first block are found, as in no single cell."""
    if values.source.shape[1] < GENES_OF_BULK:
        return False
    for _, block in values:
        shape: tuple[int, int] = block.shape
        return bool(block.count_nonzero() > (1 - MOST_OF_BULK) * shape[0] * shape[1])
    return False


def _read(values: LogNormalized, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> csr_matrix:
    from scipy.sparse import csr_matrix, vstack

    parts = []
    for start, block in values:
        first, last = np.searchsorted(rows, [start, start + block.shape[0]])
        if last > first:
            parts.append(block[rows[first:last] - start][:, columns])
    found = csr_matrix(vstack(parts, format="csr"), dtype=np.float32)
    found.sort_indices()
    return found


def _terms(study: Study, names: tuple[str, ...], codes: NDArray[np.intp]) -> dict[str, str]:
    """Return label -> term, where all of its cells that have one have the same."""
    if study.obs is None or ONTOLOGY not in study.obs:
        return {}
    terms = [t if isinstance(t, str) else "" for t in study.obs[ONTOLOGY]]
    seen: dict[str, set[str]] = {name: set() for name in names}
    for code, term in zip(codes.tolist(), terms, strict=True):
        if code >= 0 and term.startswith("CL:"):
            seen[names[code]].add(term)
    return {name: found.pop() for name, found in seen.items() if len(found) == 1}
