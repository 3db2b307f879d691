"""Reading a table of cell types and their markers.

The table is plain text that a biologist can extend; ``data/README.md`` describes its
columns. Everything that can be wrong in a line is found here, with its line and column.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....biology.text import ontology_id
from ....errors import KnowledgeError, listing
from .spelling import warn_of_unknown_genes
from .types import CellType, Marker

KINDS: tuple[str, ...] = ("type", "group", "compartment", "state")
COLUMNS: tuple[str, ...] = (
    "name",
    "ontology_id",
    "ontology_label",
    "parent",
    "kind",
    "tissue",
    "positive",
    "negative",
    "positive_mouse",
    "negative_mouse",
    "note",
)
REQUIRED: tuple[str, ...] = ("name", "positive")
GENE_COLUMNS: dict[str, tuple[str, str]] = {
    "human": ("positive", "negative"),
    "mouse": ("positive_mouse", "negative_mouse"),
}
NOT_KNOWN = "-"
"""In a positive column: the type has no known markers in this species and is not scored."""

SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SEPARATORS = re.compile(r"[\s,;]+")
_MARKER = re.compile(rf"({SYMBOL.pattern}(?:/{SYMBOL.pattern})*)(?:\*([123]))?")


def read_types(path: str | os.PathLike[str], *, own: bool = False) -> tuple[CellType, ...]:
    """Read the rows of a tab-separated knowledge table.

    Lines that begin with ``#`` are comments. Parents are not looked up here, so that a
    table may name rows of another one.

    Parameters
    ----------
    path
        The file, UTF-8.
    own
        Whether it is the user's, so that genes that are not known are warned of.

    Raises
    ------
    KnowledgeError
        The file cannot be read, a column is missing, or a cell is not valid; the message
        names the line and the column.
    """
    source = Path(path)
    try:
        # As editors count lines: splitlines() would also split at separators inside of one.
        lines = re.split(r"\r\n|\r|\n", source.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        message = f'The knowledge table "{source}" cannot be read: {error}.'
        raise KnowledgeError(message, "Give the path of a tab-separated text file.") from error
    numbered = [(i, x) for i, x in enumerate(lines, 1) if x.strip() and not x.startswith("#")]
    rows = list(csv.reader((x for _, x in numbered), delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows:
        message = f'The knowledge table "{source}" is empty.'
        raise KnowledgeError(message, f"It begins with a line of columns: {', '.join(COLUMNS)}.")
    lines_and_cells = zip((i for i, _ in numbered[1:]), rows[1:], strict=True)
    where = Source(source.name, header=f"line {numbered[0][0]}")
    return types_from_rows(where, rows[0], list(lines_and_cells), own=own)


@dataclass(frozen=True)
class Source:
    """Where rows come from, for messages.

    Attributes
    ----------
    name
        Of the table.
    unit
        What its rows are counted in: lines of a file, rows of a data frame.
    header
        Where its columns are named.
    """

    name: str
    unit: str = "line"
    header: str = ""


def types_from_rows(
    source: Source,
    columns: Sequence[str],
    rows: Sequence[tuple[int, Sequence[str]]],
    *,
    own: bool = True,
) -> tuple[CellType, ...]:
    """Read rows that are split into cells already.

    Parameters
    ----------
    source
        The table, for messages.
    columns
        Its columns.
    rows
        Number of the line, and its cells.
    own
        Whether it is the user's, so that genes that are not known are warned of.
    """
    header = [x.strip() for x in columns]
    _check_header(source, header)
    types: dict[str, CellType] = {}
    places: dict[str, str] = {}
    for line, row in rows:
        where = f'"{source.name}", {source.unit} {line}'
        if len(row) > len(header):
            message = f"{where}: {len(row)} cells, but the table has {len(header)} columns."
            raise KnowledgeError(message, "Columns are separated by one tab.", line=line)
        given = dict(zip(header, (x.strip() for x in row), strict=False))
        cells = dict.fromkeys(COLUMNS, "") | given
        cell_type = _cell_type(_Place(where, line), cells)
        if cell_type.name in types:
            message = f'{where}, column "name": "{cell_type.name}" occurs twice.'
            raise KnowledgeError(message, "Give each type one row.", line=line, column="name")
        types[cell_type.name] = cell_type
        places[cell_type.name] = where
    if own:
        warn_of_unknown_genes(types.values(), places)
    return tuple(types.values())


def _check_header(source: Source, header: list[str]) -> None:
    header_at = f", {source.header}," if source.header else ""
    where = f'The knowledge table "{source.name}"{header_at}'
    for column in REQUIRED:
        if column not in header:
            message = f'{where} has no column "{column}".'
            raise KnowledgeError(message, f"Its columns are {listing(header, 20)}.", column=column)
    for column in header:
        if column not in COLUMNS or header.count(column) > 1:
            problem = "twice" if column in COLUMNS else "which is not known"
            message = f'{where} has "{column}", {problem}.'
            raise KnowledgeError(message, f"Columns: {', '.join(COLUMNS)}.", column=column)


@dataclass(frozen=True)
class _Place:
    text: str
    line: int

    def error(self, column: str, problem: str, hint: str = "") -> KnowledgeError:
        message = f'{self.text}, column "{column}": {problem}.'
        return KnowledgeError(message, hint, line=self.line, column=column)


def _cell_type(place: _Place, cells: dict[str, str]) -> CellType:
    name, kind, identifier = cells["name"], cells["kind"] or "type", cells["ontology_id"]
    if not name:
        raise place.error(column="name", problem="it is empty")
    if kind not in KINDS:
        raise place.error(
            column="kind", problem=f'"{kind}" is not a kind', hint=f"Valid: {listing(KINDS)}."
        )
    if identifier and ontology_id(identifier) != identifier:
        problem = f'"{identifier}" is not a Cell Ontology id'
        raise place.error(column="ontology_id", problem=problem, hint="It looks like CL:0000236.")
    if bool(identifier) != bool(cells["ontology_label"]):
        raise place.error(
            column="ontology_label", problem="an id needs its label and a label its id"
        )
    genes: dict[str, dict[str, tuple[Marker, ...]]] = {"positive": {}, "negative": {}}
    for species, columns in GENE_COLUMNS.items():
        if cells[columns[0]] == NOT_KNOWN:
            continue
        if not cells[columns[0]] and kind in {"type", "state"}:
            if cells[columns[1]]:
                raise place.error(columns[0], "it is empty, but there are negative markers")
            continue
        for sign, column in zip(("positive", "negative"), columns, strict=True):
            genes[sign][species] = _markers(place, column, cells[column])
        both = {m.name for m in genes["positive"][species]} & {
            m.name for m in genes["negative"][species]
        }
        if both:
            raise place.error(columns[1], f"{listing(sorted(both))} is also a positive marker")
    if kind in {"type", "state"} and not genes["positive"]:
        raise place.error(
            column="positive", problem=f'the {kind} "{name}" has no marker in any species'
        )
    return CellType(
        name,
        identifier or None,
        cells["ontology_label"] or None,
        _split(cells["parent"]),
        kind,
        tuple(x.casefold() for x in _split(cells["tissue"])),
        genes["positive"],
        genes["negative"],
        cells["note"],
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(x.strip() for x in text.split(";") if x.strip())


def _markers(place: _Place, column: str, text: str) -> tuple[Marker, ...]:
    found: dict[str, Marker] = {}
    for token in _SEPARATORS.split(text):
        if not token:
            continue
        match = _MARKER.fullmatch(token)
        if not match:
            hint = (
                "Write a symbol, other names of the gene after /, and a tier 1-3 after *: CD79A*3. "
                "Genes are separated by blanks, commas or semicolons."
            )
            raise place.error(column, f'"{token}" is not a marker', hint)
        marker = Marker(tuple(match[1].split("/")), int(match[2] or 1))
        if marker.name not in found or found[marker.name].tier < marker.tier:
            found[marker.name] = marker
    return tuple(found.values())
