"""Annotations as tables for people: csv and tsv, as exact data, and one xlsx of several sheets."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..._version import __version__
from ...errors import (
    EngineNeedsError,
    GroupMissingError,
    InvalidOptionError,
    OutputError,
    listing,
    nearest,
)
from ...files import write_whole
from ...study.clusters import Clusters
from ...study.inputs.objects import read_object
from ..cells import CellAnnotations
from ..clusters import COLUMNS, Annotations
from ..decisions.history import HISTORY, history
from ..labelled import labelled
from ..report.details import FORMULA_STARTS
from ..report.texts import parameters
from ..stored import read_annotations
from .deposits import DEPOSITS, Publication, write_deposit

if TYPE_CHECKING:
    import anndata
    from openpyxl.cell.cell import Cell, MergedCell
    from openpyxl.worksheet.worksheet import Worksheet

SHEETS = ("Labels", "Markers", "Samples", "Decisions", "Provenance")

FORMATS: dict[str, str] = {".csv": "csv", ".tsv": "tsv", ".xlsx": "xlsx"}
"""Suffix of the file -> format."""

MOST_SAMPLES = 1000
"""A column with more values than this names cells or a measurement, not samples."""

LONGEST_CELL = 32_767
"""Characters that a cell of an xlsx holds; Excel's limit."""

CUT = " ... [cut: the csv has all]"
NO_LABEL, NO_SAMPLE = "(no label)", "(no sample)"

Value = str | int | float | None


@dataclass(frozen=True)
class Sheet:
    """A table with its name: one sheet of an xlsx, or one file.

    Attributes
    ----------
    name
        Of the sheet. The first has no part in the name of its file.
    columns
        Names of the columns.
    rows
        One value per column.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def write_annotations(
    data: anndata.AnnData | Annotations | CellAnnotations | str | os.PathLike[str],
    file: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 - the word of pandas and of R
    *,
    key: str | None = None,
    sample_key: str | None = None,
    overwrite: bool = False,
    title: str | None = None,
    author: str | None = None,
) -> list[Path]:
    """Write the labels with their evidence, markers, samples and provenance as tables.

    An xlsx has the sheets ``Labels``, ``Markers``, ``Samples``, ``Decisions`` and ``Provenance``,
    those that have rows. As csv or tsv the first is the file itself and the others are beside it:
    ``x.csv``, ``x_markers.csv``, ``x_samples.csv``, ``x_decisions.csv``, ``x_provenance.csv``. In
    an xlsx every gene and label is text: no gene becomes a date, and nothing is computed as a
    formula. The csv and tsv are exact data, in which nothing is changed or guarded; a spreadsheet
    may take a text there for a date or a formula.

    Two formats are for portals of data. ``"cellxgene"`` writes an .h5ad, or a csv or tsv of its
    cells, with ``cell_type_ontology_term_id`` as CELLxGENE's schema 7 asks for it: "unknown" where
    there is no term, the nearest valid ancestor of one that is not allowed (which is said), and no
    column ``cell_type``, which the portal writes: it is ``author_cell_type`` there. The object in
    memory stays as it is. ``"cas"`` writes JSON of the Cell Annotation Schema, with one labelset
    for the labels and one for each level, their cells, genes and reasons. Decisions of persons are
    in ``author_annotation_fields``, because no review is valid by the schema as it is published.

    Parameters
    ----------
    data
        AnnData that was labelled, the path of a labelled object, or what annotating returned.
    file
        The file to write; the folder must exist.
    format
        ``"csv"``, ``"tsv"``, ``"xlsx"``, ``"cellxgene"`` or ``"cas"``; None is told by the name of
        the file, which names none of the last two.
    key
        Name of the label column of an AnnData; None is the newest.
    sample_key
        Column of ``obs`` with the samples, of which the cells of each label are counted. None
        leaves the samples out.
    overwrite
        Whether files of these names are replaced.
    title, author
        Of the data set, and who answers for it; for ``"cas"``, which asks for both.

    Returns
    -------
    list of pathlib.Path
        The files, the labels first.

    Raises
    ------
    OutputError
        A file exists and may not be replaced, or cannot be written.
    InvalidOptionError
        There is no such format, or the column names no samples.
    EngineNeedsError
        Samples were asked for, and no AnnData was given.
    GroupMissingError
        There is no such column.
    AnnotationsMissingError
        The AnnData has no annotations under this key.

    Examples
    --------
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> found = Annotations((Annotation("0", "ok", label="B cell"),))
    >>> folder = getfixture("tmp_path")
    >>> [path.name for path in write_annotations(found, folder / "labels.xlsx")]
    ['labels.xlsx']
    """
    if format in DEPOSITS:
        return write_deposit(
            _whole(data, format, file), file, format, key=key,
            said=Publication(title, author), overwrite=overwrite,
        )  # fmt: skip
    counts, data = None, labelled(data)
    if isinstance(data, Annotations | CellAnnotations):
        found = data.summary()
        if sample_key is not None:
            message = "The cells of each sample are counted in an object, and this is a table."
            raise EngineNeedsError(message, "Give the AnnData that was labelled as `data`.")
    else:
        found = read_annotations(data, key)
        if sample_key is not None:
            name = key or str(found.provenance.get("key") or "")
            counts = _object_counts(data, found, name, sample_key)
    return write_tables(found, file, format, samples=counts, overwrite=overwrite)


def _whole(
    data: anndata.AnnData | Annotations | CellAnnotations | str | os.PathLike[str],
    format: str,  # noqa: A002 - as above
    file: str | os.PathLike[str],
) -> anndata.AnnData | Annotations | CellAnnotations:
    """Return what is deposited: a whole object only where it is written again."""
    path = Path(data) if isinstance(data, str | os.PathLike) else None
    if path is None or format == "cas" or Path(file).suffix.lower() != ".h5ad":
        return labelled(data)
    return read_object(path.expanduser())


def write_tables(
    found: Annotations,
    file: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 - as above
    *,
    samples: Sheet | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write what :func:`write_annotations` writes, of annotations and counts that are known.

    Parameters
    ----------
    found
        Of clusters, or the summary of cells.
    file, format, overwrite
        As there.
    samples
        What :func:`sample_counts` returns.
    """
    path = Path(file).expanduser()
    chosen = _format_of(path, format)
    tables = sheets(found, samples)
    writer = {"csv": _csv, "tsv": _tsv, "xlsx": _workbook}[chosen]
    made = {path: tables} if chosen == "xlsx" else {_beside(path, t.name): [t] for t in tables}
    taken = [str(target) for target in made if target.exists()]
    if taken and not overwrite:
        message = f"{listing(taken)} {'exists' if len(taken) == 1 else 'exist'}."
        hint = "Choose another name, or pass `overwrite=True`."
        raise OutputError(f"The file {message}" if len(taken) == 1 else message, hint)
    for target, content in made.items():
        try:
            write_whole(target.resolve(), writer(content))
        except OSError as error:
            message = f'The file "{target}" cannot be written: {error.strerror or error}.'
            hint = "Choose a file name in a folder that exists and that you may write to."
            raise OutputError(message, hint, path=str(target)) from error
    return list(made)


def _format_of(path: Path, given: str | None) -> str:
    of_name = FORMATS.get(path.suffix.lower())
    valid = listing([*FORMATS.values(), *DEPOSITS])
    if given is None:
        if of_name is None:
            message = f'The name "{path}" does not say how to write: it ends with none of '
            message += f"{listing(list(FORMATS))}."
            raise InvalidOptionError(message, f"Name it so, or give `format`: {valid}.")
        return of_name
    if given not in FORMATS.values():
        guess = nearest(given, [*FORMATS.values(), *DEPOSITS])
        message = f'There is no format "{given}"; there is {valid}.'
        raise InvalidOptionError(message, f'Did you mean "{guess}"?' if guess else "")
    if of_name is not None and of_name != given:
        message = f'The format is "{given}", and the name "{path.name}" is that of a {of_name}.'
        raise InvalidOptionError(message, "Give one of both, or two that agree.")
    return given


def _beside(path: Path, sheet: str) -> Path:
    if sheet == SHEETS[0]:
        return path
    return path.with_name(f"{path.stem}_{sheet.lower()}{path.suffix}")


def written_files(file: str | os.PathLike[str], format: str | None = None) -> list[Path]:  # noqa: A002
    """Return every file that :func:`write_annotations` may write.

    Examples
    --------
    >>> [path.name for path in written_files("x.csv")]
    ['x.csv', 'x_markers.csv', 'x_samples.csv', 'x_decisions.csv', 'x_provenance.csv']
    """
    path = Path(file).expanduser()
    if format in DEPOSITS or _format_of(path, format) == "xlsx":
        return [path]
    return [_beside(path, sheet) for sheet in SHEETS]


def sheets(found: Annotations, samples: Sheet | None = None) -> list[Sheet]:
    """Return the tables of annotations, those without rows left out but the first.

    Parameters
    ----------
    found
        Of clusters, or the summary of cells.
    samples
        What :func:`sample_counts` returns.
    """
    labels = Sheet(
        "Labels",
        tuple(COLUMNS),
        tuple(tuple(_value(getattr(row, name)) for name in COLUMNS) for row in found),
    )
    written = [("written by", f"cellferry {__version__}")]
    known = (*parameters(found.provenance), *written)
    provenance = Sheet("Provenance", ("parameter", "value"), tuple(known))
    more = [_markers(found), samples, _decisions(found)]
    return [labels, *(sheet for sheet in more if sheet is not None and sheet.rows), provenance]


def _value(value: object) -> Value:
    if isinstance(value, tuple):
        return "; ".join(value)
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


def _markers(found: Annotations) -> Sheet:
    """Return the markers that were kept; without such, the supporting genes in their order."""
    labels = found.labels()
    kept = found.markers
    if kept.get("gene") and kept.get("cluster"):
        others = [name for name in kept if name not in {"cluster", "gene"}]
        columns = ("cluster", "label", "gene", *others)
        values = [kept[name] for name in others]
        clusters = [str(name) for name in kept["cluster"]]
        rows = zip(clusters, map(labels.get, clusters), kept["gene"], *values, strict=True)
        return Sheet("Markers", columns, tuple(tuple(map(_value, row)) for row in rows))
    listed = (
        (row.cluster, row.label, gene, rank)
        for row in found
        for rank, gene in enumerate(row.supporting, 1)
    )
    return Sheet("Markers", ("cluster", "label", "gene", "rank"), tuple(listed))


def _decisions(found: Annotations) -> Sheet:
    rows = (tuple(_value(row[name]) for name in HISTORY) for row in history(found))
    return Sheet("Decisions", HISTORY, tuple(rows))


def _object_counts(adata: anndata.AnnData, found: Annotations, key: str, sample_key: str) -> Sheet:
    for name in (key, sample_key):
        if name not in adata.obs:
            guess = nearest(name, [str(c) for c in adata.obs.columns])
            message = f'There is no column "{name}" in obs.'
            columns = listing([str(c) for c in adata.obs.columns])
            hint = f'Did you mean "{guess}"? ' if guess else ""
            raise GroupMissingError(message, f"{hint}It has {columns}.")
    order = dict.fromkeys(row.label for row in found if row.label is not None)
    given = Clusters.from_column(adata.obs[key])
    labels = Clusters.from_labels(
        np.array([*given.names, None], dtype=object)[_codes(given)].tolist(),
        [*order, *given.names],
    )
    return sample_counts(labels, Clusters.from_column(adata.obs[sample_key]), sample_key)


def _codes(groups: Clusters) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.asarray(groups.codes, dtype=np.int64)


def sample_counts(labels: Clusters, samples: Clusters, sample_key: str) -> Sheet:
    """Return how many cells of each sample have each label, as they are in the object.

    Parameters
    ----------
    labels, samples
        One code per cell, in the same order.
    sample_key
        Name of the column of samples, for messages.

    Raises
    ------
    InvalidOptionError
        There are more values than samples can be.

    Examples
    --------
    >>> sample_counts(Clusters.from_labels(["T", "B", "T"]),
    ...               Clusters.from_labels(["s1", "s1", "s2"]), "sample").rows
    (('B', 1, 0, 1), ('T', 1, 1, 2))
    """
    if len(samples.names) > MOST_SAMPLES:
        message = (
            f'"{sample_key}" has {len(samples.names)} values, more than samples can be; '
            f'the first is "{samples.names[0]}".'
        )
        raise InvalidOptionError(message, "Name the column that says which sample a cell is of.")
    rows, columns = len(labels.names) + 1, len(samples.names) + 1
    # -1, none, is the last one of both.
    at = (_codes(labels) % rows) * columns + _codes(samples) % columns
    counts = np.bincount(at, minlength=rows * columns).reshape(rows, columns)
    of_row, of_column = [*labels.names, NO_LABEL], [*samples.names, NO_SAMPLE]
    kept_rows = [i for i in range(rows) if i < rows - 1 or counts[i].any()]
    kept_columns = [j for j in range(columns) if j < columns - 1 or counts[:, j].any()]
    return Sheet(
        "Samples",
        ("label", *(of_column[j] for j in kept_columns), "total"),
        tuple(
            (of_row[i], *(int(counts[i, j]) for j in kept_columns), int(counts[i].sum()))
            for i in kept_rows
        ),
    )


def _csv(tables: Sequence[Sheet], delimiter: str = ",") -> bytes:
    def field(value: Value) -> str:
        text = "" if value is None else str(value)
        # The csv module leaves a carriage return unquoted where lines end with a line feed.
        if any(c in text for c in (delimiter, '"', "\r", "\n")):
            return '"' + text.replace('"', '""') + '"'
        return text

    rows = [row for sheet in tables for row in (sheet.columns, *sheet.rows)]
    text = "".join(delimiter.join(map(field, row)) + "\n" for row in rows)
    # A lone surrogate is no text that UTF-8 can encode; one bad name must not cost the table.
    return text.encode("utf-8", "replace")


def _tsv(tables: Sequence[Sheet]) -> bytes:
    return _csv(tables, "\t")


def _workbook(tables: Sequence[Sheet]) -> bytes:
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    book.properties.creator = f"cellferry {__version__}"
    book.remove(book.worksheets[0])
    for sheet in tables:
        page = book.create_sheet(sheet.name)
        for i, row in enumerate((sheet.columns, *sheet.rows), 1):
            _fill(page, i, row)
        for cell in page[1]:
            cell.font = Font(bold=True)
        page.freeze_panes = "B2"
        for j, width in enumerate(_widths((sheet.columns, *sheet.rows)), 1):
            page.column_dimensions[get_column_letter(j)].width = width
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _fill(page: Worksheet, row: int, values: Iterable[Value]) -> None:
    for column, value in enumerate(values, 1):
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            continue
        cell = page.cell(row, column)
        if isinstance(value, str):
            _put_text(cell, value)
        else:
            cell.value = value


def _put_text(cell: Cell | MergedCell, value: str) -> None:
    """Write a text as it is: no date, no formula and no error value, also after it was edited."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    text = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value)
    text = text.encode("utf-8", "replace").decode()
    if len(text) > LONGEST_CELL:
        text = text[: LONGEST_CELL - len(CUT)] + CUT
    cell.value = text
    cell.data_type = "s"
    cell.number_format = "@"
    if text.startswith(FORMULA_STARTS):
        cell.quotePrefix = True


def _widths(rows: Sequence[Sequence[Value]]) -> list[int]:
    lengths = (
        max(len(str(v)) for v in column if v is not None) for column in zip(*rows, strict=True)
    )
    return [min(max(n + 2, 8), 60) for n in lengths]
