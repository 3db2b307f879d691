"""``cellferry report`` and ``write``: an answer as page or table; ``doctor``: what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import the_console
from .inputs import is_standard_input, let_r_read
from .options import FilePath
from .output import refuse_existing

if TYPE_CHECKING:
    from ..annotations.clusters import Annotations
    from ..study.expression.gene_summary import GeneSummary


@click.command()
@click.argument("source", metavar="RUN")
@click.argument("file", type=FilePath())
@click.option("--key", help="Label column of an object.  [default: the newest]")
@click.option("--coordinates-key", help="Embedding of an object, for example X_umap.")
@click.option(
    "--obs-columns", multiple=True, metavar="COLUMN",
    help="Metadata of an object that the page may show, beside the labels. Repeatable.",
)  # fmt: skip
@click.option("--no-expression", is_flag=True, help="Read no expression: no figures of genes.")
@click.option("--no-cell-values", is_flag=True, help="No values of genes in each cell.")
@click.option("--report-mb", type=float, help="Megabytes of the page's data.  [default: 15]")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def report(  # noqa: PLR0917 - click passes every option by name
    source: str,
    file: Path,
    key: str | None,
    coordinates_key: str | None,
    obs_columns: Sequence[str],
    no_expression: bool,
    no_cell_values: bool,
    report_mb: float | None,
    overwrite: bool,
) -> None:
    """Write the report of RUN to FILE, one HTML file.

    RUN is an id, a folder, an _annotations.json, or an .h5ad, zarr folder or .rds that
    was labelled. Of an object the page has a map of its cells and figures of all genes; what does
    not fit into --report-mb is left out, and said on it. cellferry review shows it live.

    The FILE "-" is standard output.

    \b
    Examples:
      cellferry report pbmc_run pbmc.html
      cellferry report pbmc_labelled.h5ad pbmc.html --coordinates-key X_umap --obs-columns sample
    """
    from ..annotate.pages import annotation_report
    from ..annotations.report import (
        REPORT_MB,
        Content,
        check_report_file,
        render,
        write_report,
    )

    console = the_console()
    if report_mb is not None and report_mb <= 0:
        message = "--report-mb must be more than 0."
        raise click.UsageError(message)
    of_objects = {
        "key": key,
        "coordinates_key": coordinates_key,
        "obs_columns": obs_columns or None,
        "no_expression": no_expression or None,
        "no_cell_values": no_cell_values or None,
        "report_mb": report_mb,
    }
    if is_standard_input(file):
        if console.as_json:
            message = "--json is for one JSON document, and a report to standard output is HTML."
            raise click.UsageError(message)
        _only_of_objects(**of_objects)
        console.out(render(_recorded(source)).encode("utf-8", "replace"), newline=False)
        return
    refuse_existing([file], overwrite=overwrite)
    check_report_file(file, overwrite=overwrite)
    if _is_object(source):
        written = annotation_report(
            source,
            file,
            key,
            coordinates_key=coordinates_key,
            obs_columns=obs_columns,
            expression=not no_expression,
            cell_values=not no_cell_values,
            report_mb=report_mb or REPORT_MB,
            overwrite=overwrite,
            progress=not console.quiet,
        )
    else:
        _only_of_objects(**of_objects)
        content = Content(genes=_figures(source))
        written = write_report(_recorded(source), file, content=content, overwrite=overwrite)
    console.wrote([written])
    console.result("", outputs=[str(written)])


@click.command()
@click.argument("source", metavar="RUN")
@click.argument("file", type=FilePath())
@click.option(
    "--format", "kind",
    help="csv, tsv, xlsx, cellxgene or cas.  [default: csv, tsv or xlsx by the name of FILE]",
)  # fmt: skip
@click.option("--key", help="Label column of an object.  [default: the newest]")
@click.option("--sample-key", help="Column of samples of an object; their cells are counted.")
@click.option("--title", help="Title of the data set, for cas.")
@click.option("--author", help="Who answers for it, for cas.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def write(  # noqa: PLR0917 - click passes every option by name
    source: str,
    file: Path,
    kind: str | None,
    key: str | None,
    sample_key: str | None,
    title: str | None,
    author: str | None,
    overwrite: bool,
) -> None:
    """Write the labels of RUN with their evidence to FILE: csv, tsv or xlsx.

    RUN is an id, a folder, an _annotations.json, or an .h5ad, zarr folder or .rds that was
    labelled. An .xlsx has sheets of labels, markers, samples and provenance, in which genes are
    text; of .csv and .tsv the further tables are files beside FILE.

    For portals: --format cellxgene writes an .h5ad (or a table of the cells) with the terms of the
    labels and without the column cell_type; --format cas writes JSON of the Cell Annotation Schema.

    \b
    Examples:
      cellferry write pbmc_run labels.xlsx
      cellferry write pbmc_labelled.h5ad labels.csv --sample-key sample
      cellferry write pbmc_labelled.h5ad deposit.h5ad --format cellxgene
      cellferry write pbmc_labelled.h5ad pbmc.json --format cas --title Blood --author "J. Doe"
    """
    from ..annotations.write import write_annotations, written_files

    refuse_existing(written_files(file, kind), overwrite=overwrite)
    if _is_object(source):
        written = write_annotations(
            source, file, kind, key=key, sample_key=sample_key, overwrite=overwrite, title=title,
            author=author,
        )  # fmt: skip
    else:
        _only_of_objects(key=key, sample_key=sample_key)
        written = write_annotations(
            _recorded(source), file, kind, overwrite=overwrite, title=title, author=author
        )
    console = the_console()
    console.wrote(written)
    console.result("", outputs=[str(path) for path in written])


def _recorded(source: str) -> Annotations:
    """Return the annotations of a run, or of a record beside the files of one."""
    from ..annotations.clusters import Annotations
    from ..runs.run import Run

    stored = Path(source)
    if stored.suffix == ".json" and stored.is_file():
        return Annotations.from_json(stored.read_text(encoding="utf-8"))
    return Run.open(source).results().summary()


def _figures(source: str) -> GeneSummary | None:
    """Return the figures of genes that a run keeps."""
    from ..runs.figures import kept_figures
    from ..runs.run import Run

    return None if Path(source).suffix == ".json" else kept_figures(Run.open(source).folder)


def _is_object(source: str) -> bool:
    """Whether this is the path of an object, by its content, and not a run or a record."""
    from ..study.inputs.kinds import file_kind

    let_r_read(source)
    kind = file_kind(source)
    suffix = Path(source).suffix.lower()
    named = suffix in {".h5ad", ".rds"} and kind.name != "folder"
    return kind.is_anndata or kind.is_of_r or named


def _only_of_objects(**given: object) -> None:
    """Refuse options that need an object, where a record is read."""
    for name, value in given.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            message = f"{option} is about an object, so RUN must be an object that was labelled."
            raise click.UsageError(message)


@click.command()
def doctor() -> None:
    """Print Python, packages and R with their versions, and a line for each fault.

    The line says what is wrong and what mends it, to be pasted as it is.

    \b
    Example:
      cellferry doctor
    """
    from ..bridge.installation import examine
    from .exits import EXIT_ERROR, EXIT_OK
    from .output import aligned

    found = examine()
    rows = [[f.name, "ok" if f.ok else "FAULT", f.found] for f in found]
    faults = [f.name for f in found if not f.ok]
    lines = [f"{f.name}: {f.found}. Mend it: {f.fix}" for f in found if not f.ok]
    said = aligned(("what", "is", "found"), rows)
    the_console().result(
        "\n".join([said, *lines, ""]) if lines else said,
        code=EXIT_ERROR if faults else EXIT_OK,
        reason=f"To be mended: {', '.join(faults)}." if faults else "",
        asked_for=True,
        checks=[{"name": f.name, "found": f.found, "ok": f.ok, "fix": f.fix} for f in found],
    )
