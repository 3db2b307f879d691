"""``cellferry runs``: what was run, how it ended, and how to go on with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .annotate import engine_options_of
from .console import plain, the_console
from .known import complete_options_of_run
from .options import FilePath, InputPath
from .output import aligned, in_bytes, table

if TYPE_CHECKING:
    from ..runs import Deleted
    from ..study.inputs.address import Address


@click.group()
def runs() -> None:
    """List, show, resume and delete runs, and read their results.

    \b
    Example:
      cellferry runs list
    """


@runs.command("list")
def list_command() -> None:
    """List the runs, newest first: how they ended, what of, and what they take on the disk.

    \b
    Example:
      cellferry runs list
    """
    from ..runs.run import list_runs

    found = list_runs()
    names = ("run", "status", "engine", "cells", "tissue", "size", "folder")
    rows, listed = [], []
    for run in found:
        cells, tissue = run.shape()
        of_run = (run.id, run.state(), run.content["engine"], cells, tissue, run.size())
        listed.append(dict(zip(names, (*of_run, str(run.folder)), strict=True)))
        shown = ["" if cells is None else f"{cells:,}", tissue or "", in_bytes(run.size())]
        rows.append([*map(str, of_run[:3]), *shown, str(run.folder)])
    text = aligned(names, rows, right=("cells", "size")) if found else "There are no runs yet."
    the_console().result(text, asked_for=True, runs=listed)


@runs.command()
@click.argument("run")
def show(run: str) -> None:
    """Print the record of RUN (an id or a folder) as JSON, with what persons decided about it.

    \b
    Example:
      cellferry runs show pbmc_run
    """
    from ..annotations.decisions.history import history
    from ..errors import RunDamagedError, RunNotFoundError
    from ..runs.run import Run

    opened = Run.open(run)
    content = dict(opened.content)
    with suppress(RunNotFoundError, RunDamagedError):
        found = opened.results()
        if found.decisions:
            content["labels"] = found.labels()
            content["decisions"] = history(found)
    the_console().result(
        json.dumps(content, indent=1, ensure_ascii=False), asked_for=True, run=plain(content)
    )


@runs.command()
@click.argument("run")
@click.option(
    "--input", "input_files", type=InputPath(), multiple=True,
    help="The object or marker table that was annotated.  [default: the file that the run read]",
)  # fmt: skip
@click.option(
    "--out", type=FilePath(),
    help="Base name of the files.  [default: that of the run, else from --input]",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace files and columns of other origin.")
@click.option("--allow-upload", is_flag=True, help="Let an engine send expression or metadata.")
@click.option(
    "--option", "options", multiple=True, callback=engine_options_of, metavar="NAME=VALUE",
    shell_complete=complete_options_of_run,
    help="An option of the engine in place of that of the run; may be given again.",
)  # fmt: skip
def resume(  # noqa: PLR0917 - click passes every option by name
    run: str,
    input_files: Sequence[Path | Address],
    out: Path | None,
    overwrite: bool,
    allow_upload: bool,
    options: dict[str, object],
) -> None:
    """Finish RUN (an id or a folder); only what is missing is done.

    A run of this command reads its input again, labels the object and writes the files. A run of
    Python or R does so with --input, which is given again for each of several files; without it,
    clusters are finished from what the run keeps, and the table is printed. Cells need their
    object: expression is never kept in a run.

    \b
    Examples:
      cellferry runs resume pbmc_run
      cellferry runs resume cells_run --input pbmc.h5ad --out pbmc_cells
    """
    from ..annotate.request import AnnotateRequest
    from ..annotate.verb import engine_of, level_of_run
    from ..annotate.verb import resume as resume_run
    from ..annotations.delivery import DEFAULT_KEYS
    from ..errors import EngineNeedsError
    from ..runs.progress import progress_events
    from ..runs.run import Run
    from ..study.inputs.several import paths_of, place_of
    from .annotate import annotate_file, annotate_table, default_base, show

    opened = Run.open(run)
    kept = opened.provenance
    level = level_of_run(opened)
    input_file = place_of(input_files)
    if input_file is None and "input" in kept:
        known = place_of(kept["input"])
        there = all(path.exists() for path in paths_of(known))
        # A run about clusters keeps what it needs.
        input_file = known if level == "cells" or there else None
    if input_file is not None:
        base = out or (Path(kept["base"]) if "base" in kept else default_base(input_file))
        request = AnnotateRequest(
            input_file,
            engine_of(opened, options),
            DEFAULT_KEYS[level],
            overwrite=overwrite,
            allow_upload=allow_upload,
        )
        with_object = out is not None or bool(kept.get("with_object", True))
        annotate_file(request.of_run(opened), base, opened, with_object=with_object)
        return
    if level == "cells":
        message = f'The run "{opened.id}" is about cells that this command did not read.'
        hint = (
            f"Give their object: cellferry runs resume {opened.id} --input FILE; in Python "
            "cellferry.resume(run, data), in R ResumeAnnotation(x)."
        )
        raise EngineNeedsError(message, hint)
    name = out or kept.get("base")
    if name is not None:
        # Of an object that is gone all is written but the object itself.
        annotate_table(
            opened, Path(name), overwrite=overwrite, options=options, allow_upload=allow_upload
        )
        return
    console = the_console()
    with progress_events(show=not console.quiet, line=console.note) as on_event:
        found = resume_run(opened, options=options, allow_upload=allow_upload, on_event=on_event)
    show(found)


@runs.command()
@click.argument("run")
def results(run: str) -> None:
    """Print the annotations of RUN (an id or a folder): the labels in force.

    \b
    Example:
      cellferry runs results pbmc_run --json
    """
    from ..runs.run import Run

    found = Run.open(run).results()
    the_console().result(table(found), asked_for=True, **{**found.to_dict(), "run": run})


@runs.command()
@click.argument("run", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted; do nothing.")
def delete(run: Sequence[str], dry_run: bool) -> None:
    """Delete each RUN (an id or a folder): its record, journal and answers.

    The files that it wrote beside its folder stay, and whatever else is in the folder.

    \b
    Examples:
      cellferry runs delete pbmc_run
      cellferry runs delete pbmc_run cells_run --dry-run
    """
    from ..runs import delete_runs

    _show_deleted(delete_runs(*run, dry_run=dry_run), dry_run=dry_run)


@runs.command()
@click.option("--older-than", metavar="AGE", help="Runs that began so long ago: 30d, 12h, 4w.")
@click.option("--finished", is_flag=True, help="Only runs whose answer is complete.")
@click.option("--keep", type=click.IntRange(min=0), help="Never the newest so many.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted; do nothing.")
def prune(older_than: str | None, finished: bool, keep: int | None, dry_run: bool) -> None:
    """Delete the runs that fit all options, but for those that are being worked on.

    \b
    Examples:
      cellferry runs prune --older-than 30d --dry-run
      cellferry runs prune --finished --keep 20
    """
    from ..runs import prune_runs

    if older_than is None and not finished and keep is None:
        message = "Say which runs: --older-than AGE, --finished or --keep N."
        raise click.UsageError(message)
    found = prune_runs(older_than=older_than, finished=finished, keep=keep, dry_run=dry_run)
    _show_deleted(found, dry_run=dry_run)


def _show_deleted(found: Sequence[Deleted], *, dry_run: bool) -> None:
    done = "would be deleted" if dry_run else "deleted"
    lines = []
    for gone in found:
        lines.append(f"{done}: {gone.run} ({in_bytes(gone.size)}) in {gone.folder}")
        if gone.kept:
            lines.append(f"  still there, of others: {', '.join(gone.kept)}")
    lines.append(f"{in_bytes(sum(gone.size for gone in found))} in all.")
    text = "\n".join(lines) if found else "There is nothing to delete."
    the_console().result(text, asked_for=dry_run, deleted=[plain(asdict(g)) for g in found])
