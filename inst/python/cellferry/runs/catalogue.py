"""Deleting runs: only folders that are surely ours, and in them only what a run writes."""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidOptionError, RunDamagedError, RunLockedError
from ..files import sweep
from . import places
from .lock import held
from .run import SCHEMA, Run, list_runs

_FILES = (
    "annotations.json", "cells.npz", "decisions.jsonl", "journal.jsonl", "journal.damaged",
    "obs.duckdb", "outputs.jsonl", "outputs.damaged", "payload.json", "prevalence.json",
    "query.json", "results.json", "study.json", "vars.h5",
)  # fmt: skip
"""What runs write beside their record. Everything else in a folder is the user's."""
_SIGNED = re.compile(r"signed-[\w.~-]+\.json")
_CHUNKS = "chunks"
_CHUNK = re.compile(r"\d{6,}-[0-9a-f]{12}\.json\.gz")
_AGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([hdw]?)\s*")
_HOURS = {"h": 1, "d": 24, "": 24, "w": 168}


@dataclass(frozen=True)
class Deleted:
    """One run that was deleted, or would be.

    Attributes
    ----------
    size
        Bytes that it took on the disk.
    kept
        What else is in its folder, which is why the folder is still there.
    """

    run: str
    folder: Path
    size: int
    kept: tuple[str, ...] = ()


def delete_runs(*identifiers: str | os.PathLike[str], dry_run: bool = False) -> list[Deleted]:
    """Delete runs: their records, journals and answers.

    Files that a run wrote outside of its folder (tables, reports, objects) stay, and so does
    whatever else is in the folder. A link is not followed.

    Parameters
    ----------
    identifiers
        Ids of runs, or their folders. All are looked up before the first is deleted.
    dry_run
        Only say what would be deleted.

    Returns
    -------
    list of Deleted

    Raises
    ------
    RunNotFoundError, RunDamagedError
        There is no such run, or the folder is not surely one.
    RunLockedError
        Somebody works on it.

    Examples
    --------
    >>> from cellferry.runs import Run
    >>> made = Run.create("local")
    >>> [gone.run == made.id for gone in delete_runs(made.id)]
    [True]
    """
    folders = list(dict.fromkeys(_checked(places.find(i)) for i in identifiers))
    return [_delete(folder, dry_run=dry_run) for folder in folders]


def prune_runs(
    *,
    older_than: str | float | None = None,
    finished: bool = False,
    keep: int | None = None,
    dry_run: bool = False,
) -> list[Deleted]:
    """Delete the runs that fit all that is said, but for those that are being worked on.

    Parameters
    ----------
    older_than
        Only runs that began so long ago: days, or text such as ``"30d"``, ``"12h"``, ``"4w"``.
    finished
        Only runs whose answer is complete.
    keep
        Never the newest so many of all runs.
    dry_run
        Only say what would be deleted.

    Returns
    -------
    list of Deleted

    Raises
    ------
    InvalidOptionError
        Nothing is said of which runs are meant, or it cannot be understood.

    Examples
    --------
    >>> prune_runs(older_than="30d", dry_run=True)
    []
    """
    if older_than is None and not finished and keep is None:
        message = "`older_than`, `finished` or `keep` must say which runs are to be deleted."
        raise InvalidOptionError(message, 'For example older_than="30d".', option="older_than")
    if keep is not None and (isinstance(keep, bool) or int(keep) != keep or keep < 0):
        message = f"`keep` must be a whole number from 0, not {keep!r}."
        raise InvalidOptionError(message, option="keep")
    hours = None if older_than is None else _hours(older_than)
    found = list_runs()[0 if keep is None else int(keep) :]
    deleted = []
    for run in found:
        if finished and run.content["status"] != "finished":
            continue
        if hours is not None and not _is_older(run, hours):
            continue
        try:
            deleted.append(_delete(_checked(run.folder), dry_run=dry_run))
        except (RunLockedError, RunDamagedError):
            continue
    if not dry_run:
        for identifier, folder in places.pointers():
            # The disk of a folder may be away for now, so the place above it must be there.
            if folder.parent.is_dir() and not folder.exists() and _forgotten(identifier, hours):
                places.forget(identifier)
    return deleted


def _hours(given: str | float) -> float:
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
        return float(given) * 24
    found = _AGE.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        message = f"`older_than` must be a number of days or text as 30d, 12h, 4w, not {given!r}."
        raise InvalidOptionError(message, option="older_than")
    return float(found[1]) * _HOURS[found[2]]


def _is_older(run: Run, hours: float) -> bool:
    try:
        created = datetime.datetime.fromisoformat(str(run.content["created"]))
        age = datetime.datetime.now(datetime.UTC) - created
    except (ValueError, TypeError):
        return False
    return age > datetime.timedelta(hours=hours)


def _forgotten(identifier: str, hours: float | None) -> bool:
    """Whether a run of this id, whose folder is gone, began long enough ago."""
    try:
        created = datetime.datetime.strptime(identifier[:16], "%Y%m%dT%H%M%SZ")
    except ValueError:
        return False
    age = datetime.datetime.now(datetime.UTC) - created.replace(tzinfo=datetime.UTC)
    return hours is None or age > datetime.timedelta(hours=hours)


def _checked(folder: Path) -> Path:
    """Return the folder if it is surely that of a run; raises :class:`RunDamagedError`."""
    record = folder / places.RECORD
    try:
        real = stat.S_ISREG(record.lstat().st_mode) and stat.S_ISDIR(folder.lstat().st_mode)
        schema = json.loads(record.read_bytes())["schema"] if real else ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        schema = ""
    if isinstance(schema, str) and schema.startswith(SCHEMA.partition("/")[0] + "/"):
        return folder.resolve()
    message = f'"{folder}" is not surely the folder of a run, so nothing in it is deleted.'
    raise RunDamagedError(message, "Its run.json must be a file of cellferry. Remove it yourself.")


def _delete(folder: Path, *, dry_run: bool) -> Deleted:
    content = json.loads((folder / places.RECORD).read_bytes())
    identifier = str(content.get("id") or folder.name)
    ids = {identifier, *(i for i, at in places.pointers() if at.resolve() == folder)}
    size = Run(identifier, folder, content).size()
    if dry_run:
        return Deleted(identifier, folder, size)
    with held(folder):
        for name in _FILES:
            _remove(folder / name)
        for path in sorted(folder.iterdir()):
            if _SIGNED.fullmatch(path.name):
                _remove(path)
        chunks = folder / _CHUNKS
        if chunks.is_dir() and not chunks.is_symlink():
            for path in chunks.iterdir():
                if _CHUNK.fullmatch(path.name):
                    _remove(path)
            sweep(chunks)
            if not any(chunks.iterdir()):
                chunks.rmdir()
        sweep(folder)
        # Last, so that what was interrupted can be deleted by the same command.
        _remove(folder / places.RECORD)
    kept = tuple(sorted(path.name for path in folder.iterdir()))
    if not kept:
        folder.rmdir()
    for known in ids:
        places.forget(known)
    return Deleted(identifier, folder, size, kept)


def _remove(path: Path) -> None:
    """Remove a file, or a link as itself; a folder of that name is not ours."""
    if path.is_symlink() or path.is_file():
        path.unlink()
