"""Metadata columns: what R says of a column, as a pandas Series, and the way back.

A column is the record of ``extract_metadata_columns()`` in R: ``name, kind, values, action,
why`` and what belongs to the kind. R types that pandas does not have keep their name in a
*note*, so that they come back as what they were.

=========  =====================================  ========================================
kind       R                                      pandas
=========  =====================================  ========================================
text       character, NA                          ``object`` of str, None
real       double, NA and NaN                     ``float64``; NA and NaN keep their bits
integer    integer, NA                            ``int32``; with NA ``Int32``
logical    logical, NA                            ``bool``; with NA ``boolean``
category   factor: levels, order, unused, NA      ``category``
date       Date                                   ``datetime64[s]``, note
datetime   POSIXct with time zone                 ``datetime64[ns, zone]``, note
integer64  integer64                              ``int64``; with NA ``Int64``, note
=========  =====================================  ========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import times
from .transfer import Item
from .vectors import flag, named_list, names, parts, text, text_vector, texts
from .views import INTEGER_NA, new_vector, view

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Note = dict[str, str]
"""What a pandas column cannot say of its R type, as text, fit for ``uns``."""

INTEGER64_NA = np.iinfo(np.int64).min
EXACT_DOUBLE = 2**53


@dataclass
class FromR:
    """Columns read from R: the frame, the notes by column, and what happened to each."""

    frame: pd.DataFrame
    notes: dict[str, Note] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)


def frame_from_r(columns: Any, index: list[str], kind: str) -> FromR:
    """Return the frame of an R list of columns.

    Parameters
    ----------
    columns
        What ``extract_metadata_columns()`` returned.
    index
        Row names.
    kind
        ``obs`` or ``var``, for the report.
    """
    import pandas as pd

    rows = pd.Index(index, dtype="object")
    found = FromR(pd.DataFrame(index=rows))
    made: dict[str, Any] = {}
    for column in map(parts, columns):
        name, what = text(column["name"]) or "", text(column["kind"]) or ""
        action, why = text(column["action"]) or "taken", text(column["why"]) or ""
        if action != "left" and name in made:
            action, why = "left", "Another column has the same name."
        note: Note = {}
        if action != "left":
            values, note, lost = _series(what, column)
            made[name] = pd.Series(values, index=rows, name=name)
            if lost:
                action, why = "coerced", " ".join(filter(None, (why, lost)))
        if note:
            found.notes[name] = note
        found.items.append(Item(name, kind, what, action, why))
    if made:
        found.frame = pd.DataFrame(made, index=rows)
    return found


def _series(kind: str, column: Mapping[str, Any]) -> tuple[Any, Note, str]:
    import pandas as pd

    values = column["values"]
    if kind == "text":
        return np.array(texts(values), dtype=object), {}, ""
    if kind == "category":
        levels = pd.Index(names(column["levels"]), dtype="object")
        ordered = bool(column["ordered"][0])
        return pd.Categorical.from_codes(view(values), levels, ordered=ordered), {}, ""
    numbers = view(values)
    if kind == "real":
        return numbers.copy(), {}, ""
    if kind == "integer":
        gone = numbers == INTEGER_NA
        return (_masked(numbers, gone, "Int32") if gone.any() else numbers.copy()), {}, ""
    if kind == "logical":
        gone = numbers == INTEGER_NA
        flags = numbers == 1
        return (_masked(flags, gone, "boolean") if gone.any() else flags), {}, ""
    if kind == "integer64":
        whole = numbers.view(np.int64)
        gone = whole == INTEGER64_NA
        made = _masked(whole, gone, "Int64") if gone.any() else whole.copy()
        return made, {"kind": "integer64"}, ""
    note = {"kind": kind, "storage": text(column["storage"]) or "double"}
    if kind == "date":
        found, lost = times.dates(numbers)
        return found, note, lost
    zone = text(column["tz"]) if "tz" in column else None
    if zone is not None:
        note["tz"] = zone
    found, lost = times.moments(numbers, zone)
    return found, note, lost


def _masked(values: NDArray[Any], gone: NDArray[np.bool_], dtype: str) -> Any:
    import pandas as pd

    classes: dict[str, Any] = {
        "Int32": pd.arrays.IntegerArray, "Int64": pd.arrays.IntegerArray,
        "boolean": pd.arrays.BooleanArray,
    }  # fmt: skip
    return classes[dtype](np.where(gone, 0, values).astype(values.dtype), gone.copy())


def frame_to_r(
    frame: pd.DataFrame, kind: str, notes: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Any, list[Item]]:
    """Return the columns of a frame as the R list that ``vector_of()`` reads, and the report."""
    from .session import r_lock

    made, items, seen = [], [], set()
    for position, name in enumerate(frame.columns):
        series = frame.iloc[:, position]
        if str(name) in seen:
            items.append(
                Item(str(name), kind, str(series.dtype), "left", "Its name is not unique.")
            )
            continue
        seen.add(str(name))
        note = dict((notes or {}).get(str(name), {}))
        column, lost = column_to_r(series, note)
        if column is None:
            items.append(Item(str(name), kind, str(series.dtype), "left", lost))
            continue
        made.append(named_list({"name": text_vector([str(name)]), **column}))
        action = "coerced" if lost else "taken"
        items.append(Item(str(name), kind, str(series.dtype), action, lost))
    with r_lock() as rinterface:
        return rinterface.ListSexpVector(made), items


def column_to_r(
    series: pd.Series[Any], note: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any] | None, str]:
    """Return the record of one column and what is lost; None if it cannot cross."""
    import pandas as pd

    note = note or {}
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _category(series)
    if isinstance(dtype, pd.DatetimeTZDtype) or dtype.kind == "M":
        return _time(series, note)
    if pd.api.types.is_bool_dtype(dtype):
        flags = series.array
        gone = np.asarray(pd.isna(flags))
        filled = np.asarray(series.fillna(False), dtype=bool).astype("i4")
        return _column("logical", new_vector(np.where(gone, INTEGER_NA, filled), "logical")), ""
    if pd.api.types.is_integer_dtype(dtype):
        return _integer(series, note)
    if pd.api.types.is_float_dtype(dtype):
        numbers = _floats(series)
        return _column("real", new_vector(numbers, "double")), ""
    if pd.api.types.is_string_dtype(dtype) or dtype == object:
        return _text(series)
    return None, f"The dtype {dtype} has no counterpart in R."


def _column(kind: str, values: Any, **more: Any) -> dict[str, Any]:
    return {"kind": text_vector([kind]), "values": values, **more}


def _category(series: pd.Series[Any]) -> tuple[dict[str, Any], str]:
    categories = series.cat.categories
    levels = [str(c) for c in categories]
    lost = "" if all(isinstance(c, str) for c in categories) else "The categories become text."
    codes = np.asarray(series.cat.codes, dtype="i4")
    if len(set(levels)) != len(levels):
        distinct = list(dict.fromkeys(levels))
        position = np.array([distinct.index(level) for level in levels] + [-1], dtype="i4")
        codes, levels = position[codes], distinct
        lost = "Categories of the same text become one."
    column = _column(
        "category", new_vector(codes, "integer"), levels=text_vector(levels),
        ordered=flag(bool(series.cat.ordered)),
    )  # fmt: skip
    return column, lost


def _integer(series: pd.Series[Any], note: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    import pandas as pd

    gone = np.asarray(pd.isna(series.array))
    # Past int64 only uint64 goes, and its large values as doubles.
    numbers = np.asarray(series.fillna(0)).astype(np.uint64 if series.dtype.kind == "u" else "i8")
    present = numbers[~gone]
    low, high = (int(present.min()), int(present.max())) if len(present) else (0, 0)
    if note.get("kind") == "integer64" and high < 2**63:
        bits = np.where(gone, INTEGER64_NA, numbers.astype("i8")).view("f8")
        return _column("integer64", new_vector(bits, "double")), ""
    if low > -(2**31) and high < 2**31:
        whole = np.where(gone, INTEGER_NA, numbers.astype("i8"))
        return _column("integer", new_vector(whole, "integer")), ""
    doubles = new_vector(np.where(gone, _na_real(), numbers.astype("f8")), "double")
    if low >= -EXACT_DOUBLE and high <= EXACT_DOUBLE:
        return _column("real", doubles), "Integers of more than 32 bits become doubles."
    if high < 2**63:
        bits = np.where(gone, INTEGER64_NA, numbers.astype("i8")).view("f8")
        why = "Integers of more than 53 bits become integer64 of the package bit64."
        return _column("integer64", new_vector(bits, "double")), why
    return _column("real", doubles), "Integers of more than 63 bits become doubles and lose digits."


def _na_real() -> np.float64:
    """Return R's missing double, a NaN with 1954 in its lower half."""
    return np.uint64(0x7FF00000000007A2).view(np.float64)


def _floats(series: pd.Series[Any]) -> NDArray[np.float64]:
    import pandas as pd

    if isinstance(series.dtype, pd.api.extensions.ExtensionDtype):
        gone = np.asarray(pd.isna(series.array))
        filled = series.to_numpy(dtype="f8", na_value=np.nan)
        return np.where(gone, _na_real(), filled)
    return series.to_numpy().astype("f8", copy=False)


def _text(series: pd.Series[Any]) -> tuple[dict[str, Any] | None, str]:
    import pandas as pd

    values = list(series)
    gone = np.asarray(pd.isna(series))
    given = [None if g else v for v, g in zip(values, gone, strict=True)]
    present = [v for v in given if v is not None]
    if all(isinstance(v, str) for v in present):
        return _column("text", text_vector(given)), ""
    if all(isinstance(v, bool | np.bool_) for v in present):
        return column_to_r(series.astype("boolean"))
    if all(isinstance(v, int | float | np.number) for v in present):
        return column_to_r(pd.to_numeric(series))
    if all(isinstance(v, str | int | float | bool | np.generic) for v in present):
        return _column("text", text_vector([None if v is None else str(v) for v in given])), (
            "Values of different types become text."
        )
    found = next(type(v).__name__ for v in present if not isinstance(v, str | int | float | bool))
    return None, f"A column of {found} objects has no counterpart in R."


def _time(series: pd.Series[Any], note: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    kind = "date" if note.get("kind") == "date" else "datetime"
    storage = text_vector([str(note.get("storage", "double"))])
    if kind == "date":
        days, lost = times.days(series)
        return _column("date", new_vector(days, "double"), storage=storage), lost
    seconds, zone, lost = times.seconds(series)
    if "kind" in note:
        zone = note.get("tz")
    more = {} if zone is None else {"tz": text_vector([str(zone)])}
    return _column("datetime", new_vector(seconds, "double"), storage=storage, **more), lost
