"""The decisions beside a run's journal, read, and its answer with the labels that are in force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..annotations.cells import CellAnnotations
from ..annotations.clusters import Annotations
from ..annotations.decisions.decision import Decision, markers_by_cluster, markers_hash
from ..annotations.decisions.in_force import with_decisions
from ..errors import CellferryError, DecisionsWarning, counted, warn

DECISIONS = "decisions.jsonl"


def read_lines(path: Path) -> list[object]:
    """Return the decisions of a file that can be read; a damaged line costs that line.

    Parameters
    ----------
    path
        The file; one that is not there has none.
    """
    return [line for line in _lines(path) if line is not None]


def _lines(path: Path) -> list[object]:
    """Return what is in each line, None for one that is damaged."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found: list[object] = []
    for line in text.split("\n"):
        if line.strip():
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError):
                found.append(None)
    return found


def decisions_in(folder: Path) -> list[Decision]:
    """Return the decisions of a folder, the oldest first, each once.

    Parameters
    ----------
    folder
        Of a run, or of a job of a server.

    Warns
    -----
    DecisionsWarning
        Lines are damaged, or the file cannot be read: the others count.
    """
    path = folder / DECISIONS
    try:
        lines = _lines(path)
    except OSError as error:
        message = f'The decisions in "{path}" cannot be read: {error.strerror or error}.'
        warn(DecisionsWarning(message, "The labels are those of the engine."))
        return []
    found: dict[str, Decision] = {}
    damaged = 0
    for line in lines:
        try:
            decision = Decision.from_dict(line)  # type: ignore[arg-type]
        except (CellferryError, TypeError, ValueError):
            damaged += 1
        else:
            found.setdefault(decision.id, decision)
    if damaged:
        message = f'{counted(damaged, "line")} of "{path}" cannot be read and {_left(damaged)}.'
        warn(DecisionsWarning(message, "All other decisions count. Check the disk."))
    return list(found.values())


def _left(n: int) -> str:
    return "is left out" if n == 1 else "are left out"


def with_decided(
    found: Annotations | CellAnnotations, folder: Path, run: str | None
) -> Annotations | CellAnnotations:
    """Return an answer with what persons decided in the folder of its run.

    Of clusters the labels are those in force; an answer of cells has the decisions with it, for the
    object that it is written into.

    Parameters
    ----------
    found
        Of clusters or cells.
    folder
        Of the run.
    run
        Its id.
    """
    decisions = decisions_in(folder)
    if not {d.id for d in decisions} - {d.id for d in found.decisions}:
        return found
    if isinstance(found, Annotations):
        return decided(found, decisions, run)
    return replace(found, decisions=tuple(d for d in decisions if d.of_cells))


def decided(found: Annotations, decisions: Sequence[Decision], run: str | None) -> Annotations:
    """Return the answer of a run with the labels in force.

    Those of another run of the same folder hold where the name and the markers of their cluster
    are the same; about cells they are stale until the object of the cells is there.

    Parameters
    ----------
    found
        As the engine answered.
    decisions
        Beside the journal of the run.
    run
        Its id.
    """
    if not decisions:
        return found
    last = {d.hash: d for d in decisions}
    genes = markers_by_cluster(found)
    by_markers = {markers_hash(row.cluster, genes[row.cluster]): row for row in found}
    names = {row.cluster for row in found}
    placed = []
    for decision in decisions:
        one = decision
        if decision.of_cells:
            pass
        elif decision.run == run and run is not None:
            one = replace(one, clusters=tuple(c for c in one.clusters if c in names))
        elif decision.basis == "markers" and decision.hash in by_markers:
            one = replace(one, clusters=(by_markers[decision.hash].cluster,))
        else:
            is_last = last[decision.hash] is decision and decision.action != "withdrawn"
            one = replace(one, clusters=(), stale=is_last, offered=())
        placed.append(one)
    return with_decisions(found, placed)
