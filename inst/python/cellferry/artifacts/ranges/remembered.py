"""The run that remembers what a cluster has done for a call that has no run of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import CellferryError, OutputError, RunMismatchError, SchedulerError
from ...runs.lock import held
from ...runs.run import Run


@contextmanager
def remembered(what: str, resume: str | os.PathLike[str] | None) -> Iterator[Run]:
    """Yield a run for the work of the block, and note how it ended.

    Parameters
    ----------
    what
        What is made: ``"markers"`` or ``"artifacts"``.
    resume
        Id of a run of the same work that was stopped; None begins one.

    Raises
    ------
    RunNotFoundError, RunLockedError
    RunMismatchError
        The run is of other work.
    """
    run = Run.create("local", level="cells", options={}, companion=what) if resume is None else None
    run = run or Run.open(resume or "")
    if run.content.get("companion") != what:
        message = f'The run "{run.id}" is not one that made {what}.'
        raise RunMismatchError(message, "Leave `resume` out to begin anew.")
    with held(run.folder):
        run.mend()
        try:
            yield run
        except CellferryError as error:
            error.data.setdefault("run", run.id)
            if isinstance(error, SchedulerError | OutputError):
                error.add_to_hint(f'Go on with: `resume="{run.id}"`')
            run.update(status="failed", error=error.to_dict())
            raise
        except KeyboardInterrupt as interrupt:
            run.update(status="interrupted")
            interrupt.add_note(f'Go on with: resume="{run.id}"')
            interrupt.run = run.id  # type: ignore[attr-defined]
            raise
        run.update(status="finished", error=None)
