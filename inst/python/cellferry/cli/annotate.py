"""``cellferry annotate``: a marker table or an object in a file in, annotated files out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..engines import engine_names
from .inputs import Input, opened_input
from .output import EXIT_FAILED_CLUSTERS, output_paths, print_files, table, write_all

if TYPE_CHECKING:
    from ..annotate.request import AnnotateRequest
    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations, Level
    from ..engines.base import AnyEngine
    from ..errors import CellferryError
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
@click.option("--cells", is_flag=True, help="Annotate every cell of an .h5ad or .rds.")
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
    """Annotate the clusters of INPUT: a marker table (CSV, TSV), an .h5ad, or an .rds.

    With --cells, every cell of an .h5ad or .rds instead.

    Writes OUT_annotations.csv, OUT_annotations.json and OUT_report.html; for an .h5ad
    or .rds also OUT.h5ad or OUT.rds with the labels, and OUT_cells.csv. The run is kept in
    OUT_run. An .rds contains a Seurat object or a SingleCellExperiment and is read by Rscript,
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
    )
    annotate_file(request, base, dry_run=dry_run)


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
    request: AnnotateRequest, base: Path, run: Run | None = None, *, dry_run: bool = False
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

    Raises
    ------
    click.exceptions.Exit
        With 3, where something failed.
    """
    from contextlib import ExitStack

    from ..annotate import verb
    from ..engines.base import WritesFiles
    from ..files import sweep
    from ..runs.lock import held
    from ..runs.progress import progress_events
    from ..runs.run import Run, check_folder, claim_outputs

    with opened_input(request) as opened:
        if dry_run:
            click.echo(str(verb.plan(opened.study, request.engine)))
            return
        paths = output_paths(base, None if opened.object is None else opened.object.suffix)
        of_engine = request.engine.files if isinstance(request.engine, WritesFiles) else []
        if of_engine:
            # The engine writes the report itself.
            paths.pop("report")
        folder = base.with_name(base.name + "_run") if run is None else run.folder
        # Refused before the folder is made, and again when nobody else can write there.
        check_folder(folder)
        claim_outputs(folder, list(paths.values()), overwrite=request.overwrite)
        found: Annotations | CellAnnotations
        with ExitStack() as stack:
            stack.enter_context(held(folder))
            claim_outputs(folder, list(paths.values()), overwrite=request.overwrite)
            on_event = stack.enter_context(
                progress_events(show=True, title=f"Annotating {request.level}")
            )
            if run is None:
                files = {"input": str(request.path.resolve()), "base": str(base.resolve())}
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
            sweep(base.absolute().parent, base.name[:20])
            run = Run.open(folder)
            written = _write(found, opened, paths, run) + of_engine
            labelled, problem = _label(found, opened, paths, run)
            written += labelled
    show(found)
    print_files(written)
    if problem is not None:
        raise problem
    exit_with(found)


def annotate_table(run: Run, base: Path, *, overwrite: bool = False) -> None:
    """Finish a run about clusters from what it keeps, and write its files but for an object.

    Parameters
    ----------
    run
        The run to finish.
    base
        Base name of the files that are written.
    overwrite
        Whether files of other origin are replaced.

    Raises
    ------
    click.exceptions.Exit
        With 3, where something failed.
    """
    from ..annotate import verb
    from ..engines.base import WritesFiles
    from ..runs.lock import held
    from ..runs.progress import progress_events
    from ..runs.run import Run, claim_outputs

    engine = verb.engine_of(run)
    paths = output_paths(base, None)
    of_engine = engine.files if isinstance(engine, WritesFiles) else []
    if of_engine:
        paths.pop("report")
    with held(run.folder):
        claim_outputs(run.folder, list(paths.values()), overwrite=overwrite)
        with progress_events(show=True, title="Annotating clusters") as on_event:
            found = verb.resume(run, engine=engine, on_event=on_event)
        opened = Input(run.study(), {})
        written = _write(found, opened, paths, Run.open(run.folder)) + of_engine
    show(found)
    source = run.provenance.get("input")
    if source is None:
        print_files(written)
    else:
        # Not all that the command was to write: that is said first.
        click.echo(f'"{source}" is not there any more: no object was labelled.', err=True)
        click.echo(f"  Label it with: cellferry runs resume {run.id} --input FILE", err=True)
        click.echo(f"  Its other files are there: {', '.join(map(str, written))}", err=True)
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
    found: Annotations | CellAnnotations, opened: Input, paths: dict[str, Path], run: Run
) -> list[Path]:
    """Write the tables and the report of a run, and return what was written."""
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
    return write_all(writers, run)


def _label(
    found: Annotations | CellAnnotations, opened: Input, paths: dict[str, Path], run: Run
) -> tuple[list[Path], CellferryError | None]:
    """Label the object of a file; return the files, and why some could not be written.

    The answer may have cost much: its tables and report are there before.
    """
    from ..errors import CellferryError

    if opened.object is None:
        return [], None
    written: list[Path] = []
    try:
        columns = opened.object.deliver(found)
        written += write_all({paths["cells"]: lambda p: columns.to_csv(p, index_label="cell")}, run)
        written += write_all({paths["object"]: opened.object.save}, run)
    except CellferryError as error:
        return written, error
    return written, None
