"""A marker table in a text file as columns of exact text: CSV or TSV, also gzipped.

Nothing is guessed about the values here: "007" and "NA" stay text. Python's own reader is used,
because it is there before pandas is and its errors name the line. The file is read by pieces:
equal texts are kept once, columns of numbers as numbers, and columns that nobody reads not at all.
"""

from __future__ import annotations

import csv
import gzip
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from ...errors import (
    InputError,
    MarkersEmptyError,
    MarkersFormatError,
    MarkersUnreadableError,
    listing,
)
from ..inputs.kinds import SAVE_AS_TEXT, file_error, file_kind
from .values import numbers

if TYPE_CHECKING:
    from _csv import Reader

    from numpy.typing import NDArray

Cells: TypeAlias = "Sequence[object] | NDArray[np.generic]"
"""One value per row: text from a file, anything from a data frame."""

SEPARATORS: tuple[str, ...] = (",", "\t", ";")

MOST_BYTES = 120_000_000
"""Most memory that the values of a file may take: some 2 million rows of FindAllMarkers().

To rank, annotate and record them takes some eight times as much, which is to stay below 1 GB.
"""
PIECE = 20_000
LONGEST_LINE = 50_000_000

WHY_EMPTY = (
    "If it comes from FindAllMarkers() of Seurat v5, the usual cause are unjoined layers: run "
    "object <- JoinLayers(object) and find the markers again. Otherwise the thresholds "
    "(logfc.threshold, min.pct, return.thresh) may be too strict."
)

_SMALLER = (
    "Keep the rows that mark a cluster, in R: markers[markers$p_val_adj < 0.05 & "
    "markers$avg_log2FC > 0.25, ], and the columns cluster, gene, avg_log2FC, pct.1, pct.2 and "
    "p_val_adj."
)


@dataclass(frozen=True)
class Plan:
    """Which columns of a file are kept, and which of them are numbers."""

    kept: frozenset[str]
    numeric: frozenset[str]


Planner: TypeAlias = "Callable[[list[str], Mapping[str, Sequence[object]]], Plan | None]"
"""Names of the columns and their first values -> what is kept; None keeps all, as text."""


@dataclass(frozen=True)
class Columns:
    """The columns of a marker table, before it is known what they mean.

    Attributes
    ----------
    values
        Name -> one value per row: text from a file, anything from a data frame.
    what
        What the table is called in messages.
    levels
        Name -> categories, for categorical columns.
    decimal
        The decimal mark of numbers that are text.
    """

    values: dict[str, Cells]
    what: str
    levels: dict[str, tuple[object, ...]] = field(default_factory=dict)
    decimal: str = "."


def read_text_columns(path: str | os.PathLike[str], plan: Planner | None = None) -> Columns:
    """Read a text file with one header line; the separator is found among , tab and ;.

    Parameters
    ----------
    path
        A text file in UTF-8, also gzipped.
    plan
        Says which columns are kept; None keeps all.

    Raises
    ------
    MarkersUnreadableError
        No such file, not text (says what it is), damaged, too large, or rows of unequal length.
    MarkersFormatError
        One column only, two columns of one name, or a column of numbers has something else.
    MarkersEmptyError
        No rows.
    """
    file = Path(path).expanduser()
    what = f'The marker table "{file.name}"'
    try:
        kind = file_kind(file)
    except InputError as error:
        raise MarkersUnreadableError(error.message, error.hint) from error
    if kind.name == "empty":
        message = f"{what} is an empty file."
        raise MarkersEmptyError(message, WHY_EMPTY)
    if not kind.is_text:
        raise file_error(file, kind, "a marker table", MarkersUnreadableError)
    separator = _separator(file, what)
    with _opened(file) as lines:
        try:
            reader = csv.reader(lines, delimiter=separator, strict=True)
            # Of what is gzipped there is at least as much.
            return _read(reader, separator, what, plan, file.stat().st_size)
        except csv.Error as error:
            raise _broken(file, error) from error


def _read(
    reader: Reader, separator: str, what: str, plan: Planner | None, size: int = 0
) -> Columns:
    rows = _rows(reader)
    names = [name.strip() for name in next(rows)[1]]
    first = list(islice(rows, PIECE))
    check_unique(names, what)
    if not first:
        message = f"{what} has no rows."
        raise MarkersEmptyError(message, WHY_EMPTY)
    # write.table() of R gives row names no header, so that every row is one field longer.
    # A list without quotation marks looks alike (cluster,markers over 0,CD3D,CD3E), and there
    # the first field is the cluster: hence only wide tables, whose first field is never repeated.
    width = len(names)
    longer = width >= 5 and all(len(row) == width + 1 for _, row in first)
    skipped = int(longer and len({row[0] for _, row in first}) == len(first))
    head = {n: [row[i + skipped] for _, row in first[:50] if len(row) > i + skipped]
            for i, n in enumerate(names)}  # fmt: skip
    # With ";" between columns, the comma is free to be the decimal mark: write.csv2() of R.
    kept = _Kept(names, what, "," if separator == ";" else ".")
    kept.choose(None if plan is None or not all(head.values()) else plan(names, head))
    text = 0
    while first:
        for line, row in first:
            if len(row) != width + skipped:
                raise _ragged(what, line, row, names)
        # Only of a file that is not at its end need it be guessed how much will come.
        text += sum(sum(map(len, row)) + len(row) for _, row in first)
        kept.add([row for _, row in first], skipped, size / text if len(first) == PIECE else 1.0)
        first = list(islice(rows, PIECE))
    return Columns(kept.values(), what, decimal=kept.decimal)


class _Kept:
    """What was read of the columns until now."""

    def __init__(self, names: list[str], what: str, decimal: str) -> None:
        self.names, self.what, self.decimal = names, what, decimal
        self._texts: dict[str, list[str]] = {}
        self._numbers: dict[str, list[NDArray[np.float64]]] = {}
        self._known: dict[str, str] = {}
        self._rows = 0
        self._bytes = 0

    def choose(self, plan: Plan | None) -> None:
        """Take the columns of a plan, or all."""
        for name in self.names:
            if plan is not None and name in plan.numeric:
                self._numbers[name] = []
            elif plan is None or name in plan.kept:
                self._texts[name] = []

    def add(self, rows: list[list[str]], skipped: int, expected: float) -> None:
        """Take some rows; ``expected`` is how many times those until now there will be at least."""
        columns = list(zip(*rows, strict=True))[skipped:]
        for name, values in zip(self.names, columns, strict=True):
            if name in self._numbers:
                found = numbers(values, name, self.what, self.decimal, first_row=self._rows + 1)
                self._numbers[name].append(found)
            elif name in self._texts:
                self._texts[name].extend(map(self._once, values))
        self._rows += len(rows)
        held = 8 * self._rows * (len(self._numbers) + len(self._texts))
        if held + self._bytes > MOST_BYTES:
            raise self._too_large()
        # A file that is much too large is refused when its beginning was read. Texts are not
        # counted: most of them are the same again.
        if expected * held > 1.5 * MOST_BYTES:
            raise self._too_large(round(expected * self._rows / 100_000) * 100_000)

    def _too_large(self, rows: int = 0) -> MarkersUnreadableError:
        found = f"some {rows:,} rows" if rows else f"more than {self._rows:,} rows"
        message = f"{self.what} is too large: it has {found}, more than fit into memory safely."
        return MarkersUnreadableError(message, _SMALLER)

    def _once(self, text: str) -> str:
        known = self._known.get(text)
        if known is None:
            self._known[text] = known = text
            self._bytes += sys.getsizeof(text) + 100
        return known

    def values(self) -> dict[str, Cells]:
        """Return the columns in the order of the file."""
        found: dict[str, Cells] = {}
        for name in self.names:
            if name in self._numbers:
                found[name] = np.concatenate(self._numbers.pop(name))
            elif name in self._texts:
                found[name] = tuple(self._texts.pop(name))
        return found


def check_unique(names: Sequence[str], what: str) -> None:
    """Raise :class:`MarkersFormatError` if two named columns have the same name."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    if twice:
        message = f"{what} has several columns of the same name: {listing(twice)}."
        raise MarkersFormatError(message, "Remove or rename them, so that each name is used once.")


def _rows(reader: Reader) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not empty, each with the number of its last line."""
    for row in reader:
        if any(row):
            yield reader.line_num, row


@contextmanager
def _opened(file: Path) -> Iterator[Iterator[str]]:
    """Yield the lines of a text file, unpacked and decoded while they are read."""
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            binary = gzip.GzipFile(fileobj=raw) if packed else raw
            # strict decoding; line ends stay as they are, for the reader of the records
            with TextIOWrapper(cast("gzip.GzipFile", binary), "utf-8-sig", newline="") as text:
                yield _lines(text, file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f'The file "{file}" is a damaged gzip file: {error}.'
        raise MarkersUnreadableError(message, "Copy or download it again.") from error
    except UnicodeDecodeError as error:
        message = (
            f'The file "{file}" is not UTF-8 text: line {_broken_line(file)} has a byte that is '
            "not valid."
        )
        hint = (
            'Save it as UTF-8, in R by write.csv(markers, "markers.csv", fileEncoding = "UTF-8").'
        )
        raise MarkersUnreadableError(message, hint) from error
    except OSError as error:
        message = f'The file "{file}" cannot be opened: {error}.'
        raise MarkersUnreadableError(message, "Check its permissions.") from error


def _lines(text: TextIOWrapper, file: Path) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            message = f'The file "{file}" has a line of more than {LONGEST_LINE:,} characters.'
            raise MarkersUnreadableError(message, SAVE_AS_TEXT)
        if "\0" in line:
            message = f'The file "{file}" is not a text table; it seems to be a binary file.'
            raise MarkersUnreadableError(message, SAVE_AS_TEXT, seems="a binary file")
        yield line


def _broken_line(file: Path) -> int:
    with file.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        lines = 0
        for line in gzip.GzipFile(fileobj=raw) if packed else raw:
            lines += 1
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                break
    return lines


def _separator(file: Path, what: str) -> str:
    """Return what separates the columns, from the first records."""
    best: tuple[float, bool, int, str] | None = None
    failure: csv.Error | None = None
    for separator in SEPARATORS:
        try:
            with _opened(file) as lines:
                # strict: else a quotation mark that is not closed swallows the rest in silence.
                reader = csv.reader(lines, delimiter=separator, strict=True)
                sample = [len(row) for _, row in islice(_rows(reader), 50)]
        except csv.Error as error:
            failure = error
            continue
        width = sample[0] if sample else 0
        if width < 2:
            continue
        even = max(sample.count(width), sample.count(width + 1) + 1) / len(sample)
        # A tab is hardly ever part of a name, while commas are: "markers, best first".
        best = max(best or (0.0, False, 0, ""), (even, separator == "\t", width, separator))
    if best is not None:
        return best[-1]
    with _opened(file) as lines:
        first = next((line for line in lines if line.strip()), "")
    if not first:
        message = f"{what} is an empty file."
        raise MarkersEmptyError(message, WHY_EMPTY)
    if failure is not None and any(separator in first for separator in SEPARATORS):
        raise _broken(file, failure)
    if first.strip().strip('"') == "":  # what write.csv() makes of a table without columns
        message = f"{what} has no columns and no rows."
        raise MarkersEmptyError(message, WHY_EMPTY)
    message = f"{what} has one column only; its first line is: {first.strip()[:80]}"
    hint = (
        "Columns must be separated by commas, tabs or semicolons. In R, write.csv() does it; "
        "write.table() separates by spaces unless `sep` says otherwise."
    )
    raise MarkersFormatError(message, hint)


def _broken(file: Path, error: csv.Error) -> MarkersUnreadableError:
    message = f'The file "{file}" cannot be split into columns: {error}.'
    hint = 'Look for a quotation mark that is not closed, or not doubled inside a name ("").'
    return MarkersUnreadableError(message, hint)


def _ragged(what: str, line: int, row: list[str], header: list[str]) -> MarkersUnreadableError:
    message = (
        f"{what} has {len(header)} columns ({listing(header)}), but line {line} has "
        f"{len(row)} fields."
    )
    hint = (
        'Put quotation marks around a list of genes, as in 0,"CD3D,CD3E,CD2"; from R, write '
        "the table by write.csv(markers, row.names = FALSE)."
    )
    return MarkersUnreadableError(message, hint, line=line)
