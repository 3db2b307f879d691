"""Matrix Market files read by pieces of text, as 10x Genomics writes them.

The format is that of https://math.nist.gov/MatrixMarket/formats.html, "coordinate" and "general";
what a piece says is read by SciPy, as the whole file would be.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from ...errors import InputError, counted
from ..expression.blocks import BLOCK_VALUES, row_ranges
from ..expression.on_disk import DiskMatrix, LateMatrix, put_on_disk
from ..expression.rows import RowMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

TEXT = 8 << 20
"""Bytes of text that are read at once: some 700,000 values."""
_NARROW = np.iinfo(np.int32)
_AGAIN = "Copy or download it again, and compare its size with that of the source."


@dataclass(frozen=True)
class Header:
    """What the first lines of a Matrix Market file say.

    Attributes
    ----------
    kind
        ``coordinate`` or ``array``.
    numbers
        ``integer``, ``real``, ``pattern`` or ``complex``.
    symmetry
        ``general``, or what only half is written of.
    rows, columns, values
        Its size.
    lines
        How many lines were read.
    """

    kind: str
    numbers: str
    symmetry: str
    rows: int
    columns: int
    values: int
    lines: int

    @property
    def is_plain(self) -> bool:
        """Whether each line is one value of a matrix of numbers."""
        known = self.numbers in {"integer", "real", "pattern"}
        return self.kind == "coordinate" and self.symmetry == "general" and known


def read_header(path: Path) -> Header:
    """Return what a file says of itself.

    Raises
    ------
    InputError
        It is no Matrix Market file.
    """
    with _opened(path) as stream:
        return _header(path, stream)


def _header(path: Path, stream: IO[bytes]) -> Header:
    first = stream.readline(10_000).decode("utf-8", "replace").lower().split()
    if len(first) != 5 or first[:2] != ["%%matrixmarket", "matrix"]:
        message = f'"{path}" does not begin as a matrix in Matrix Market format.'
        raise InputError(message, 'Its first line must be "%%MatrixMarket matrix coordinate ...".')
    n_lines, size = 1, b"%"
    while size.startswith(b"%") or (size and not size.strip()):
        size, n_lines = stream.readline(1_000_000), n_lines + 1
    try:
        numbers = [int(text) for text in size.split()]
        assert len(numbers) in {2, 3}
        assert min(numbers) >= 0
    except (ValueError, AssertionError) as error:
        shown = size.decode("utf-8", "replace").strip()[:80]
        message = f'"{path}" does not say its size: line {n_lines} is "{shown}".'
        hint = "It must have the numbers of rows, columns and values."
        raise InputError(message, hint) from error
    n_values = numbers[2] if len(numbers) == 3 else numbers[0] * numbers[1]
    return Header(first[2], first[3], first[4], numbers[0], numbers[1], n_values, n_lines)


class MatrixMarket(LateMatrix):
    """Cells x genes of a file of genes x cells, which is read when values are first asked for.

    Parameters
    ----------
    path
        Of the file, gzipped or not.
    genes
        Positions of the features that are wanted, in rising order; None is all.

    Raises
    ------
    InputError
        It is no Matrix Market file; later, that it is damaged, with the line.
    """

    def __init__(self, path: Path, genes: NDArray[np.intp] | None = None) -> None:
        self._path, self._genes = path, genes
        self.header = read_header(path)
        shape = (self.header.columns, self.header.rows if genes is None else len(genes))
        dtype = np.int64 if self.header.numbers == "integer" else np.float64
        super().__init__(self._read, shape, dtype)

    def _read(self) -> RowMatrix:
        if not self.header.is_plain:
            return _Whole(self._path, self._genes)
        size = self._path.stat().st_size
        if self._path.suffix != ".gz" and self.header.values > size:
            # Not even a byte for each; room for them is not asked for.
            raise _of_other_length(self._path, "fewer", self.header.values)
        small = self.dtype.kind == "i"
        try:
            return self._stored_as(np.dtype(np.int32) if small else self.dtype)
        except _TooWideError:
            return self._stored_as(self.dtype)

    def _stored_as(self, stored: np.dtype[Any]) -> DiskMatrix:
        def pieces() -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
            kept = None
            if self._genes is not None:
                kept = np.full(self.header.rows, -1, np.int32)
                kept[self._genes] = np.arange(len(self._genes))
            for genes, cells, values in triples(self._path):
                if stored.itemsize == 4 and len(values):
                    low, high = values.min(), values.max()
                    if low < _NARROW.min or high > _NARROW.max:
                        raise _TooWideError
                if kept is None:
                    yield cells, genes, values
                else:
                    places = kept[genes]
                    known = places >= 0
                    yield cells[known], places[known], values[known]

        return put_on_disk(pieces, self.shape, self.header.values, self.dtype, stored)


class _TooWideError(Exception):
    """A whole number needs more than 32 bits."""


class _Whole(RowMatrix):
    """What is no plain list of values (dense, symmetric), read whole."""

    def __init__(self, path: Path, genes: NDArray[np.intp] | None) -> None:
        from scipy.io import mmread
        from scipy.sparse import csr_matrix

        turned = csr_matrix(mmread(path)).T.tocsr()
        self._matrix = turned if genes is None else turned[:, genes]
        self.shape, self.dtype = self._matrix.shape, self._matrix.dtype

    def __getitem__(self, cells: slice) -> csr_matrix:
        return self._matrix[cells]

    def ranges(self, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        pointers = self._matrix.indptr[first : last + 1]
        for start, stop in row_ranges(pointers, BLOCK_VALUES, most):
            yield first + start, first + stop

    def sample(self, most: int) -> NDArray[np.number]:
        from ..expression.source import runs_of

        return runs_of(self._matrix.data, most)


def triples(
    path: Path,
) -> Iterator[tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]]]:
    """Yield rows, columns (from 0) and values of a file, piece by piece, in its order.

    Parameters
    ----------
    path
        Of a plain file, see :attr:`Header.is_plain`; gzipped or not.

    Raises
    ------
    InputError
        It ends too early, has more or fewer values than it says, or a line is no value of the
        matrix; names the line.
    """
    with _opened(path) as stream:
        header = _header(path, stream)
        n_values, n_lines = 0, header.lines
        for text in _texts(path, stream):
            found = _parsed(path, text, header, n_lines)
            n_lines += text.count(b"\n")
            n_values += len(found[2])
            if n_values > header.values:
                raise _of_other_length(path, "more", header.values)
            yield found
    if n_values < header.values:
        raise _of_other_length(path, "fewer", header.values, n_values)


def _of_other_length(path: Path, what: str, said: int, there: int | None = None) -> InputError:
    message = f'"{path}" says that it has {counted(said, "value")}, and has '
    message += what if there is None else f"{there:,}"
    return InputError(f"{message}.", _AGAIN)


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if is_packed else path.open("rb")


def _texts(path: Path, stream: IO[bytes]) -> Iterator[bytes]:
    """Yield whole lines, about :data:`TEXT` bytes of them at once."""
    rest = b""
    try:
        while piece := stream.read(TEXT):
            piece = rest + piece
            end = piece.rfind(b"\n") + 1
            rest = piece[end:]
            if end:
                yield piece[:end]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f'"{path}" is cut off or damaged: {error}'
        raise InputError(message, _AGAIN) from error
    if rest.strip():
        yield rest + b"\n"


def _parsed(
    path: Path, text: bytes, header: Header, n_before: int
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]]:
    """Return rows, columns and values of some lines."""
    try:
        if _is_usual(text, header):
            return _of_lines(text, header)
    except (ValueError, OverflowError):
        # Said below, with the line.
        pass
    lines = text.split(b"\n")
    for number, line in enumerate(lines, n_before + 1):
        if _is_wrong(line, header):
            shown = line.decode("utf-8", "replace").strip()[:80]
            message = (
                f'Line {number:,} of "{path}" is no value of a matrix of {header.rows:,} '
                f'features and {header.columns:,} cells: "{shown}".'
            )
            raise InputError(message, _AGAIN)
    # Blank lines and comments may stand between values.
    values = [line for line in lines if line.strip() and not line.startswith(b"%")]
    if not values:
        nothing = np.zeros(0, np.int32)
        return nothing, nothing, np.zeros(0)
    return _of_lines(b"\n".join(values) + b"\n", header)


def _is_usual(text: bytes, header: Header) -> bool:
    """Whether lines have as many fields as they must, and nothing but numbers of their kind.

    What reads them takes 5 of "5.5" where whole numbers are said, and overlooks a field too many.
    """
    fields = 2 if header.numbers == "pattern" else 3
    if text.count(b" ") != (fields - 1) * text.count(b"\n"):
        return False
    known = b"0123456789 \n" + (b".eE+-" if header.numbers == "real" else b"")
    return not text.translate(None, known)


def _of_lines(
    text: bytes, header: Header
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]]:
    from scipy.io import mmread

    size = f"{header.rows} {header.columns} {text.count(bytes([10]))}\n"
    first = f"%%MatrixMarket matrix coordinate {header.numbers} general\n{size}"
    found: Any = mmread(io.BytesIO(first.encode() + text))
    return found.row, found.col, found.data


def _is_wrong(line: bytes, header: Header) -> bool:
    if not line.strip() or line.startswith(b"%"):
        return False
    parts = line.split()
    try:
        if len(parts) != (2 if header.numbers == "pattern" else 3):
            return True
        if len(parts) == 3:
            _ = int(parts[2]) if header.numbers == "integer" else float(parts[2])
        row, column = int(parts[0]), int(parts[1])
    except ValueError:
        return True
    return not (1 <= row <= header.rows and 1 <= column <= header.columns)
