"""Matrices of R and of scipy. A dgCMatrix of genes x cells *is* the CSR of cells x genes.

Nothing is transposed in either direction: the three vectors of one are the three arrays of the
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeGuard

import numpy as np

from ..errors import InvalidObjectError, UnsupportedObjectError
from ..study.expression.kinds import Kind, look_at
from ..study.expression.matrix import MatrixSource
from .session import RObject, call, r_lock
from .vectors import classes, integers, names, parts, slot
from .views import new_vector, view

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csc_matrix, csr_matrix

    Sparse: TypeAlias = csr_matrix | csc_matrix
    Matrix: TypeAlias = Sparse | NDArray[np.float64]

MOST_VALUES = 2**31 - 1
"""Values that one sparse matrix of R can have."""
_INDICES = {"dgCMatrix": "i", "dgRMatrix": "j"}
"""Class of R -> its slot with the indices, beside the values ``x`` and the pointers ``p``."""


@dataclass(frozen=True)
class FromR:
    """A matrix of cells x genes, and whether it shares the memory of R."""

    values: Matrix
    is_shared: bool


def matrix_from_parts(
    found: RObject, cells: RObject, genes: RObject, *, copy: bool = False
) -> FromR:
    """Return the matrix of what ``layer_parts()`` returned.

    A single dgCMatrix, dgRMatrix or numeric matrix that has all cells and genes in their order
    is shared; anything else is read block by block into a new CSR.

    Parameters
    ----------
    found
        R list of parts; R has checked them.
    cells, genes
        R character vectors: the rows and the columns.
    copy
        Never share.
    """
    pieces = list(found)
    with r_lock() as rinterface:
        if len(pieces) == 1:
            part = parts(pieces[0])
            whole = all(
                bool(call("base::identical", part[name], wanted)[0])
                for name, wanted in (("cells", cells), ("genes", genes))
            )
            shared = shared_matrix(part["mat"]) if whole else None
            if shared is not None:
                return FromR(shared.copy() if copy else shared, not copy)
        blocks = parts(call("layer_blocks", found, cells, genes))
        read, n = blocks["read"], int(blocks["n"][0])
        return FromR(_assembled(read, n, (len(cells), len(genes)), rinterface), False)


def shared_matrix(mat: RObject) -> Matrix | None:
    """Return a matrix of genes x cells of R as cells x genes in R's memory, else None.

    The arrays are read-only; a write raises. Use ``.copy()`` to edit.
    """
    kind = classes(mat)[0]
    if kind == "matrix":
        return _shared_dense(mat)
    return _shared_sparse(mat, kind) if kind in _INDICES else None


def _shared_sparse(mat: RObject, kind: str) -> Sparse:
    from scipy.sparse import csc_matrix, csr_matrix

    n_genes, n_cells = (int(n) for n in slot(mat, "Dim"))
    index, pointers = (
        np.asarray(view(slot(mat, name)), dtype=np.int32) for name in (_INDICES[kind], "p")
    )
    cls: type[Sparse] = csr_matrix if kind == "dgCMatrix" else csc_matrix
    made = cls((view(slot(mat, "x")), index, pointers), shape=(n_cells, n_genes), copy=False)
    # R has checked the order of indices, and scipy would try to write where it finds out itself.
    made.has_sorted_indices = True
    made.has_canonical_format = True
    return made


def _shared_dense(mat: RObject) -> NDArray[np.float64] | None:
    with r_lock() as rinterface:
        if not isinstance(mat, rinterface.FloatSexpVector):
            return None
        n_genes, n_cells = (int(n) for n in slot(mat, "dim"))
    # R's columns one after another are the rows here.
    return np.asarray(view(mat), dtype=np.float64).reshape(n_cells, n_genes)


def _assembled(read: RObject, n: int, shape: tuple[int, int], rinterface: ModuleType) -> csr_matrix:
    from scipy.sparse import csr_matrix, vstack

    stacked = []
    for k in range(1, n + 1):
        block = parts(read.rcall([(None, integers([k]))], rinterface.globalenv))
        data, indices, pointers = (view(block[k]) for k in ("data", "indices", "indptr"))
        rows = int(block["n_rows"][0])
        stacked.append(csr_matrix((data, indices, pointers), shape=(rows, shape[1]), copy=False))
    if not stacked:
        return csr_matrix(shape, dtype="f8")
    # vstack() makes the pointers 64-bit where the parts together need it.
    made = vstack(stacked, format="csr") if len(stacked) > 1 else stacked[0].copy()
    made.has_sorted_indices = True
    made.has_canonical_format = True
    return made


def plain_matrix(mat: RObject) -> NDArray[np.float64]:
    """Return a numeric matrix of R, rows as rows, as an array of its own."""
    n_rows, n_columns = (int(n) for n in slot(mat, "dim"))
    return np.asarray(view(mat), dtype="f8").reshape((n_rows, n_columns), order="F").copy(order="C")


def row_names(mat: RObject) -> list[str]:
    """Return the row names of a matrix of R; none is an empty list."""
    with r_lock() as rinterface:
        found = slot(mat, "dimnames")
        return [] if found is rinterface.NULL else names(found[0])


def dense_to_r(values: ArrayLike) -> RObject:
    """Return an array of n x m as a matrix of R, rows as rows."""
    made = new_vector(np.asarray(values).ravel(order="F"), "double")
    return _with_dim(made, np.shape(values))


def _with_dim(vector: RObject, shape: tuple[int, ...]) -> RObject:
    with r_lock() as rinterface:
        symbol = rinterface.StrSexpVector(["dim"])
        return rinterface.baseenv["attr<-"].rcall(
            [(None, vector), (None, symbol), ("value", integers(shape))], rinterface.globalenv
        )


def transposed_to_r(values: object, name: str) -> RObject:
    """Return cells x genes as R's matrix of genes x cells, one copy and no transposition.

    Sparse values become a dgCMatrix, dense ones a matrix.

    Parameters
    ----------
    values
        2-D, in memory: a NumPy array or SciPy sparse, of any numeric dtype.
    name
        What the matrix is called in a message.

    Raises
    ------
    InvalidObjectError
        The matrix is damaged, or has more values than R can have.
    UnsupportedObjectError
        It is not in memory.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 2 or values.dtype.kind not in "fiub":
            message = f"{name} is a {values.ndim}-D array of {values.dtype}; R needs 2-D numbers."
            raise UnsupportedObjectError(message)
        made = new_vector(np.ascontiguousarray(values).ravel(), "double")
        return _with_dim(made, values.shape[::-1])
    if not _is_sparse(values):
        message = f"{name} is a {type(values).__name__}, which is not in memory."
        hint = "Bring it into memory first: adata.to_memory(), or .compute() for dask."
        raise UnsupportedObjectError(message, hint)
    return sparse_to_r(canonical(values, "csr", name), name)


def sparse_to_r(values: Sparse, name: str) -> RObject:
    """Return a canonical CSR of n x m as the dgCMatrix of m x n; of a CSC, that of n x m.

    Parameters
    ----------
    values
        What :func:`canonical` returned.
    name
        What the matrix is called in a message.

    Raises
    ------
    InvalidObjectError
        A side is longer than an integer of R.
    """
    rows, columns = values.shape
    dim = (columns, rows) if values.format == "csr" else (rows, columns)
    if max(values.shape) > MOST_VALUES:
        message = f"{name} of {rows} x {columns} has a side that is too long for R."
        raise InvalidObjectError(message)
    return call(
        "construct_matrix",
        new_vector(values.indices, "integer"), new_vector(values.indptr, "integer"),
        new_vector(values.data, "double"), integers(dim),
    )  # fmt: skip


def canonical(values: Sparse, form: Literal["csr", "csc"], name: str) -> Sparse:
    """Return a sparse matrix in CSR or CSC with sorted, unique indices; the given one is unchanged.

    Parameters
    ----------
    values
        SciPy sparse, of any format and numeric dtype.
    form
        ``"csr"`` or ``"csc"``.
    name
        What the matrix is called in a message.

    Raises
    ------
    InvalidObjectError
        Indices are out of range, values are not real numbers, or R cannot have that many.
    """
    if values.nnz > MOST_VALUES:
        message = f"{name} has {values.nnz} values, and one matrix of R can have {MOST_VALUES}."
        hint = "Convert parts of the cells, and merge() them in Seurat 5, which keeps them apart."
        raise InvalidObjectError(message, hint)
    if values.dtype.kind not in "fiub":
        message = f"{name} has values of type {values.dtype}, and R needs real numbers."
        raise InvalidObjectError(message)
    made = values if values.format == form else values.asformat(form)
    try:
        made.check_format(full_check=True)
    except ValueError as error:
        message = f"{name} is damaged: {error}."
        raise InvalidObjectError(message) from error
    if not made.has_canonical_format:
        made = made.copy()
        made.sum_duplicates()
    return made


def _is_sparse(values: object) -> TypeGuard[Sparse]:
    from scipy.sparse import issparse

    return bool(issparse(values))


def graph_to_r(values: Sparse, name: str) -> RObject:
    """Return an n x n sparse matrix as the dgCMatrix with the same rows and columns."""
    return sparse_to_r(canonical(values, "csc", name), name)


def graph_from_r(mat: RObject) -> csr_matrix:
    """Return a dgCMatrix of n x n as a CSR with the same rows and columns, a copy."""
    return _shared_sparse(mat, "dgCMatrix").T.tocsr()


def value_kind(values: Matrix) -> Kind:
    """Return the kind of the values of a matrix in memory; NaN and infinite ones do not count."""
    return look_at(MatrixSource(values, [""] * values.shape[1])).kind_of_finite
