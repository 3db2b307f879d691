"""The writer of obs.duckdb: one table ``obs``, one row per cell, in the order of the matrix.

Extension to the published layout: the column :data:`CELL_NAMES` holds the names of the
cells. The published file has none, so that a cell is known by its row alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ColumnsRenamedWarning, GroupMissingError, listing, nearest
from .machine import available_memory, processors

if TYPE_CHECKING:
    import pandas as pd

    from ..study.study import Study

TABLE = "obs"
CELL_NAMES = "__cell_name"
STORAGE_VERSION = "v1.0.0"
"""Every duckdb from 1.0 opens the file; the default of duckdb 2 is closed to all 1.x."""
LEAST_MEMORY = 256 << 20


def check_columns(study: Study, columns: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the columns that may leave, with the column of clusters; None is all of them.

    Parameters
    ----------
    study
        Whose ``obs`` it is.
    columns
        Names of columns; None is all.

    Raises
    ------
    GroupMissingError
        A column does not exist.
    """
    if columns is None or study.obs is None:
        return None
    existing = [str(c) for c in study.obs.columns]
    missing = [c for c in columns if c not in existing]
    if missing:
        guess = nearest(missing[0], existing)
        message = f"obs has no column {listing(missing)}; it has {listing(existing)}."
        hint = f'Did you mean "{guess}"?' if guess else "Name columns of obs in obs_columns."
        raise GroupMissingError(message, hint)
    wanted = {*columns, study.group_key}
    return tuple(c for c in existing if c in wanted)


def obs_table(
    study: Study, columns: Sequence[str] | None = None, *, cell_names: bool = True
) -> pd.DataFrame:
    """Return the table as a frame of its own; the study's metadata is not touched.

    Columns: the metadata, ``__vis_coordinates_{key}_1`` and ``_2``, :data:`CELL_NAMES`.
    A database does not distinguish "Sample" from "sample": the second becomes "sample_1".

    Parameters
    ----------
    study
        Cells, metadata, coordinates.
    columns
        Only these columns of the metadata; None is all.
    cell_names
        Whether the names of the cells are a column.
    """
    import pandas as pd

    values: list[tuple[str, pd.Series]] = []
    obs = study.obs
    for position in range(0 if obs is None else obs.shape[1]):
        assert obs is not None
        name = str(obs.columns[position])
        if columns is None or name in columns:
            values.append((name, storable(obs.iloc[:, position])))
    if study.coordinates is not None:
        key, embedding = study.coordinates
        for axis in (0, 1):
            values.append((f"__vis_coordinates_{key}_{axis + 1}", pd.Series(embedding[:, axis])))
    if cell_names and study.cells is not None:
        values.append((CELL_NAMES, pd.Series(list(study.cells), dtype=object)))
    names = _distinct([name for name, _ in values])
    made = {name: column.array for name, (_, column) in zip(names, values, strict=True)}
    return pd.DataFrame(made)


def warn_of_renamed(
    study: Study, columns: Sequence[str] | None = None, *, cell_names: bool = True
) -> None:
    """Warn of the columns that :func:`obs_table` renames; apart, because it is not always called
    by the user's thread."""
    given = [] if study.obs is None else [str(c) for c in study.obs.columns]
    names = [c for c in given if columns is None or c in columns]
    if study.coordinates is not None:
        names += [f"__vis_coordinates_{study.coordinates[0]}_{axis}" for axis in (1, 2)]
    if cell_names:
        names.append(CELL_NAMES)
    renamed = [(old, new) for old, new in zip(names, _distinct(names), strict=True) if old != new]
    if renamed:
        listed = ", ".join(f'"{old}" is "{new}"' for old, new in renamed[:10])
        message = f"Columns of obs are renamed in obs.duckdb, where names differ by more: {listed}."
        warnings.warn(ColumnsRenamedWarning(message), stacklevel=4)


def storable(column: pd.Series) -> pd.Series:
    """Return a column of a type that duckdb stores without loss.

    Categories become text (an ENUM), a column of texts and other things becomes text,
    missing values are None.
    """
    import pandas as pd

    kind = column.dtype
    column = column.reset_index(drop=True)
    if isinstance(kind, pd.CategoricalDtype):
        return _enum(column)
    if isinstance(kind, pd.StringDtype):
        return _text(column)
    if pd.api.types.is_object_dtype(kind):
        inferred = pd.api.types.infer_dtype(column, skipna=True)
        if inferred == "boolean":
            return column.astype("boolean")
        if inferred == "integer" and _fits(column):
            return column.astype("Int64")
        if inferred == "floating":
            return column.astype("float64")
        return column if inferred == "date" else _text(column)
    if isinstance(kind, np.dtype) and kind.kind in "biufmM" and kind.itemsize <= 8:
        return column.astype("float32") if kind == np.float16 else column
    if isinstance(kind, pd.DatetimeTZDtype):
        # Instants are kept; without the zone database of this machine, in UTC.
        return column
    if pd.api.types.is_bool_dtype(kind) or (
        pd.api.types.is_numeric_dtype(kind)
        and pd.api.types.is_extension_array_dtype(kind)
        and hasattr(kind, "numpy_dtype")
    ):
        return column
    return _text(column)


def _enum(column: pd.Series) -> pd.Series:
    import pandas as pd

    names = [_clean(str(c)) for c in column.cat.categories]
    if not names:
        return _text(column)
    different = list(dict.fromkeys(names))
    place = {name: i for i, name in enumerate(different)}
    codes = np.asarray(column.cat.codes, dtype=np.intp)
    moved = np.array([*(place[name] for name in names), -1])[codes]
    return pd.Series(pd.Categorical.from_codes(moved, pd.Index(different, dtype=object)))


def _text(column: pd.Series) -> pd.Series:
    import pandas as pd

    missing = np.asarray(column.isna())
    values = np.array(column, dtype=object)
    values[missing] = None
    plain = values.tolist()
    try:
        # Mostly all are texts, and one look at them together shows that they are clean. While each
        # is looked at, no other thread gets on.
        "".join(value for value in plain if value is not None).encode()
    except (TypeError, UnicodeEncodeError):
        plain = [None if value is None else _clean(str(value)) for value in plain]
    # The pandas type of strings, because an object column of only None has no type at all.
    return pd.Series(plain, dtype=pd.StringDtype("python"))


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _fits(column: pd.Series) -> bool:
    present = column.dropna()
    return len(present) == 0 or (min(present) >= -(2**63) and max(present) < 2**63)


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names that differ by more than case, in order; the first of alike is kept."""
    taken = {name.lower() for name in names}
    seen: set[str] = set()
    result = []
    for position, given in enumerate(names):
        name = given.replace("\0", "") or f"column_{position}"
        number, plain = 0, name
        while name.lower() in seen or (number and name.lower() in taken):
            number += 1
            name = f"{plain}_{number}"
        seen.add(name.lower())
        result.append(name)
    return result


def write_obs_duckdb(
    path: Path, table: pd.DataFrame, spill: Path, *, reproducible: bool = False
) -> None:
    """Write a table to a new database file.

    Parameters
    ----------
    path
        Must not exist.
    table
        Made by :func:`obs_table`.
    spill
        A private folder, where duckdb puts what does not fit into memory.
    reproducible
        Whether the same table gives the same bytes. Texts then take up to twice the room: duckdb
        compresses them by FSST, which begins with a sample that it draws.
    """
    import duckdb

    memory = max(LEAST_MEMORY, available_memory() // 2)
    limits: dict[str, str | bool | int | float | list[str]] = {
        "threads": "1" if reproducible else str(processors()),
        "memory_limit": f"{memory >> 20}MiB",
        "temp_directory": str(spill),
        # No extension is needed, and none may be fetched from the network.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(":memory:", config=limits) as connection:
        if reproducible:
            connection.execute("SET disabled_compression_methods = 'fsst,dict_fsst'")
        place = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{place}' AS target (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.register("metadata", table)
        connection.execute(f"CREATE TABLE target.{TABLE} AS SELECT * FROM metadata")
        connection.unregister("metadata")
        connection.execute("CHECKPOINT target")
        connection.execute("DETACH target")
