"""Knowledge of the user: a table, a GMT file, a data frame, or named lists of genes."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ....biology.recognition import detect_species
from ....biology.text import ontology_id_in
from ....errors import InvalidOptionError, KnowledgeError
from .table import NOT_KNOWN, SYMBOL, Source, read_types, types_from_rows

if TYPE_CHECKING:
    from .types import CellType

_WITHOUT_TIER = re.compile(rf"{SYMBOL.pattern}(?:/{SYMBOL.pattern})*")
LIST_TIER = 2
"""Tier of a gene of a list without tiers."""
REQUIRED = {"name", "positive"}


class _Column(Protocol):
    def tolist(self) -> list[object]: ...


@runtime_checkable
class _Frame(Protocol):
    """A data frame, of pandas or of another library that is like it."""

    columns: Iterable[Hashable]

    def to_dict(self) -> Mapping[Hashable, object]: ...

    def __getitem__(self, name: Hashable) -> _Column: ...


Columns = dict[str, list[str]]
Plain = str | Columns
"""What :func:`plain` makes of a source: a path, or columns."""


def plain(source: object) -> Plain:
    """Return a source as plain data, from which the same knowledge can be read again.

    Parameters
    ----------
    source
        Path of a table (``.tsv``) or of gene sets (``.gmt``); a data frame or a mapping of
        columns as in the packaged table; or a mapping of a type to its genes.

    Raises
    ------
    InvalidOptionError
        It is none of these.
    """
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    columns = source
    if isinstance(source, _Frame):
        columns = {str(c): source[c].tolist() for c in source.columns}
    if not isinstance(columns, Mapping) or not columns:
        message = f"`knowledge` must be a path, a table or lists of genes, not {_kind(source)}."
        hint = "Lists of genes are given by type: {'My cell': ['CD79A', 'MS4A1']}."
        raise InvalidOptionError(message, hint, option="knowledge")
    found = {str(name): _texts(values) for name, values in columns.items()}
    return found if found.keys() >= REQUIRED else _columns_of_sets(found.items(), {})


def read_knowledge(source: Plain) -> tuple[CellType, ...]:
    """Read what :func:`plain` returned.

    Raises
    ------
    KnowledgeError
        Something in it is not valid; the message names the line.
    """
    if isinstance(source, str):
        if source.casefold().endswith(".gmt"):
            columns, lines = _read_gmt(Path(source))
            return _types_of_columns(columns, Source(Path(source).name), lines)
        return read_types(source, own=True)
    return _types_of_columns(source, Source("knowledge", unit="row"))


def _types_of_columns(
    columns: Columns, source: Source, lines: Sequence[int] | None = None
) -> tuple[CellType, ...]:
    lengths = {len(v) for v in columns.values()}
    if len(lengths) > 1:
        message = "The columns of `knowledge` have different lengths."
        raise KnowledgeError(message, "Give one value per type in every column.")
    rows = [list(r) for r in zip(*columns.values(), strict=True)]
    numbers = range(1, len(rows) + 1) if lines is None else lines
    return types_from_rows(source, list(columns), list(zip(numbers, rows, strict=True)))


def _read_gmt(path: Path) -> tuple[Columns, list[int]]:
    """Return the sets as columns of the table, and the line of each."""
    try:
        lines = re.split(r"\r\n|\r|\n", path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        message = f'The gene sets "{path}" cannot be read: {error}.'
        raise KnowledgeError(message, "Give the path of a GMT file.") from error
    sets, notes, places = [], {}, []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, *rest = (cell.strip() for cell in line.split("\t"))
        if len(rest) < 2 or not name:
            message = f'"{path.name}", line {number}: a gene set needs a name, a note and genes.'
            raise KnowledgeError(message, "They are separated by tabs.", line=number)
        sets.append((name, [g for g in rest[1:] if g]))
        notes[name] = rest[0]
        places.append(number)
    if not sets:
        message = f'The file "{path.name}" has no gene set.'
        raise KnowledgeError(message, "Each line is a name, a note and genes, separated by tabs.")
    return _columns_of_sets(sets, notes), places


def _columns_of_sets(sets: Iterable[tuple[str, list[str]]], notes: Mapping[str, str]) -> Columns:
    listed = [(name, _genes(values)) for name, values in sets]
    columns: Columns = {
        c: []
        for c in (
            "name",
            "ontology_id",
            "ontology_label",
            "positive",
            "positive_mouse",
            "note",
        )
    }
    mouse = detect_species(g for _, genes in listed for g in genes).species == "mouse"
    for name, genes in listed:
        identifier, label = _term(f"{name} {notes.get(name, '')}")
        markers = " ".join(f"{g}*{LIST_TIER}" if _WITHOUT_TIER.fullmatch(g) else g for g in genes)
        row = {
            "name": name,
            "ontology_id": identifier,
            "ontology_label": label,
            "positive": NOT_KNOWN if mouse else markers,
            "positive_mouse": markers if mouse else NOT_KNOWN,
            "note": notes.get(name, ""),
        }
        for column, value in row.items():
            columns[column].append(value)
    return columns


def _genes(values: Iterable[str]) -> list[str]:
    """Return the genes of a list, of which each value may have several."""
    return [gene for value in values for gene in re.split(r"[\s,;]+", value) if gene]


def _term(text: str) -> tuple[str, str]:
    """Return the Cell Ontology term whose id is part of a text, as id and label."""
    from ....biology.ontology import cell_ontology

    identifier = ontology_id_in(text) or ""
    ontology = cell_ontology()
    return (identifier, ontology[identifier].label) if identifier in ontology else ("", "")


def _texts(values: object) -> list[str]:
    listed = [values] if isinstance(values, str) or not isinstance(values, Iterable) else values
    # NaN is the only value that is not equal to itself.
    return ["" if v is None or v != v else str(v).strip() for v in listed]  # noqa: PLR0124


def _kind(value: object) -> str:
    return "an empty one" if isinstance(value, Mapping) else type(value).__name__
