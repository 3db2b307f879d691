"""``cellferry label`` and ``apply``: a person's labels in an object, a run or its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from ..console import plain, the_console
from ..options import FilePath
from ..output import aligned, one_at_a_time, table, write_all

if TYPE_CHECKING:
    import anndata

    from ...annotate.deciding import Asked
    from ...annotations.clusters import Annotations
    from ...annotations.decisions.made import Decided
    from ...annotations.labelling.labels import Labels, Written
    from ...runs.run import Run

ACTIONS = ("accepted", "needs_work", "unknown", "withdrawn")
PATIENCE_SECONDS = 30.0
"""So long another command that writes the same files is waited for."""
_SHOWN = ("at", "cluster", "n_cells", "decision", "label", "by", "reason", "state")


class Source(Protocol):
    """What is decided about: an object in a file, a run, or the table of one."""

    def target(self) -> Labels | Annotations:
        """Return the labels that it has now."""
        ...

    def writers(self, base: Path, made: Decided) -> dict[Path, Callable[[Path], object]]:
        """Return file -> what writes it, beside the summary."""
        ...

    def remember(self, made: Decided) -> None:
        """Keep what was decided where it belongs, once the files are there."""
        ...


def sets_of(
    _context: click.Context, _parameter: click.Parameter, given: Sequence[str]
) -> dict[str, str | None]:
    """Return the labels of ``--set`` by cluster; one without a label needs ``--decision``."""
    found: dict[str, str | None] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if name in found:
            message = f'The cluster "{name}" is given two labels.'
            raise click.BadParameter(message)
        found[name] = text if equals else None
    return found


@click.command()
@click.argument("source", metavar="INPUT")
@click.option(
    "--set", "sets", multiple=True, callback=sets_of, metavar="CLUSTER=LABEL",
    help="The label of a cluster; may be given again. With --decision only CLUSTER.",
)  # fmt: skip
@click.option(
    "--labels", type=FilePath(),
    help="CSV, TSV or xlsx of the columns cluster and label, and decision, reason, by if wanted.",
)  # fmt: skip
@click.option("--from-column", help="Take over the labels of a column of the metadata.")
@click.option("--cells", type=FilePath(), help="File with names of cells, one on each line.")
@click.option("--label", "label_of_cells", help="The label of --cells.")
@click.option("--withdraw", multiple=True, metavar="CLUSTER", help="Withdraw what was decided.")
@click.option("--carry", is_flag=True, help="Take over decisions of earlier clusters, as offered.")
@click.option("--list", "listed", is_flag=True, help="List all decisions, the oldest first.")
@click.option("--key", help="Name of the label column.  [default: the newest of clusters]")
@click.option(
    "--decision", type=click.Choice(ACTIONS),
    help="Of clusters or cells that get no label; withdrawn is of cells.",
)  # fmt: skip
@click.option("--reason", help="Why; kept with the decision.")
@click.option("--by", help="Who decides.  [default: CELLFERRY_REVIEWER, else nobody]")
@click.option(
    "--save",
    type=FilePath(),
    help="Write all decisions to a file, for cellferry apply.",
)
@click.option("--out", type=FilePath(), metavar="NAME", help="Base name of the files.")
@click.option("--overwrite", is_flag=True, help="Replace files, and labels edited by hand.")
def label(  # noqa: PLR0917 - click passes every option by name
    source: str,
    sets: dict[str, str | None],
    labels: Path | None,
    from_column: str | None,
    cells: Path | None,
    label_of_cells: str | None,
    withdraw: Sequence[str],
    carry: bool,
    listed: bool,
    key: str | None,
    decision: str | None,
    reason: str | None,
    by: str | None,
    save: Path | None,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Put a person's labels in force in INPUT: an object that was labelled, or a run.

    INPUT is an .h5ad, zarr or .rds with labels of cellferry, the id or folder of a run, or its
    _annotations.json. An object is written to OUT.h5ad or OUT.rds, a table to
    OUT_annotations.json, with OUT_summary.csv beside it; what is decided about a run is kept in
    its folder, and its files are written with --out. INPUT is not replaced without --overwrite.

    A label is looked up in the Cell Ontology; free text is allowed. Decisions are kept, outlast
    another annotation under the same key, and are undone with --withdraw.

    \b
    Examples:
      cellferry label pbmc.h5ad --set 0="Memory B cell" --reason "CD27 is high" --out memory
      cellferry label pbmc.h5ad --set 1 --decision needs_work --by AB --out decided
      cellferry label pbmc.h5ad --labels labels.csv --out decided
      cellferry label pbmc.h5ad --cells cells.txt --label "Plasma cell" --out plasma
      cellferry label memory.h5ad --withdraw 0 --out undone
      cellferry label memory.h5ad --list --save decisions.json
      cellferry label pbmc_run --set 2="Classical monocyte"
    """
    from ...annotate.deciding import Asked
    from ...annotate.decisions import reviewer, wanted_of
    from ...annotations.decisions.decision import Wanted

    if cells is None and label_of_cells is not None:
        message = "--label is of the cells that --cells names; of a cluster: --set CLUSTER=LABEL."
        raise click.UsageError(message)
    if decision not in {None, "accepted"} and (label_of_cells or any(sets.values())):
        message = f"With --decision {decision} there is no label: give --set CLUSTER, or --cells."
        raise click.UsageError(message)
    if decision == "withdrawn":
        withdraw, sets = [*withdraw, *sets], {}
    by = by or reviewer()
    want = Wanted(None, decision, None, reason, by)
    wanted = wanted_of(labels, want)
    for cluster, one in wanted_of(sets, want).items():
        if cluster in wanted:
            message = f'The cluster "{cluster}" is given two labels: by --set and in --labels.'
            raise click.UsageError(message)
        wanted[cluster] = one
    asked = Asked(
        withdrawn=withdraw,
        wanted=wanted,
        cells=None if cells is None else _names_in(cells),
        of_cells=Wanted(label_of_cells, decision, None, reason, by),
        from_column=from_column,
        carry=carry,
        by=by,
        reason=reason,
        overwrite=overwrite,
    )
    if not asked.changes and not listed and save is None:
        message = "Nothing is to be decided: give --set CLUSTER=LABEL, or --list."
        raise click.UsageError(message)
    _decide(source, asked, key, out, listed=listed, save=save)


@click.command()
@click.argument("decisions", metavar="DECISIONS")
@click.argument("source", metavar="INPUT")
@click.option("--key", help="Name of the label column.  [default: that of DECISIONS]")
@click.option("--out", type=FilePath(), metavar="NAME", help="Base name of the files.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def apply(decisions: str, source: str, key: str | None, out: Path | None, overwrite: bool) -> None:
    """Apply DECISIONS, made on another copy of an object or on a page, to INPUT.

    DECISIONS is what cellferry label --save or the review page wrote, the folder of cellferry
    review, or a run, whose decisions are meant. A decision is about a set of cells: it goes to the
    cluster that has exactly these, whatever it is called; the others are named and left out. INPUT
    and what is written are as of cellferry label.

    \b
    Examples:
      cellferry apply decisions.json pbmc.h5ad --out decided
      cellferry apply pbmc_run pbmc.h5ad --out decided
    """
    from ...annotate.deciding import Asked
    from ...annotate.decisions import is_review, read_decisions
    from ...runs.decided import decisions_in

    named: str | None = None
    run: str | None
    if (Path(decisions) / "run.json").is_file() or not Path(decisions).exists():
        opened = _run_or_file(decisions)
        applied, run = decisions_in(opened.folder), str(opened.id)
    else:
        applied, named, run = read_decisions(decisions)
        if not applied and is_review(decisions):
            the_console().result("Nothing was decided on the page yet.", asked_for=True)
            return
    asked = Asked(applied=applied, run=run, overwrite=overwrite)
    _decide(source, asked, key, out, likely=named)


def _decide(
    source: str,
    asked: Asked,
    key: str | None,
    out: Path | None,
    *,
    likely: str | None = None,
    listed: bool = False,
    save: Path | None = None,
) -> None:
    """Decide, write the files, remember it, and show the table or the history."""
    from ...annotate.deciding import decide_all
    from ...annotations.decisions.history import decisions_text, history

    console = the_console()
    written: list[Path] = []
    with ExitStack() as stack:
        if out is not None and asked.changes:
            # Before INPUT is read, which may be what another process writes just now.
            stack.enter_context(_alone(out))
        opened = stack.enter_context(_opened(source, key, likely, asked))
        made = decide_all(opened.target(), asked)
        found = made.table
        if asked.changes:
            written = _write(opened, made, source, out, overwrite=asked.overwrite)
    run = found.provenance.get("run")
    if save is not None:
        _refuse(save, overwrite=asked.overwrite)
        text = decisions_text(found, key)
        written += write_all({save: lambda p: p.write_text(text, encoding="utf-8")})
    console.wrote(written)
    rows = history(found) if listed or console.as_json else []
    console.result(
        _history_text(rows) if listed else table(found) if asked.changes else "",
        asked_for=listed,
        run=run,
        key=found.provenance.get("key"),
        decided=[d.id for d in made.new],
        counts=found.counts(),
        outputs=[str(path) for path in written],
        rows=plain(found.summary().to_dict()["rows"]),
        decisions=plain(rows),
    )


def _write(
    opened: Source, made: Decided, source: str, out: Path | None, *, overwrite: bool
) -> list[Path]:
    if out is None:
        if not isinstance(opened, _OfRun):
            message = "Say with --out NAME what the files are called; INPUT stays as it is."
            raise click.UsageError(message)
        opened.remember(made)
        return []
    summary = out.with_name(f"{out.name}_summary.csv")
    writers = {**opened.writers(out, made), summary: made.table.summary().to_csv}
    for path in writers:
        _refuse(path, overwrite=overwrite, source=source)
    if isinstance(opened, _OfRun):
        # Its decisions are the record; the files are made of it.
        opened.remember(made)
        return write_all(writers)
    written = write_all(writers)
    opened.remember(made)
    return written


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Have what is written for oneself; raises :class:`RunLockedError` after a while."""
    from ...errors import RunLockedError

    with ExitStack() as stack:
        try:
            stack.enter_context(one_at_a_time(out, PATIENCE_SECONDS))
        except RunLockedError as error:
            error.add_to_hint("Nothing was changed.")
            raise
        yield


def _refuse(path: Path, *, overwrite: bool, source: str | None = None) -> None:
    from ...errors import OutputError

    if path.exists() and not overwrite:
        is_input = source is not None and Path(source).exists() and path.samefile(source)
        what = "is INPUT itself" if is_input else "exists"
        message = f'The file "{path}" {what}, and is not replaced unasked.'
        raise OutputError(message, "Choose another name, or pass `overwrite=True`.")


def _names_in(path: Path) -> list[str]:
    from ...errors import InputError

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f'"{path}" cannot be read: {getattr(error, "strerror", None) or error}.'
        raise InputError(
            message, "Give a text file with one name of a cell on each line."
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _history_text(rows: Sequence[Mapping[str, object]]) -> str:
    if not rows:
        return "Nothing was decided yet."
    texts = [["" if row[n] is None else str(row[n]) for n in _SHOWN] for row in rows]
    return aligned(_SHOWN, texts, right=("n_cells",))


def _run_or_file(name: str) -> Run:
    from ...errors import InputError, RunNotFoundError
    from ...runs.run import Run

    try:
        return Run.open(name)
    except RunNotFoundError as error:
        message = f'There is no file and no run "{name}".'
        raise InputError(message, "Check the path; all runs: cellferry runs list") from error


@contextmanager
def _opened(source: str, key: str | None, likely: str | None, asked: Asked) -> Iterator[Source]:
    """Open what is decided about, by its content.

    Parameters
    ----------
    source
        A file, a folder, or the id of a run.
    key, likely
        The label column that is meant, and one that is taken where the object has it.
    asked
        Names a column that is read besides.
    """
    from ...annotations.clusters import Annotations
    from ...errors import UnsupportedObjectError
    from ...study.inputs.kinds import file_error, file_kind
    from ...study.inputs.objects import read_object

    def choose(store: Mapping[str, str]) -> str:
        from ...annotations.stored import annotations_of

        wanted = key or (likely if likely in store else None)
        found = annotations_of(store, wanted, of_clusters=True)
        return wanted or str(found.provenance.get("key"))

    path = Path(source)
    if not path.exists() or (path / "run.json").is_file() or (path / "journal.jsonl").is_file():
        yield _OfRun(_run_or_file(source))
        return
    if path.suffix == ".json" and path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
        yield _OfTable(Annotations.from_json(text))
        return
    kind = file_kind(path)
    if kind.is_anndata:
        yield _OfAnnData(read_object(path, kind), choose)
    elif kind.is_of_r:
        from ...bridge.rds.decisions import RdsLabels

        with RdsLabels(path, choose, asked.from_column) as of_r:
            yield _OfR(of_r)
    else:
        wanted = "an object that was labelled, a run, or its _annotations.json"
        raise file_error(path, kind, wanted, UnsupportedObjectError)


class _OfAnnData:
    """The labels of an AnnData."""

    def __init__(self, adata: anndata.AnnData, choose: Callable[[Mapping[str, str]], str]) -> None:
        self._adata, self._choose = adata, choose
        self._key = ""

    def target(self) -> Labels | Annotations:
        from ...annotations.delivery import STORE
        from ...annotations.labelling.objects import stored_labels

        store = {str(k): str(v) for k, v in dict(self._adata.uns.get(STORE, {})).items()}
        self._key = self._choose(store)
        labels = stored_labels(self._adata, self._key)
        assert labels is not None
        return labels

    def writers(self, base: Path, made: Decided) -> dict[Path, Callable[[Path], object]]:
        from ...annotate.files import write_h5ad
        from ...annotations.labelling.objects import write_into

        def write(path: Path) -> None:
            if made.written is not None:
                write_into(self._adata, made.written, self._key)
            write_h5ad(self._adata, path)

        return {base.with_name(f"{base.name}.h5ad"): write}

    def remember(self, made: Decided) -> None:
        _remember_beside(made)


class _OfR:
    """The labels of an object in an .rds."""

    def __init__(self, opened: object) -> None:
        from ...bridge.rds.decisions import RdsLabels

        assert isinstance(opened, RdsLabels)
        self._opened = opened
        self._labels: Labels | None = None

    def target(self) -> Labels | Annotations:
        self._labels = self._opened.labels()
        return self._labels

    def writers(self, base: Path, made: Decided) -> dict[Path, Callable[[Path], object]]:
        def write(path: Path) -> None:
            self._opened.deliver(made.written or self._as_it_is())
            self._opened.save(path)

        return {base.with_name(f"{base.name}.rds"): write}

    def _as_it_is(self) -> Written:
        from ...annotations.labelling.labels import Written

        assert self._labels is not None
        return Written(self._labels.record, ())

    def remember(self, made: Decided) -> None:
        _remember_beside(made)


class _OfTable:
    """The record of annotations beside the files of a run."""

    def __init__(self, found: Annotations) -> None:
        self._found = found

    def target(self) -> Labels | Annotations:
        return self._found

    def writers(self, base: Path, made: Decided) -> dict[Path, Callable[[Path], object]]:
        text = made.table.to_json()
        record = base.with_name(f"{base.name}_annotations.json")
        return {record: lambda path: path.write_text(text, encoding="utf-8")}

    def remember(self, made: Decided) -> None:
        _remember_beside(made)


class _OfRun:
    """A run, whose decisions are beside its journal."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def target(self) -> Labels | Annotations:
        return self._run.results().summary()

    def writers(self, base: Path, made: Decided) -> dict[Path, Callable[[Path], object]]:
        return _OfTable(made.table).writers(base, made)

    def remember(self, made: Decided) -> None:
        from ...annotate.decisions import lines_of
        from ...errors import OutputError
        from ...runs.decided import DECISIONS
        from ...runs.decisions import append_to

        if not made.new:
            return
        try:
            append_to(self._run.folder / DECISIONS, lines_of(made))
        except OutputError as error:
            error.add_to_hint("Nothing was changed.")
            raise


def _remember_beside(made: Decided) -> None:
    from ...annotate.decisions import remember

    remember(made)
