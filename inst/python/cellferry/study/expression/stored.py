"""A sparse matrix in a file of HDF5, read along what it is compressed by, and nothing besides.

anndata reads the same; a process that only reads ranges of one matrix needs none of what it
imports, and of the pointers those of its range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py
    import numpy as np

    from .source import Block

_FORMATS = {"csr_matrix": "csr", "csc_matrix": "csc"}


class StoredMatrix:
    """Cells x genes in a group of a file.

    Parameters
    ----------
    group
        With ``data``, ``indices`` and ``indptr``, encoded as anndata has it since 0.7.

    Raises
    ------
    ValueError
        It is encoded otherwise.

    Examples
    --------
    >>> import h5py
    >>> with h5py.File(getfixture("tmp_path") / "x.h5", "w") as file:
    ...     made = file.create_group("X")
    ...     made.attrs.update({"encoding-type": "csr_matrix", "shape": [2, 3]})
    ...     made["data"], made["indices"], made["indptr"] = [5.0, 6.0], [0, 2], [0, 1, 2]
    ...     StoredMatrix(made)[1:2].toarray().tolist()
    [[0.0, 0.0, 6.0]]
    """

    def __init__(self, group: h5py.Group) -> None:
        found = _FORMATS.get(str(group.attrs.get("encoding-type")))
        if found is None:
            message = f"{group.name} is no sparse matrix of anndata."
            raise ValueError(message)
        self.format = found
        self.group = group
        cells, genes = (int(n) for n in group.attrs["shape"])
        self.shape = (cells, genes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        found: np.dtype[Any] = self.group["data"].dtype
        return found

    def __getitem__(self, wanted: Any) -> Block:
        """Return a range of cells of a CSR matrix, or ``[:, range]``, genes of a CSC matrix."""
        from scipy.sparse import csc_matrix, csr_matrix

        along = wanted if self.format == "csr" else wanted[1]
        length = self.shape[0 if self.format == "csr" else 1]
        start, stop, _ = along.indices(length)
        pointers = self.group["indptr"][start : stop + 1]
        here = slice(int(pointers[0]), int(pointers[-1]))
        arrays = (self.group["data"][here], self.group["indices"][here], pointers - pointers[0])
        if self.format == "csr":
            return csr_matrix(arrays, shape=(stop - start, self.shape[1]))
        return csc_matrix(arrays, shape=(self.shape[0], stop - start))
