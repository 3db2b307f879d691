"""Columns of cells as arrays: one text per cell, or an ordered list of text per cell.

A million cells as Python objects would take gigabytes; as codes into a few levels they take
a few bytes each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InternalError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Texts:
    """One text per cell, or none: ``codes`` (int32) point into ``levels``, -1 is none.

    Examples
    --------
    >>> column = Texts.of(["B cell", None, "B cell"])
    >>> column.levels, column.codes.tolist()
    (('B cell',), [0, -1, 0])
    """

    levels: tuple[str, ...]
    codes: NDArray[np.int32]

    def __post_init__(self) -> None:
        if len(self.codes) and (self.codes.min() < -1 or self.codes.max() >= len(self.levels)):
            message = "A code of a column of cells points to no level."
            raise InternalError(message)

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, values: Iterable[str | None]) -> Texts:
        """Build from one value per cell; levels are in order of first appearance."""
        place: dict[str, int] = {}
        codes = [-1 if v is None else place.setdefault(v, len(place)) for v in values]
        return cls(tuple(place), np.array(codes, dtype=np.int32))

    @classmethod
    def none(cls, n: int) -> Texts:
        """Return a column of n cells that says nothing."""
        return cls((), np.full(n, -1, dtype=np.int32))

    @classmethod
    def joined(cls, parts: Sequence[Texts]) -> Texts:
        """Return the parts below one another."""
        place: dict[str, int] = {}
        codes = [np.zeros(0, dtype=np.int32)]
        for part in parts:
            new = [place.setdefault(level, len(place)) for level in part.levels]
            codes.append(np.array([*new, -1], dtype=np.int32)[part.codes])
        return cls(tuple(place), np.concatenate(codes))

    def compact(self) -> Texts:
        """Return the same without levels that no cell has, in order of first appearance."""
        used, first = np.unique(self.codes[self.codes >= 0], return_index=True)
        used = used[np.argsort(first, kind="stable")]
        place = np.full(len(self.levels) + 1, -1, dtype=np.int32)
        place[used] = np.arange(len(used), dtype=np.int32)
        return Texts(tuple(self.levels[i] for i in used), place[self.codes])

    def ordered(self, levels: Sequence[str]) -> Texts:
        """Return the same column with its levels in another order.

        Parameters
        ----------
        levels
            All of them.
        """
        place = {name: i for i, name in enumerate(levels)}
        moved = np.array([*(place[name] for name in self.levels), -1], dtype=np.int32)
        return Texts(tuple(levels), moved[self.codes])

    def values(self) -> NDArray[np.object_]:
        """Return one object per cell: text, or None."""
        return np.array([*self.levels, None], dtype=object)[self.codes]

    def counts(self) -> NDArray[np.int64]:
        """Return the number of cells of each level."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels))


@dataclass(frozen=True)
class TextLists:
    """An ordered list of text per cell: cell i has ``codes[starts[i]:starts[i + 1]]``.

    Examples
    --------
    >>> TextLists.of([["CD3E"], [], ["CD3E", "CD8A"]]).values()
    [['CD3E'], [], ['CD3E', 'CD8A']]
    """

    levels: tuple[str, ...]
    starts: NDArray[np.int64]
    codes: NDArray[np.int32]

    def __post_init__(self) -> None:
        fits = len(self.starts) >= 1 and self.starts[0] == 0 and self.starts[-1] == len(self.codes)
        if not fits or bool(np.any(np.diff(self.starts) < 0)):
            message = "A column of lists does not fit its cells."
            raise InternalError(message)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def of(cls, values: Iterable[Iterable[str]]) -> TextLists:
        """Build from one list per cell."""
        place: dict[str, int] = {}
        codes: list[int] = []
        starts = [0]
        for texts in values:
            codes.extend(place.setdefault(text, len(place)) for text in texts)
            starts.append(len(codes))
        return cls(tuple(place), np.array(starts, np.int64), np.array(codes, np.int32))

    @classmethod
    def none(cls, n: int) -> TextLists:
        """Return n empty lists."""
        return cls((), np.zeros(n + 1, np.int64), np.zeros(0, np.int32))

    @classmethod
    def joined(cls, parts: Sequence[TextLists]) -> TextLists:
        """Return the parts below one another."""
        whole = Texts.joined([Texts(part.levels, part.codes) for part in parts])
        lengths = np.concatenate([np.zeros(0, np.int64), *(np.diff(p.starts) for p in parts)])
        starts = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=starts[1:])
        return cls(whole.levels, starts, whole.codes)

    def values(self) -> list[list[str]]:
        """Return one list per cell."""
        texts = [self.levels[c] for c in self.codes.tolist()]
        starts = self.starts.tolist()
        return [texts[a:b] for a, b in pairwise(starts)]

    def most_common(self, rows: NDArray[np.bool_], n: int) -> list[str]:
        """Return the texts that most of the chosen cells have, most common first."""
        kept = np.repeat(rows, np.diff(self.starts))
        counts = np.bincount(self.codes[kept], minlength=len(self.levels))
        order = sorted(np.flatnonzero(counts).tolist(), key=lambda i: (-counts[i], self.levels[i]))
        return [self.levels[i] for i in order[:n]]


def spread(lists: TextLists, rows: NDArray[np.intp], n: int) -> TextLists:
    """Return the lists at some rows of n cells, and empty lists at the others."""
    lengths = np.zeros(n, dtype=np.int64)
    lengths[rows] = np.diff(lists.starts)
    starts = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    return TextLists(lists.levels, starts, lists.codes)
