"""``cellferry annotate``: a marker table or an .h5ad in, annotated files out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..engines import ENGINES
from .output import output_paths, table, tell_files, write_all

if TYPE_CHECKING:
    from ..annotations import Annotations
    from ..runs import Run
    from ..study import Study

EXIT_FAILED_CLUSTERS = 3


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
@click.option("--engine", default="local", show_default=True, help=f"One of: {', '.join(ENGINES)}.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Base name of the files.  [default: from INPUT]"
)
@click.option("--markers", type=click.Path(path_type=Path), help="Marker table for an .h5ad.")
@click.option("--group-key", help="Column of clusters, in obs or in the marker table.")
@click.option("--key", default="cell_type", show_default=True, help="Name of the label column.")
@click.option("--tissue", help="Tissue, for example blood.")
@click.option("--species", help="Species.  [default: told from the gene names]")
@click.option("--study-context", default="", help="What the experiment is about.")
@click.option("--provider", help="Provider of the model, or the base URL of a server.")
@click.option("--model", help="Model, as the provider names it.")
@click.option("--base-url", help="Address of an OpenAI-compatible server, exactly as given.")
@click.option("--max-workers", type=int, help="Calls that run at the same time.")
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
    key: str,
    tissue: str | None,
    species: str | None,
    study_context: str,
    allow_upload: bool,
    overwrite: bool,
    dry_run: bool,
    options: dict[str, Any],
    **named: Any,
) -> None:
    """Annotate the clusters of INPUT: a marker table (CSV, TSV) or an .h5ad.

    Writes OUT_annotations.csv, OUT_annotations.json and OUT_report.html; for an .h5ad
    also OUT.h5ad with the labels in obs, and OUT_cells.csv. The run is kept in OUT_run.
    The engine llm also writes OUT_summary.csv and OUT_conversations.json; its key is taken
    from the environment, for example OPENAI_API_KEY.

    \b
    Examples:
      cellferry annotate markers.csv --out pbmc --tissue blood
      cellferry annotate pbmc.h5ad --group-key leiden --out pbmc_labelled
      cellferry annotate markers.csv --dry-run
      cellferry annotate markers.csv --engine llm --provider openai --model gpt-5 --dry-run
    """
    from .. import delivery
    from ..annotate import annotate as run_engine
    from ..annotate import build_study, plan_clusters
    from ..engines import WritesFiles, create_engine, engine_options
    from ..progress import progress_events
    from ..runs import claim_outputs
    from ..study import Context

    base = out if out is not None else Path(_stem(input_file))
    if "output_name" in options:
        message = "The name of the files is given with --out."
        raise click.UsageError(message)
    of_files = {"output_name": str(base), "overwrite_files": overwrite}
    known = engine_options(engine)
    chosen = create_engine(
        engine,
        {
            **{name: value for name, value in of_files.items() if name in known},
            **{name: value for name, value in named.items() if value is not None},
            **options,
        },
    )
    context = Context(tissue, species, study_context)
    data = _read(input_file)
    is_anndata = not isinstance(data, Path)
    if is_anndata:
        stored = data.uns.get(delivery.STORE, {}).get(key)
        delivery.check_key(
            key, list(data.obs.columns), delivery.owned_columns(stored), overwrite=overwrite
        )
    else:
        delivery.check_key(key, ())
    study = build_study(data, markers, group_key=group_key, context=context)
    if dry_run:
        click.echo(plan_clusters(study, chosen).told())
        return
    paths = output_paths(base)
    folder = base.with_name(base.name + "_run")
    if isinstance(chosen, WritesFiles):
        # The engine writes the report itself.
        paths.pop("report")
    claimed = [p for k, p in paths.items() if is_anndata or k not in _OBJECT]
    claim_outputs(folder, claimed, overwrite=overwrite)
    with progress_events(show=True) as on_event:
        found = run_engine(
            study,
            chosen,
            allow_upload=allow_upload,
            folder=folder,
            provenance={"key": key, "object": "AnnData" if is_anndata else "markers"},
            on_event=on_event,
        )
    if is_anndata:
        delivery.attach(data, found, study.clusters, key)
    written = _write(found, study, data if is_anndata else None, paths)
    if isinstance(chosen, WritesFiles):
        written += chosen.files
    _remember(folder, written)
    click.echo(table(found))
    tell_files(written)
    if any(row.status == "failed" for row in found):
        raise click.exceptions.Exit(EXIT_FAILED_CLUSTERS)


_OBJECT = ("object", "cells")


def _read(path: Path) -> Any:
    """Return an AnnData for an .h5ad, else the path of a marker table."""
    from ..errors import InputError, UnsupportedObjectError

    if path.suffix == ".rds":
        message = f'"{path}" is an R object, which this command does not read.'
        hint = "In R: AnnotateClusters(readRDS(...)). Or export the markers as CSV."
        raise UnsupportedObjectError(message, hint)
    if path.suffix != ".h5ad":
        return path
    import anndata

    try:
        return anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        message = f'"{path}" cannot be read as .h5ad: {error}'
        raise InputError(message, "Check the path and the file.") from error


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def _remember(folder: Path, written: list[Path]) -> None:
    from ..runs import Run

    run: Run = Run.open(folder)
    for path in written:
        run.wrote(path)


def _write(found: Annotations, study: Study, adata: Any, paths: dict[str, Path]) -> list[Path]:
    from ..report import Embedding, write_report

    embedding = None
    if study.coordinates is not None:
        embedding = Embedding(*study.coordinates, study.clusters)
    writers: dict[Path, Any] = {
        paths["table"]: found.to_csv,
        paths["record"]: lambda p: p.write_text(found.to_json(), encoding="utf-8"),
    }
    if "report" in paths:
        writers[paths["report"]] = lambda p: write_report(found, p, embedding=embedding)
    if adata is not None:
        columns = list(found.provenance["columns"])
        writers[paths["cells"]] = lambda p: adata.obs[columns].to_csv(p, index_label="cell")
        writers[paths["object"]] = adata.write_h5ad
    return write_all(writers)
