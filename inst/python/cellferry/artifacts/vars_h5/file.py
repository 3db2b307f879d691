"""A file that HDF5 can always close.

HDF5 cannot close a file whose last writes fail (disk full), and a file it cannot close ends
the whole session in a crash when Python cleans up. So HDF5 writes through this object,
which keeps the first error, lets HDF5 believe that all went well, and raises it afterwards.

Large pieces go past the system's page cache, where the system can. What is written once and
read later by somebody else needs no copy there: making it takes a fifth of the processor time
of a build, drives out what the session has cached, and leaves all of the file to be waited for
when it is made durable. What waits for the device is written by a thread of its own, so that
whoever gives out work need not. HDF5 calls with h5py's lock held: what it calls never waits for
that thread (see :mod:`.calls`).
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .calls import Call, Calls

if TYPE_CHECKING:
    import h5py
    from _typeshed import ReadableBuffer, WriteableBuffer
    from numpy.typing import NDArray

PAGE = 4096
"""What goes past the cache is whole pages and begins at one, in the file and in memory. Not the
page of the machine, which may be larger, but what devices want."""
LARGE = 64 << 10
"""Bytes of a piece that goes past the cache; smaller ones are slower without it."""

SLAB = 16
"""Pieces of memory that are made at once."""

MOST_LATER = 64
"""Calls that wait: to write a piece of :meth:`DirectIOFile.kept` memory, and to give it back."""


def pages(size: int) -> NDArray[np.uint8]:
    """Return memory that begins at a page, of at least so many bytes."""
    # NumPy asks for large pages; what mmap gives is shared, and has none.
    memory = np.empty(max(1, size) + PAGE - 1, np.uint8)
    first = -memory.ctypes.data % PAGE
    return memory[first : first + max(1, size)]


class PagePool:
    """Memory of whole pages that is used again and again, by several threads.

    Memory that is new is filled with zeros by the system, which takes as long as most of what is
    done in it.
    """

    def __init__(self, size: int) -> None:
        self._size = -(-size // PAGE) * PAGE
        self._free: deque[NDArray[np.uint8]] = deque()

    def take(self, size: int) -> NDArray[np.uint8]:
        """Return memory of at least so many bytes that begins at a page."""
        if size > self._size:
            return pages(size)
        try:
            return self._free.pop()
        except IndexError:
            # Several at once, because the system has large pages for what is large.
            slab = pages(self._size * SLAB)
            ends = range(0, self._size * SLAB, self._size)
            first, *others = (slab[start : start + self._size] for start in ends)
            self._free.extend(others)
            return first

    def give(self, memory: NDArray[np.uint8]) -> None:
        """Take memory back that :meth:`take` returned."""
        if memory.nbytes == self._size:
            self._free.append(memory)


@dataclass(frozen=True)
class _Change:
    """What the file is to become from ``place`` on, later: ``data``, or its end (None)."""

    place: int
    data: memoryview | None
    call: Call

    def touches(self, first: int, last: int) -> bool:
        """Whether it says something of the bytes from ``first`` to before ``last``."""
        return self.place < last and (self.data is None or self.place + len(self.data) > first)

    def of(self, first: int, last: int) -> tuple[int, bytes]:
        """Return what it says of them: bytes, and where they begin."""
        start = max(first, self.place)
        if self.data is None:
            return start, bytes(last - start)
        return start, bytes(self.data[start - self.place : last - self.place])


class DirectIOFile(io.RawIOBase):
    """The file object; :meth:`check` raises what went wrong."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | _BINARY, 0o666)
        self._uncached = _open_uncached(path)
        self._takes_uncached = True
        self._place = 0
        self._size = 0
        self._error: OSError | None = None
        self._kept: NDArray[np.uint8] | None = None
        self._is_later = False
        self._later: deque[_Change] = deque()
        self._calls = Calls("cellferry-write")

    @contextmanager
    def kept(self, buffer: NDArray[np.uint8], done: Callable[[], object]) -> Iterator[None]:
        """Let what is written of a buffer be written later.

        Parameters
        ----------
        buffer
            Whoever owns it leaves it as it is until ``done`` is called.
        done
            Called once, in any thread.
        """
        # Here HDF5 is not at work, and a thread can be waited for.
        self._calls.wait(MOST_LATER - 2)
        self._kept, self._is_later = buffer, False
        try:
            yield
        finally:
            self._kept = None
            if self._is_later:
                self._calls.put(done)
            else:
                done()

    def finish(self) -> None:
        """Wait for what is written later, and raise the first error of writing."""
        self._calls.wait()
        self.check()

    def _changes(self, first: int, last: int) -> list[_Change]:
        """Return what is still to be done to some bytes, in its order."""
        while self._later and self._later[0].call.is_done:
            self._later.popleft()
        return [change for change in self._later if change.touches(first, last)]

    def _change_later(self, place: int, data: memoryview | None, work: Callable[[], None]) -> None:
        self._later.append(_Change(place, data, self._calls.put(work)))

    def check(self) -> None:
        """Raise the first error of writing that is known, if there was one."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; HDF5 asks for the end once."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer; what was never written reads as zeros, as in a sparse file."""
        view = memoryview(buffer).cast("B")
        first, last = self._place, self._place + len(view)
        # Memory is kept until after its call is done: of one that is not done now, the copy is
        # right; of one that is, what is read from the file after this.
        changes = [(change, change.of(first, last)) for change in self._changes(first, last)]
        open_ones = [found for change, found in changes if not change.call.is_done]
        if _AT_ONCE:
            read = os.pread(self._descriptor, len(view), first)
        else:
            os.lseek(self._descriptor, first, os.SEEK_SET)
            read = os.read(self._descriptor, len(view))
        view[: len(read)] = read
        view[len(read) :] = bytes(len(view) - len(read))
        for place, data in open_ones:
            view[place - first : place - first + len(data)] = data
        self._place = last
        return len(view)

    def write(self, data: ReadableBuffer) -> int:
        """Write all of the data, or remember why not."""
        view = memoryview(data).cast("B")
        address = np.frombuffer(view, np.uint8).ctypes.data if len(view) >= LARGE else 0
        offset = -1 if self._kept is None else address - self._kept.ctypes.data
        if self._kept is not None and 0 <= offset < self._kept.nbytes and _AT_ONCE:
            # A view of HDF5's ends with the call; the memory does not.
            own = self._kept[offset : offset + len(view)].data
            self._write_later(own, self._place)
            self._is_later = True
        elif self._changes(self._place, self._place + len(view)):
            # What is still to be written there must not end on top of this.
            self._write_later(memoryview(bytes(view)), self._place)
        else:
            self._write_whole(view, self._place)
        self._place += len(view)
        self._size = max(self._size, self._place)
        return len(view)

    def _write_later(self, view: memoryview, place: int) -> None:
        self._change_later(place, view, partial(self._write_whole, view, place))

    def _write_whole(self, view: memoryview, place: int) -> None:
        """Write all of a view, or remember why not; on any thread."""
        if self._error is not None:
            return
        try:
            done = self._write_uncached(view, place)
            self._write(self._descriptor, view[done:], place + done)
        except OSError as error:
            self._error = error

    def _write_uncached(self, view: memoryview, place: int) -> int:
        """Write whole pages past the cache, and return how many bytes that were."""
        if not self._takes_uncached or self._uncached is None or len(view) < LARGE:
            return 0
        if place % PAGE or np.frombuffer(view, np.uint8).ctypes.data % PAGE:
            return 0
        whole = len(view) - len(view) % PAGE
        try:
            self._write(self._uncached, view[:whole], place)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # A file system that opens a file so and takes nothing, or part of a page.
            self._takes_uncached = False
            return 0
        return whole

    @staticmethod
    def _write(descriptor: int, view: memoryview, place: int) -> None:
        done = 0
        while done < len(view):
            if _AT_ONCE:
                done += os.pwrite(descriptor, view[done:], place + done)
            else:
                os.lseek(descriptor, place + done, os.SEEK_SET)
                done += os.write(descriptor, view[done:])

    def truncate(self, size: int | None = None) -> int:
        """Set the length, or remember why not."""
        self._size = self._place if size is None else size
        work = partial(self._truncate, self._size)
        if self._changes(0, sys.maxsize):
            self._change_later(self._size, None, work)
        else:
            work()
        return self._size

    def _truncate(self, size: int) -> None:
        if self._error is None:
            try:
                os.ftruncate(self._descriptor, size)
            except OSError as error:
                self._error = error

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def writable(self) -> bool:
        """Whether it can be written: always."""
        return True

    def seekable(self) -> bool:
        """Whether places can be chosen: always."""
        return True

    def close(self) -> None:
        """Close the file; HDF5 has closed its own before."""
        if not self.closed:
            super().close()
            try:
                self._calls.close()
            finally:
                os.close(self._descriptor)
                if self._uncached is not None:
                    os.close(self._uncached)


_AT_ONCE = hasattr(os, "pwrite")
"""Whether a place and what is written there are one call, so that several threads can write; not
on Windows."""
_BINARY = getattr(os, "O_BINARY", 0)  # Windows


def _open_uncached(path: Path) -> int | None:
    """Return a descriptor that writes past the page cache, where there is such a thing."""
    if not hasattr(os, "O_DIRECT"):
        return None
    try:
        return os.open(path, os.O_WRONLY | os.O_DIRECT)
    except OSError:
        return None


@contextmanager
def new_hdf5(path: Path) -> Iterator[tuple[h5py.File, DirectIOFile]]:
    """Yield a new HDF5 file and the file under it; raises what went wrong in either.

    Raises
    ------
    OSError
        A write failed. HDF5's own complaint, if any, is its consequence.
    """
    import h5py

    with DirectIOFile(path) as under:
        try:
            large = {"alignment_threshold": LARGE, "alignment_interval": PAGE}
            with h5py.File(under, "w", **large) as file:
                yield file, under
        except Exception:
            under.finish()
            raise
        under.finish()
