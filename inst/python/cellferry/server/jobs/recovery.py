"""Jobs as their folders know them: for a database that was lost, and after a kill.

Every accepted job has ``job.json`` beside its input. Jobs of servers up to 0.1.0 have none, and
what cannot be known of them is said, not guessed.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ...files import PRIVATE, write_whole
from ..folder import own_files, own_folders, set_aside
from ..settings import FILE_KINDS
from ..store import now

if TYPE_CHECKING:
    from ...files import Json

RECORD = "job.json"
LOST = (
    "The database of the server was lost before this job was answered, and it is not known "
    "which engine was to answer it. Submit it again."
)
logger = logging.getLogger("cellferry.server")


def write_record(folder: Path, **content: Json) -> None:
    """Write what the database knows of an accepted job beside its input.

    Parameters
    ----------
    folder
        The job's own.
    content
        The columns ``visibility``, ``needs_keys``, ``request_key``, ``request_hash`` and
        ``created``, and ``uploads`` (kind -> id).
    """
    write_whole(folder / RECORD, orjson.dumps(content), mode=PRIVATE)


def is_accepted(folder: Path) -> bool:
    """Whether a client may know of a job that has this folder."""
    return any((folder / name).exists() for name in (RECORD, "run", "results.json"))


def journalled(folder: Path) -> set[str]:
    """Return the units that the run of a job has finished, by its journal.

    What cannot be read is left out: it will be done again.
    """
    found: set[str] = set()
    try:
        lines = (folder / "run" / "journal.jsonl").read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            unit = json.loads(line)["unit"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(unit, str):
            found.add(unit)
    return found


def recover(folder: Path, sql: sqlite3.Cursor) -> None:
    """Fill an empty database from the folders of jobs; nothing is deleted.

    Parameters
    ----------
    folder
        The data folder.
    sql
        Within the transaction that makes the tables.
    """
    needed: dict[str, str] = {}
    jobs = [(path, _record(path)) for path in own_folders(folder / "jobs")]
    jobs.sort(key=lambda job: (job[1].get("created", 0.0), job[0].name))
    for path, record in jobs:
        try:
            _insert(sql, path, record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, sqlite3.IntegrityError):
            logger.warning("The job in %s is damaged: %s.", path, set_aside(path, folder))
            continue
        needed |= {upload: kind for kind, upload in record.get("uploads", {}).items()}
    for path in own_files(folder / "uploads"):
        if path.name in needed:
            size, kind = path.stat().st_size, needed.pop(path.name)
            sql.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, 'complete', ?, ?)",
                (path.name, kind, size, max(1, size), now(), now()),
            )
        else:
            logger.warning("Nothing is known of an upload; it is in %s.", set_aside(path, folder))
    for path, record in jobs:
        for kind, upload in record.get("uploads", {}).items():
            sql.execute(
                "INSERT INTO job_uploads SELECT jobs.id, ?, uploads.id FROM jobs, uploads "
                "WHERE jobs.id = ? AND uploads.id = ?",
                (kind, path.name, upload),
            )
    if jobs:
        logger.warning(
            "The database was lost; %d jobs were taken up from their folders.", len(jobs)
        )


def _record(folder: Path) -> dict[str, Any]:
    try:
        content = orjson.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    uploads = content.get("uploads")
    known = uploads if isinstance(uploads, dict) else {}
    return {**content, "uploads": {k: u for k, u in known.items() if k in FILE_KINDS}}


def _insert(sql: sqlite3.Cursor, folder: Path, record: Mapping[str, Any]) -> None:
    clusters: Sequence[str] = [*orjson.loads((folder / "input.json").read_bytes())["labels"]]
    states = dict.fromkeys(clusters, "pending")
    states |= dict.fromkeys(journalled(folder) & states.keys(), "completed")
    state, error, finished = "pending", None, None
    if (folder / "results.json").exists() and (folder / "annotations.json").exists():
        answered = orjson.loads((folder / "results.json").read_bytes())["annotations"]
        states = {c: "completed" if c in answered else "failed" for c in clusters}
        finished = (folder / "results.json").stat().st_mtime
        state = "completed" if answered else "failed"
        error = None if answered else "No cluster was answered."
    needs_keys = record.get("needs_keys", _engine(folder) == "llm")
    if state == "pending" and not record and _engine(folder) is None:
        state, error, finished = "failed", LOST, now()
    sql.execute(
        "INSERT INTO jobs (id, state, visibility, needs_keys, request_key, request_hash, error, "
        "created, finished) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            folder.name,
            state,
            record.get("visibility", "private"),
            int(needs_keys),
            record.get("request_key"),
            record.get("request_hash", ""),
            error,
            record.get("created", folder.stat().st_mtime),
            finished,
        ),
    )
    sql.executemany(
        "INSERT INTO clusters VALUES (?, ?, ?, ?)",
        [(folder.name, i, cluster, states[cluster]) for i, cluster in enumerate(clusters)],
    )


def _engine(folder: Path) -> str | None:
    try:
        engine = orjson.loads((folder / "run" / "run.json").read_bytes())["engine"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(engine)
