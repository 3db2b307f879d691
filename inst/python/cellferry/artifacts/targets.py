"""Where artifacts go: the place is checked, the work is hidden, a whole file is published.

What cannot be built is refused in words, with the link for reporting an issue.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import ISSUE_URL, ArtifactBuildError
from ..files import locked

if TYPE_CHECKING:
    from filelock import BaseFileLock

REPORT = f"If this is a fault of cellferry, report it at {ISSUE_URL}."
_FULL_NUMBERS = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FULL = ("No space left on device", f"errno = {errno.ENOSPC}", "Disk quota exceeded")
_TOO_LARGE = ("File too large", f"errno = {errno.EFBIG}")
FULL_BELOW = 1 << 20
"""A disk with less free space counts as full when a write fails without a reason."""


def check_target(name: str, target: Path, *, overwrite: bool) -> None:
    """Refuse a target that cannot be written, or that is a file of another kind.

    Parameters
    ----------
    name
        ``"vars.h5"`` or ``"obs.duckdb"``.
    target
        Where it is to go.
    overwrite
        Whether a file of another kind may be replaced.

    Raises
    ------
    ArtifactBuildError
    """
    folder = target.parent
    if not folder.is_dir():
        message = f'{name} cannot be written to "{target}": there is no folder "{folder}".'
        raise _refused(message, "Make the folder first, or choose another path.", name, target)
    if target.is_dir():
        message = f'{name} cannot be written to "{target}": that is a folder.'
        raise _refused(message, "Give the path of a file.", name, target)
    if not os.access(folder, os.W_OK | os.X_OK):
        message = f'{name} cannot be written to "{target}": no permission to write in "{folder}".'
        raise _refused(message, "Choose a folder of your own.", name, target)
    if target.exists() and not overwrite and not _is_artifact(name, target):
        message = f'There is a file "{target}", and it is no {name}; it is not replaced.'
        hint = "Choose another path, or allow it: `overwrite=True`."
        raise _refused(message, hint, name, target)


def _is_artifact(name: str, target: Path) -> bool:
    try:
        with target.open("rb") as file:
            start = file.read(12)
        if name == "obs.duckdb":
            return start[8:12] == b"DUCK"
        import h5py

        with h5py.File(target, "r") as opened:
            return "vars" in opened
    except OSError:
        return False


def as_build_error(error: Exception, name: str, target: Path) -> ArtifactBuildError:
    """Return any failure of a build as an error that says what to do, with the link."""
    if isinstance(error, ArtifactBuildError):
        if REPORT not in error.hint:
            error.add_to_hint(REPORT)
        return error
    text, number = str(error), getattr(error, "errno", None)
    place = f'{name} cannot be written to "{target}"'
    if number in _FULL_NUMBERS or any(t in text for t in _FULL):
        return _refused(f"{place}: the disk is full.", _free(target), name, target)
    if number == errno.EFBIG or any(t in text for t in _TOO_LARGE):
        message = f"{place}: the file would be larger than this system allows."
        return _refused(message, "Raise the limit (ulimit -f).", name, target)
    if number in {errno.EACCES, errno.EPERM, errno.EROFS}:
        message = f"{place}: no permission."
        return _refused(message, "Choose a folder of your own.", name, target)
    if _disk_is_full(target):
        return _refused(f"{place}: the disk is full.", _free(target), name, target)
    message = f"{place}: {type(error).__name__}: {text}"
    return _refused(message, "Nothing was left under that name.", name, target)


def _refused(message: str, hint: str, name: str, target: Path) -> ArtifactBuildError:
    return ArtifactBuildError(message, f"{hint} {REPORT}", artifact=name, path=str(target))


def _free(target: Path) -> str:
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError:
        return "Free some space, or choose another disk."
    return f"{free / 1e9:.1f} GB are free; free some space, or choose another disk."


def _disk_is_full(target: Path) -> bool:
    try:
        return shutil.disk_usage(target.parent).free < FULL_BELOW
    except OSError:
        return False


PREFIX = ".cellferry-build-"


class Workspace:
    """A locked temporary folder beside a target; a context manager that removes it.

    Raises
    ------
    OSError
        The folder of the target does not exist or cannot be written.
    """

    def __init__(self, beside: Path) -> None:
        parent = beside.parent
        remove_leftovers(parent)
        token = secrets.token_hex(4)
        # Locked before it has the name that others look for.
        fresh = parent / f".cellferry-new-{token}"
        fresh.mkdir(mode=0o700)
        try:
            self._lock: BaseFileLock | None = None
            with suppress(OSError):  # some shared disks know no locks
                self._lock = locked(fresh / "lock")
            self.folder = parent / f"{PREFIX}{token}"
            fresh.rename(self.folder)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Windows cannot remove an open file.
        if self._lock is not None:
            self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the workspaces of killed processes in a folder and return what was removed."""
    removed = []
    for left in folder.glob(f"{PREFIX}*"):
        if not (left / "lock").is_file():
            continue
        lock = None
        with suppress(OSError):  # gone meanwhile, or another user's
            lock = locked(left / "lock")
        if lock is not None:
            lock.release()
            shutil.rmtree(left, ignore_errors=True)
            removed.append(left)
    return removed
