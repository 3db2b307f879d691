"""A marker table in a text file as columns of exact text: CSV or TSV, also gzipped.

Nothing is guessed about the values here: "007" and "NA" stay text. Python's own reader is used,
because it is there before pandas is and its errors name the line.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ...errors import MarkersEmptyError, MarkersFormatError, MarkersUnreadableError, listing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Cells: TypeAlias = "Sequence[object] | NDArray[np.generic]"
"""One value per row: text from a file, anything from a data frame."""

SEPARATORS: tuple[str, ...] = (",", "\t", ";")

SAVE_AS_TEXT = (
    'Save the table as text: write.csv(markers, "markers.csv") in R, '
    'frame.to_csv("markers.csv") in Python, "CSV UTF-8" in Excel.'
)

WHY_EMPTY = (
    "If it comes from FindAllMarkers() of Seurat v5, the usual cause are unjoined layers: run "
    "object <- JoinLayers(object) and find the markers again. Otherwise the thresholds "
    "(logfc.threshold, min.pct, return.thresh) may be too strict."
)

_GZIP = b"\x1f\x8b"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as .h5ad, .h5 or .loom"),
    (b"RDX", "an R workspace (.RData)"),
    (b"RDA", "an R workspace (.RData)"),
    (b"X\n\x00", "an R object (.rds)"),
    (b"A\n2\n", "an R object (.rds)"),
    (b"A\n3\n", "an R object (.rds)"),
    (b"BZh", "a file compressed by bzip2"),
    (b"\xfd7zXZ\x00", "a file compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "a file compressed by zstd"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "a Feather file"),
    (b"%PDF", "a PDF"),
    (b"\xff\xfe", "text in UTF-16, as Excel saves it as Unicode text"),
    (b"\xfe\xff", "text in UTF-16, as Excel saves it as Unicode text"),
)


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


def read_text_columns(path: str | os.PathLike[str]) -> Columns:
    """Read a text file with one header line; the separator is found among , tab and ;.

    Parameters
    ----------
    path
        A text file in UTF-8, also gzipped.

    Raises
    ------
    MarkersUnreadableError
        No such file, not text (says what it seems to be), damaged, or rows of unequal length.
    MarkersFormatError
        One column only, or two columns of one name.
    MarkersEmptyError
        No rows.
    """
    file = Path(path)
    what = f'The marker table "{file.name}"'
    text = _decode(_read_bytes(file), file)
    if not text.strip():
        message = f"{what} is an empty file."
        raise MarkersEmptyError(message, WHY_EMPTY)
    separator, records = _split(text, file, what)
    lines = [line for line, _ in records]
    header, rows = _header(records[0][1], [row for _, row in records[1:]])
    check_unique(header, what)
    if not rows:
        message = f"{what} has no rows."
        raise MarkersEmptyError(message, WHY_EMPTY)
    for line, row in zip(lines[1:], rows, strict=True):
        if len(row) != len(header):
            raise _ragged(what, line, row, header)
    values: dict[str, Cells] = dict(zip(header, zip(*rows, strict=True), strict=True))
    # With ";" between columns, the comma is free to be the decimal mark: write.csv2() of R.
    return Columns(values, what, decimal="," if separator == ";" else ".")


def check_unique(names: Sequence[str], what: str) -> None:
    """Raise :class:`MarkersFormatError` if two named columns have the same name."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    if twice:
        message = f"{what} has several columns of the same name: {listing(twice)}."
        raise MarkersFormatError(message, "Remove or rename them, so that each name is used once.")


def _read_bytes(file: Path) -> bytes:
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        message = f'There is no file "{file}" (looked for it in "{Path.cwd()}").'
        raise MarkersUnreadableError(message, "Check the path.") from error
    except IsADirectoryError as error:
        message = f'"{file}" is a folder, not a marker table.'
        raise MarkersUnreadableError(message, "Give the path of the file in it.") from error
    except (OSError, ValueError) as error:
        message = f'The file "{file}" cannot be opened: {error}.'
        raise MarkersUnreadableError(message, "Check its permissions.") from error
    if not raw.startswith(_GZIP):
        return raw
    try:
        content = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        message = f'The file "{file}" is a damaged gzip file: {error}.'
        raise MarkersUnreadableError(message, "Copy or download it again.") from error
    if file.suffix.lower() != ".gz":
        inside = _binary_kind(content)
        seems = f"{inside}, gzipped" if inside else "a gzipped text file"
        todo = SAVE_AS_TEXT if inside else f'Rename it to "{file.name}.gz", or unpack it.'
        raise _binary(file, seems, todo)
    return content


def _binary_kind(content: bytes) -> str | None:
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return kind
    return "a binary file" if b"\0" in content else None


def _binary(file: Path, seems: str, todo: str) -> MarkersUnreadableError:
    message = f'The file "{file}" is not a text table; it seems to be {seems}.'
    return MarkersUnreadableError(message, todo, seems=seems)


def _decode(content: bytes, file: Path) -> str:
    kind = _binary_kind(content)
    if kind:
        raise _binary(file, kind, SAVE_AS_TEXT)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f'The file "{file}" is not UTF-8 text: line {line} has a byte that is not valid.'
        hint = (
            'Save it as UTF-8, in R by write.csv(markers, "markers.csv", fileEncoding = "UTF-8").'
        )
        raise MarkersUnreadableError(message, hint) from error
    if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        raise _binary(file, "a web page", "Download the file itself, not the page that shows it.")
    return text


def _split(text: str, file: Path, what: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """Return the separator and the records, each with the number of its last line."""
    best: tuple[float, bool, int, str] | None = None
    failure: csv.Error | None = None
    for separator in SEPARATORS:
        try:
            sample = [len(row) for _, row in _records(text, separator, most=50)]
        except csv.Error as error:
            failure = error
            continue
        width = sample[0] if sample else 0
        if width < 2:
            continue
        even = max(sample.count(width), sample.count(width + 1) + 1) / len(sample)
        # A tab is hardly ever part of a name, while commas are: "markers, best first".
        best = max(best or (0.0, False, 0, ""), (even, separator == "\t", width, separator))
    if best is None:
        first = next(line for line in text.splitlines() if line.strip())
        if failure is not None and any(separator in first for separator in SEPARATORS):
            raise _broken(file, failure)
        if first.strip().strip('"') == "":  # what write.csv() makes of a table without columns
            message = f"{what} has no columns and no rows."
            raise MarkersEmptyError(message, WHY_EMPTY)
        message = f"{what} has one column only; its first line is: {first[:80]}"
        hint = (
            "Columns must be separated by commas, tabs or semicolons. In R, write.csv() does it; "
            "write.table() separates by spaces unless `sep` says otherwise."
        )
        raise MarkersFormatError(message, hint)
    try:
        return best[-1], _records(text, best[-1])
    except csv.Error as error:
        raise _broken(file, error) from error


def _broken(file: Path, error: csv.Error) -> MarkersUnreadableError:
    message = f'The file "{file}" cannot be split into columns: {error}.'
    hint = 'Look for a quotation mark that is not closed, or not doubled inside a name ("").'
    return MarkersUnreadableError(message, hint)


def _records(text: str, separator: str, most: int | None = None) -> list[tuple[int, list[str]]]:
    # strict: else a quotation mark that is not closed swallows the rest of the file in silence.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records = []
    for row in reader:
        if any(row):
            records.append((reader.line_num, row))
            if len(records) == most:
                break
    return records


def _header(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    names = [name.strip() for name in header]
    # write.table() of R gives row names no header, so that every row is one field longer.
    # A list without quotation marks looks alike (cluster,markers over 0,CD3D,CD3E), and there
    # the first field is the cluster: hence only wide tables, whose first field is never repeated.
    longer = rows and len(names) >= 5 and all(len(row) == len(names) + 1 for row in rows)
    if longer and len({row[0] for row in rows}) == len(rows):
        return names, [row[1:] for row in rows]
    return names, rows


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
