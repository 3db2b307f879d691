"""An object in an .rds that several engines label: R reads it, and writes it after each answer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...annotate.files import Input, replacing_output
from ...annotate.request import AnnotateRequest
from .. import wire
from ..labels import agreement
from ..wire import Message
from . import open_rds
from .child import RChild, existing_file

if TYPE_CHECKING:
    from ...annotations.clusters import Annotations


class RdsOfSeveral:
    """A Seurat object or SingleCellExperiment in a file; see :class:`Source` of several engines.

    The file stays as it is: labels go into copies, the last of which is the result.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    rscript
        Path of Rscript; None finds it.

    Examples
    --------
    >>> RdsOfSeveral(Path("pbmc.rds")).suffix  # doctest: +SKIP
    '.rds'
    """

    suffix = ".rds"

    def __init__(self, path: Path, *, rscript: str | None = None) -> None:
        self._file = Path(existing_file(path))
        self._rscript = rscript
        # Removed with this object, or at the end of the process.
        self._folder = tempfile.TemporaryDirectory(prefix="cellferry-")
        self._answers: dict[str, Annotations] = {}

    @contextmanager
    def opened(self, request: AnnotateRequest) -> Iterator[Input]:
        """Let R read the object as it is labelled until now."""
        with open_rds(replace(request, data=self._file)) as opened:
            yield opened

    def answered(self, name: str, opened: Input, found: Annotations) -> None:
        """Let R write the labels of one engine into its copy."""
        if opened.object is not None:
            opened.object.deliver(found)
            opened.object.save(self._copy(name))
            self._file = self._copy(name)
        self._answers[name] = found

    def agree(self, request: AnnotateRequest, failed: Mapping[str, str]) -> Annotations:
        """Let R write what the engines agree on, and leave of each the label alone."""
        task: Message = {
            "verb": "agree",
            "input": str(self._file),
            "key": request.key,
            "tables": {name: found.to_json() for name, found in self._answers.items()},
            "failed": dict(failed),
            "levels": request.levels,
        }
        made: list[Annotations] = []

        def agree(message: Message, out: wire.Outgoing) -> Message:
            found, answer = agreement.agreed_tables(message, out)
            made.append(found)
            return answer

        handlers = {"task": lambda _message, _out: task, "consensus_tables": agree}
        with RChild(self._rscript) as child:
            child.serve(handlers, until="save")
            self._file = self._copy("agreed")
            child.save(self._file)
        return made[0]

    def save(self, output: Path) -> None:
        """Copy the labelled object to its place."""
        with replacing_output(output) as partial:
            shutil.copyfile(self._file, partial)

    def _copy(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.rds"
