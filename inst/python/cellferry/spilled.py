"""Row blocks that arrived from elsewhere (R) and are too many for memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .expression import BlockSource

if TYPE_CHECKING:
    from numpy.typing import DTypeLike
    from scipy.sparse import csr_matrix


class SpilledSource(BlockSource):
    """Takes blocks as :class:`cellferry.expression.BlockSource` does and keeps them in a file.

    The file has no name, so it goes when the source does, or the process, however it ends.

    Parameters
    ----------
    n_cells, genes
        The shape they must fill.
    folder
        Where the file is; None is the system's place for temporary files, which is often
        small: the folder of the artifacts is the better place.
    dtype
        Of the values in the file. float32 is that of vars.h5; counts need float64, so that
        none is rounded before it is checked.

    Examples
    --------
    >>> source = SpilledSource(1, ["CD3E"])
    >>> source.append(0, np.array([0, 1]), np.array([0]), np.array([0.5]))
    >>> [(start, block.toarray().tolist()) for start, block in source]
    [(0, [[0.5]])]
    """

    in_memory = False

    def __init__(
        self,
        n_cells: int,
        genes: Sequence[str],
        folder: Path | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(n_cells, genes)
        self._dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this
        self._places: list[tuple[int, int, int]] = []

    def _keep(self, row_start: int, block: csr_matrix) -> None:
        n_rows, n_values = int(block.shape[0]), int(block.nnz)
        self._places.append((row_start, n_rows, n_values))
        self._file.seek(0, 2)
        self._file.write(block.indptr.astype(np.int64).tobytes())
        self._file.write(block.indices.astype(np.int32).tobytes())
        self._file.write(block.data.astype(self._dtype).tobytes())

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield the blocks in row order."""
        from scipy.sparse import csr_matrix

        place = 0
        for row_start, n_rows, n_values in self._places:
            self._file.seek(place)
            values_at = 8 * (n_rows + 1) + 4 * n_values
            length = values_at + self._dtype.itemsize * n_values
            content = self._file.read(length)
            place += length
            indptr = np.frombuffer(content, np.int64, n_rows + 1)
            indices = np.frombuffer(content, np.int32, n_values, 8 * (n_rows + 1))
            data = np.frombuffer(content, self._dtype, n_values, values_at)
            shape = (n_rows, self.shape[1])
            yield row_start, csr_matrix((data, indices, indptr), shape=shape, copy=False)

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()
