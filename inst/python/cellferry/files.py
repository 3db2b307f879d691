"""Files: one is written whole or not at all, and a lock is free when its process has ended."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import platform
import re
import shutil
import stat
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from filelock import BaseFileLock

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
"""What JSON can say: what was read from it, and what is written to it."""

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_DAY = 86_400
_CLOCK = 10
"""Seconds that the clock of a disk may differ from that of processes."""
PRIVATE = 0o600
"""Permission bits of what only its owner may read."""
_counter = itertools.count()
_WINDOWS = os.name == "nt"
_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE | re.DOTALL
)
_NO_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$')
"""What names may not have under Windows: a colon would write where nobody looks."""
_PARTIAL = re.compile(r"\..+\.([0-9a-f]{6})-(\d+)-\d+\.partial(?:\.[^.]*)?", re.DOTALL)
"""Names that :func:`replacing` gives: host, process, number."""
_under_way: set[str] = set()


def portable_name(name: str, taken: Collection[str] = ()) -> str:
    """Return a name for a file or folder that is its own on every system.

    Parameters
    ----------
    name
        As a user gave it. It is returned as it is, unless it is a device of Windows, has
        characters that are none of a name there, or is told from another by case alone.
    taken
        Names that were returned for others in the same folder.

    Examples
    --------
    >>> portable_name("gpt"), portable_name("GPT", ["gpt"]), portable_name("con")
    ('gpt', 'GPT-2c4e6f', '_con-1143da')
    """
    alike = {_alike(one) for one in taken}
    if not is_unportable(name) and _alike(name) not in alike:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:6]
    start = "_" if _DEVICES.fullmatch(name) else ""
    return f"{start}{_NO_NAME.sub('_', name)}-{digest}"


def is_unportable(name: str) -> bool:
    """Whether Windows takes a name for a device, cuts it, or does not take it.

    Examples
    --------
    >>> is_unportable("aux.csv"), is_unportable("a:b"), is_unportable("a."), is_unportable("a.b")
    (True, True, True, False)
    """
    return bool(_DEVICES.fullmatch(name) or _NO_NAME.search(name))


def _alike(name: str) -> str:
    # As file systems of Windows and macOS compare.
    return unicodedata.normalize("NFC", name).casefold()


def _check_name(path: Path) -> None:
    if _WINDOWS and is_unportable(path.name):
        raise OSError(errno.EINVAL, "Windows has no files of this name", str(path))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_whole(
    path: Path, content: str | bytes, *, mode: int | None = None, durable: bool = True
) -> None:
    """Write a file so that a crash leaves the old or the new one, never half.

    Parameters
    ----------
    path
        The file that is made or replaced.
    content
        Text is written as UTF-8, its line ends as they are.
    mode, durable
        See :func:`replacing`.

    Raises
    ------
    OSError
        The file cannot be written; whoever calls knows what to advise.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder, "x.txt"), "whole")
    ...     Path(folder, "x.txt").read_text()
    'whole'
    """
    raw = content.encode() if isinstance(content, str) else content
    with replacing(path, mode=mode, durable=durable) as partial:
        partial.write_bytes(raw)


def write_json(
    path: Path, content: Json, *, indent: int | None = None, mode: int | None = None
) -> None:
    """Write plain data as one JSON file; see :func:`write_whole`.

    Parameters
    ----------
    path
        The file.
    content
        What JSON can say.
    indent
        Blanks of each level; None is one line.
    mode
        Permission bits; see :func:`replacing`.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    write_whole(path, json.dumps(content, ensure_ascii=False, indent=indent), mode=mode)


@contextlib.contextmanager
def replacing(
    path: Path,
    *,
    mode: int | None = None,
    before: Callable[[Path], object] | None = None,
    durable: bool = True,
) -> Iterator[Path]:
    """Give a temporary path; what is there at the end of the block becomes the file, whole.

    The temporary file is in the same folder and of the same suffix, and empty at first. After
    an error in the block it is gone, and the old file is still there. What a killed process
    left is removed when the same file is written again.

    Parameters
    ----------
    path
        The file that is made or replaced.
    mode
        Permission bits. None keeps those of the file that is replaced; a new one gets the
        usual ones.
    before
        Called with the temporary path when it is complete, before it gets its name.
    durable
        Whether to wait until it is on the disk. Without it the file is whole unless the machine
        itself stops; that is enough for what is checked when it is read and can be made again.

    Raises
    ------
    OSError

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "x.csv")
    ...     with replacing(path) as partial:
    ...         _ = partial.write_text("a,b")
    ...     path.read_text()
    'a,b'
    """
    _check_name(path)
    _remove_leftovers(path)
    if mode is None:
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.stat().st_mode)
    partial = _partial_of(path)
    _under_way.add(partial.name)
    try:
        # Nobody may read a private file before it has its name.
        bits = 0o666 if mode is None else mode | stat.S_IRUSR | stat.S_IWUSR
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, bits))
        yield partial
        if before is not None:
            before(partial)
        publish(partial, path, mode=mode, durable=durable)
    finally:
        partial.unlink(missing_ok=True)
        _under_way.discard(partial.name)


def check_writable(path: Path) -> None:
    """Raise :class:`OSError` if a file could not be written; nothing is left behind.

    Parameters
    ----------
    path
        The file, which need not be there.
    """
    _check_name(path)
    probe = _partial_of(path)
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    finally:
        probe.unlink(missing_ok=True)


def publish(file: Path, target: Path, *, mode: int | None = None, durable: bool = True) -> None:
    """Make a finished file durable and give it its name in one step.

    Parameters
    ----------
    file
        In the folder of the target, or at least on the same disk.
    mode
        Permission bits that it gets; None leaves its own.
    durable
        See :func:`replacing`.
    """
    if durable:
        with file.open("rb+") as written:
            os.fsync(written.fileno())
    if mode is not None:
        file.chmod(mode)
    file.replace(target)
    if not durable:
        return
    # The rename itself must survive a power cut; not every system can sync a folder.
    with contextlib.suppress(OSError):
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _partial_of(path: Path) -> Path:
    owner = f"{_HOST}-{os.getpid()}-{next(_counter)}"
    return path.with_name(f".{_stem(path)}.{owner}.partial{path.suffix}")


def _stem(path: Path) -> str:
    # A name may have 255 bytes, and a character four.
    return path.stem[:40]


def sweep(folder: Path, start: str = "") -> list[Path]:
    """Remove the temporary files of killed processes in a folder, and return which they were.

    Only names of :func:`replacing` are meant, and of those only what no process is writing.
    What cannot be removed stays.

    Parameters
    ----------
    folder
        Not the folders in it.
    start
        How the names of the files begin that they were to become.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sweep(Path(folder))
    []
    """
    removed = []
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - a folder may be large
            if not name.startswith(f".{start}"):
                continue
            owner = _PARTIAL.fullmatch(name)
            left = folder / name
            if owner is None or not _is_left(left, owner[1], int(owner[2])):
                continue
            with contextlib.suppress(OSError):
                if stat.S_ISREG(left.lstat().st_mode):
                    left.unlink()
                    removed.append(left)
    return removed


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes left of a file; another's that cannot be removed stays."""
    start, end = f".{_stem(path)}.", f".partial{path.suffix}"
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):  # noqa: PTH208 - a folder may be large
            if not (name.startswith(start) and name.endswith(end)):
                continue
            owner = re.fullmatch(r"(\w+)-(\d+)-\d+", name[len(start) : -len(end)])
            if owner and _is_left(path.with_name(name), owner[1], int(owner[2])):
                path.with_name(name).unlink(missing_ok=True)


def check_room(path: Path, needed: int) -> None:
    """Raise :class:`OSError` if a file of so many bytes has no room where it is to be.

    A tenth and 64 KB more are asked for. Where the system does not say what is free, nothing is
    raised.

    Parameters
    ----------
    path
        The file; its folder exists.
    needed
        About how many bytes it will have.
    """
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return
    asked = needed + needed // 10 + (64 << 10)
    if free < asked:
        reason = f"it needs about {asked / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free"
        raise OSError(errno.ENOSPC, reason, str(path))


def is_full(error: OSError) -> bool:
    """Whether an error says that a disk, a quota or a limit has no room left.

    Examples
    --------
    >>> is_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    return error.errno in {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def _is_left(partial: Path, host: str, pid: int) -> bool:
    if host != _HOST:
        # Processes of another machine cannot be seen, but none writes for a day without a byte.
        return partial.stat().st_mtime < time.time() - _DAY
    if pid == os.getpid():
        # In a container every process may have the same number.
        return partial.name not in _under_way
    import psutil

    try:
        began = float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    # The number may have been given to another process since.
    return partial.stat().st_mtime + _CLOCK < began


def locked(path: Path, *, seconds: float = 0) -> BaseFileLock | None:
    """Lock a file and return the lock, or None where another process or part has it.

    The system frees it when the process ends, however it ends. ``release()`` frees it before,
    from any thread; the file stays.

    Parameters
    ----------
    path
        The file to lock, which is made if it is not there and must be empty.
    seconds
        How long to wait for it.

    Raises
    ------
    OSError
        The file cannot be opened, or its disk knows no locks.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mine = locked(Path(folder, "lock"))
    ...     mine is not None, locked(Path(folder, "lock")) is None
    ...     mine.release()
    (True, True)
    """
    from filelock import FileLock, SoftFileLock, Timeout

    if issubclass(FileLock, SoftFileLock):
        # Neither fcntl nor msvcrt: what is left would outlive its process.
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), str(path))
    lock = FileLock(path, timeout=seconds, thread_local=False)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout:
        return None
    except NotImplementedError as error:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), str(path)) from error
    return lock
