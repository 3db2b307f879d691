"""The page of a review and its blocks, from the folder of the review."""

from __future__ import annotations

import re
import threading
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...annotations.decisions.in_force import with_decisions
from ...annotations.report import Live, render
from ...annotations.report.blocks import NOWHERE, gene_block
from ...annotations.report.content import decisions_of, refreshed
from ...artifacts.vars_h5.reader import VarsFile
from ..failures import Code, Failure

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from ...annotations.clusters import Annotations
    from ...runs.reviews import ReviewFolder

STORED = re.compile(r"(terms|clusters|genes|summary|(coordinates|column|histogram)/[0-9]{1,6})")
"""Blocks that lie in the folder as they are sent."""


class ReviewPage:
    """What is served of a review; any thread may ask.

    Parameters
    ----------
    folder
        Complete.
    """

    def __init__(self, folder: ReviewFolder) -> None:
        self.folder = folder
        self.before = folder.annotations()
        self._index = folder.index()
        self._measured = folder.measured()
        self._mutex = threading.Lock()
        self._known: tuple[tuple[int, int], Annotations] | None = None
        self.reading = threading.Lock()
        """Held while the values are read: HDF5 has one lock anyway."""

    @property
    def n_cells(self) -> int:
        """Cells of the object."""
        return int(self._index["n_cells"] or 0)

    @property
    def noun(self) -> str:
        """What a row is: ``"cluster"``, or ``"label"`` where cells were annotated."""
        return str(self._index["noun"])

    def hash_of(self, number: int) -> tuple[str, str]:
        """Return what a decision knows a row by, and of what that is."""
        row = self._index["rows"][number]
        return str(row["hash"]), str(row["basis"])

    @cached_property
    def rows_of_cells(self) -> NDArray[np.uint16]:
        """The row of each cell, 65535 for none."""
        return np.frombuffer(self.folder.block("clusters").read_bytes(), dtype="<u2")

    @cached_property
    def vars_file(self) -> VarsFile | None:
        """The values by gene, opened once; None where there are none."""
        path = self.folder.vars_h5
        return None if path is None else VarsFile(path)

    def now(self) -> Annotations:
        """Return the annotations with the labels in force, read again where somebody decided."""
        with self._mutex:
            try:
                status = self.folder.decisions.stat()
                state = (status.st_mtime_ns, status.st_size)
            except FileNotFoundError:
                state = (0, 0)
            if self._known is None or self._known[0] != state:
                self._known = (state, self._decided())
            return self._known[1]

    def _decided(self) -> Annotations:
        known = {d.id for d in self.before.decisions}
        new = [d for d in self.folder.decided() if d.id not in known]
        if not new:
            return self.before
        return with_decisions(self.before, [*self.before.decisions, *new])

    def decisions(self) -> list[dict[str, Any]]:
        """Return the history as the page lists it."""
        return decisions_of(self.now())

    def html(self, *, compare: bool = True) -> str:
        """Return the page, with the labels in force."""
        live = Live(
            "data/",
            "data/decisions",
            compare=compare and self.vars_file is not None,
            done=self.folder.waiting.exists(),
            lists="data/lists",
        )
        found = self.now()
        index = {**refreshed(self._index, found, live), "lists": self.folder.gene_lists()}
        return render(found, live=live, index=index)

    def block(self, name: str) -> bytes:
        """Return a block.

        Parameters
        ----------
        name
            As the page asks for it: ``column/3``, ``gene/17``, ``feature/0/5``.

        Raises
        ------
        Failure
            There is none of that name.
        """
        if STORED.fullmatch(name):
            try:
                return self.folder.block(name).read_bytes()
            except FileNotFoundError:
                raise _no_block() from None
        kind, _, rest = name.partition("/")
        numbers = [int(n) for n in rest.split("/") if n.isascii() and n.isdigit() and len(n) < 9]
        if kind == "gene" and rest == "/".join(map(str, numbers)) and len(numbers) == 1:
            return self.gene(numbers[0])
        if kind == "feature" and rest == "/".join(map(str, numbers)) and len(numbers) == 2:
            return self._feature(*numbers)
        raise _no_block()

    def gene(self, position: int) -> bytes:
        """Return the value of every cell of a gene: the largest, then shares of it.

        Cells without expression are as those with none.
        """
        if self.vars_file is None or position >= self.vars_file.n_vars:
            raise _no_block()
        with self.reading:
            cells, values = self.vars_file.gene(position)
        at = cells if self._measured is None else self._measured[cells]
        return gene_block(at, values, self.n_cells)

    def _feature(self, assay: int, position: int) -> bytes:
        path, size = self.folder.block(f"feature/{assay}"), 4 + self.n_cells
        try:
            with path.open("rb") as file:
                file.seek(size * position)
                found = file.read(size)
        except FileNotFoundError:
            raise _no_block() from None
        if len(found) != size:
            raise _no_block()
        return found

    def cells_of_row(self, number: int) -> NDArray[np.intp]:
        """Return the positions of the cells of a row."""
        return np.flatnonzero(self.rows_of_cells == number)

    def names(self, positions: NDArray[np.integer]) -> list[str]:
        """Return the names of some cells, in the order of their positions."""
        import duckdb
        import pandas as pd

        config: dict[str, Any] = {
            "memory_limit": "256MB", "threads": "1", "lock_configuration": "true",
            "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
        }  # fmt: skip
        path = str(self.folder.file("obs.duckdb"))
        with duckdb.connect(path, read_only=True, config=config) as database:
            # The names are the last column, whatever others are called.
            name = database.execute("SELECT * FROM obs LIMIT 0").description[-1][0]
            column = '"' + name.replace('"', '""') + '"'
            database.register("wanted", pd.DataFrame({"at": np.sort(positions)}))
            rows = database.execute(
                f"SELECT {column} FROM obs JOIN wanted ON obs.rowid = wanted.at ORDER BY wanted.at"
            ).fetchall()
        return [str(row[0]) for row in rows]

    def engine_label(self, positions: NDArray[np.integer]) -> str | None:
        """Return the engine's label of some cells, None where they have several."""
        rows = np.unique(self.rows_of_cells[positions])
        if NOWHERE in rows:
            return None
        engine = list(with_decisions(self.before, ()))
        labels = {engine[int(row)].label for row in rows}
        return labels.pop() if len(labels) == 1 else None


def _no_block() -> Failure:
    return Failure(Code.NOT_FOUND, "This object does not have it.")
