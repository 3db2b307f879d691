"""The labels of the cells of an object: what they have, and which are in force."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..clusters import UNKNOWN, Annotations
from ..decisions.carry import Before
from ..decisions.decision import LABELLING
from ..decisions.in_force import with_decisions
from ..decisions.of_cells import by_hand, chosen_by_hand
from ..delivery import COLUMN_SOURCES, Column, Values
from ..present import Present, present
from ..texts import Texts
from .columns import by_row, differing, put, put_from, texts_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


CLUSTER = "_cluster"
"""Suffix of the column with the row of each cell, where parts were merged."""
DECISION = "_decision"
"""Suffix of the column that says what somebody decided; written once somebody did."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What the cells of an object have under a key.

    Attributes
    ----------
    cells
        Their names.
    obs
        Metadata, of which the columns of the key and of the clusters are read.
    key
        Name of the label column.
    record
        What is stored under the key.
    known_rows
        For each cell its row of the record, -1 without one, where the caller knows it.
    """

    cells: Sequence[str]
    obs: pd.DataFrame
    key: str
    record: Annotations
    known_rows: NDArray[np.intp] | None = None

    @property
    def of_cells(self) -> bool:
        """Whether every cell was annotated by itself."""
        return self.record.provenance.get("level") == "cells"

    @functools.cached_property
    def _present(self) -> Present:
        if self.known_rows is not None:
            return Present(self.record, None, rows=self.known_rows)
        return present(self.record, self.obs, self.key)

    @property
    def rows(self) -> NDArray[np.intp] | None:
        """For each cell its row of the record, -1 without one; None where it is not known."""
        return self._present.rows

    @property
    def unclear(self) -> frozenset[str]:
        """Clusters whose cells can't be told apart any more."""
        return self._present.unclear

    def column(self, suffix: str) -> Texts:
        """Return a column of the key as text; nothing where it is not there."""
        name = self.key + suffix
        return texts_of(self.obs[name]) if name in self.obs else Texts.none(len(self.cells))

    def numbers(self, suffix: str) -> NDArray[np.float64]:
        """Return a column of the key as numbers, NaN where there is none."""
        import pandas as pd

        name = self.key + suffix
        if name not in self.obs:
            return np.full(len(self.cells), np.nan)
        numbers = pd.to_numeric(self.obs[name], errors="coerce")
        return np.asarray(numbers.to_numpy(dtype="f8", na_value=np.nan))

    @functools.cached_property
    def now(self) -> Mapping[str, Values]:
        """What the cells have in their columns, by suffix."""
        found: dict[str, Values] = {
            end: self.numbers(end) if kind == "real" else self.column(end)
            for end, (_, kind) in COLUMN_SOURCES.items()
        }
        return {**found, DECISION: self.column(DECISION)}

    @functools.cached_property
    def engines(self) -> Mapping[str, Values]:
        """What the cells would have if nobody had decided, by suffix."""
        if not self.of_cells:
            assert self.rows is not None
            return of_engine(self.record, self.rows)
        found = {k: v for k, v in self.now.items() if k != DECISION}
        decisions = self.record.decisions
        chosen = chosen_by_hand(decisions, self.cells)
        at = np.flatnonzero(chosen.decision >= 0)
        numbers, places = chosen.decision[at].tolist(), chosen.place[at].tolist()
        for end, values in found.items():
            olds = [decisions[n].before.get(end) for n in numbers]
            known = np.array([old is not None for old in olds], dtype=bool)
            each = [old[i] for old, i in zip(olds, places, strict=True) if old is not None]
            found[end] = put(values, at[known], each)
        return found

    @functools.cached_property
    def expected(self) -> Mapping[str, Values] | None:
        """What was written into the columns of the cells; None where it is not known."""
        if self.of_cells:
            return self.now
        if self.rows is None:
            return None
        return in_force(self.record, self.rows, self.cells, self.engines)

    @functools.cached_property
    def edited(self) -> NDArray[np.bool_]:
        """Which cells have another label than was written, as far as it is known."""
        if self.of_cells or self.key not in self.obs or self.expected is None:
            return np.zeros(len(self.cells), dtype=bool)
        label = self.expected[""]
        assert isinstance(label, Texts)
        return differing(self.column(""), label)

    def before(self) -> Before:
        """Return what a later labelling asks of this one."""
        names = tuple(row.cluster for row in self.record)
        return Before(self.column(""), self.column(DECISION), self.rows, names)


@dataclass(frozen=True, eq=False)
class Written:
    """What is written: the record, and the columns with one value per cell.

    Attributes
    ----------
    record
        With decisions, and what it needs to be judged later.
    columns
        In the order of the cells.
    gone
        Columns of the key that are to be removed.
    beside
        Name in the store -> another record that is kept: of a part that was merged.
    """

    record: Annotations
    columns: tuple[Column, ...]
    gone: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)


def in_force(
    record: Annotations,
    rows: NDArray[np.intp] | None,
    cells: Sequence[str],
    engines: Mapping[str, Values],
) -> dict[str, Values]:
    """Return the columns of cells with the labels in force, by suffix.

    Parameters
    ----------
    record
        With decisions.
    rows
        For each cell its row; None where every cell was annotated by itself.
    cells
        Names.
    engines
        What they would have if nobody had decided.
    """
    found: dict[str, Values] = dict(engines)
    if rows is not None:
        found |= by_row({**_columns_of(record), DECISION: record.values("decision")}, rows)
    else:
        found[DECISION] = Texts.none(len(cells))
    chosen = by_hand(record.decisions, cells)
    at = np.flatnonzero(chosen >= 0)
    each = [record.decisions[n] for n in chosen[at].tolist()]
    found[DECISION] = put(found[DECISION], at, [d.action for d in each])
    labels = np.array([d.action in LABELLING for d in each], dtype=bool)
    at, each = at[labels], [d for d in each if d.action in LABELLING]
    new = Texts.of(d.label or UNKNOWN for d in each)
    answered = engines[""]
    assert isinstance(answered, Texts)
    agrees = ~differing(Texts(answered.levels, answered.codes[at]), new)
    names = [new.levels[c] for c in new.codes.tolist()]
    found[""] = put(found[""], at, names)
    found["_ontology_id"] = put(found["_ontology_id"], at, [d.ontology_id for d in each])
    status = ["unknown" if name == UNKNOWN else "ok" for name in names]
    found["_status"] = put(found["_status"], at, status)
    # Those whose engine says the same keep what it says of it.
    for end in ("_detail", "_confidence"):
        found[end] = put(found[end], at[~agrees], None)
        found[end] = put_from(found[end], engines[end], at[agrees])
    return found


def _columns_of(record: Annotations) -> dict[str, Values]:
    return {end: record.values(source) for end, (source, _) in COLUMN_SOURCES.items()}


def of_engine(record: Annotations, rows: NDArray[np.intp]) -> dict[str, Values]:
    """Return what cells would have if nobody had decided, by suffix.

    Parameters
    ----------
    record
        With or without decisions.
    rows
        For each cell its row, -1 without one.
    """
    return by_row(_columns_of(with_decisions(record, ())), rows)
