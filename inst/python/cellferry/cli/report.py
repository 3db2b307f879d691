"""``cellferry report`` and ``write``: an answer as page or table; ``doctor``: what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import OutputError
from .output import print_files

if TYPE_CHECKING:
    import anndata

    from ..annotations.clusters import Annotations


@click.command()
@click.argument("source", metavar="RUN")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", help="Label column of an .h5ad.  [default: the newest]")
@click.option("--coordinates-key", help="Embedding of an .h5ad, for example X_umap.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def report(
    source: str, file: Path, key: str | None, coordinates_key: str | None, overwrite: bool
) -> None:
    """Write the report of RUN to FILE, one HTML file.

    RUN is an id, a folder, an _annotations.json, or an .h5ad that was labelled.

    \b
    Examples:
      cellferry report pbmc_run pbmc.html
      cellferry report pbmc_labelled.h5ad pbmc.html --coordinates-key X_umap
    """
    from ..annotations.report import check_report_file, write_report
    from ..annotations.stored import annotation_report

    _refuse_existing([file], overwrite=overwrite)
    check_report_file(file, overwrite=overwrite)
    if Path(source).suffix == ".h5ad":
        data = _labelled(source)
        print_files([annotation_report(data, file, key, coordinates_key=coordinates_key)])
    else:
        _only_of_objects(key=key, coordinates_key=coordinates_key)
        print_files([write_report(_recorded(source), file)])


@click.command()
@click.argument("source", metavar="RUN")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "kind", help="csv, tsv or xlsx.  [default: by the name of FILE]")
@click.option("--key", help="Label column of an .h5ad.  [default: the newest]")
@click.option("--sample-key", help="Column of samples of an .h5ad; their cells are counted.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def write(  # noqa: PLR0917 - click passes every option by name
    source: str,
    file: Path,
    kind: str | None,
    key: str | None,
    sample_key: str | None,
    overwrite: bool,
) -> None:
    """Write the labels of RUN with their evidence to FILE: csv, tsv or xlsx.

    RUN is an id, a folder, an _annotations.json, or an .h5ad that was labelled. An .xlsx has
    sheets of labels, markers, samples and provenance, in which genes are text; of .csv and .tsv
    the further tables are files beside FILE. Of an .rds use WriteAnnotations() in R.

    \b
    Examples:
      cellferry write pbmc_run labels.xlsx
      cellferry write pbmc_labelled.h5ad labels.csv --sample-key sample
    """
    from ..annotations.write import write_annotations, written_files

    _refuse_existing(written_files(file, kind), overwrite=overwrite)
    if Path(source).suffix == ".h5ad":
        written = write_annotations(
            _labelled(source), file, kind, key=key, sample_key=sample_key, overwrite=overwrite
        )
    else:
        _only_of_objects(key=key, sample_key=sample_key)
        written = write_annotations(_recorded(source), file, kind, overwrite=overwrite)
    print_files(written)


def _recorded(source: str) -> Annotations:
    """Return the annotations of a run, or of a record beside the files of one."""
    from ..annotations.clusters import Annotations
    from ..runs.run import Run

    stored = Path(source)
    if stored.suffix == ".json" and stored.is_file():
        return Annotations.from_json(stored.read_text(encoding="utf-8"))
    return Run.open(source).results().summary()


def _labelled(source: str) -> anndata.AnnData:
    import anndata

    return anndata.read_h5ad(source, backed="r")


def _only_of_objects(**given: str | None) -> None:
    """Refuse options that need an object, where a record is read."""
    for name, value in given.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            message = f"{option} is about an object, so RUN must be an .h5ad that was labelled."
            raise click.UsageError(message)


def _refuse_existing(files: Sequence[Path], *, overwrite: bool) -> None:
    taken = [path for path in files if path.exists()]
    if taken and not overwrite:
        message = f'The file "{taken[0]}" exists.'
        raise OutputError(message, "Choose another name, or give --overwrite.")


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
