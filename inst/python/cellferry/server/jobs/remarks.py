"""What people remark about the clusters of a finished job, and what these were called before.

Both are files in the folder of the job, so that a job that is asked again survives a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ...annotations.clusters import Annotations
from ...engines.base import as_remark
from ...files import write_whole

if TYPE_CHECKING:
    from ...files import Json

REMARKS, HISTORY = "remarks.json", "history.json"
LONGEST = 10_000
"""Characters of a remark."""


def add_remark(folder: Path, cluster: str, feedback: str) -> None:
    """Remember a remark, and the answer that it is about.

    Parameters
    ----------
    folder
        Of a job that has results.
    cluster
        Its id.
    feedback
        The words of the person.
    """
    annotations = orjson.loads((folder / "results.json").read_bytes())["annotations"]
    latest = annotations.get(cluster, {}).get("latest")
    label = latest["annotation"]["annotation"] if latest else None
    earlier = history_of(folder)
    if latest:
        shown = {**latest, "feedback": feedback}
        earlier.setdefault(cluster, []).append(shown)
        write_whole(folder / HISTORY, orjson.dumps(earlier))
    said = remarks_of(folder)
    said.setdefault(cluster, []).append(as_remark(label, feedback))
    write_whole(folder / REMARKS, orjson.dumps(said))


def remarks_of(folder: Path) -> dict[str, list[str]]:
    """Return cluster -> remarks, in order; none for a job that was not asked again."""
    return _read(folder / REMARKS)


def history_of(folder: Path) -> dict[str, list[Json]]:
    """Return cluster -> its earlier answers, the oldest first, as ``/results`` has them."""
    return _read(folder / HISTORY)


def _read(path: Path) -> dict[str, list[Any]]:
    if not path.exists():
        return {}
    found: dict[str, list[Any]] = orjson.loads(path.read_bytes())
    return found


def kept(found: Annotations, folder: Path, clusters: Sequence[str]) -> Annotations:
    """Return answers in which no cluster lost the label that it had.

    Parameters
    ----------
    found
        The answers of now.
    folder
        Of the job, with the answers of before.
    clusters
        Those that were asked again.
    """
    path = folder / "annotations.json"
    if not clusters or not path.exists():
        return found
    before = Annotations.from_json(path.read_text(encoding="utf-8"))
    lost = {r.cluster for r in found if r.label is None and before[r.cluster].label is not None}
    if not lost:
        return found
    rows = tuple(before[row.cluster] if row.cluster in lost else row for row in found)
    evidence = {**found.evidence, **{c: before.evidence.get(c) for c in lost}}
    return replace(found, rows=rows, evidence=evidence)
