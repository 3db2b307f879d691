"""Calls made one after another by a thread of their own, for a file that HDF5 writes to.

h5py holds one lock of the process while HDF5 is at work, and so while HDF5 writes to a file of
ours. Any thread may be the one in which Python collects its garbage, and an HDF5 object in it is
freed under that lock. So whoever holds the lock must not wait for a thread that runs Python: if
that thread collects, neither ever goes on. What can be called under the lock here
(:meth:`Calls.put`, :attr:`Call.is_done`) waits for no thread and takes no lock that one can hold.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable


class Call:
    """One of them."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function: Callable[[], object] | None = function
        self._error: BaseException | None = None
        self._ended = threading.Event()
        self.is_done = False
        """Whether it has returned. The call after it begins later than this is set."""

    def make(self) -> None:
        """Make it; on the thread."""
        function, self._function = self._function, None
        assert function is not None
        try:
            function()
        except BaseException as error:
            self._error = error
        # What it holds may be memory that somebody waits for.
        del function
        self.is_done = True
        self._ended.set()

    def wait(self) -> None:
        """Wait until it has returned, and raise what it raised."""
        self._ended.wait()
        if self._error is not None:
            raise self._error


class Calls:
    """The thread, begun at once: to begin one is to wait for it."""

    def __init__(self, name: str) -> None:
        self._waiting: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._open: deque[Call] = deque()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (call := self._waiting.get()) is not None:
            call.make()
            del call

    def put(self, function: Callable[[], object]) -> Call:
        """Have a function called after those before it."""
        call = Call(function)
        self._open.append(call)
        self._waiting.put(call)
        return call

    def wait(self, most: int = 0) -> None:
        """Wait until at most so many are not done, and raise what one of them raised.

        Not to be called while h5py's lock is held.
        """
        while len(self._open) > most:
            self._open.popleft().wait()

    def close(self) -> None:
        """Wait for all, and end the thread; not to be called while h5py's lock is held."""
        try:
            self.wait()
        finally:
            self._waiting.put(None)
            self._thread.join()
