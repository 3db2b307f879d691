"""What a person decides about the labels of an object in an .rds, written by an Rscript child."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from ...annotations.labelling.labels import Labels, Written
from ...errors import AnnotationsFormatError
from .. import wire
from ..requests import previous_labels
from ..results import described
from ..wire import Message
from .child import RChild, existing_file

ChooseKey = Callable[[Mapping[str, str]], str]
"""Which of the keys of an object is meant; raises where there is none."""


class RdsLabels:
    """The labels of a Seurat object or SingleCellExperiment in a file.

    Use as a context manager, and call :meth:`labels`, :meth:`deliver` and :meth:`save` in this
    order; leaving it before changes nothing.

    Parameters
    ----------
    path
        The file.
    choose
        Says which key is meant, given what is stored.
    column
        A column of metadata that is read besides.
    rscript
        Path of Rscript; None finds it.
    """

    suffix = ".rds"

    def __init__(
        self,
        path: Path,
        choose: ChooseKey,
        column: str | None = None,
        *,
        rscript: str | None = None,
    ) -> None:
        self._task: Message = {"verb": "decide", "input": existing_file(path), "column": column}
        self._choose = choose
        self._child = RChild(rscript)
        self._key = ""
        self._cells: tuple[str, ...] = ()

    def __enter__(self) -> RdsLabels:
        self._child.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._child.__exit__(kind, value, traceback)

    def labels(self) -> Labels:
        """Let R read the object, and return what it has under the key.

        Raises
        ------
        AnnotationsMissingError, AnnotationsFormatError
            It has no labels of cellferry, or none that can be read.
        """
        handlers = {
            "task": lambda _message, _out: self._task,
            "stored": lambda message, _out: {"key": self._choose(message["stored"])},
        }
        message = self._child.serve(handlers, until="decide")
        found = previous_labels(message)
        if found is None:
            text = "What the object holds of its annotations cannot be read."
            raise AnnotationsFormatError(text)
        self._key, self._cells = found.key, tuple(found.cells)
        return found

    def deliver(self, written: Written) -> None:
        """Let R write labels and record into its object."""
        out = wire.Outgoing()
        self._child.deliver(described(written, self._cells, self._key, out), out)

    def save(self, path: Path) -> None:
        """Let R write its object to a file, and see that it is whole."""
        self._child.save(path)
