"""``cellferry runs``: what was run, how it ended, and how to go on with it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .output import aligned, table


@click.group()
def runs() -> None:
    """List, show, resume, and read the results of runs.

    \b
    Example:
      cellferry runs list
    """


@runs.command("list")
def list_command() -> None:
    """List the runs, newest first.

    \b
    Example:
      cellferry runs list
    """
    from ..runs.run import list_runs

    found = list_runs()
    if not found:
        click.echo("There are no runs yet.")
        return
    rows = [[r.id, r.content["status"], r.content["engine"], str(r.folder)] for r in found]
    click.echo(aligned(("run", "status", "engine", "folder"), rows))


@runs.command()
@click.argument("run")
def show(run: str) -> None:
    """Print the record of RUN (an id or a folder) as JSON.

    \b
    Example:
      cellferry runs show pbmc_run
    """
    from ..runs.run import Run

    click.echo(json.dumps(Run.open(run).content, indent=1, ensure_ascii=False))


@runs.command()
@click.argument("run")
@click.option(
    "--input", "input_file", type=click.Path(path_type=Path),
    help="The object or marker table that was annotated.  [default: the file that the run read]",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path),
    help="Base name of the files.  [default: that of the run, else from --input]",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace files and columns of other origin.")
def resume(run: str, input_file: Path | None, out: Path | None, overwrite: bool) -> None:
    """Finish RUN (an id or a folder); only what is missing is done.

    A run of this command reads its input again, labels the object and writes the files. A run of
    Python or R does so with --input; without it, clusters are finished from what the run keeps,
    and the table is printed. Cells need their object: expression is never kept in a run.

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
    from .annotate import annotate_file, default_base, exit_with, show

    opened = Run.open(run)
    kept = opened.content["provenance"]
    level = level_of_run(opened)
    if input_file is None and "input" in kept:
        known = Path(kept["input"])
        # A run about clusters keeps what it needs.
        input_file = known if level == "cells" or known.exists() else None
    if input_file is not None:
        base = out or (Path(kept["base"]) if "base" in kept else default_base(input_file))
        request = AnnotateRequest(
            input_file, engine_of(opened), DEFAULT_KEYS[level], overwrite=overwrite
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
    with progress_events(show=True) as on_event:
        found = resume_run(opened, on_event=on_event)
    show(found)
    exit_with(found)


@runs.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def results(run: str, as_json: bool) -> None:
    """Print the annotations of RUN (an id or a folder).

    \b
    Example:
      cellferry runs results pbmc_run --json
    """
    from ..runs.run import Run

    found = Run.open(run).results()
    click.echo(found.to_json() if as_json else table(found))
