"""What the command line can be given: whatever :mod:`cellferry.annotate.files` reads, and .rds."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..annotate.files import Input
    from ..annotate.request import AnnotateRequest
    from ..annotate.verb import OnEvent
    from .console import Console


def let_r_read(path: str | os.PathLike[str]) -> None:
    """Let the verbs read an .rds, if this is one: by the bridge, which is imported only then.

    Parameters
    ----------
    path
        Of any file or folder.
    """
    from ..study.inputs.readers import give_readers, path_of_r

    if path_of_r(path) is not None:
        from ..bridge.rds.readers import READERS

        give_readers(READERS)


def opened_input(
    request: AnnotateRequest, console: Console | None = None
) -> AbstractContextManager[Input]:
    """Read the study of the file of a request, and keep its object until the block ends.

    Parameters
    ----------
    request
        Its ``data`` is the path of the file or folder.
    console
        Where the progress of a search for markers is shown; None shows none.
    """
    from ..annotate import files

    def open_of_r(
        request: AnnotateRequest, finding: files.Finding
    ) -> AbstractContextManager[Input]:
        from ..bridge.rds import open_rds

        return open_rds(request, finding)

    def finding() -> AbstractContextManager[OnEvent | None]:
        from ..runs.progress import progress_events

        if console is None:
            return nullcontext()
        return progress_events(show=not console.quiet, title="Finding markers", line=console.note)

    return files.opened_input(request, open_of_r, finding=finding)
