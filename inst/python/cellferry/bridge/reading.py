"""A study of R that one piece of work reads once, while it arrives or where R has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import InterruptedRunError
from ..runs.worker import Event, Events, Worker
from .studies import Incoming

CLEARING_SECONDS = 5.0
"""How long interrupted work is given to remove what is temporary."""
_Result = TypeVar("_Result")


@dataclass
class OpenReading(Incoming, Generic[_Result]):
    """A study on its way from R, and the work that reads it.

    Matrices in R's own memory are read there. Of others the work begins before they arrive, and
    none is kept.
    """

    worker: Worker[_Result] | None = None
    work: Callable[[Events], _Result] | None = None
    interrupted = "The work was interrupted."

    def start(self, work: Callable[[Events], _Result]) -> None:
        """Begin now if anything can be read only once; else when all has arrived."""
        self.work = work
        if not all(source.rereadable for source in self.sources.values()):
            self.worker = Worker(work)

    def still_read(self) -> bool:
        """Whether the work still reads; raises why it failed, so that R sends no more."""
        if self.worker is None or not self.worker.ended:
            return True
        self.worker.result()
        return False

    def finish(self, on_event: Callable[[Event], None] | None) -> _Result:
        """Wait for the work and return its result."""
        if self.worker is None:
            self.complete()
            assert self.work is not None
            self.worker = Worker(self.work)
        try:
            found = self.worker.result(on_event)
        except KeyboardInterrupt:
            self.close()
            raise InterruptedRunError(self.interrupted) from None
        self.complete()
        return found

    def close(self) -> None:
        """Stop the work, if it is not finished."""
        for source in self.sources.values():
            if not source.rereadable:
                # What reads it while it arrives would wait for more.
                source.close()
        if self.worker is not None and not self.worker.ended:
            self.worker.cancel(CLEARING_SECONDS)
        super().close()
