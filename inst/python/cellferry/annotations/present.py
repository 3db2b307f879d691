"""What an object has now of the annotations that were written into it.

A table belongs to the labels that were written: the clusters of the cells may be others by now.
R judges alike (``R/stored.R``), because there the table is read without Python.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import counted, listing
from ..study.clusters import Clusters, cluster_text
from .clusters import UNKNOWN
from .delivery import APART, COLUMN_SOURCES
from .texts import Texts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from .clusters import Annotations

WRITTEN = {end: source for end, (source, _) in COLUMN_SOURCES.items()}
"""Suffix of a metadata column -> column of the table; the label is the first."""
SAME_NUMBER = 1e-9
"""Confidences are compared as numbers that went through a file."""
MOST_COMBINATIONS = 10_000
"""More different values than clusters can have."""


@dataclass(frozen=True, eq=False)
class Present:
    """The cells that the rows of a table have now.

    Attributes
    ----------
    found
        The table with its cells counted anew.
    clusters
        Those of the table that have cells, and which of them each cell is in. None where neither
        the clusters nor the labels of the cells are left.
    gone, changed
        Sentences on clusters without cells, and on what differs from what was written; empty
        where there is nothing to say.
    rows
        For each cell its row of the table, -1 without one; None where ``clusters`` is.
    unclear
        Clusters that look alike in the labels, and whose cells can't be told apart by them.
    """

    found: Annotations
    clusters: Clusters | None
    gone: str = ""
    changed: str = ""
    rows: NDArray[np.intp] | None = None
    unclear: frozenset[str] = frozenset()


def present(found: Annotations, obs: pd.DataFrame, key: str) -> Present:
    """Count the cells that the rows of a table have in the metadata of an object.

    Parameters
    ----------
    found
        Annotations that were stored in the object.
    obs
        Its metadata, one row per cell.
    key
        Name of the label column.
    """
    if APART in key:
        # The record of a part: its cells are counted where it was annotated.
        return Present(found, None)
    written = _Written.of(found, obs, key)
    for name in _columns_of_clusters(found, obs):
        rows = _rows_by_cluster(found, obs[name])
        changed = None if rows is None else _differing_cells(found, rows, written)
        if rows is not None and changed is not None:
            counts = _counts(rows, len(found))
            return _present(found, rows, counts, [_edited(changed, key)])
    if written is None:
        gone = "The cells could not be counted anew: the columns of clusters and of labels are gone"
        return Present(found, None, changed=f"{gone} or were changed.")
    rows = written.first[written.of_cell]
    counts = written.counted_apart(found, _counts(rows, len(found)))
    labelled = (written.has_label & ~written.by_hand)[written.of_cell]
    left_over = int(((rows < 0) & labelled).sum())
    notes = [_changed(found)]
    if left_over:
        notes.append(f"{counted(left_over, 'cell')} have a label that is not in this table.")
    if None in counts:
        notes.append("Clusters of one label and confidence can't be counted apart.")
    now = _present(found, rows, counts, notes)
    alike = {found.rows[i].cluster for same in written.alike for i in same}
    return replace(now, unclear=frozenset(alike))


def _present(
    found: Annotations, rows: NDArray[np.intp], counts: list[int | None], notes: list[str]
) -> Present:
    there = np.unique(rows[rows >= 0])
    place = np.full(len(found) + 1, -1, dtype=np.int32)
    place[there] = np.arange(len(there), dtype=np.int32)
    names = found.column("cluster")
    clusters = Clusters(tuple(names[i] for i in there), place[rows])
    now = tuple(replace(row, n_cells=n) for row, n in zip(found, counts, strict=True))
    changed = " ".join(filter(None, notes))
    return Present(replace(found, rows=now), clusters, _gone(found, counts), changed, rows)


def _columns_of_clusters(found: Annotations, obs: pd.DataFrame) -> list[str]:
    """Return the columns that may have the clusters; R's "ident" may be none, and names one."""
    named = (found.provenance.get(name) for name in ("group_column", "group_key"))
    return list(dict.fromkeys(str(n) for n in named if n is not None and n in obs))


def _rows_by_cluster(found: Annotations, column: pd.Series) -> NDArray[np.intp] | None:
    """Return the row of each cell's cluster, -1 without one; None where there are others."""
    clusters = Clusters.from_column(column)
    place = {row.cluster: i for i, row in enumerate(found)}
    assert clusters.codes is not None
    if not all(name in place for name in clusters.names):
        return None
    return np.array([*(place[n] for n in clusters.names), -1], dtype=np.intp)[clusters.codes]


def _counts(rows: NDArray[np.intp], n: int) -> list[int | None]:
    return [int(k) for k in np.bincount(rows[rows >= 0], minlength=n)]


def _gone(found: Annotations, counts: list[int | None]) -> str:
    # The cells of a row that a part refined have the rows of the part.
    gone = [r.cluster for r, n in zip(found, counts, strict=True) if n == 0 and not r.refined_by]
    return f"No longer in the object: {listing(gone)}." if gone else ""


def _edited(n: int, key: str) -> str:
    if not n:
        return ""
    what = f'{counted(n, "cell")} have another label in "{key}" than their cluster has here'
    return f"{what}: labels were changed after the annotation."


def _changed(found: Annotations) -> str:
    provenance = found.provenance
    if provenance.get("level") == "cells":
        return ""
    column = provenance.get("group_column") or provenance.get("group_key")
    where = f' ("{column}" is gone or was changed)' if column is not None else ""
    return (
        f"The clusters of the cells are not those that were annotated{where}: cells are counted "
        "by the labels that were written."
    )


def _differing_cells(
    found: Annotations, rows: NDArray[np.intp], written: _Written | None
) -> int | None:
    """Return how many cells have another label than the row of their cluster.

    None where the clusters are others than those that were annotated. Without labels in the
    metadata nothing speaks against the clusters.
    """
    if written is None:
        return 0
    pairs, times = np.unique(np.stack([written.of_cell, rows]), axis=1, return_counts=True)
    what, row = pairs
    outside = row < 0
    fits = np.where(outside, ~written.has_label[what], written.same[what, row])
    fits |= written.by_hand[what]
    if fits.all():
        return None if written.grown(found, _counts(rows, len(found))) else 0
    beside = outside | written.by_hand[what] | written.beside[what, row]
    if not written.proves or not beside.all():
        return None
    return int(times[~fits & ~outside].sum())


@dataclass(frozen=True, eq=False)
class _Written:
    """What was written into the metadata, compared with each row of the table.

    Attributes
    ----------
    of_cell
        For each cell its combination of values.
    same, beside
        Combinations x rows: whether a row has these values; without the label.
    first
        For each combination the first row that has its values, else the only one of its label.
    has_label
        Whether a combination has a label.
    by_hand
        Whether it is what a decision about cells gave: its cells may be of any row.
    alike
        Groups of rows for which all that was written is the same.
    proves
        Whether rows differ in more than the label.
    """

    of_cell: NDArray[np.intp]
    same: NDArray[np.bool_]
    beside: NDArray[np.bool_]
    first: NDArray[np.intp]
    has_label: NDArray[np.bool_]
    by_hand: NDArray[np.bool_]
    alike: list[list[int]]
    proves: bool

    @classmethod
    def of(cls, found: Annotations, obs: pd.DataFrame, key: str) -> _Written | None:
        """Compare; None without a column of labels."""
        if key not in obs or not len(found):
            return None
        ends = [""] if found.provenance.get("level") == "cells" else list(WRITTEN)
        ends = [end for end in ends if key + end in obs]
        columns = [_values_of(obs[key + end], WRITTEN[end]) for end in ends]
        decided = _values_of(obs[f"{key}_decision"], "") if f"{key}_decision" in obs else None
        of_cell, example = _combinations(columns, decided)
        if len(example) > MOST_COMBINATIONS:
            # Something else was put there: only the labels are left to go by.
            ends, columns = ends[:1], columns[:1]
            of_cell, example = _combinations(columns, decided)
        wanted = [found.delivered(WRITTEN[end]) for end in ends]
        one = [_same(c, example, w) for c, w in zip(columns, wanted, strict=True)]
        same = np.logical_and.reduce(one)
        beside = np.logical_and.reduce(one[1:]) if one[1:] else np.zeros_like(same)
        labels = Counter(wanted[0])
        alone = {x: i for i, x in enumerate(wanted[0]) if labels[x] == 1 and x is not None}
        texts = [columns[0][1][i] for i in columns[0][0][example]]
        by_label = np.array([alone.get(t, -1) for t in texts], dtype=np.intp)
        # Where every cell was annotated by itself, the row is that of the label.
        of_cells = found.provenance.get("level") == "cells"
        hand = {
            # A file of decisions may leave the label of this one out.
            (UNKNOWN if d.action == "unknown" else d.label, d.action)
            for d in found.decisions
            if d.of_cells and not of_cells
        }
        words = (
            [None] * len(texts) if decided is None else [decided[1][i] for i in decided[0][example]]
        )
        by_hand = np.array(
            [w is not None and (t, w) in hand for t, w in zip(texts, words, strict=True)],
            dtype=bool,
        )
        looks: dict[tuple[Any, ...], list[int]] = {}
        for i, row in enumerate(zip(*wanted, strict=True)):
            looks.setdefault(row, []).append(i)
        others = list(zip(*wanted[1:], strict=True))
        return cls(
            of_cell,
            same,
            beside,
            np.where(by_hand, -1, np.where(same.any(axis=1), same.argmax(axis=1), by_label)),
            np.array([t is not None for t in texts], dtype=bool),
            by_hand,
            [rows for rows in looks.values() if len(rows) > 1],
            bool(others) and len(set(others)) == len(others),
        )

    def grown(self, found: Annotations, counts: list[int | None]) -> bool:
        """Whether a row has cells of another one that looks alike: only its size shows it."""
        before = found.column("n_cells")
        pairs = ((counts[i], before[i]) for rows in self.alike for i in rows)
        return any(a is not None and b is not None and a > b for a, b in pairs)

    def counted_apart(self, found: Annotations, counts: list[int | None]) -> list[int | None]:
        """Return the counts of rows that look alike, of which the first was given all cells.

        They have what they had if they have as many together, and none if there are none; else
        it is not known.
        """
        before: list[int | None] = found.column("n_cells")
        for rows in self.alike:
            total = sum(counts[i] or 0 for i in rows)
            had = [before[i] for i in rows]
            known = None not in had and sum(n or 0 for n in had) == total
            for i, n in zip(rows, had, strict=True):
                counts[i] = n if known else None if total else 0
        return counts


_Values = tuple["NDArray[np.intp]", list[Any]]


def _values_of(column: pd.Series, source: str) -> _Values:
    """Return a column of metadata as codes into its different values, of which None is one."""
    import pandas as pd

    if source == "confidence":
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype="f8", na_value=np.nan)
        levels, codes = np.unique(numbers, return_inverse=True)
        return codes.reshape(-1), [None if np.isnan(x) else float(x) for x in levels]
    if hasattr(column, "cat"):
        texts = [cluster_text(x) for x in column.cat.categories]
        return np.asarray(column.cat.codes, dtype=np.intp) % (len(texts) + 1), [*texts, None]
    made = Texts.of(cluster_text(x) for x in column)
    return made.codes.astype(np.intp) % (len(made.levels) + 1), [*made.levels, None]


def _combinations(
    columns: list[_Values], decided: _Values | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return for each cell its combination of values, and for each of these a cell that has it."""
    codes = columns[0][0]
    example, codes = _numbered(codes)
    for more, levels in [*columns[1:], *([] if decided is None else [decided])]:
        example, codes = _numbered(codes * len(levels) + more)
    return codes, example


def _numbered(codes: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    _, example, numbered = np.unique(codes, return_index=True, return_inverse=True)
    return example, numbered.reshape(-1)


def _same(column: _Values, example: NDArray[np.intp], wanted: list[Any]) -> NDArray[np.bool_]:
    """Return combinations x rows: whether the row has this value."""
    values = [column[1][i] for i in column[0][example]]
    made = [[_equal(a, b) for b in wanted] for a in values]
    return np.array(made, dtype=bool).reshape(len(values), len(wanted))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float | int):
        return abs(a - b) < SAME_NUMBER
    return bool(a == b)
