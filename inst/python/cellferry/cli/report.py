"""``cellferry report``: the HTML report of a run; ``cellferry doctor``: what is installed."""

from __future__ import annotations

from pathlib import Path

import click

from .output import print_files


@click.command()
@click.argument("source", metavar="RUN")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def report(source: str, file: Path, overwrite: bool) -> None:
    """Write the report of RUN (an id, a folder, or an _annotations.json) to FILE.

    \b
    Example:
      cellferry report pbmc_run pbmc.html
    """
    from ..annotations.clusters import Annotations
    from ..annotations.report import write_report
    from ..runs.run import Run

    stored = Path(source)
    if stored.suffix == ".json" and stored.is_file():
        found = Annotations.from_json(stored.read_text(encoding="utf-8"))
    else:
        found = Run.open(source).results()
    print_files([write_report(found, file, overwrite=overwrite)])


@click.command()
def doctor() -> None:
    """Print Python, packages and R with their versions, and the line that fixes a fault.

    \b
    Example:
      cellferry doctor
    """
    from ..bridge.installation import examine
    from .output import aligned

    found = examine()
    rows = [[f.name, f.found, "ok" if f.ok else f.fix] for f in found]
    click.echo(aligned(("what", "found", "fix"), rows))
    if not all(f.ok for f in found):
        raise click.exceptions.Exit(1)
