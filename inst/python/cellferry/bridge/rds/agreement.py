"""What the annotators of an object in an .rds agree on, written by an Rscript child."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...annotate.files import replacing_output
from ...annotations.agreement.request import Asked
from .. import wire
from ..labels import agreement
from ..results import described
from ..wire import Message
from . import as_from_r
from .child import RChild, existing_file

if TYPE_CHECKING:
    from ...annotations.cells import CellAnnotations
    from ...annotations.clusters import Annotations


def consensus_of_rds(
    path: Path,
    asked: Asked,
    output: Path,
    *,
    overwrite: bool = False,
    rscript: str | None = None,
) -> Annotations | CellAnnotations:
    """Write a Seurat object or SingleCellExperiment in a file with what its annotators agree on.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    asked
        Who votes.
    output
        The .rds that is written.
    overwrite
        Replace columns that cellferry did not write.
    rscript
        Path of Rscript; None finds it.

    Raises
    ------
    CellferryError
        As :func:`cellferry.consensus`, and what is wrong with the object.

    Examples
    --------
    >>> asked = Asked(["cell_type", "singler"])
    >>> consensus_of_rds(Path("x.rds"), asked, Path("agreed.rds"))  # doctest: +SKIP
    """
    options = asdict(asked) | {"from": list(asked.names), "overwrite": overwrite}
    task: Message = {"verb": "consensus", "input": existing_file(path), **options}
    made: list[agreement.Agreed] = []

    def agree(message: Message, out: wire.Outgoing) -> Message:
        made.append(agreement.agreed(message))
        return described(made[0].written, made[0].cells, asked.key, out)

    handlers = {
        "task": lambda _message, _out: task,
        "agreement_columns": as_from_r("agreement_columns"),
        "consensus": agree,
    }
    with RChild(rscript) as child:
        child.serve(handlers, until="save")
        with replacing_output(output) as partial:
            child.save(partial)
    return made[0].in_force()
