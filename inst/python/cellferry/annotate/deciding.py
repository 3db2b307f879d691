"""Several decisions at once, on what any object or table has under a key; nothing is written here.

For those who write files: the object is changed, and the run told, once all of it is decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..annotations.decisions import decide, transfer
from ..annotations.decisions.adopted import adopt
from ..annotations.decisions.decision import Decision, Wanted
from ..annotations.decisions.made import Decided
from ..annotations.labelling.columns import texts_of
from ..annotations.labelling.labels import Labels, Written
from ..annotations.labelling.objects import write_columns
from ..annotations.texts import Texts
from ..errors import GroupMissingError, UnsupportedObjectError, listing, nearest

if TYPE_CHECKING:
    import pandas as pd

    from ..annotations.clusters import Annotations


@dataclass(frozen=True)
class Asked:
    """What is to be decided, in this order.

    Attributes
    ----------
    applied, run
        Decisions that were made elsewhere, and the run that they were made on.
    withdrawn
        Clusters whose decisions are withdrawn.
    wanted
        Cluster -> what it is to be.
    cells, of_cells
        Names of cells, and what they are to be.
    from_column
        Column of metadata whose labels become decisions.
    carry
        Whether what is stale is taken over to where it is offered.
    by, reason
        Of withdrawals, columns and what is taken over; others have their own.
    overwrite
        Whether labels that were edited by hand may be replaced.
    """

    applied: Sequence[Decision] | None = None
    run: str | None = None
    withdrawn: Sequence[str] = ()
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    cells: Sequence[str] | None = None
    of_cells: Wanted = field(default_factory=Wanted)
    from_column: str | None = None
    carry: bool = False
    by: str | None = None
    reason: str | None = None
    overwrite: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is to be decided."""
        asked = (self.withdrawn, self.wanted, self.from_column, self.carry)
        return any(asked) or self.cells is not None or self.applied is not None


def decide_all(target: Labels | Annotations, asked: Asked) -> Decided:
    """Decide all that is asked, or nothing.

    Parameters
    ----------
    target
        What an object has under a key, or a table.
    asked
        What is to be decided.

    Returns
    -------
    Decided
        All new decisions, and what is to be written.

    Raises
    ------
    InvalidOptionError, LabelsEditedError, DecisionsMismatchError
    UnsupportedObjectError
        Something is about cells, and a table has none.
    """
    so_far = Decided((), target.record if isinstance(target, Labels) else target)

    def step(made: Decided) -> None:
        nonlocal so_far, target
        written = made.written or so_far.written
        so_far = Decided((*so_far.new, *made.new), made.table, written)
        if isinstance(target, Labels):
            if made.written is not None:
                target = _after(target, made.written)
        else:
            target = made.table

    if asked.applied is not None:
        step(transfer.apply(target, asked.applied, asked.run))
    if asked.withdrawn:
        step(decide.withdraw(target, list(asked.withdrawn), (), asked.by, asked.reason))
    if asked.wanted:
        step(decide.set_clusters(target, asked.wanted, overwrite=asked.overwrite))
    if asked.cells is not None:
        if asked.of_cells.action == "withdrawn":
            step(decide.withdraw(target, (), list(asked.cells), asked.by, asked.reason))
        else:
            step(decide.set_cells(of_object(target), asked.cells, asked.of_cells))
    if asked.from_column is not None:
        labels = of_object(target)
        column = column_of(labels.obs, asked.from_column)
        step(adopt(labels, column, asked.by, asked.reason))
    if asked.carry:
        step(transfer.carry(of_object(target), None, None, asked.by))
    return so_far


def of_object(target: Labels | Annotations) -> Labels:
    """Return what an object has; raises :class:`UnsupportedObjectError` for a table."""
    if isinstance(target, Labels):
        return target
    message = "This is about cells, and a table has none."
    raise UnsupportedObjectError(message, "Give the object.")


def column_of(obs: pd.DataFrame, name: str) -> Texts:
    """Return a column of metadata as text; raises :class:`GroupMissingError` without it.

    Parameters
    ----------
    obs
        The metadata.
    name
        Of the column.
    """
    columns = [str(c) for c in obs.columns]
    if name not in columns:
        message = f'The metadata has no column "{name}".'
        guess = nearest(name, columns)
        hint = f'Did you mean "{guess}"? ' if guess else ""
        raise GroupMissingError(message, f"{hint}There are {listing(columns)}.")
    return texts_of(obs[name])


def _after(labels: Labels, written: Written) -> Labels:
    """Return what the object has once something is written."""
    obs = labels.obs.copy(deep=False)
    write_columns(obs, written, labels.key)
    return replace(labels, obs=obs, record=written.record, known_rows=None)
