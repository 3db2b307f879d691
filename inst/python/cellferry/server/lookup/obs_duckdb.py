"""Reading a client's obs.duckdb: checked first, then by queries we write ourselves.

Runs in the helper process only. The database is opened read-only, without access to other
files or extensions, and with its settings locked. Of a request only values reach a query,
as parameters; names must be those of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypeAlias, TypedDict

import duckdb
import numpy as np

from ..failures import Code, Failure

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scalar: TypeAlias = str | int | float | bool

TABLE = "obs"
COORDINATES = "__vis_coordinates_"
MOST_COLUMNS = 20_000
MOST_ROWS = 2**31 - 1
MOST_GROUPS = 1000

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "memory_limit": "1GB",
    "threads": "1",
    "temp_directory": "",
    "lock_configuration": "true",
}

_NUMERIC = ("INT", "FLOAT", "DOUBLE", "DECIMAL", "REAL")
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class Content(TypedDict):
    """How many rows a table has, and column -> type."""

    n_cells: int
    columns: dict[str, str]


class GroupColumn(TypedDict):
    """A column, its cells per label, and all cells."""

    column: str
    sizes: dict[str, int]
    n_cells: int


class Condition(TypedDict):
    """A condition on a column, checked by :mod:`.counts`."""

    column: str
    op: str
    value: NotRequired[Scalar | list[Scalar]]


class GroupCount(TypedDict):
    """How many cells have a value."""

    value: str | None
    count: int


class Counts(TypedDict):
    """How many cells there are and pass, and per value of a column where one is given."""

    total: int
    count: int
    groups: NotRequired[list[GroupCount]]
    truncated: NotRequired[bool]


def inspect(path: str) -> Content:
    """Return the number of rows and the columns; raises :class:`Failure`."""
    database = _open(path)
    return {"n_cells": database.n_cells, "columns": database.columns}


class ObsFile:
    """An open, checked obs.duckdb.

    Attributes
    ----------
    n_cells
        Rows of its table.
    columns
        Column -> type of DuckDB.

    Raises
    ------
    Failure
        INVALID_ARTIFACT, with what was found.
    """

    def __init__(self, path: str) -> None:
        try:
            self.sql = duckdb.connect(path, read_only=True, config=_CONFIG)
        except duckdb.Error as error:
            message = "The file is not a DuckDB database that this server can read."
            raise Failure(Code.INVALID_ARTIFACT, message) from error
        self._check_content()
        rows = self._all(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal AND table_name = ?",
            TABLE,
        )
        self._codes: tuple[str, tuple[str, ...], NDArray[np.int32]] | None = None
        self.columns: dict[str, str] = {str(name): str(kind) for name, kind in rows}
        (self.n_cells,) = self._all(f"SELECT count(*) FROM {TABLE}")[0]
        if len(self.columns) > MOST_COLUMNS or self.n_cells > MOST_ROWS:
            message = "The table has too many rows or columns."
            raise Failure(Code.INVALID_ARTIFACT, message)

    def _check_content(self) -> None:
        for what, query in (
            ("views", "SELECT 1 FROM duckdb_views() WHERE NOT internal"),
            ("macros", "SELECT 1 FROM duckdb_functions() WHERE NOT internal"),
            ("sequences", "SELECT 1 FROM duckdb_sequences()"),
            ("schemas", "SELECT 1 FROM duckdb_schemas() WHERE NOT internal"),
        ):
            if self._all(query):
                message = f"The database has {what}, which artifacts do not have."
                raise Failure(Code.INVALID_ARTIFACT, message)
        tables = self._all("SELECT table_name, sql FROM duckdb_tables() WHERE NOT internal")
        if [name for name, _ in tables] != [TABLE]:
            message = f"The database must have the table `{TABLE}` and no other."
            raise Failure(Code.INVALID_ARTIFACT, message)
        if " GENERATED ALWAYS AS" in str(tables[0][1]):
            message = "The table has computed columns, which artifacts do not have."
            raise Failure(Code.INVALID_ARTIFACT, message)

    def _all(self, query: str, *values: Scalar) -> list[tuple[Any, ...]]:
        return self.sql.execute(query, list(values)).fetchall()

    def column(self, name: object) -> str:
        """Return a column's name as it stands in a query; raises if there is none."""
        if not isinstance(name, str) or name not in self.columns:
            message = "The metadata have no such column."
            raise Failure(Code.VALIDATION_ERROR, message)
        return '"' + name.replace('"', '""') + '"'

    def group_column(self, labels: Sequence[str]) -> str | None:
        """Return the column whose values are these labels, or None."""
        wanted = set(labels)
        for name, kind in self.columns.items():
            if name.startswith(COORDINATES) or kind in {"FLOAT", "DOUBLE"}:
                continue
            values = self._all(
                f"SELECT DISTINCT CAST({self.column(name)} AS VARCHAR) FROM {TABLE} "
                f"WHERE {self.column(name)} IS NOT NULL LIMIT {len(wanted) + 1}"
            )
            if {value for (value,) in values} == wanted:
                return name
        return None

    def codes(self, column: str, labels: Sequence[str]) -> NDArray[np.int32]:
        """Return per cell the position of its label as an int32 array, -1 without."""
        wanted = tuple(labels)
        # Many genes of one job are asked for one after the other.
        if self._codes is not None and self._codes[:2] == (column, wanted):
            return self._codes[2]
        found = np.full(self.n_cells, -1, dtype=np.int32)
        name = self.column(column)
        for code, label in enumerate(labels):
            rows = self.sql.execute(
                f"SELECT rowid FROM {TABLE} WHERE CAST({name} AS VARCHAR) = ?", [label]
            ).fetchnumpy()["rowid"]
            found[rows] = code
        self._codes = (column, wanted, found)
        return found

    def coordinates(
        self, step: int
    ) -> tuple[str, NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]] | None:
        """Return the embedding's name, and rows, x and y of every ``step``-th cell."""
        firsts = [c for c in self.columns if c.startswith(COORDINATES) and c.endswith("_1")]
        for first in firsts:
            second = first[:-1] + "2"
            if second not in self.columns:
                continue
            found = self.sql.execute(
                f"SELECT rowid AS row, CAST({self.column(first)} AS FLOAT) AS x, "
                f"CAST({self.column(second)} AS FLOAT) AS y FROM {TABLE} "
                "WHERE rowid % ? = 0 ORDER BY rowid",
                [step],
            ).fetchnumpy()
            name = first.removeprefix(COORDINATES).removesuffix("_1")
            # A column with NULL is a masked array.
            rows, x, y = (np.asanyarray(found[key]) for key in ("row", "x", "y"))
            return name, rows, x, y
        return None


def opened(path: str) -> ObsFile:
    """Return a checked database; the few that are used most stay open."""
    return _open(path)


def group_column(path: str, labels: Sequence[str]) -> GroupColumn | None:
    """Return the column whose values are these labels and its cells per label, or None."""
    database = _open(path)
    column = database.group_column(labels)
    if column is None:
        return None
    name = database.column(column)
    rows = database.sql.execute(
        f"SELECT CAST({name} AS VARCHAR), count(*) FROM {TABLE} WHERE {name} IS NOT NULL GROUP BY 1"
    ).fetchall()
    return {"column": column, "sizes": dict(rows), "n_cells": database.n_cells}


class Crosstab(TypedDict):
    """The most frequent values of a column, and per value the cells of each label."""

    values: list[str]
    counts: list[list[int]]


def crosstab(path: str, column: str, group: str, labels: Sequence[str]) -> Crosstab:
    """Return how often each value of a column occurs among the cells of each label.

    Parameters
    ----------
    path
        An ``obs.duckdb``.
    column
        The column; its :data:`MOST_GROUPS` most frequent values are returned.
    group, labels
        The column with the clusters, and its values in the order of the result.

    Raises
    ------
    Failure
        The file is refused, or has no such column.
    """
    database = _open(path)
    name, by = database.column(column), database.column(group)
    rows = database.sql.execute(
        f"SELECT CAST({name} AS VARCHAR), CAST({by} AS VARCHAR), count(*) FROM {TABLE} "
        f"WHERE {name} IS NOT NULL AND {by} IS NOT NULL GROUP BY 1, 2"
    ).fetchall()
    place = {label: i for i, label in enumerate(labels)}
    table: dict[str, list[int]] = {}
    for value, label, n in rows:
        if label in place:
            table.setdefault(value, [0] * len(labels))[place[label]] += n
    order = sorted(table, key=lambda value: (-sum(table[value]), value))[:MOST_GROUPS]
    return {"values": order, "counts": [table[value] for value in order]}


def counts(path: str, filters: Sequence[Condition], group_by: str | None = None) -> Counts:
    """Return how many cells pass all filters, and how many per value of a column.

    Parameters
    ----------
    path
        An ``obs.duckdb``.
    filters
        Conditions that all must be true; none lets every cell pass.
    group_by
        Column whose :data:`MOST_GROUPS` most frequent values are counted, or None.

    Raises
    ------
    Failure
        The file is refused, or has no such column.
    """
    database = _open(path)
    where, values = _where(database, filters)
    (n_cells,) = database.sql.execute(
        f"SELECT count(*) FROM {TABLE} WHERE {where}", values
    ).fetchone() or (0,)
    result = Counts(total=database.n_cells, count=n_cells)
    if group_by is not None:
        name = database.column(group_by)
        rows = database.sql.execute(
            f"SELECT CAST({name} AS VARCHAR), count(*) FROM {TABLE} WHERE {where} "
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_GROUPS + 1}",
            values,
        ).fetchall()
        result["groups"] = [{"value": value, "count": n} for value, n in rows[:MOST_GROUPS]]
        result["truncated"] = len(rows) > MOST_GROUPS
    return result


def _where(database: ObsFile, filters: Sequence[Condition]) -> tuple[str, list[str | float]]:
    conditions: list[str] = ["true"]
    values: list[str | float] = []
    for condition in filters:
        name = database.column(condition.get("column"))
        operator, value = condition["op"], condition.get("value")
        if operator in {"is_null", "not_null"}:
            conditions.append(f"{name} IS {'NOT ' if operator == 'not_null' else ''}NULL")
        elif operator in _COMPARISONS:
            conditions.append(f"TRY_CAST({name} AS DOUBLE) {_COMPARISONS[operator]} ?")
            values.append(float(value) if isinstance(value, int | float) else 0.0)
        else:
            wanted = value if isinstance(value, list) else [value]
            alike = " OR ".join(_equal(database, str(condition["column"]), v) for v in wanted)
            negative = operator in {"ne", "not_in"}
            conditions.append(f"{'NOT ' if negative else ''}coalesce({alike or 'false'}, false)")
            values.extend(_comparable(v) for v in wanted)
    return " AND ".join(f"({c})" for c in conditions), values


def _equal(database: ObsFile, column: str, value: Scalar | None) -> str:
    name = database.column(column)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and any(kind in database.columns[column] for kind in _NUMERIC):
        return f"CAST({name} AS DOUBLE) = TRY_CAST(? AS DOUBLE)"
    return f"CAST({name} AS VARCHAR) = ?"


def _comparable(value: Scalar | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _open(path: str) -> ObsFile:
    status = Path(path).stat()
    return _cached(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _cached(path: str, _changed: int, _size: int) -> ObsFile:
    return ObsFile(path)
