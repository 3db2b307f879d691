"""A block of cells as a unit of a run: its answer in a file, its checksum in the journal."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import OutputError
from ...files import file_hash, write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ...runs.run import Run

Arrays = dict[str, "NDArray[Any]"]


@dataclass(frozen=True)
class BlockUnit:
    """The answer to one block, known by all that decides it.

    Attributes
    ----------
    path
        Of its file, an ``.npz`` without pickle.
    key
        Hash of the engine's options, the block's place and its values.
    """

    path: Path
    key: str

    @classmethod
    def of(cls, folder: Path, start: int, block: csr_matrix, key: str) -> BlockUnit:
        """Return the unit of a block.

        Parameters
        ----------
        folder
            Where the files of the engine are.
        start
            Row of its first cell.
        block
            Cells x genes, as they are read.
        key
            What else decides the answer.
        """
        made = hashlib.sha256(f"{key}\x1f{start}".encode())
        for part, kind in ((block.indptr, "<i8"), (block.indices, "<i4"), (block.data, "<f4")):
            made.update(np.ascontiguousarray(part, dtype=kind).tobytes())
        whole = made.hexdigest()
        return cls(folder / f"{start:09d}-{whole[:12]}.npz", whole)

    def kept(self, finished: Mapping[str, Any]) -> Arrays | None:
        """Return what an earlier process of the run found, if it is whole.

        Parameters
        ----------
        finished
            The journal of the run.
        """
        known = finished.get(self.key)
        if known is None or not self.path.is_file() or file_hash(self.path) != known["sha256"]:
            return None
        with np.load(self.path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}

    def keep(self, found: Arrays, run: Run, unit: str) -> None:
        """Write the answer, and note it in the journal.

        Parameters
        ----------
        found
            Arrays by name, none of objects.
        run
            Of the engine.
        unit
            What is answered, in words.

        Raises
        ------
        OutputError
        """
        packed = io.BytesIO()
        arrays: dict[str, Any] = dict(found)
        np.savez(packed, **arrays)
        try:
            self.path.parent.mkdir(exist_ok=True)
            write_whole(self.path, packed.getvalue())
        except OSError as error:
            message = f'The answer cannot be written to "{self.path}": {error.strerror}.'
            raise OutputError(message, "Make room and resume the run.") from error
        name = f"{self.path.parent.name}/{self.path.name}"
        run.record(unit, self.key, {"file": name, "sha256": file_hash(self.path)})
