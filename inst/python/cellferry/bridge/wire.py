"""The encoding of the bridge to R: JSON text and raw buffers, nothing else.

Nothing passes through reticulate's converters, which lose NA, factors and large
integers in silence. Numbers travel as little-endian bytes with a mask for NA, text and
levels as JSON, a double inside JSON as its 17 digits in text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InternalError
from ..study.markers.files import Columns
from .columns import record_from_series, values_from_record

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Message = dict[str, Any]
"""A decoded message, of R or to it."""
TYPES: dict[str, np.dtype[np.generic]] = {t: np.dtype(t) for t in ("<f8", "<f4", "<i4", "|u1")}
NOTES = "r_types"
"""Key of ``DataFrame.attrs`` with what pandas can't say of the R types; see :mod:`.columns`."""


def decode(value: Any, buffers: Sequence[bytes | bytearray]) -> Any:
    """Return a message with its vectors as arrays and its doubles as floats.

    Parameters
    ----------
    value
        What JSON gave.
    buffers
        Raw bytes, by the number that ``$buffer`` names.
    """
    if isinstance(value, dict):
        if "$buffer" in value:
            return vector(value, buffers)
        if "$double" in value:
            return float(value["$double"])
        return {k: decode(v, buffers) for k, v in value.items()}
    if isinstance(value, list):
        return [decode(v, buffers) for v in value]
    return value


def vector(reference: Message, buffers: Sequence[bytes | bytearray]) -> NDArray[np.generic]:
    """Return the array of one ``{"$buffer": k, "type": t}``; raises :class:`InternalError`."""
    try:
        return np.frombuffer(buffers[reference["$buffer"]], TYPES[reference["type"]])
    except (IndexError, KeyError, ValueError, TypeError) as error:
        message = f"A message between R and Python is damaged: {error}."
        raise InternalError(message) from error


def frame_from_wire(frame: Message) -> pd.DataFrame:
    """Return a decoded frame message as a DataFrame; duplicated names are kept.

    Dtypes are those of :mod:`cellferry.bridge.columns`. Names in ``index`` become the index.
    """
    import pandas as pd

    n, names, made = frame["n"], [], []
    notes: dict[str, dict[str, str]] = {}
    for column in frame["columns"]:
        record = {**column, "values": column.get("values", column.get("codes"))}
        if len(record["values"]) != n:
            found = len(record["values"])
            message = f'The column "{column["name"]}" has {found} values for {n} rows.'
            raise InternalError(message)
        values, note, _ = values_from_record(record)
        names.append(column["name"])
        made.append(pd.Series(values))
        if note:
            notes[column["name"]] = note
    joined = pd.concat(made, axis=1) if made else pd.DataFrame(index=pd.RangeIndex(n))
    joined.columns = pd.Index(names, dtype="object")
    if frame.get("index") is not None:
        joined.index = pd.Index(frame["index"], dtype="object")
    if notes:
        joined.attrs[NOTES] = notes
    return joined


def columns_from_wire(frame: Message) -> Columns | None:
    """Return a decoded frame message as the columns of a marker table; None where pandas must.

    They are those of :func:`frame_from_wire`, without pandas: its import takes longer than labels
    of a table do. What it is left to are times, whole numbers of 64 bits, missing flags, and what
    is refused.

    Parameters
    ----------
    frame
        The message.
    """
    names = [str(column["name"]) for column in frame["columns"]]
    if not frame["n"] or len(set(names)) < len(names):
        return None
    values: dict[str, Any] = {}
    levels: dict[str, tuple[object, ...]] = {}
    for name, column in zip(names, frame["columns"], strict=True):
        kind, given = column["kind"], column.get("values", column.get("codes"))
        mask = column.get("mask")
        missing = None if mask is None or not np.any(mask) else np.asarray(mask) != 0
        if len(given) != frame["n"] or (missing is not None and kind == "logical"):
            return None
        if kind == "text":
            values[name] = np.empty(len(given), dtype=object)
            values[name][:] = given
        elif kind == "category":
            levels[name] = tuple(column["levels"])
            if len(set(levels[name])) < len(levels[name]):
                return None
            values[name] = np.array([*levels[name], np.nan], dtype=object)[given]
        elif kind == "logical":
            values[name] = (np.asarray(given) == 1).astype(object)
        elif kind == "integer" and missing is None:
            values[name] = np.asarray(given, dtype=np.int32)
        elif kind in {"integer", "real"}:
            values[name] = np.array(given, dtype=np.float64)
            if missing is not None:
                values[name][missing] = np.nan
        else:
            return None
    return Columns(values, "the table", levels)


class Outgoing:
    """Collects the buffers of one answer while its JSON is put together."""

    def __init__(self) -> None:
        self.buffers: list[bytearray] = []

    def vector(self, values: NDArray[np.generic], kind: str) -> Message:
        """Return the reference to an array that is sent as raw bytes."""
        self.buffers.append(bytearray(np.ascontiguousarray(values, TYPES[kind]).tobytes()))
        return {"$buffer": len(self.buffers) - 1, "type": kind}

    def column(
        self, name: str, kind: str, values: Sequence[Any], levels: Sequence[str] | None = None
    ) -> Message:
        """Return one column of a frame; None is NA in every kind.

        Parameters
        ----------
        name
            Of the column.
        kind
            As in :mod:`cellferry.bridge.columns`, or ``texts``.
        values
            One per row.
        levels
            Of a category.
        """
        if kind in {"text", "texts"}:
            plain = [list(v) for v in values] if kind == "texts" else list(values)
            return {"name": name, "kind": kind, "values": plain}
        if kind == "category":
            position = {level: i for i, level in enumerate(levels or ())}
            codes = np.array([-1 if v is None else position[v] for v in values], dtype="<i4")
            return {
                "name": name,
                "kind": kind,
                "levels": list(levels or ()),
                "codes": self.vector(codes, "<i4"),
                "ordered": False,
            }
        missing = [v is None or (isinstance(v, float) and math.isnan(v)) for v in values]
        filled = [0 if gone else v for v, gone in zip(values, missing, strict=True)]
        return {
            "name": name,
            "kind": kind,
            "values": self.vector(np.array(filled, dtype="f8"), _TYPE_OF[kind]),
            "mask": self.vector(np.array(missing, dtype="u1"), "|u1"),
        }

    def record(self, name: str, record: Message) -> Message:
        """Return one column of a frame from a record of :mod:`cellferry.bridge.columns`."""
        kind, values = record["kind"], record["values"]
        made = {"name": name, **{k: v for k, v in record.items() if k not in {"values", "mask"}}}
        if kind == "text":
            return {**made, "values": list(values)}
        sent = self.vector(values, _TYPE_OF[kind])
        if record.get("mask") is not None:
            made["mask"] = self.vector(record["mask"], "|u1")
        return {**made, "codes" if kind == "category" else "values": sent}

    def data_frame(self, frame: pd.DataFrame) -> tuple[Message, list[dict[str, str]]]:
        """Return a DataFrame as a frame, and for each column what happened to it."""
        notes = frame.attrs.get(NOTES, {})
        columns, items = [], []
        for position, label in enumerate(frame.columns):
            name, series = str(label), frame.iloc[:, position]
            record, lost = record_from_series(series, notes.get(name))
            action = "left" if record is None else "coerced" if lost else "taken"
            items.append({"item": name, "what": str(series.dtype), "action": action, "why": lost})
            if record is not None:
                columns.append(self.record(name, record))
        index = [str(name) for name in frame.index]
        return {"n": len(frame), "columns": columns, "index": index}, items

    def frame(self, columns: Sequence[Message], n: int) -> Message:
        """Return a frame of columns made with :meth:`column`."""
        return {"n": n, "columns": list(columns)}


_TYPE_OF = {
    "real": "<f8",
    "integer": "<i4",
    "logical": "|u1",
    "category": "<i4",
    "date": "<f8",
    "datetime": "<f8",
    "integer64": "<f8",
}
