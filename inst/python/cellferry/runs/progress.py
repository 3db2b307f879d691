"""Progress for people: events become a bar on a terminal, a line in a notebook.

Neither stays. A notebook keeps what is displayed in its file, and cannot be asked to forget one
output of a cell; so the line is displayed under an id, drawn anew in its place, and emptied.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .worker import Event

LINE_SECONDS = 30.0
"""So far apart are lines of progress where no bar can be drawn."""
NOTEBOOK_SECONDS = 0.5
"""What takes no longer displays nothing in a notebook; later the line is drawn as often."""


@contextmanager
def progress_events(
    *,
    show: bool,
    title: str = "Annotating clusters",
    line: Callable[[str], object] | None = None,
    seconds: float = LINE_SECONDS,
) -> Iterator[Callable[[Event], None] | None]:
    """Yield a callback that draws events on standard error, or None when nothing is shown.

    In a notebook it is a line below the cell, of which nothing is left in the end. When standard
    error is no terminal either, no bar is drawn, so that logs of pipelines stay readable: at most
    a line now and then.

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
    if _is_notebook():
        shown = _NotebookLine(title)
        try:
            yield shown.draw
        finally:
            shown.clear()
        return
    if not _may_draw():
        yield None if line is None else _lines(line, title, seconds)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
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
    return bool(forced or (sys.stderr is not None and sys.stderr.isatty()))


def _is_notebook() -> bool:
    """Whether a kernel runs this, whose front end displays what cells give."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


class _NotebookLine:
    """One line of text below a cell, displayed while something takes time, and emptied then.

    An output that was displayed cannot be taken away without those of the user: an empty one is
    left, of which a notebook shows nothing.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._id = f"cellferry-{secrets.token_hex(8)}"
        self._next = time.monotonic() + NOTEBOOK_SECONDS
        self._is_displayed = False

    def draw(self, event: Event) -> None:
        """Draw an event, unless the line is new."""
        if event.kind == "started" and event.text:
            self._title = event.text
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + NOTEBOOK_SECONDS
        done = f": {event.done} of {event.total}" if event.total else ""
        self._display({"text/plain": f"{self._title}{done}"})

    def clear(self) -> None:
        """Empty the line, if there is one."""
        if self._is_displayed:
            self._display({"text/plain": "", "text/html": ""})

    def _display(self, data: dict[str, str]) -> None:
        from IPython.core.display_functions import display

        display(data, raw=True, display_id=self._id, update=self._is_displayed)
        self._is_displayed = True


def _lines(line: Callable[[str], object], title: str, seconds: float) -> Callable[[Event], None]:
    last = time.monotonic()

    def say(event: Event) -> None:
        nonlocal last
        if time.monotonic() >= last + seconds:
            last = time.monotonic()
            done = f"{event.done} of {event.total}" if event.total else event.text
            line(f"{title}: {done}")

    return say
