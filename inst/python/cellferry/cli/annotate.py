"""``cellferry annotate``: a marker table or an object in a file in, annotated files out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..engines import CELL_ENGINES, ENGINES
from .inputs import Input, Request, opened_input
from .output import output_paths, remember, table, tell_files, write_all

if TYPE_CHECKING:
    from ..annotations.clusters import Annotations
    from ..engines.base import CellEngine, Engine

EXIT_FAILED_CLUSTERS = 3


_NAMES = f"{', '.join(ENGINES)}; for cells {', '.join(CELL_ENGINES)}"


def _options(_context: click.Context, _parameter: click.Parameter, given: Any) -> dict[str, Any]:
    options = {}
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
@click.option("--cells", is_flag=True, help="Annotate every cell of an .h5ad or .rds.")
@click.option("--key", help="Name of the label column.  [default: cell_type; cell_type_cell]")
@click.option("--tissue", help="Tissue, for example blood.")
@click.option("--species", help="Species.  [default: told from the gene names]")
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
    cells: bool,
    key: str | None,
    tissue: str | None,
    species: str | None,
    study_context: str,
    allow_upload: bool,
    overwrite: bool,
    dry_run: bool,
    options: dict[str, Any],
    **named: Any,
) -> None:
    """Annotate the clusters of INPUT: a marker table (CSV, TSV), an .h5ad, or an .rds.

    With --cells, every cell of an .h5ad or .rds instead.

    Writes OUT_annotations.csv, OUT_annotations.json and OUT_report.html; for an .h5ad
    or .rds also OUT.h5ad or OUT.rds with the labels, and OUT_cells.csv. The run is kept in
    OUT_run. An .rds holds a Seurat object or a SingleCellExperiment and is read by Rscript,
    which must be on the PATH; its clusters are the active identity, or --group-key.
    The engine llm also writes OUT_summary.csv and OUT_conversations.json; its key is taken
    from the environment, for example OPENAI_API_KEY.

    \b
    Examples:
      cellferry annotate markers.csv --out pbmc --tissue blood
      cellferry annotate pbmc.h5ad --group-key leiden --out pbmc_labelled
      cellferry annotate seurat.rds --markers markers.csv --out pbmc_labelled
      cellferry annotate markers.csv --dry-run
      cellferry annotate markers.csv --engine llm --provider openai --model gpt-5 --dry-run
      cellferry annotate pbmc.h5ad --cells --out pbmc_cells
      cellferry annotate seurat.rds --cells --out pbmc_cells
      cellferry annotate pbmc.h5ad --cells --engine cellatlas --allow-upload --option qc=filter
    """
    from ..annotate.clusters import plan_clusters
    from ..study.study import Context
    from .cell_inputs import Asked
    from .cells import DEFAULT_KEY, annotate_file

    base = out if out is not None else Path(_stem(input_file))
    if cells:
        if markers is not None:
            message = "--cells reads the expression of cells, so --markers cannot be given."
            raise click.UsageError(message)
        known = {"tissue": tissue, "species": species, "study_context": study_context}
        asked = Asked(
            input_file, base, key or DEFAULT_KEY, group_key, known, allow_upload, overwrite
        )
        annotate_file(asked, _cell_engine(engine, options, named), dry_run=dry_run)
        return
    request = Request(
        input_file,
        _engine(engine, options, named, base, overwrite),
        markers,
        group_key,
        key or "cell_type",
        Context(tissue, species, study_context),
        overwrite,
        allow_upload,
    )
    with opened_input(request) as opened:
        if dry_run:
            click.echo(plan_clusters(opened.study, request.engine).told())
            return
        found = _annotated(opened, request, base)
    if any(row.status == "failed" for row in found):
        raise click.exceptions.Exit(EXIT_FAILED_CLUSTERS)


def _engine(
    name: str, options: dict[str, Any], named: dict[str, Any], base: Path, overwrite: bool
) -> Engine:
    """Make the engine; one that writes files of its own gets the name of the files."""
    from ..engines import create_engine, engine_options

    if "output_name" in options:
        message = "The name of the files is given with --out."
        raise click.UsageError(message)
    of_files = {"output_name": str(base), "overwrite_files": overwrite}
    known = engine_options(name)
    own = {option: value for option, value in of_files.items() if option in known}
    return create_engine(name, {**own, **_given(named), **options})


def _cell_engine(name: str, options: dict[str, Any], named: dict[str, Any]) -> CellEngine:
    from ..engines import create_cell_engine

    return create_cell_engine(name, {**_given(named), **options})


def _given(named: dict[str, Any]) -> dict[str, Any]:
    return {option: value for option, value in named.items() if value is not None}


def _annotated(opened: Input, request: Request, base: Path) -> Annotations:
    """Run the engine, label the object, write the files and tell of them."""
    from ..annotate.verb import annotate as run_engine
    from ..engines.base import WritesFiles
    from ..runs.progress import progress_events
    from ..runs.run import claim_outputs

    paths = output_paths(base, opened.suffix)
    folder = base.with_name(base.name + "_run")
    if isinstance(request.engine, WritesFiles):
        # The engine writes the report itself.
        paths.pop("report")
    claim_outputs(folder, list(paths.values()), overwrite=request.overwrite)
    with progress_events(show=True) as on_event:
        found = run_engine(
            opened.study,
            request.engine,
            allow_upload=request.allow_upload,
            folder=folder,
            provenance=opened.provenance,
            on_event=on_event,
        )
    written = _write(found, opened, paths)
    if isinstance(request.engine, WritesFiles):
        written += request.engine.files
    remember(folder, written)
    click.echo(table(found))
    tell_files(written)
    return found


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def _write(found: Annotations, opened: Input, paths: dict[str, Path]) -> list[Path]:
    from ..annotations.report import Embedding, write_report

    embedding = None
    if opened.study.coordinates is not None:
        embedding = Embedding(*opened.study.coordinates, opened.study.clusters)
    writers: dict[Path, Any] = {
        paths["table"]: found.to_csv,
        paths["record"]: lambda p: p.write_text(found.to_json(), encoding="utf-8"),
    }
    if "report" in paths:
        writers[paths["report"]] = lambda p: write_report(found, p, embedding=embedding)
    if "object" in paths:
        cells = opened.deliver(found)
        writers[paths["cells"]] = lambda p: cells.to_csv(p, index_label="cell")
        writers[paths["object"]] = opened.save
    return write_all(writers)
