"""Progress for people: events become a bar on a terminal or in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .worker import Event


@contextmanager
def progress_events(
    *, show: bool, title: str = "Annotating clusters"
) -> Iterator[Callable[[Event], None] | None]:
    """Yield a callback that draws events on standard error, or None when nothing is shown.

    Nothing is drawn when standard error is not a terminal or notebook, so that logs of
    pipelines stay readable.

    Parameters
    ----------
    show
        False: nothing is drawn.
    title
        What stands beside the bar until an event has a text.
    """
    if not show:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield None
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
