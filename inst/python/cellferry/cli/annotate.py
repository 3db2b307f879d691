"""``cellferry annotate``: a marker table or an object in a file in, annotated files out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..engines import engine_names
from .inputs import opened_input
from .output import EXIT_FAILED_CLUSTERS, output_paths, print_files, remember, table, write_all

if TYPE_CHECKING:
    from ..annotate.files import Input
    from ..annotate.request import AnnotateRequest
    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations, Level
    from ..engines.base import AnyEngine
    from ..runs.run import Run

_NAMES = f"{', '.join(engine_names())}; for cells {', '.join(engine_names('cells'))}"


def _options(
    _context: click.Context, _parameter: click.Parameter, given: Sequence[str]
) -> dict[str, object]:
    options: dict[str, object] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            message = f'"{pair}" is not of the form NAME=VALUE.'
            raise click.BadParameter(message)
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


@click.command()
@click.argument("input_file", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("--engine", default="local", show_default=True, help=f"One of: {_NAMES}.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Base name of the files.  [default: from INPUT]"
)
@click.option(
    "--markers", type=click.Path(path_type=Path), help="Marker table for an .h5ad or .rds."
)
@click.option("--group-key", help="Column of clusters, in the metadata or the marker table.")
@click.option("--cluster-column", help="Column of clusters in the marker table, if not recognised.")
@click.option("--gene-column", help="Column of genes in the marker table, if not recognised.")
@click.option("--cells", is_flag=True, help="Annotate every cell of an object.")
@click.option("--key", help="Name of the label column.  [default: cell_type; cell_type_cell]")
@click.option("--tissue", help="Tissue, for example blood.")
@click.option("--species", help="Species.  [default: found by the gene names]")
@click.option("--study-context", default="", help="What the experiment is about.")
@click.option("--provider", help="Provider of the model, or the base URL of a server.")
@click.option("--model", help="Model, as the provider names it.")
@click.option("--base-url", help="Address of an OpenAI-compatible server, exactly as given.")
@click.option("--max-workers", type=int, help="Calls that run at the same time.")
@click.option("--api-url", help="Address of the service that the engine asks.")
@click.option("--allow-upload", is_flag=True, help="Let an engine send expression or metadata.")
@click.option("--overwrite", is_flag=True, help="Replace files and columns of other origin.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and sent; do nothing.")
@click.option(
    "--option", "options", multiple=True, callback=_options, metavar="NAME=VALUE",
    help="An option of the engine; may be given again.",
)  # fmt: skip
def annotate(  # noqa: PLR0917 - click passes every option by name
    input_file: Path,
    engine: str,
    out: Path | None,
    markers: Path | None,
    group_key: str | None,
    cluster_column: str | None,
    gene_column: str | None,
    cells: bool,
    key: str | None,
    tissue: str | None,
    species: str | None,
    study_context: str,
    allow_upload: bool,
    overwrite: bool,
    dry_run: bool,
    options: dict[str, object],
    **named: object,
) -> None:
    """Annotate the clusters of INPUT: a marker table (CSV, TSV), an .h5ad, zarr or .rds.

    With --cells, every cell of an .h5ad, zarr, .rds, or 10x .h5 or folder instead. What INPUT is
    is seen by its content, not by its name.

    Writes OUT_annotations.csv, OUT_annotations.json and OUT_report.html; for an object also
    OUT_cells.csv and, if --out is given, OUT.h5ad or OUT.rds with the labels. The run is kept in
    OUT_run. An .rds contains a Seurat object or a SingleCellExperiment and is read by Rscript,
    which must be on the PATH; its clusters are the active identity, or --group-key.
    The engine llm also writes OUT_summary.csv and OUT_conversations.json; its key is taken
    from the environment, for example OPENAI_API_KEY.

    \b
    Examples:
      cellferry annotate markers.csv --out pbmc --tissue blood
      cellferry annotate pbmc.h5ad --group-key leiden --out pbmc_labelled
      cellferry annotate seurat.rds --markers markers.csv --out pbmc_labelled
      cellferry annotate markers.csv --cluster-column cluster --out pbmc
      cellferry annotate markers.csv --dry-run
      cellferry annotate markers.csv --engine llm --provider openai --model gpt-5 --dry-run
      cellferry annotate pbmc.h5ad --cells --out pbmc_cells
      cellferry annotate pbmc.h5ad --cells --dry-run
      cellferry annotate seurat.rds --cells --out pbmc_cells
      cellferry annotate pbmc.h5ad --cells --engine cellatlas --allow-upload --option qc=filter
    """
    from ..annotate.request import AnnotateRequest
    from ..annotations.delivery import DEFAULT_KEYS
    from ..study.study import Context

    level: Level = "cells" if cells else "clusters"
    if cells and markers is not None:
        message = "--cells reads the expression of cells, so --markers cannot be given."
        raise click.UsageError(message)
    base = out if out is not None else default_base(input_file)
    request = AnnotateRequest(
        input_file,
        _engine(engine, options, named, base, level, overwrite=overwrite),
        key or DEFAULT_KEYS[level],
        markers,
        group_key,
        Context(tissue, species, study_context),
        overwrite,
        allow_upload,
        cluster_column,
        gene_column,
    )
    annotate_file(request, base, dry_run=dry_run, with_object=out is not None)


def default_base(input_file: Path) -> Path:
    """Return the base name of the files, in the working folder, where none is given."""
    name = input_file.name.removesuffix(".gz")
    return Path(name.rpartition(".")[0] or name)


def _engine(
    name: str,
    options: dict[str, object],
    named: dict[str, object],
    base: Path,
    level: Level,
    *,
    overwrite: bool,
) -> AnyEngine:
    """Make the engine; one that writes files of its own gets the name of the files."""
    from ..engines import create_engine, engine_options

    if "output_name" in options:
        message = "The name of the files is given with --out."
        raise click.UsageError(message)
    of_files = {"output_name": str(base), "overwrite_files": overwrite}
    known = engine_options(name, level)
    own = {option: value for option, value in of_files.items() if option in known}
    given = {option: value for option, value in named.items() if value is not None}
    return create_engine(name, {**own, **given, **options}, level)


def annotate_file(
    request: AnnotateRequest,
    base: Path,
    run: Run | None = None,
    *,
    dry_run: bool = False,
    with_object: bool = True,
) -> None:
    """Annotate what is in a file, or finish a run of it; label its object and write the files.

    Parameters
    ----------
    request
        Its ``data`` is the path of the file.
    base
        Base name of the files that are written.
    run
        The run to finish; None begins one, in ``<base>_run``.
    dry_run
        Whether only to say what would be done.
    with_object
        Whether the labelled object is written too, not only its tables.

    Raises
    ------
    click.exceptions.Exit
        With 3, where something failed.
    """
    from ..annotate import verb
    from ..engines.base import WritesFiles
    from ..runs.progress import progress_events
    from ..runs.run import claim_outputs

    with opened_input(request) as opened:
        if dry_run:
            click.echo(str(verb.plan(opened.study, request.engine)))
            return
        paths = output_paths(base, None if opened.object is None else opened.object.suffix)
        if not with_object:
            paths.pop("object", None)
        of_engine = request.engine.files if isinstance(request.engine, WritesFiles) else []
        if of_engine:
            # The engine writes the report itself.
            paths.pop("report")
        folder = base.with_name(base.name + "_run") if run is None else run.folder
        claim_outputs(folder, list(paths.values()), overwrite=request.overwrite)
        found: Annotations | CellAnnotations
        with progress_events(show=True, title=f"Annotating {request.level}") as on_event:
            if run is None:
                files: dict[str, object] = {
                    "input": str(request.path.resolve()),
                    "base": str(base.resolve()),
                    "with_object": with_object,
                }
                found = verb.annotate(
                    opened.study,
                    request.engine,
                    allow_upload=request.allow_upload,
                    folder=folder,
                    provenance={**opened.provenance, **files},
                    on_event=on_event,
                )
            else:
                found = verb.resume(run, opened.study, engine=request.engine, on_event=on_event)
        written = _write(found, opened, paths) + of_engine
        remember(folder, written)
    show(found)
    print_files(written)
    exit_with(found)


def show(found: Annotations | CellAnnotations) -> None:
    """Print the table; of cells, also how many there are."""
    click.echo(table(found.summary()))
    if found.level == "cells":
        click.echo(found.summary_line())


def exit_with(found: Annotations | CellAnnotations) -> None:
    """End with the documented code where something failed."""
    if "failed" in found.counts():
        raise click.exceptions.Exit(EXIT_FAILED_CLUSTERS)


def _write(
    found: Annotations | CellAnnotations, opened: Input, paths: dict[str, Path]
) -> list[Path]:
    from ..annotations.report import Embedding, write_report

    summary, embedding = found.summary(), None
    if opened.coordinates is not None and len(summary):
        embedding = Embedding(*opened.coordinates, found.groups(opened.study.clusters))
    writers: dict[Path, Callable[[Path], object]] = {
        paths["table"]: summary.to_csv,
        paths["record"]: lambda p: p.write_text(summary.to_json(), encoding="utf-8"),
    }
    if "report" in paths:
        writers[paths["report"]] = lambda p: write_report(summary, p, embedding=embedding)
    if opened.object is not None:
        columns = opened.object.deliver(found)
        writers[paths["cells"]] = lambda p: columns.to_csv(p, index_label="cell")
        if "object" in paths:
            writers[paths["object"]] = opened.object.save
    return write_all(writers)
