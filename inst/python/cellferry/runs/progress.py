"""Progress for people: events become a bar on a terminal or in a notebook."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .worker import Event

LINE_SECONDS = 30.0
"""So far apart are lines of progress where no bar can be drawn."""


@contextmanager
def progress_events(
    *,
    show: bool,
    title: str = "Annotating clusters",
    line: Callable[[str], object] | None = None,
    seconds: float = LINE_SECONDS,
) -> Iterator[Callable[[Event], None] | None]:
    """Yield a callback that draws events on standard error, or None when nothing is shown.

    When standard error is not a terminal or notebook no bar is drawn, so that logs of pipelines
    stay readable: at most a line now and then.

    Parameters
    ----------
    show
        False: nothing is drawn.
    title
        What stands beside the bar until an event has a text.
    line
        Called with a line of progress where no bar can be drawn; None says nothing there.
    seconds
        So long after the beginning, and after one line, the next is said.
    """
    if not show:
        yield None
        return
    if not _may_draw():
        yield None if line is None else _lines(line, title, seconds)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield None if line is None else _lines(line, title, seconds)
        return
    layout = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*layout, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def draw(event: Event) -> None:
            bar.update(
                task,
                completed=event.done,
                total=event.total or None,
                description=event.text if event.kind == "started" and event.text else None,
            )

        yield draw


def _may_draw() -> bool:
    """Whether it is worth importing what draws; it then looks closer itself."""
    forced = os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE") == "1"
    notebook = "IPython" in sys.modules
    return bool(forced or notebook or (sys.stderr is not None and sys.stderr.isatty()))


def _lines(line: Callable[[str], object], title: str, seconds: float) -> Callable[[Event], None]:
    last = time.monotonic()

    def say(event: Event) -> None:
        nonlocal last
        if time.monotonic() >= last + seconds:
            last = time.monotonic()
            done = f"{event.done} of {event.total}" if event.total else event.text
            line(f"{title}: {done}")

    return say
