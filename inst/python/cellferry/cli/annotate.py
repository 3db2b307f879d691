"""``cellferry annotate``: a marker table or an object in a file in, annotated files out."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..engines import engine_names
from ..errors import counted, listing
from .console import Console, plain, the_console
from .exits import EXIT_FAILED_CLUSTERS, EXIT_OK
from .inputs import (
    STANDARD_INPUT,
    is_standard_input,
    opened_input,
    place_given,
    with_standard_input,
)
from .known import complete_engines, complete_options
from .labels.several import annotate_by_several, engines_of
from .options import FilePath, InputPath
from .output import one_at_a_time, output_paths, run_folder, table, write_all

if TYPE_CHECKING:
    from ..annotate.files import Input
    from ..annotate.request import AnnotateRequest
    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations, Level
    from ..engines.base import AnyEngine
    from ..errors import CellferryError
    from ..runs.run import Run
    from ..runs.worker import Event
    from ..study.inputs.several import Where

_NAMES = f"{', '.join(engine_names())}; for cells {', '.join(engine_names('cells'))}"


def engine_options_of(
    _context: click.Context, _parameter: click.Parameter, given: Sequence[str]
) -> dict[str, object]:
    """Return the values of ``--option`` by name; a value is JSON, else text."""
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
@click.argument(
    "input_file", metavar="INPUT...", type=InputPath(), nargs=-1, required=True,
    callback=place_given,
)  # fmt: skip
@click.option(
    "--engine", "engines", multiple=True, metavar="[NAME=]ENGINE",
    help=f"One of: {_NAMES}; again for more, which vote.  [default: local]",
    shell_complete=complete_engines,
)  # fmt: skip
@click.option(
    "--out",
    type=FilePath(),
    metavar="NAME",
    help='Base name of the files; "-" writes the table to standard output and no files.  '
    "[default: from INPUT]",
)
@click.option(
    "--markers", type=FilePath(),
    help="Marker table for an .h5ad or .rds.  [default: its ranking, else as cellferry markers]",
)  # fmt: skip
@click.option("--group-key", help="Column of clusters, in the metadata or the marker table.")
@click.option("--assay", help="Assay of an .rds that is read.  [default: its default assay]")
@click.option("--cluster-column", help="Column of clusters in the marker table, if not recognised.")
@click.option("--gene-column", help="Column of genes in the marker table, if not recognised.")
@click.option("--cells", is_flag=True, help="Annotate every cell of an object.")
@click.option("--key", help="Name of the label column.  [default: cell_type; cell_type_cell]")
@click.option("--within", help="Column of earlier labels: only parts of their clusters are asked.")
@click.option("--tissue", help="Tissue, for example blood.")
@click.option("--species", help="Species.  [default: found by the gene names]")
@click.option("--study-context", default="", help="What the experiment is about.")
@click.option("--provider", help="Provider of the model, or the base URL of a server.")
@click.option("--model", help="Model, as the provider names it.")
@click.option("--base-url", help="Address of an OpenAI-compatible server, exactly as given.")
@click.option("--max-workers", type=int, help="Calls that run at the same time.")
@click.option("--api-url", help="Address of the service that the engine asks.")
@click.option("--allow-upload", is_flag=True, help="Let an engine send expression or metadata.")
@click.option("--levels", is_flag=True, help="Write broader labels too: KEY_broad, _medium, _fine.")
@click.option("--overwrite", is_flag=True, help="Replace files and columns of other origin.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and sent; do nothing.")
@click.option(
    "--scheduler", metavar="ADDRESS",
    help="With --cells: a cluster of dask that does the work, or local.",
)  # fmt: skip
@click.option(
    "--option", "options", multiple=True, callback=engine_options_of, metavar="NAME=VALUE",
    shell_complete=complete_options,
    help="An option, see cellferry engines; of several engines NAME.OPTION=VALUE. Repeatable.",
)  # fmt: skip
def annotate(  # noqa: PLR0917 - click passes every option by name
    input_file: Where,
    engines: Sequence[str],
    out: Path | None,
    markers: Path | None,
    group_key: str | None,
    assay: str | None,
    cluster_column: str | None,
    gene_column: str | None,
    cells: bool,
    key: str | None,
    within: str | None,
    tissue: str | None,
    species: str | None,
    study_context: str,
    allow_upload: bool,
    levels: bool,
    overwrite: bool,
    dry_run: bool,
    options: dict[str, object],
    **named: object,
) -> None:
    """Annotate the clusters of INPUT: a marker table (CSV, TSV), an .h5ad, zarr or .rds.

    With --cells, every cell of an .h5ad, zarr, .rds, or 10x .h5 or folder instead. Without it an
    engine that answers cells names each cluster after most of its cells. What INPUT is
    is seen by its content, not by its name. The INPUT "-" is a marker table on standard input,
    which may be gzipped; its table goes to standard output unless --out is given. Several INPUT
    (.h5ad, zarr, 10x) are read as one object: the cells of one after those of the other, with the
    genes and columns that all have. An AnnData in zarr may be at an address, such as
    https://host/x.zarr.

    Writes OUT_annotations.csv, OUT_annotations.json and OUT_report.html; for an object also
    OUT_cells.csv and, if --out is given, OUT.h5ad or OUT.rds with the labels. The run is kept in
    OUT_run. An .rds contains a Seurat object or a SingleCellExperiment and is read by Rscript,
    which must be on the PATH; its clusters are the active identity, or --group-key. The cells of an
    .h5ad can be answered by a cluster of dask: --scheduler tcp://host:8786.
    With several engines each label is in KEY_NAME of the object, and what they agree on is the
    answer (see the command consensus). One that fails has no vote.
    The engine llm also writes OUT_summary.csv and OUT_conversations.json; its key is taken
    from the environment, for example OPENAI_API_KEY. The exit code is 3 where clusters failed.

    \b
    Examples:
      cellferry annotate markers.csv --out pbmc --tissue blood
      cellferry annotate pbmc.h5ad --group-key leiden --out pbmc_labelled
      cellferry annotate seurat.rds --markers markers.csv --out pbmc_labelled
      cellferry annotate pbmc_labelled.h5ad --group-key sub --within cell_type --out pbmc_sub
      cellferry annotate markers.csv --cluster-column cluster --out pbmc
      cellferry annotate markers.csv --dry-run
      cellferry annotate markers.csv --engine llm --provider openai --model gpt-5 --dry-run
      cellferry annotate markers.csv --engine local --engine ten=local --option ten.n_genes=10
      cellferry annotate pbmc.h5ad --cells --out pbmc_cells
      cellferry annotate markers.csv --out pbmc --json --log-file pbmc.log
      zcat markers.csv.gz | cellferry annotate - --tissue blood > annotations.csv
      cellferry annotate pbmc.h5ad --cells --dry-run
      cellferry annotate donor1.h5ad donor2.h5ad --cells --out both
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
    if cells and within is not None:
        message = "--within is for the clusters of an object, so --cells cannot be given."
        raise click.UsageError(message)
    if is_standard_input(input_file) and (cells or markers is not None):
        message = 'INPUT "-" is a marker table, which has no cells and takes no --markers.'
        raise click.UsageError(message)
    base = out if out is not None else default_base(input_file)
    named = {option: value for option, value in named.items() if value is not None}
    several = None
    if len(engines) > 1:
        if not isinstance(input_file, Path):
            message = (
                "Several files, or an address, are annotated by one engine; there are several."
            )
            raise click.UsageError(message)
        for option, given in (("--cells", cells), ("--within", within is not None)):
            if given:
                message = f"{option} is for one engine, and there are several."
                raise click.UsageError(message)
        several = engines_of(engines, options, named)
        made: AnyEngine = next(iter(several.values()))
    else:
        engine = engines[0] if engines else "local"
        made = _engine(engine, options, named, base, level, overwrite=overwrite)
    with (
        with_standard_input(input_file) as file,
        with_standard_input(markers) as marker_file,
    ):
        request = AnnotateRequest(
            file,
            made,
            key or DEFAULT_KEYS[level],
            marker_file,
            group_key,
            Context(tissue, species, study_context),
            overwrite,
            allow_upload,
            assay,
            cluster_column,
            gene_column,
            levels=levels,
            within=within,
            key_given=key is not None,
        )
        if several is not None:
            found, written = annotate_by_several(
                several, request, base, dry_run=dry_run, with_object=out is not None
            )
            show_written(found, the_console(), written, of_table=is_standard_input(base))
            return
        source = None if is_standard_input(input_file) else input_file
        annotate_file(request, base, source=source, dry_run=dry_run, with_object=out is not None)


def default_base(input_file: Where) -> Path:
    """Return the base name of the files, in the working folder, where none is given.

    What comes on standard input goes to standard output.
    """
    if is_standard_input(input_file):
        return STANDARD_INPUT
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
    if is_standard_input(base):
        of_files = {}
    known = engine_options(name, level)
    own = {option: value for option, value in of_files.items() if option in known}
    return create_engine(name, {**own, **named, **options}, level)


def annotate_file(
    request: AnnotateRequest,
    base: Path,
    run: Run | None = None,
    *,
    source: Where | None = None,
    dry_run: bool = False,
    with_object: bool = True,
) -> None:
    """Annotate what is in a file, or finish a run of it; label its object and write the files.

    Parameters
    ----------
    request
        Its ``data`` is the path of the file, or several.
    base
        Base name of the files that are written; ``-`` writes none, and the table to standard
        output.
    run
        The run to finish; None begins one, in ``<base>_run``.
    source
        The file that the run remembers, to be read again; None for standard input.
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

    console = the_console()
    to = None if is_standard_input(base) else base
    work = _Work(request, console, run, source, to, with_object)
    if dry_run:
        with opened_input(request, console) as opened:
            planned = verb.plan(opened.study, request.engine)
        console.result(str(planned), asked_for=True, plan=plain(asdict(planned)))
    elif work.base is None:
        with opened_input(request, console) as opened:
            found = work.annotated(opened, None)
        show_written(found, console, [], of_table=True)
    else:
        with one_at_a_time(work.base):
            found, written, problem = work.written(work.base)
        console.wrote(written)
        if problem is not None:
            problem.data["outputs"] = [str(path) for path in written]
            if not console.as_json:
                console.out(table(found.summary()))
            raise problem
        show_written(found, console, written)


@dataclass(frozen=True)
class _Work:
    """One file to annotate: by a new run, or by the one that is given.

    Attributes
    ----------
    source, base
        What the run remembers, to read its input again and write its files.
    with_object
        Whether the labelled object is written too.
    """

    request: AnnotateRequest
    console: Console
    run: Run | None
    source: Where | None
    base: Path | None
    with_object: bool = True

    def written(
        self, base: Path
    ) -> tuple[Annotations | CellAnnotations, list[Path], CellferryError | None]:
        """Annotate, and write the files of a name; also why an object could not be written."""
        from ..engines.base import WritesFiles
        from ..files import sweep
        from ..runs.decided import with_decided
        from ..runs.lock import held
        from ..runs.run import Run, check_folder, claim_outputs

        request = self.request
        folder = run_folder(base) if self.run is None else self.run.folder
        check_folder(folder)
        with held(folder), opened_input(request, self.console) as opened:
            paths = output_paths(base, None if opened.object is None else opened.object.suffix)
            if not self.with_object:
                paths.pop("object", None)
            of_engine = request.engine.files if isinstance(request.engine, WritesFiles) else []
            if of_engine:
                # The engine writes the report itself.
                paths.pop("report")
            claim_outputs(folder, list(paths.values()), overwrite=request.overwrite)
            found = self.annotated(opened, folder)
            found = with_decided(found, folder, Run.open(folder).id)
            if opened.object is not None:
                found = opened.object.in_force(found)
            try:
                sweep(base.absolute().parent, base.name[:20])
                run = Run.open(folder)
                written = _write(found, opened, paths, run) + of_engine
                labelled, problem = _label(found, opened, paths, run)
            except KeyboardInterrupt as interrupt:
                identifier = str(found.provenance.get("run"))
                interrupt.add_note(f"Write its files with: cellferry runs resume {identifier}")
                interrupt.run = identifier  # type: ignore[attr-defined]
                raise
        return found, written + labelled, problem

    def annotated(self, opened: Input, folder: Path | None) -> Annotations | CellAnnotations:
        """Begin the run in a folder (None: in the user's data folder), or finish the one given."""
        from ..annotate import verb
        from ..runs.progress import progress_events

        request, console = self.request, self.console
        title = f"Annotating {request.level}"
        with progress_events(show=not console.quiet, title=title, line=console.note) as drawn:

            def on_event(event: Event) -> None:
                console.progress(event)
                if drawn is not None:
                    drawn(event)

            if self.run is not None:
                return verb.resume(
                    self.run,
                    opened.study,
                    engine=request.engine,
                    allow_upload=request.allow_upload,
                    on_event=on_event,
                )
            files = {"input": self.source, "base": self.base}
            kept = {k: _resolved(place) for k, place in files.items() if place is not None}
            found: Annotations | CellAnnotations = verb.annotate(
                opened.study,
                request.engine,
                allow_upload=request.allow_upload,
                folder=folder,
                provenance={**opened.provenance, **kept, "with_object": self.with_object},
                on_event=on_event,
            )
            return found


def _resolved(place: Where) -> str | list[str]:
    """Return what a run remembers of a path or an address, or of several."""
    if isinstance(place, Path):
        return str(place.resolve())
    several = getattr(place, "paths", None)
    return str(place) if several is None else [str(_resolved(path)) for path in several]


def annotate_table(
    run: Run,
    base: Path,
    *,
    overwrite: bool = False,
    options: Mapping[str, object] | None = None,
    allow_upload: bool = False,
) -> None:
    """Finish a run about clusters from what it keeps, and write its files but for an object.

    Parameters
    ----------
    run
        The run to finish.
    base
        Base name of the files that are written.
    overwrite
        Whether files of other origin are replaced.
    options, allow_upload
        As in :func:`cellferry.annotate.verb.resume`.

    Raises
    ------
    click.exceptions.Exit
        With 3, where something failed.
    """
    from ..annotate import verb
    from ..annotate.files import Input
    from ..engines.base import WritesFiles
    from ..runs.lock import held
    from ..runs.progress import progress_events
    from ..runs.run import Run, claim_outputs

    console = the_console()
    engine = verb.engine_of(run, options)
    paths = output_paths(base, None)
    of_engine = engine.files if isinstance(engine, WritesFiles) else []
    if of_engine:
        paths.pop("report")
    with one_at_a_time(base), held(run.folder):
        claim_outputs(run.folder, list(paths.values()), overwrite=overwrite)
        with progress_events(show=not console.quiet, line=console.note) as on_event:
            found = verb.resume(run, engine=engine, allow_upload=allow_upload, on_event=on_event)
        written = _write(found, Input(run.study(), {}), paths, Run.open(run.folder)) + of_engine
    source = run.provenance.get("input")
    if source is not None:
        # Not all that the command was to write: that is said first.
        named = source if isinstance(source, str) else listing(source, 3).strip('"')
        console.note(f'"{named}" is not there any more: no object was labelled.', logging.WARNING)
        console.note(f"  Label it with: cellferry runs resume {run.id} --input FILE")
        console.note(f"  Its other files are there: {', '.join(map(str, written))}")
    else:
        console.wrote(written)
    show_written(found, console, written)


def show(found: Annotations | CellAnnotations) -> None:
    """Print the table; of cells, also how many there are; end with 3 where something failed."""
    show_written(found, the_console(), [])


def show_written(
    found: Annotations | CellAnnotations,
    console: Console,
    written: list[Path],
    *,
    of_table: bool = False,
) -> None:
    """Write the result: the table for people, the CSV of ``--out -``, or JSON.

    Parameters
    ----------
    found
        The answer.
    console
        Where it is said.
    written
        The files that were written.
    of_table
        Whether it is the CSV that was asked for.
    """
    summary = found.summary()
    text = _csv(summary) if of_table else table(summary)
    if found.level == "cells" and not of_table:
        text += f"\n{found.summary_line()}"
    reason = reason_of(found)
    console.result(
        text,
        code=EXIT_FAILED_CLUSTERS if reason else EXIT_OK,
        reason=reason,
        asked_for=of_table,
        run=found.provenance.get("run"),
        counts=found.counts(),
        outputs=[str(path) for path in written],
        rows=plain(summary.to_dict()["rows"]),
        provenance=plain(found.provenance),
    )


def _csv(found: Annotations) -> str:
    with tempfile.TemporaryDirectory(prefix="cellferry-") as folder:
        path = Path(folder) / "annotations.csv"
        found.to_csv(path)
        return path.read_text(encoding="utf-8").rstrip("\n")


def reason_of(found: Annotations | CellAnnotations) -> str:
    """Return why not everything was answered; empty where everything was.

    Skipped clusters, which have no markers, are no failure; those that a budget or a service left
    unasked are.
    """
    what = "cluster" if found.level == "clusters" else "cell"
    counts = found.counts()
    rows = found.summary()
    asked = [str(name) for name in found.provenance.get("to_be_asked") or ()]
    failed = {row.cluster: row.error for row in rows if row.status == "failed"}
    left = {row.cluster: row.error for row in rows if row.cluster in asked} if asked else {}
    n = max(counts.get("failed", 0), len(failed | left) if what == "cluster" else 0)
    if not n:
        return ""
    lines = [f"{n} of {counted(sum(counts.values()), what)} got no answer."]
    lines += [f'  {what} "{name}": {error}' for name, error in [*(failed | left).items()][:5]]
    if len(failed | left) > 5:
        lines.append(f"  and {len(failed | left) - 5} more")
    if asked:
        lines.append(f"Ask again with: cellferry runs resume {found.provenance.get('run')}")
    return "\n".join(lines)


def _write(
    found: Annotations | CellAnnotations, opened: Input, paths: dict[str, Path], run: Run
) -> list[Path]:
    """Write the tables and the report of a run, and return what was written."""
    from ..annotate.pages import content_of_run
    from ..annotations.report import Embedding, write_report

    summary, embedding = found.summary(), None
    groups = found.groups(opened.study.clusters)
    if opened.coordinates is not None and len(summary):
        embedding = Embedding(*opened.coordinates, groups)
    writers: dict[Path, Callable[[Path], object]] = {
        paths["table"]: summary.to_csv,
        paths["record"]: lambda p: p.write_text(summary.to_json(), encoding="utf-8"),
    }
    if "report" in paths:
        content = content_of_run(run, opened.study, summary, groups, opened.coordinates)
        writers[paths["report"]] = lambda p: write_report(
            summary, p, embedding=embedding, content=content
        )
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
        if "object" in paths:
            written += write_all({paths["object"]: opened.object.save}, run)
    except CellferryError as error:
        return written, error
    return written, None
