"""The body of a request, made from row blocks, in chunks of a bounded size.

The body is exactly ``{"genes": [...], "matrix": {"indptr", "indices", "data", "shape"},
"model", "reference_atlas"}`` with a CSR matrix of cells x genes. It is joined from pieces of
text that were encoded once; nothing is ever dense, and no more than one chunk is held here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidObjectError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

MOST_CELLS = 100_000
"""Cells that the service takes in one request."""
SLAB_VALUES = 65_536
"""Values that are encoded at once; a chunk ends between two slabs."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """One request.

    Attributes
    ----------
    number
        From 1, in the order of rows.
    rows
        Positions of its cells in the study.
    body
        JSON.
    """

    number: int
    rows: NDArray[np.intp]
    body: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """A hash of the body, which determines the answer."""
        return hashlib.sha256(self.body).hexdigest()

    def halves(self) -> tuple[Chunk, Chunk]:
        """Return two chunks of the same number that have its cells in their order.

        The text is cut, not written anew, so that every value stays as it was encoded.
        """
        import orjson

        # No name can contain these: in a JSON text a quotation mark has a backslash before it.
        start = self.body.index(_POINTERS) + len(_POINTERS)
        columns = self.body.index(_COLUMNS, start)
        values = self.body.index(_VALUES, columns)
        shape = self.body.index(_SHAPE, values)
        tail = self.body.index(b"}", shape)
        pointers = np.array(orjson.loads(self.body[start:columns]), dtype=np.int64)
        n_genes = orjson.loads(self.body[shape + len(_SHAPE) - 1 : tail])[1]
        middle = len(self.rows) // 2
        texts = [
            _cut(self.body[columns + len(_COLUMNS) : values], int(pointers[middle])),
            _cut(self.body[values + len(_VALUES) : shape], int(pointers[middle])),
        ]
        made = []
        for i, rows in enumerate((self.rows[:middle], self.rows[middle:])):
            own = pointers[: middle + 1] if i == 0 else pointers[middle:] - pointers[middle]
            matrix = _matrix(own, [texts[0][i]], [texts[1][i]], n_genes)
            body = b"".join((self.body[:start], *matrix, self.body[tail:]))
            made.append(Chunk(self.number, rows, body))
        return made[0], made[1]


_POINTERS, _COLUMNS, _VALUES, _SHAPE = (
    b',"matrix":{"indptr":', b',"indices":[', b'],"data":[', b'],"shape":['
)  # fmt: skip


def _matrix(
    pointers: NDArray[np.int64], columns: Iterable[bytes], values: Iterable[bytes], n_genes: int
) -> list[bytes]:
    """Return the matrix of a body, from its first brackets to its last, in pieces.

    The body is joined of them once: it is large, and so would be every copy on the way.
    """
    import orjson

    return [
        orjson.dumps(np.ascontiguousarray(pointers), option=orjson.OPT_SERIALIZE_NUMPY),
        _COLUMNS,
        *_listed(columns),
        _VALUES,
        *_listed(values),
        _SHAPE,
        b"%d,%d]" % (len(pointers) - 1, n_genes),
    ]


def _listed(texts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the texts with commas between them."""
    for i, text in enumerate(texts):
        if i:
            yield b","
        yield text


def _cut(text: bytes, n: int) -> tuple[bytes, bytes]:
    """Return the first n numbers of a text with commas between them, and the others."""
    if n == 0:
        return b"", text
    commas = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord(","))
    if n > len(commas):
        return text, b""
    at = int(commas[n - 1])
    return text[:at], text[at + 1 :]


@dataclass
class _Filling:
    """What of the next chunk has been encoded."""

    rows: list[NDArray[np.intp]] = field(default_factory=list)
    lengths: list[NDArray[np.int64]] = field(default_factory=list)
    indices: list[bytes] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    size: int = 0
    cells: int = 0

    def add(self, slab: _Slab) -> None:
        self.rows.append(slab.rows)
        self.lengths.append(slab.lengths)
        if slab.indices:
            self.indices.append(slab.indices)
            self.data.append(slab.data)
        self.size += slab.size
        self.cells += len(slab.rows)


@dataclass(frozen=True)
class _Slab:
    rows: NDArray[np.intp]
    lengths: NDArray[np.int64]
    indices: bytes
    data: bytes

    @property
    def size(self) -> int:
        # Each row adds a number to indptr.
        return len(self.indices) + len(self.data) + 12 * len(self.rows)


class Encoder:
    """Turns blocks of cells x genes into chunks.

    Parameters
    ----------
    genes
        Names of the columns.
    model, reference_atlas
        As the service knows them.
    counts
        Whether the values are raw counts: then they are sent as whole numbers, a third of
        the bytes.
    chunk_bytes, chunk_cells
        Upper bounds of a chunk; a single cell may be larger.
    more
        What else is in the body of a request, for one that is the only one.
    """

    def __init__(
        self,
        genes: Sequence[str],
        *,
        model: str,
        reference_atlas: str,
        counts: bool,
        chunk_bytes: int,
        chunk_cells: int,
        more: Mapping[str, object] | None = None,
    ) -> None:
        import orjson

        self._n_genes = len(genes)
        self._head = b'{"genes":' + orjson.dumps(list(genes)) + _POINTERS
        tail = {"model": model, "reference_atlas": reference_atlas, **(more or {})}
        self._tail = b"}," + orjson.dumps(tail)[1:]
        self._counts = counts
        self._bytes = chunk_bytes - len(self._head) - len(self._tail)
        self._cells = min(chunk_cells, MOST_CELLS)

    def chunks(
        self, source: Iterable[tuple[int, csr_matrix]], keep: NDArray[np.bool_] | None = None
    ) -> Iterator[Chunk]:
        """Yield chunks of the rows to keep (None: all), in their order.

        Raises
        ------
        InvalidObjectError
            A value is not finite, or no count where counts were promised.
        """
        number, filling = 0, _Filling()
        for start, block in source:
            rows = np.arange(start, start + block.shape[0], dtype=np.intp)
            kept = block
            if keep is not None and not keep[rows].all():
                rows = rows[keep[rows]]
                kept = block[rows - start]
            for slab in self._slabs(kept, rows):
                full = filling.size + slab.size > self._bytes
                if filling.cells and (full or filling.cells + len(slab.rows) > self._cells):
                    number += 1
                    yield self._chunk(number, filling)
                    filling = _Filling()
                filling.add(slab)
        if filling.cells:
            yield self._chunk(number + 1, filling)

    def _slabs(self, block: csr_matrix, rows: NDArray[np.intp]) -> Iterator[_Slab]:
        import orjson

        values = self._values(block)
        pointers, columns = block.indptr, np.ascontiguousarray(block.indices)
        # A slab must fit into a chunk even where its text is long.
        most = max(1, min(SLAB_VALUES, self._bytes // 64))
        first = 0
        while first < len(rows):
            fits = int(np.searchsorted(pointers, pointers[first] + most, side="right")) - 1
            last = min(max(fits, first + 1), first + self._cells, len(rows))
            part = slice(int(pointers[first]), int(pointers[last]))
            option = orjson.OPT_SERIALIZE_NUMPY
            yield _Slab(
                rows[first:last],
                np.diff(pointers[first : last + 1]).astype(np.int64),
                orjson.dumps(columns[part], option=option)[1:-1],
                orjson.dumps(values[part], option=option)[1:-1],
            )
            first = last

    def _values(self, block: csr_matrix) -> NDArray[np.generic]:
        data = block.data
        if len(data) and not (np.isfinite(data.min()) and np.isfinite(data.max())):
            message = "The expression has values that are not finite numbers."
            raise InvalidObjectError(message, "Normalise the counts again.")
        if self._counts:
            whole = data.astype(np.int64)
            if len(data) and (whole.min() < 0 or not bool(np.array_equal(whole, data))):
                message = "The counts have values that are no whole numbers of at least 0."
                raise InvalidObjectError(
                    message, 'Send the normalised values: `values="normalized"`.'
                )
            return np.ascontiguousarray(whole)
        kept = data if data.dtype in (np.float32, np.float64) else data.astype(np.float64)
        return np.ascontiguousarray(kept)

    def _chunk(self, number: int, filling: _Filling) -> Chunk:
        pointers = np.zeros(filling.cells + 1, dtype=np.int64)
        np.cumsum(np.concatenate(filling.lengths), out=pointers[1:])
        matrix = _matrix(pointers, filling.indices, filling.data, self._n_genes)
        body = b"".join((self._head, *matrix, self._tail))
        return Chunk(number, np.concatenate(filling.rows), body)
