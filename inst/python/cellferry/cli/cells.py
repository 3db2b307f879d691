"""``cellferry annotate --cells``: an object in, every cell labelled, and how to go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .cell_inputs import Asked, CellInput, opened_cells
from .output import output_paths, remember, table, tell_files, write_all

if TYPE_CHECKING:
    from ..annotations.cells import CellAnnotations
    from ..engines.base import CellEngine
    from ..runs.run import Run

DEFAULT_KEY = "cell_type_cell"


def annotate_file(asked: Asked, engine: CellEngine, *, dry_run: bool = False) -> None:
    """Annotate the cells of an .h5ad or .rds and write the files."""
    from ..annotate.cells import plan_cells
    from ..annotate.verb import annotate
    from ..runs.progress import progress_events
    from ..runs.run import claim_outputs

    with opened_cells(asked, engine) as opened:
        if dry_run:
            click.echo(plan_cells(opened.study, engine).told())
            return
        files = list(output_paths(asked.base, asked.suffix).values())
        claim_outputs(asked.folder, files, overwrite=asked.overwrite)
        provenance = {
            "key": asked.key,
            "object": opened.kind,
            "input": str(asked.input_file.resolve()),
            "base": str(asked.base.resolve()),
            "parameters": {"group_key": asked.group_key, **asked.context},
        }
        with progress_events(show=True, title="Annotating cells") as on_event:
            found = annotate(
                opened.study,
                engine,
                allow_upload=asked.allow_upload,
                folder=asked.folder,
                provenance=provenance,
                on_event=on_event,
            )
        _write(found, opened, asked)


def resume_file(run: Run) -> None:
    """Finish a run about cells: its input is read again, and only what is missing is done."""
    from ..annotate.cells import resume_cells
    from ..engines import create_cell_engine
    from ..errors import EngineNeedsError
    from ..runs.progress import progress_events

    kept = run.content["provenance"]
    if "input" not in kept:
        message = f'The run "{run.id}" is about cells that this command did not read.'
        hint = "Resume it where it began: annotate_cells(data, resume=...), or ResumeAnnotation(x)."
        raise EngineNeedsError(message, hint)
    parameters = dict(kept["parameters"])
    group_key = parameters.pop("group_key")
    # Consent was given when the run was made.
    asked = Asked(
        Path(kept["input"]), Path(kept["base"]), kept["key"], group_key, parameters, True
    )  # fmt: skip
    engine = create_cell_engine(run.content["engine"], run.content["options"])
    with opened_cells(asked, engine) as opened:
        with progress_events(show=True, title="Annotating cells") as on_event:
            found = resume_cells(run, opened.study, engine, allow_upload=True, on_event=on_event)
        _write(found, opened, asked)


def _write(found: CellAnnotations, opened: CellInput, asked: Asked) -> None:
    from ..annotations.report import Embedding, write_report
    from ..study.clusters import Clusters

    summary = found.summary()
    columns = opened.deliver(found)
    embedding = None
    if opened.coordinates is not None and len(summary):
        labels = Clusters(tuple(found.label.levels), found.label.codes)
        embedding = Embedding(*opened.coordinates, labels)
    paths = output_paths(asked.base, asked.suffix)
    written = write_all(
        {
            paths["table"]: summary.to_csv,
            paths["record"]: lambda p: p.write_text(summary.to_json(), encoding="utf-8"),
            paths["report"]: lambda p: write_report(summary, p, embedding=embedding),
            paths["cells"]: lambda p: columns.to_csv(p, index_label="cell"),
            paths["object"]: opened.save,
        }
    )
    remember(asked.folder, written)
    click.echo(table(summary))
    click.echo(found.summary_line())
    tell_files(written)
