"""The encoding of the waist to R: JSON text and raw buffers, nothing else.

Nothing passes through reticulate's converters, which lose NA, factors and large
integers in silence. Numbers travel as little-endian bytes with a mask for NA, text and
levels as JSON, a double inside JSON as its 17 digits in text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InternalError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

TYPES: dict[str, np.dtype[Any]] = {t: np.dtype(t) for t in ("<f8", "<i4", "|u1")}


def decode(value: Any, buffers: Sequence[bytes | bytearray]) -> Any:
    """Return a message with its vectors as arrays and its doubles as floats."""
    if isinstance(value, Mapping):
        if "$buffer" in value:
            return vector(value, buffers)
        if "$double" in value:
            return float(value["$double"])
        return {k: decode(v, buffers) for k, v in value.items()}
    if isinstance(value, list):
        return [decode(v, buffers) for v in value]
    return value


def vector(reference: Mapping[str, Any], buffers: Sequence[bytes | bytearray]) -> NDArray[Any]:
    """Return the array of one ``{"$buffer": k, "type": t}``; raises :class:`InternalError`."""
    try:
        return np.frombuffer(buffers[reference["$buffer"]], TYPES[reference["type"]])
    except (IndexError, KeyError, ValueError, TypeError) as error:
        message = f"A message between R and Python is damaged: {error}."
        raise InternalError(message) from error


def frame_from_wire(frame: Mapping[str, Any]) -> pd.DataFrame:
    """Return a decoded frame message as a DataFrame; duplicated names are kept."""
    import pandas as pd

    names = [column["name"] for column in frame["columns"]]
    made = [_series(column, frame["n"]) for column in frame["columns"]]
    if not made:
        return pd.DataFrame(index=pd.RangeIndex(frame["n"]))
    joined = pd.concat(made, axis=1)
    joined.columns = pd.Index(names, dtype="object")
    return joined


def _series(column: Mapping[str, Any], n: int) -> pd.Series[Any]:
    import pandas as pd

    kind = column["kind"]
    if kind in {"text", "texts"}:
        return pd.Series(list(column["values"]), dtype="object")
    if kind == "category":
        levels = pd.Index(column["levels"], dtype="object")
        ordered = bool(column.get("ordered", False))
        return pd.Series(pd.Categorical.from_codes(column["codes"], levels, ordered=ordered))
    values, mask = column["values"], column.get("mask")
    if len(values) != n:
        message = f'The column "{column["name"]}" has {len(values)} values for {n} rows.'
        raise InternalError(message)
    missing = np.zeros(n, dtype=bool) if mask is None else np.asarray(mask) != 0
    if kind == "real":
        return pd.Series(np.where(missing, np.nan, values))
    if kind == "integer":
        return pd.Series(pd.array(values.astype("int64"), dtype="Int64")).mask(missing)
    return pd.Series(pd.array(values.astype(bool), dtype="boolean")).mask(missing)


class Outgoing:
    """Collects the buffers of one answer while its JSON is put together."""

    def __init__(self) -> None:
        self.buffers: list[bytearray] = []

    def vector(self, values: NDArray[Any], kind: str) -> dict[str, Any]:
        """Return the reference to an array that is sent as raw bytes."""
        self.buffers.append(bytearray(np.ascontiguousarray(values, TYPES[kind]).tobytes()))
        return {"$buffer": len(self.buffers) - 1, "type": kind}

    def column(
        self, name: str, kind: str, values: Sequence[Any], levels: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return one column of a frame; None is NA in every kind."""
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

    def frame(self, columns: Sequence[dict[str, Any]], n: int) -> dict[str, Any]:
        """Return a frame of columns made with :meth:`column`."""
        return {"n": n, "columns": list(columns)}


_TYPE_OF = {"real": "<f8", "integer": "<i4", "logical": "|u1"}
