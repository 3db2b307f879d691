"""Names of cells and columns of metadata of several files, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..clusters import cluster_text, natural_key

if TYPE_CHECKING:
    import pandas as pd


def joined_names(parts: Sequence[Sequence[str]]) -> tuple[list[str], bool]:
    """Return the names of the cells of several files, and whether they had to be changed.

    Parameters
    ----------
    parts
        The names in each file. Where one is in two files, all get the number of their file.

    Examples
    --------
    >>> joined_names([["A-1", "B-1"], ["C-1"]])
    (['A-1', 'B-1', 'C-1'], False)
    >>> joined_names([["A-1", "B-1"], ["A-1"]])
    (['A-1_1', 'B-1_1', 'A-1_2'], True)
    """
    seen: set[str] = set()
    for names in parts:
        own = set(names)
        if not seen.isdisjoint(own):
            numbered = [f"{n}_{i}" for i, part in enumerate(parts, 1) for n in part]
            return numbered, True
        seen |= own
    return [name for part in parts for name in part], False


def joined_frames(
    frames: Sequence[pd.DataFrame], cells: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the columns that all frames have, and the names of the others.

    Parameters
    ----------
    frames
        Metadata of the cells of each file.
    cells
        The names of all cells.
    """
    import pandas as pd

    shared = [c for c in frames[0].columns if all(c in frame.columns for frame in frames[1:])]
    joined = {column: _joined([frame[column] for frame in frames]) for column in shared}
    every = dict.fromkeys(str(c) for frame in frames for c in frame.columns)
    index: pd.Index[str] = pd.Index(list(cells), dtype=object)
    made = pd.DataFrame({c: v.set_axis(index) for c, v in joined.items()}, index=index)
    return made, [name for name in every if name not in {str(c) for c in shared}]


def _joined(columns: Sequence[pd.Series]) -> pd.Series:
    import pandas as pd

    if all(hasattr(column, "cat") for column in columns):
        return _of_categories(columns)
    kinds = {_is_number(column) for column in columns if column.notna().any()}
    plain = [c.astype(object) if hasattr(c, "cat") else c for c in columns]
    if len(kinds) > 1:
        # A cluster 3 is the cluster "3" of another file.
        plain = [column.map(cluster_text).astype(object) for column in plain]
    return pd.concat(plain, ignore_index=True)


def _is_number(column: pd.Series) -> bool:
    from pandas.api.types import is_numeric_dtype

    values = column.cat.categories if hasattr(column, "cat") else column
    return bool(is_numeric_dtype(values.dtype))


def _of_categories(columns: Sequence[pd.Series]) -> pd.Series:
    import pandas as pd

    every = [list(column.cat.categories) for column in columns]
    if len({type(level) for levels in every for level in levels}) > 1:
        texts = [column.map(cluster_text, na_action="ignore") for column in columns]
        columns = [column.astype("category") for column in texts]
        every = [list(column.cat.categories) for column in columns]
    levels = merged_levels(every)
    ordered = all(column.cat.ordered for column in columns) and all(e == every[0] for e in every)
    position = {level: i for i, level in enumerate(levels)}
    codes = []
    for column, own in zip(columns, every, strict=True):
        moved = np.array([*(position[level] for level in own), -1], dtype=np.int64)
        codes.append(moved[np.asarray(column.cat.codes)])
    dtype = pd.CategoricalDtype(pd.Index(levels), ordered=ordered)
    return pd.Series(pd.Categorical.from_codes(np.concatenate(codes), dtype=dtype))


def merged_levels(parts: Sequence[Sequence[object]]) -> list[object]:
    """Return the categories of several files: in the order of one that has all, else naturally.

    Parameters
    ----------
    parts
        The categories of each file, in their order.

    Examples
    --------
    >>> merged_levels([["low", "high"], ["low", "mid", "high"]])
    ['low', 'mid', 'high']
    >>> merged_levels([["0", "10"], ["0", "2"]])
    ['0', '2', '10']
    """
    most: Sequence[object] = max(parts, key=len)
    longest = list(most)
    place = {level: i for i, level in enumerate(longest)}
    for levels in parts:
        found = [place.get(level, -1) for level in levels]
        if -1 in found or found != sorted(found):
            break
    else:
        return longest
    every = dict.fromkeys(level for levels in parts for level in levels)
    if all(isinstance(level, str) for level in every):
        return sorted(every, key=lambda level: natural_key(str(level)))
    return sorted(every, key=lambda level: (float(level), str(level)))  # type: ignore[arg-type]
