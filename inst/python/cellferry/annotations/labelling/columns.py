"""Columns with one value per cell: put together, changed at some places, compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...study.clusters import cluster_text
from ..delivery import Values
from ..texts import Texts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def by_row(columns: Mapping[str, Values], rows: NDArray[np.intp]) -> dict[str, Values]:
    """Return columns of a table as columns of cells."""
    made: dict[str, Values] = {}
    for end, values in columns.items():
        if isinstance(values, Texts):
            made[end] = Texts(values.levels, np.append(values.codes, -1)[rows].astype(np.int32))
        else:
            made[end] = np.append(values, np.nan)[rows]
    return made


def put(values: Values, at: NDArray[np.intp], value: Any) -> Values:
    """Return a column with other values at some places: one for all, or one for each."""
    if not len(at):
        return values
    each = value if isinstance(value, list) else [value] * len(at)
    if not isinstance(values, Texts):
        numbers = np.array(values, dtype=np.float64)
        numbers[at] = [np.nan if v is None else float(v) for v in each]
        return numbers
    place = {name: i for i, name in enumerate(values.levels)}
    new = [-1 if v is None else place.setdefault(str(v), len(place)) for v in each]
    codes = values.codes.copy()
    codes[at] = new
    return Texts(tuple(place), codes)


def put_from(values: Values, source: Values, at: NDArray[np.intp]) -> Values:
    """Return a column with the values of another one at some places."""
    if not len(at):
        return values
    if isinstance(source, Texts):
        names = [*source.levels, None]
        return put(values, at, [names[int(c)] for c in source.codes[at]])
    return put(values, at, [None if np.isnan(v) else float(v) for v in source[at]])


def equals(values: Texts, label: str | None) -> NDArray[np.bool_]:
    """Return which values are a text."""
    code = values.levels.index(label) if label in values.levels else -2
    found: NDArray[np.bool_] = values.codes == code
    return found


def differing(one: Texts, other: Texts) -> NDArray[np.bool_]:
    """Return where two columns differ."""
    place = {name: i for i, name in enumerate(one.levels)}
    new = [place.setdefault(name, len(place)) for name in other.levels]
    found: NDArray[np.bool_] = one.codes != np.array([*new, -1], dtype=np.int64)[other.codes]
    return found


def texts_of(column: pd.Series) -> Texts:
    """Return a column of metadata as text."""
    if hasattr(column, "cat"):
        levels = [cluster_text(x) for x in column.cat.categories]
        made = Texts.of(levels)
        return Texts(made.levels, np.append(made.codes, -1)[np.asarray(column.cat.codes)])
    return Texts.of(cluster_text(x) for x in column)
