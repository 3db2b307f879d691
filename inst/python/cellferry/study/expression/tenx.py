"""The counts of an .h5 of 10x Genomics, which has features x cells, read by cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .origin import OF_10X, Origin, file_of, fingerprint_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix


class CountsOf10x:
    """Cells x genes of the groups of a 10x .h5, read by cells.

    Parameters
    ----------
    groups
        Of h5py, one for each genome, of the same cells.
    genes
        Positions of the features that are genes; None is all.
    """

    format = "csr"

    def __init__(self, groups: Sequence[Any], genes: NDArray[np.intp] | None) -> None:
        self._groups, self._genes = groups, genes
        self._indptr = [group["indptr"][:] for group in groups]
        features = sum(int(group["shape"][0]) for group in groups)
        n_cells = len(self._indptr[0]) - 1
        self.shape = (n_cells, features if genes is None else len(genes))
        self.dtype = np.dtype(np.float32)
        self.group = {"indptr": sum(self._indptr), "data": groups[0]["data"]}
        """Where values may be looked at, and how many each cell has."""

    def origin(self, columns: Sequence[int] | None) -> Origin | None:
        """Return where it is, for another process; None where it is in no file.

        Parameters
        ----------
        columns
            Which of its columns are wanted; None is all.
        """
        path = file_of(self._groups[0])
        if path is None:
            return None
        wanted = self._genes
        if columns is not None:
            wanted = np.array(columns) if wanted is None else wanted[list(columns)]
        kept = None if wanted is None else tuple(wanted.tolist())
        names = "/".join(str(group.name).strip("/") for group in self._groups)
        return Origin(str(path), names, fingerprint_of(path), kept, OF_10X)

    def __getitem__(self, cells: slice) -> csr_matrix:
        """Return some cells that follow each other."""
        from scipy.sparse import csr_matrix, hstack

        start, stop, _ = cells.indices(self.shape[0])
        parts = []
        for group, indptr in zip(self._groups, self._indptr, strict=True):
            pointers = indptr[start : stop + 1]
            here = slice(int(pointers[0]), int(pointers[-1]))
            # Compressed by cells: columns of features x cells are rows of cells x features.
            arrays = (group["data"][here], group["indices"][here], pointers - pointers[0])
            parts.append(csr_matrix(arrays, shape=(stop - start, int(group["shape"][0]))))
        whole = parts[0] if len(parts) == 1 else hstack(parts, format="csr")
        made = csr_matrix(whole, dtype=np.float32)
        return made if self._genes is None else made[:, self._genes]
