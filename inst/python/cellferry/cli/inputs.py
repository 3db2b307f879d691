"""What the command line can be given: whatever :mod:`cellferry.annotate.files` reads, and .rds."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..annotate.files import Input
    from ..annotate.request import AnnotateRequest


def opened_input(request: AnnotateRequest) -> AbstractContextManager[Input]:
    """Read the study of the file of a request, and keep its object until the block ends.

    Parameters
    ----------
    request
        Its ``data`` is the path of the file or folder.
    """
    from ..annotate import files

    def open_of_r(request: AnnotateRequest) -> AbstractContextManager[Input]:
        from ..bridge.rds import open_rds

        return open_rds(request)

    return files.opened_input(request, open_of_r)
