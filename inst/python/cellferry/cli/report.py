"""``cellferry report``: the HTML report of a run or of stored annotations."""

from __future__ import annotations

from pathlib import Path

import click

from .output import tell_files


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
    from ..annotations import Annotations
    from ..report import write_report
    from ..runs import Run

    stored = Path(source)
    if stored.suffix == ".json" and stored.is_file():
        found = Annotations.from_json(stored.read_text(encoding="utf-8"))
    else:
        found = Run.open(source).results()
    tell_files([write_report(found, file, overwrite=overwrite)])
