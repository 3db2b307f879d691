"""Files that appear under their name complete, or not at all.

Everything temporary of a build is in one hidden folder beside the target, on the same disk,
so that the last step is a rename. The folder holds a locked file; a folder whose lock is
free belongs to a process that was killed, and the next build removes it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

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
            self._lock: IO[bytes] = (fresh / "lock").open("wb")
            _try_lock(self._lock)
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
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self, file: Path, target: Path) -> None:
        """Make a finished file durable and give it its name in one step."""
        with file.open("rb+") as written:
            os.fsync(written.fileno())
        file.replace(target)
        # The rename itself must survive a power cut; not every system can sync a folder.
        with suppress(OSError):
            descriptor = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the workspaces of killed processes in a folder and return what was removed."""
    removed = []
    for left in folder.glob(f"{PREFIX}*"):
        try:
            with (left / "lock").open("rb+") as lock:
                if not _try_lock(lock):
                    continue
        except OSError:
            continue  # gone meanwhile, or another user's
        shutil.rmtree(left, ignore_errors=True)
        removed.append(left)
    return removed


def _try_lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed, or say that another process holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
