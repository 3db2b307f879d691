"""Metadata columns between R and pandas: one plain record for every R type, exact both ways.

A record has the ``kind`` and the ``values`` of ``extract_metadata_columns()`` in R (arrays, or
a list for text) and what belongs to the kind. What pandas can't say of an R type is kept in a
*note* of text, so that a column comes back as what it was.

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
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import times

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Record = dict[str, Any]
"""What crosses of one column: text and flags, and the arrays of its values and mask."""
Column: TypeAlias = "pd.Series[Any]"
"""A column of any dtype: what its stubs know of it is its element type, which is looked at."""
Note = dict[str, str]

INTEGER64_NA = np.iinfo(np.int64).min
NA_BITS = 0x7FF00000000007A2
"""R's missing double: a NaN with 1954 in its lower half. NaN has other bits."""


def na_real() -> np.float64:
    """Return R's missing double."""
    return np.uint64(NA_BITS).view(np.float64)


def values_from_record(record: Record) -> tuple[Any, Note, str]:
    """Return the values for a Series, the note of the R type, and what is lost.

    ``mask`` (1 is missing) may accompany the numeric kinds; category codes use -1.
    """
    import pandas as pd

    kind, values = record["kind"], record["values"]
    if kind in {"text", "texts"}:
        made = np.empty(len(values), dtype=object)
        made[:] = values if kind == "text" else [*values]
        return made, {}, ""
    if kind == "category":
        levels = pd.Index(record["levels"], dtype="object")
        ordered = bool(record.get("ordered", False))
        return pd.Categorical.from_codes(values, levels, ordered=ordered), {}, ""
    mask = record.get("mask")
    missing = np.zeros(len(values), dtype=bool) if mask is None else np.asarray(mask) != 0
    if kind == "integer64":
        whole = np.ascontiguousarray(values).view(np.int64)
        return _nullable(whole, missing | (whole == INTEGER64_NA)), {"kind": kind}, ""
    if kind == "integer":
        return _nullable(np.asarray(values, dtype=np.int32), missing), {}, ""
    if kind == "logical":
        return _nullable(np.asarray(values) == 1, missing), {}, ""
    numbers = np.array(values, dtype=np.float64)
    numbers[missing & ~np.isnan(numbers)] = np.nan
    if kind == "real":
        return numbers, {}, ""
    note = {"kind": kind, "storage": str(record.get("storage") or "double")}
    if kind == "date":
        found, lost = times.dates(numbers)
        return found, note, lost
    zone = record.get("tz")
    if zone is not None:
        note["tz"] = str(zone)
    moments, lost = times.moments(numbers, zone)
    return moments, note, lost


def _nullable(values: NDArray[np.generic], missing: NDArray[np.bool_]) -> Any:
    import pandas as pd

    if not missing.any():
        return values.copy()
    filled = np.where(missing, values.dtype.type(0), values)
    if values.dtype == np.bool_:
        return pd.arrays.BooleanArray(filled, missing.copy())
    return pd.arrays.IntegerArray(filled, missing.copy())


def record_from_series(
    series: Column, note: Mapping[str, str] | None = None
) -> tuple[Record | None, str]:
    """Return the record of a column and what is lost; None if it can't cross, and why.

    Parameters
    ----------
    series
        A column of any dtype.
    note
        What :func:`values_from_record` returned of the R type, if it came from R.
    """
    import pandas as pd

    note, dtype = note or {}, series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _category(series)
    if isinstance(dtype, pd.DatetimeTZDtype) or dtype.kind == "M":
        return _time(series, note)
    if pd.api.types.is_bool_dtype(dtype):
        missing = np.asarray(pd.isna(series.array))
        flags = np.asarray(series.fillna(value=False), dtype=bool)
        return {"kind": "logical", "values": flags, "mask": missing}, ""
    if pd.api.types.is_integer_dtype(dtype):
        return _integer(series, note)
    if pd.api.types.is_float_dtype(dtype):
        return {"kind": "real", "values": _floats(series)}, ""
    if pd.api.types.is_string_dtype(dtype) or dtype.kind == "O":
        return _text(series)
    return None, f"The dtype {dtype} has no counterpart in R."


def _category(series: Column) -> tuple[Record, str]:
    categories = list(series.cat.categories)
    levels = [str(c) for c in categories]
    lost = "" if all(isinstance(c, str) for c in categories) else "The categories become text."
    codes = np.asarray(series.cat.codes, dtype=np.int32)
    if len(set(levels)) != len(levels):
        distinct = list(dict.fromkeys(levels))
        place = {level: i for i, level in enumerate(distinct)}
        codes = np.array([*(place[level] for level in levels), -1], dtype=np.int32)[codes]
        levels, lost = distinct, "Categories of the same text become one."
    ordered = bool(series.cat.ordered)
    return {"kind": "category", "values": codes, "levels": levels, "ordered": ordered}, lost


def _integer(series: Column, note: Mapping[str, str]) -> tuple[Record, str]:
    import pandas as pd

    missing = np.asarray(pd.isna(series.array))
    unsigned = "uint" in str(series.dtype).lower()
    numbers = np.asarray(series.fillna(0)).astype(np.uint64 if unsigned else np.int64)
    present = numbers[~missing]
    low, high = (int(present.min()), int(present.max())) if len(present) else (0, 0)
    large = low <= -(2**31) or high >= 2**31
    if high >= 2**63:
        values = np.where(missing, na_real(), numbers.astype(np.float64))
        why = "Integers of more than 63 bits become doubles and lose digits."
        return {"kind": "real", "values": values}, why
    if large or note.get("kind") == "integer64":
        whole = np.where(missing, INTEGER64_NA, numbers.astype(np.int64))
        lost = (
            ""
            if note.get("kind") == "integer64"
            else ("Integers of more than 32 bits become integer64 of the package bit64.")
        )
        return {"kind": "integer64", "values": whole.view(np.float64)}, lost
    return {"kind": "integer", "values": numbers.astype(np.int32), "mask": missing}, ""


def _floats(series: Column) -> NDArray[np.float64]:
    import pandas as pd

    if isinstance(series.dtype, pd.api.extensions.ExtensionDtype):
        missing = np.asarray(pd.isna(series.array))
        filled = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(missing, na_real(), filled)
    return series.to_numpy().astype(np.float64, copy=False)


def _text(series: Column) -> tuple[Record | None, str]:
    import pandas as pd

    values = list(series)
    if any(isinstance(v, list | tuple | np.ndarray) for v in values):
        return None, "A column of lists has more than one value per row."
    given = [None if pd.isna(v) else v for v in values]
    present = [v for v in given if v is not None]
    if all(isinstance(v, str) for v in present):
        return {"kind": "text", "values": given}, ""
    if all(isinstance(v, bool | np.bool_) for v in present):
        return record_from_series(series.astype("boolean"))
    if all(isinstance(v, int | float | np.number) for v in present):
        return record_from_series(pd.to_numeric(pd.Series(given)))
    if all(isinstance(v, str | int | float | bool | np.generic) for v in present):
        texts = [None if v is None else str(v) for v in given]
        return {"kind": "text", "values": texts}, "Values of different types become text."
    found = next(type(v).__name__ for v in present if not isinstance(v, str | int | float | bool))
    return None, f"A column of {found} objects has no counterpart in R."


def _time(series: Column, note: Mapping[str, str]) -> tuple[Record, str]:
    storage = note.get("storage", "double")
    if note.get("kind") == "date":
        days, lost = times.days(series)
        return {"kind": "date", "values": days, "storage": storage}, lost
    seconds, zone, lost = times.seconds(series)
    if "kind" in note:
        zone = note.get("tz")
    return {"kind": "datetime", "values": seconds, "tz": zone, "storage": storage}, lost
