"""Cells answered by workers of a cluster: ranges of cells, which each reads by itself.

A range is a function of the number of cells alone, and a cell is answered by itself: so the answer
is to the bit that of one machine, whoever works.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from ....artifacts.ranges.by_gene import required_origin
from ....errors import InternalError, SchedulerError, in_language
from ....runs.units import Job, Unit, even_length, opened_cluster
from ....study.expression.origin import Origin, check_same
from ....study.expression.reopened import opened_origin
from .answer import CellScorer, row_blocks
from .choice import CellChoice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ....runs.run import Run
    from ....runs.worker import Events
    from ....study.expression.source import ExpressionSource

Made = TypeVar("Made")
RANGE = 16_384
"""Most cells of one unit."""
FEWEST = 2_048


def choices_of_ranges(
    source: ExpressionSource,
    shared: Mapping[str, Any],
    scheduler: object,
    run: Run,
    events: Events,
    *,
    meanwhile: Callable[[], Made],
) -> tuple[Made, list[CellChoice]]:
    """Return the choices of all cells in their order, made by a cluster.

    Parameters
    ----------
    source
        Cells x genes, in a file that every worker sees under its path.
    shared
        What :func:`choices` needs beside the values: options, species, kind of the values.
    scheduler
        As of :func:`~cellferry.runs.units.opened_cluster`.
    run
        Remembers each range.
    events
        Receives progress; stops the work when the user interrupts.
    meanwhile
        Makes what is wanted besides, while the workers begin.

    Raises
    ------
    UnsupportedObjectError
        The values are in memory.
    SchedulerError, InputError
    """
    origin = required_origin(source)
    content = {**shared, "genes": list(source.genes), "values": origin.determining()}
    name = f"{__name__}:"
    job = Job(f"{name}choices", content, origin.to_dict(), f"{name}check")
    n_cells = source.shape[0]
    step = even_length(n_cells, FEWEST, RANGE)
    bounds = [(start, min(start + step, n_cells)) for start in range(0, n_cells, step)]
    units = [Unit(f"cells {a + 1:,} to {b:,}", (a, b), b - a) for a, b in bounds]
    try:
        with opened_cluster(scheduler) as cluster:
            work = cluster.begin(job, units, run, events, "cells")
            made = meanwhile()
            found = [CellChoice(**kept.arrays()) for kept in work]
    except SchedulerError as error:
        error.add_to_hint(_how_to_go_on(origin.paths, run.id))
        raise
    return made, found


def _how_to_go_on(paths: Sequence[str], run: str) -> str:
    quoted = ", ".join(f'"{path}"' for path in paths)
    several = len(paths) > 1
    python, r = (f"[{quoted}]", f"c({quoted})") if several else (quoted, quoted)
    return in_language(
        python=f'Go on with: annotate_cells({python}, scheduler="ADDRESS", resume="{run}")',
        r=f'Go on with: ResumeAnnotation({r}, run = "{run}", scheduler = "ADDRESS")',
        cli=f"Go on with: cellferry runs resume {run} --option scheduler=ADDRESS",
    )


def check(where: Mapping[str, Any]) -> None:
    """Raise where this worker does not see the file."""
    check_same(Origin.from_dict(where))


def choices(
    shared: Mapping[str, Any], where: Mapping[str, Any], start: int, stop: int
) -> dict[str, NDArray[Any]]:
    """Answer a range of cells; runs on a worker."""
    import numpy as np

    scorer = _scorer(json.dumps(dict(shared)))
    with opened_origin(Origin.from_dict(where), tuple(shared["genes"])) as source:
        made = [scorer.choose(block) for _, block in row_blocks(source.rows_between(start, stop))]
    joined: dict[str, NDArray[Any]] = {}
    for column in fields(CellChoice):
        parts = [getattr(choice, column.name) for choice in made]
        if column.name == "gene_starts":
            lengths = np.concatenate([np.diff(part) for part in parts])
            joined[column.name] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        else:
            joined[column.name] = np.concatenate(parts)
    return joined


@functools.lru_cache(maxsize=1)
def _scorer(shared: str) -> CellScorer:
    """Return what all ranges share, as the process that sent them made it."""
    from .. import Local

    given = json.loads(shared)
    knowledge = Local(**given["options"]).knowledge_for(given["tissue"])
    if knowledge.digest != given["knowledge"]:
        message = "The table of cell types differs on a worker."
        raise InternalError(message, "Give `knowledge` by a path that all of them see.")
    return CellScorer(knowledge, given["species"], given["genes"], counts=given["counts"])
