"""A file in memory that R writes and that is read here without a copy."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

PROCESSES = Path("/proc")
"""Where Linux shows the open files of a process, those without a name too, to its user."""


class MemoryFile:
    """A file without a name and without a place on disk; it goes with the process.

    R, in this process or another one of the same user, writes a vector as it lies in memory, in
    one step; as a message it would be copied three times. Linux only: see :meth:`usable`.

    Examples
    --------
    >>> if MemoryFile.usable():
    ...     file = MemoryFile()
    ...     _ = file.path.write_bytes(bytes([1, 0, 0, 0, 2, 0, 0, 0]))
    ...     [values] = file.arrays(["<i4"], [2])
    ...     assert values.tolist() == [1, 2]
    """

    def __init__(self) -> None:
        # Not inherited by child processes, so that it goes with this one.
        self._descriptor = os.memfd_create("cellferry", os.MFD_CLOEXEC)

    @staticmethod
    def usable() -> bool:
        """Whether the system has such files."""
        return hasattr(os, "memfd_create") and (PROCESSES / str(os.getpid()) / "fd").is_dir()

    @property
    def path(self) -> Path:
        """The name by which a process of this user can open it."""
        return PROCESSES / str(os.getpid()) / "fd" / str(self._descriptor)

    def arrays(self, dtypes: Sequence[DTypeLike], lengths: Sequence[int]) -> list[NDArray[Any]]:
        """Return what was written, one array after the other, and give up the file.

        The arrays hold its memory between them. Changing one copies the page that is changed.

        Raises
        ------
        InternalError
            The file has another size.
        """
        kinds = [np.dtype(dtype) for dtype in dtypes]
        sizes = [kind.itemsize * n for kind, n in zip(kinds, lengths, strict=True)]
        there = os.fstat(self._descriptor).st_size
        if there != sum(sizes):
            message = f"A matrix from R has {there} bytes, not {sum(sizes)}."
            raise InternalError(message)
        if there == 0:
            self.close()
            return [np.empty(0, kind) for kind in kinds]
        memory = mmap.mmap(self._descriptor, there, access=mmap.ACCESS_COPY)
        self.close()
        starts = np.cumsum([0, *sizes[:-1]]).tolist()
        return [
            np.frombuffer(memory, kind, n, start)
            for kind, n, start in zip(kinds, lengths, starts, strict=True)
        ]

    def close(self) -> None:
        """Give up the file; memory that arrays still hold goes with them. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
