"""``cellferry runs``: what was run, how it ended, and how to go on with it."""

from __future__ import annotations

import json

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
def resume(run: str) -> None:
    """Finish RUN (an id or a folder); only what is missing is done.

    \b
    Example:
      cellferry runs resume pbmc_run
    """
    from ..annotate.verb import resume as resume_run
    from ..runs.progress import progress_events
    from ..runs.run import Run
    from .cells import resume_file

    opened = Run.open(run)
    if opened.content.get("level") == "cells":
        resume_file(opened)
        return
    with progress_events(show=True) as on_event:
        found = resume_run(run, on_event=on_event)
    click.echo(table(found))


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
