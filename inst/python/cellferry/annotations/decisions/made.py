"""One decision, about a cluster or cells, and what an object or a table is with new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...errors import AnnotationsError, in_language
from ..labelling.edited import edited_error
from ..labelling.labels import Labels, Written
from ..labelling.written import decided
from .carry import Groups
from .decision import (
    Action,
    Decision,
    Term,
    Wanted,
    action_of,
    by_now,
    checked_text,
    identity,
    names_hash,
)
from .in_force import engine_row
from .of_cells import placed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..clusters import Annotation, Annotations


@dataclass(frozen=True, eq=False)
class Decided:
    """What came of it: the new decisions, and what is written or the table.

    Attributes
    ----------
    new
        Decisions that were added.
    written
        For an object.
    table
        The annotations with all decisions.
    """

    new: tuple[Decision, ...]
    table: Annotations
    written: Written | None = None


def about_cluster(
    row: Annotation,
    want: Wanted,
    value: str,
    record: Annotations,
    *,
    basis: Literal["cells", "markers"] = "cells",
) -> Decision:
    """Return what is decided about a cluster that is known by a hash.

    Parameters
    ----------
    row
        Of the record, with the cells that it has.
    want
        What it is to be.
    value, basis
        The hash, and of what it is.
    record
        The table.

    Raises
    ------
    InvalidOptionError
        Label and decision contradict each other, or are no text.
    """
    made = about_hash(row, want, value, record)
    return identified(replace(made, basis=basis, n_cells=row.n_cells))


def about_cells(
    names: Sequence[str], want: Wanted, record: Annotations, engine_label: str | None
) -> Decision:
    """Return what is decided about cells that are there, each named once.

    Parameters
    ----------
    names
        Of the cells.
    want
        What they are to be.
    record
        The table.
    engine_label
        What the engine says of all of them; None where it says several things.

    Raises
    ------
    InvalidOptionError
        Label and decision contradict each other, or are no text.
    """
    action, term = action_of(want, engine_label, "these cells")
    made = new_decision(action, term, want, names_hash(names), record)
    return identified(replace(made, cells=tuple(names), n_cells=len(names)))


def about_hash(row: Annotation, want: Wanted, value: str, record: Annotations) -> Decision:
    """Return what is decided about a cluster that is known by a hash."""
    action, term = action_of(want, engine_row(row).label, f'cluster "{row.cluster}"')
    made = new_decision(action, term, want, value, record)
    return replace(made, cluster=row.cluster, clusters=(row.cluster,))


def history_line() -> str:
    """Return the line that shows what was decided."""
    line = in_language(
        python="cellferry.decisions(adata)", r="Decisions(x)", cli="cellferry label INPUT --list"
    )
    return f"What was decided: {line}"


def groups_of(labels: Labels) -> Groups:
    """Return the clusters of an object as its record has them.

    Raises
    ------
    AnnotationsError
        Neither the clusters nor the labels of the cells are left.
    """
    rows = labels.rows
    if rows is None:
        raise cells_not_known(labels.key)
    return Groups(tuple(row.cluster for row in labels.record), rows, labels.cells)


def cells_not_known(key: str) -> AnnotationsError:
    """Return the error for clusters whose cells can't be told apart any more."""
    message = (
        f'Which cells the clusters of "{key}" have is not known any more: the columns of the '
        "clusters and of the labels are gone or were changed."
    )
    return AnnotationsError(message, "Annotate again, or name the cells (`cells`).")


def cells_about(labels: Labels, new: Sequence[Decision]) -> NDArray[np.bool_]:
    """Return which cells decisions are about."""
    affected = np.zeros(len(labels.cells), dtype=bool)
    clusters = {name for d in new for name in d.clusters}
    if clusters:
        groups = groups_of(labels)
        affected |= np.isin(groups.codes, [groups.names.index(name) for name in clusters])
    of_cells = [d for d in new if d.of_cells]
    if of_cells:
        affected[placed(of_cells, labels.cells).at] = True
    return affected


def engine_label(labels: Labels, at: NDArray[np.intp]) -> str | None:
    """Return the engine's label of cells, None where they have several."""
    if not labels.of_cells and labels.rows is None:
        return None
    engine = labels.engines[""]
    codes = np.unique(engine.codes[at])  # type: ignore[union-attr]
    if len(codes) != 1 or codes[0] < 0:
        return None
    levels: tuple[str, ...] = engine.levels  # type: ignore[union-attr]
    return levels[int(codes[0])]


def new_decision(
    action: Action, term: Term | None, want: Wanted, value: str, record: Annotations
) -> Decision:
    """Return what somebody decides now, without what it is about."""
    run = record.provenance.get("run")
    return Decision(
        "",
        action,
        by_now(),
        value,
        label=None if term is None else term.label,
        ontology_id=None if term is None else term.ontology_id,
        ontology_label=None if term is None else term.ontology_label,
        reason=None if not want.reason else checked_text(want.reason, "reason"),
        by=None if not want.by else checked_text(want.by, "by"),
        run=None if run is None else str(run),
    )


def identified(decision: Decision) -> Decision:
    """Return a decision with the identifier that its content gives it."""
    return replace(decision, id=identity(decision))


def unless_edited(
    labels: Labels,
    new: Sequence[Decision],
    affected: NDArray[np.bool_],
    *,
    overwrite: bool = False,
) -> Decided:
    """Return what new decisions write, and refuse cells that were edited by hand."""
    n = int((labels.edited & affected).sum())
    if n and not overwrite:
        raise edited_error(labels.key, n)
    return with_new(labels, new, [*labels.record.decisions, *new], affected)


def with_new(
    labels: Labels,
    new: Sequence[Decision],
    decisions: Sequence[Decision],
    affected: NDArray[np.bool_],
) -> Decided:
    """Return what an object is with all decisions, of which some are new."""
    written = decided(labels, decisions, affected)
    return Decided(tuple(new), written.record, written)
