"""How results look on a terminal, and the files that are written beside a name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..annotations.printed import aligned

__all__ = [
    "aligned",
    "in_bytes",
    "one_at_a_time",
    "output_paths",
    "refuse_existing",
    "table",
    "write_all",
]

if TYPE_CHECKING:
    from ..annotations.clusters import Annotations
    from ..runs.run import Run


def table(annotations: Annotations) -> str:
    """Return the printed columns of every row as aligned text."""
    return annotations.table()


def in_bytes(n: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> in_bytes(812), in_bytes(48_200), in_bytes(3_100_000)
    ('812 B', '48.2 kB', '3.1 MB')
    """
    size, unit = float(n), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{n} B" if unit == "B" else f"{size:.1f} {unit}"


def output_paths(name: Path, suffix: str | None = ".h5ad") -> dict[str, Path]:
    """Return the files of one annotation by kind; the name is used exactly as given.

    ``suffix`` is that of the labelled object; None where there is no object, and no cells.
    """
    suffixes = {
        "table": "_annotations.csv",
        "record": "_annotations.json",
        "report": "_report.html",
    }
    if suffix is not None:
        suffixes |= {"cells": "_cells.csv", "object": suffix}
    return {kind: name.with_name(name.name + end) for kind, end in suffixes.items()}


def refuse_existing(files: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse to replace a file.

    Raises
    ------
    OutputError
        One of them is there, and it is not to be replaced.
    """
    from ..errors import OutputError

    taken = [path for path in files if path.exists()]
    if taken and not overwrite:
        message = f'The file "{taken[0]}" exists.'
        raise OutputError(message, "Choose another name, or pass `overwrite=True`.")


def run_folder(base: Path) -> Path:
    """Return the folder of the run beside the files of a name."""
    return base.with_name(base.name + "_run")


@contextmanager
def one_at_a_time(base: Path, patience: float = 0) -> Iterator[None]:
    """Have the files of a name for oneself until the block ends.

    The lock is that of the run beside them, wherever the run itself is kept. Nothing is left of
    it where no run was made.

    Parameters
    ----------
    base
        The name.
    patience
        So many seconds another process is waited for.

    Raises
    ------
    RunLockedError
        Another process writes files of this name; the message says which.
    OutputError
        The folder cannot be written.
    """
    from ..errors import RunLockedError
    from ..runs.lock import held
    from ..runs.run import check_folder

    folder = run_folder(base)
    # Refused before anything is made in it.
    check_folder(folder)
    there = folder.exists()
    until = time.monotonic() + patience
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(folder))
                break
            except RunLockedError as error:
                if time.monotonic() >= until:
                    error.add_to_hint("Or choose another name with `output_name`.")
                    raise
            time.sleep(0.1)
        try:
            yield
        finally:
            if not there and not (folder / "run.json").exists():
                with suppress(OSError):
                    (folder / "journal.jsonl").unlink(missing_ok=True)
            # Its lock goes with it; whoever waits makes a folder of his own.
            stack.close()
            # Also where another process made it and was waited for: only an empty one goes.
            with suppress(OSError):
                folder.rmdir()


def write_all(writers: dict[Path, Callable[[Path], object]], run: Run | None = None) -> list[Path]:
    """Write each file under a temporary name and rename it, so that none is ever half there.

    Parameters
    ----------
    writers
        File -> what writes it, given the temporary path.
    run
        Whose files they are: it may replace them later. None is nobody's.

    Raises
    ------
    OutputError
        A file cannot be written. Those before it are there, and the answers are kept.
    """
    from ..errors import OutputError
    from ..files import replacing

    for path, write in writers.items():
        try:
            if run is None:
                with replacing(path) as partial:
                    write(partial)
            else:
                run.write(path, write)
        except OSError as error:
            message = f'The file "{path}" cannot be written: {error.strerror or error}.'
            raise OutputError(message, "Choose another place with `output_name`.") from error
        except OutputError as error:
            if run is not None:
                again = f"cellferry runs resume {run.id}"
                error.hint = f"All answers are kept. Make room, then: {again}"
            raise
    if run is not None:
        run.save()
    return list(writers)
