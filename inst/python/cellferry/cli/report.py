"""``cellferry report``: the HTML report of a run; ``cellferry doctor``: what is installed."""

from __future__ import annotations

from pathlib import Path

import click

from .console import the_console
from .options import FilePath
from .standard_input import is_standard_input


@click.command()
@click.argument("source", metavar="RUN")
@click.argument("file", type=FilePath())
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def report(source: str, file: Path, overwrite: bool) -> None:
    """Write the report of RUN (an id, a folder, or an _annotations.json) to FILE.

    The FILE "-" is standard output.

    \b
    Example:
      cellferry report pbmc_run pbmc.html
    """
    from ..annotations.clusters import Annotations
    from ..annotations.report import render, write_report
    from ..runs.run import Run

    stored = Path(source)
    if stored.suffix == ".json" and stored.is_file():
        found = Annotations.from_json(stored.read_text(encoding="utf-8"))
    else:
        found = Run.open(source).results()
    console = the_console()
    if is_standard_input(file):
        if console.as_json:
            message = "--json is for one JSON document, and a report to standard output is HTML."
            raise click.UsageError(message)
        console.out(render(found).encode("utf-8", "replace"), newline=False)
        return
    written = write_report(found, file, overwrite=overwrite)
    console.wrote([written])
    console.result("", outputs=[str(written)])


@click.command()
def doctor() -> None:
    """Print Python, packages and R with their versions, and the line that fixes a fault.

    \b
    Example:
      cellferry doctor
    """
    from ..bridge.installation import examine
    from .exits import EXIT_ERROR, EXIT_OK
    from .output import aligned

    found = examine()
    rows = [[f.name, f.found, "ok" if f.ok else f.fix] for f in found]
    faults = [f.name for f in found if not f.ok]
    the_console().result(
        aligned(("what", "found", "fix"), rows),
        code=EXIT_ERROR if faults else EXIT_OK,
        reason=f"To be mended: {', '.join(faults)}." if faults else "",
        asked_for=True,
        checks=[{"name": f.name, "found": f.found, "ok": f.ok, "fix": f.fix} for f in found],
    )
