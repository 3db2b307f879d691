"""One process, and in it one caller, works on a run at a time.

The lock is the system's and ends with its process, however that ends. Beside it is a note of who
has it, for the message that others get. An interrupted call leaves the lock to its worker, which
may still wait for a socket: a new call of the same process waits a moment for it, then takes
the lock over, and the worker can write no more.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError, RunLockedError
from ..files import locked

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = "run.lock"
HOLDER = "run.holder.json"
GRACE_SECONDS = 2.0
"""So long a new call waits for the worker of an interrupted one."""
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}

_guard = threading.Lock()
_sessions: dict[str, Session] = {}


@dataclass(frozen=True)
class Holder:
    """Who works on a run."""

    pid: int
    host: str
    since: str

    def is_alive(self) -> bool:
        """Whether the process is there; that of another machine is taken to be."""
        if self.host != platform.node():
            return True
        import psutil

        return psutil.pid_exists(self.pid)


class Session:
    """The time in which a run is worked on; see :func:`held`."""

    def __init__(self, folder: Path, lock: BaseFileLock | None) -> None:
        self.folder = folder
        self.thread = threading.get_ident()
        self.since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.callers = 1
        self._workers = 0
        self._over = False
        self._lock = lock

    @property
    def over(self) -> bool:
        """Whether it has ended, or another call has taken the run over: nothing may be written."""
        return self._over

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep the lock until the block ends, even if the caller is interrupted.

        Raises
        ------
        CancelledWork
            The caller has gone already.
        """
        from .worker import CancelledWork

        with _guard:
            if self._over:
                raise CancelledWork
            self._workers += 1
        try:
            yield
        finally:
            with _guard:
                self._workers -= 1
                self._end()

    def leave(self) -> None:
        """Count a caller out."""
        with _guard:
            self.callers -= 1
            self._end()

    def _end(self) -> None:
        if self._over or self.callers or self._workers:
            return
        self._over = True
        _sessions.pop(_key(self.folder), None)
        with contextlib.suppress(OSError):
            (self.folder / HOLDER).unlink()
        if self._lock is not None:
            # Whoever opened it meanwhile finds that it is not the one of that name any more.
            # Windows removes no open file.
            removed = _removed(self.folder / LOCK)
            self._lock.release()
            if not removed:
                _removed(self.folder / LOCK)

    def hand_over(self) -> BaseFileLock | None:
        """End it without giving the lock back, and return the lock."""
        self._over = True
        return self._lock

    def note(self) -> None:
        """Write down who has the lock."""
        note = {"pid": os.getpid(), "host": platform.node(), "since": self.since}
        with contextlib.suppress(OSError):
            (self.folder / HOLDER).write_text(json.dumps(note), encoding="utf-8")


@contextmanager
def held(folder: Path) -> Iterator[Session]:
    """Have a run for oneself until the block ends. The same thread may do so again within it.

    Parameters
    ----------
    folder
        That of the run; it is made if it is not there.

    Raises
    ------
    RunLockedError
        Another process works on it, or another thread of this one.
    OutputError
        The folder cannot be written.

    Examples
    --------
    >>> folder = getfixture("tmp_path") / "x_run"
    >>> with held(folder) as session, held(folder) as again:
    ...     session is again
    True
    """
    session = _enter(folder)
    try:
        yield session
    finally:
        session.leave()


def _enter(folder: Path) -> Session:
    key = _key(folder)
    until = time.monotonic() + GRACE_SECONDS
    while True:
        with _guard:
            known = _sessions.get(key)
            if known is None:
                session = Session(folder, _locked(folder))
            elif known.callers and known.thread == threading.get_ident():
                known.callers += 1
                return known
            elif known.callers:
                raise _error(folder, Holder(os.getpid(), platform.node(), known.since))
            elif time.monotonic() >= until:
                session = Session(folder, known.hand_over())
            else:
                session = None
            if session is not None:
                _sessions[key] = session
                session.note()
                return session
        time.sleep(0.02)


def _locked(folder: Path) -> BaseFileLock | None:
    """Return the lock, or None where the disk knows no locks and nobody is known to work."""
    try:
        for again in reversed(range(50)):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock = _locked_file(folder / LOCK)
                break
            except FileNotFoundError:
                # Whoever had it before has just removed a folder in which no run was made.
                if not again:
                    raise
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            message = f'The folder of the run, "{folder}", cannot be written: {error.strerror}.'
            raise OutputError(message, "Choose another place, or set CELLFERRY_HOME.") from error
        found = holder_of(folder)
        if found is not None and found.is_alive() and found.pid != os.getpid():
            raise _error(folder, found) from error
        return None
    if lock is None:
        raise _error(folder, _noted(folder))
    return lock


def _locked_file(path: Path) -> BaseFileLock | None:
    """Lock a file that whoever had it before may remove: it must be the one of that name."""
    while True:
        # Kept open, so that no other file gets its number.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            lock = locked(path)
            if lock is None or _is_named(descriptor, path):
                return lock
            lock.release()
        finally:
            os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _noted(folder: Path) -> Holder | None:
    """Return who has the lock; the note is written a moment after the lock was taken."""
    for _ in range(20):
        found = holder_of(folder)
        if found is not None and found.is_alive():
            return found
        time.sleep(0.01)
    return None


def holder_of(folder: Path) -> Holder | None:
    """Return who works on a run, or who did when their process was killed; None if nobody."""
    try:
        found = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return Holder(int(found["pid"]), str(found["host"]), str(found["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _error(folder: Path, holder: Holder | None) -> RunLockedError:
    message = f'The run in "{folder}" is being worked on by another process.'
    data: dict[str, object] = {"folder": str(folder)}
    hint = "Wait until it has ended, or end it: what it has finished by then is kept."
    if holder is not None:
        own = holder.pid == os.getpid() and holder.host == platform.node()
        who = "another thread of this process" if own else "another process"
        where = f"number {holder.pid} on {holder.host}, since {holder.since}"
        message = f'The run in "{folder}" is being worked on by {who} ({where}).'
        data |= {"pid": holder.pid, "host": holder.host, "since": holder.since}
    return RunLockedError(message, hint, **data)


def _key(folder: Path) -> str:
    return os.path.realpath(folder)
