"""Where runs are: in the user's data folder, or where a pointer in it says."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import RunNotFoundError, nearest
from ..files import write_whole

RECORD = "run.json"
_POINTER = ".folder"


def home() -> Path:
    """Return the folder of cellferry's own data; it may not exist yet."""
    import platformdirs

    given = os.environ.get("CELLFERRY_HOME")
    return Path(given) if given else platformdirs.user_data_path("cellferry", appauthor=False)


def run_folders() -> Iterator[Path]:
    """Yield the folder of every run that is there, each once."""
    seen = set()
    for entry in _entries():
        found = pointed_to(entry) if entry.suffix == _POINTER else entry
        with contextlib.suppress(OSError):
            if found is None or not found.is_dir():
                continue
            place = os.path.realpath(found)
            if place not in seen:
                seen.add(place)
                yield found


def pointers() -> Iterator[tuple[str, Path]]:
    """Yield the id and the folder of every pointer, whether the folder is there or not."""
    for entry in _entries():
        if entry.suffix == _POINTER and (found := pointed_to(entry)) is not None:
            yield entry.stem, found


def _entries() -> list[Path]:
    try:
        return sorted((home() / "runs").iterdir())
    except OSError:
        return []


def pointed_to(pointer: Path) -> Path | None:
    """Return the folder that a pointer names, or None if it cannot be read."""
    try:
        text = pointer.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return Path(text) if text and "\0" not in text else None


def remember(identifier: str, folder: Path) -> None:
    """Let a run be found by its id; raises :class:`OSError`."""
    base = home() / "runs"
    base.mkdir(parents=True, exist_ok=True)
    write_whole(base / f"{identifier}{_POINTER}", str(folder.resolve()))


def remember_again(identifier: str, folder: Path) -> None:
    """Let a run that was moved be found by its id: its pointer shows to where nothing is."""
    pointer = home() / "runs" / f"{identifier}{_POINTER}"
    if not identifier or Path(identifier).name != identifier:
        return
    old = pointed_to(pointer)
    if old is not None and not (old / RECORD).is_file():
        with contextlib.suppress(OSError):
            remember(identifier, folder)


def forget(identifier: str) -> None:
    """Remove the pointer of an id, if there is one."""
    with contextlib.suppress(OSError):
        (home() / "runs" / f"{identifier}{_POINTER}").unlink(missing_ok=True)


def find(identifier: str | os.PathLike[str]) -> Path:
    """Return the folder of a run by its id, or by the folder itself.

    Raises
    ------
    RunNotFoundError
        The message says where it was looked for.
    """
    as_path = Path(identifier)
    if (as_path / RECORD).is_file():
        return as_path
    base = home() / "runs"
    name = as_path.name
    if name and (base / name / RECORD).is_file():
        return base / name
    pointer = base / f"{name}{_POINTER}"
    place = pointed_to(pointer)
    if place is not None:
        if (place / RECORD).is_file():
            return place
        message = f'The run "{name}" was kept in "{place}", and is not there any more.'
        hint = "If the folder was moved, give its new place instead of the id: it is found again."
        raise RunNotFoundError(message, hint, run=name, folder=str(place))
    if as_path.is_dir() and len(as_path.parts) and (as_path / "journal.jsonl").is_file():
        # A run that lost its record: whoever opens it says so.
        return as_path
    known = [entry.stem if entry.suffix == _POINTER else entry.name for entry in _entries()]
    guess = nearest(str(identifier), known)
    message = f'There is no run "{identifier}".'
    hint = f'Did you mean "{guess}"?' if guess else "See `cellferry runs list` or ListRuns()."
    raise RunNotFoundError(message, hint)
