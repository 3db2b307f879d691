"""Several engines on one file: ``cellferry annotate --engine a --engine b``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..console import plain, the_console
from ..inputs import is_standard_input, let_r_read
from ..output import one_at_a_time, output_paths, refuse_existing, run_folder, write_all

if TYPE_CHECKING:
    from ...annotate.request import AnnotateRequest
    from ...annotate.verb import OnEvent
    from ...annotations.clusters import Annotations
    from ...engines.base import Engine


def engines_of(
    names: Sequence[str], options: Mapping[str, object], named: Mapping[str, object]
) -> dict[str, Engine[Annotations]]:
    """Return engines by their names.

    Parameters
    ----------
    names
        ``engine``, or ``name=engine``.
    options
        Those of ``--option``, by ``name.option``.
    named
        The other options of engines: each engine gets those that it has.

    Raises
    ------
    click.UsageError
        An option is of no engine, or two engines have one name.
    """
    from ...annotate.agreement.several import named_engines
    from ...engines import create_engine, engine_options

    pairs = [(name, engine or name) for name, _, engine in (n.partition("=") for n in names)]
    if len({name for name, _ in pairs}) < len(pairs):
        named_engines([name for name, _ in pairs])
    engines = dict(pairs)
    own: dict[str, dict[str, object]] = {name: {} for name in engines}
    known = {name: engine_options(engine, "clusters") for name, engine in engines.items()}
    for option, value in named.items():
        having = [name for name in engines if option in known[name]]
        if not having:
            message = f"--{option.replace('_', '-')} is an option of none of these engines."
            raise click.UsageError(message)
        for name in having:
            own[name][option] = value
    for option, value in options.items():
        name, dot, rest = option.partition(".")
        if not dot or name not in engines:
            message = (
                f'--option "{option}" does not say whose it is: with several engines it is '
                f"NAME.OPTION=VALUE, for example {next(iter(engines))}.{rest or option}="
                f"{json.dumps(value)}."
            )
            raise click.UsageError(message)
        own[name][rest] = value
    made = {name: create_engine(engines[name], own[name], "clusters") for name in engines}
    return {name: _of_clusters(engine) for name, engine in made.items()}


def _of_clusters(engine: object) -> Engine[Annotations]:
    from ...engines.base import Engine

    assert isinstance(engine, Engine)
    return engine


def annotate_by_several(
    engines: Mapping[str, Engine[Annotations]],
    request: AnnotateRequest,
    base: Path,
    *,
    dry_run: bool,
    with_object: bool,
) -> tuple[Annotations, list[Path]]:
    """Annotate what is in a file by several engines, and write the files of what they agree on.

    Parameters
    ----------
    engines
        As :func:`engines_of` gives them.
    request
        Its ``data`` is the path; its engine is of no matter.
    base
        Base name of the files; ``-`` writes none. The runs are kept in ``<base>_run``.
    dry_run
        Whether only to say what would be done.
    with_object
        Whether the labelled object is written too.

    Returns
    -------
    tuple
        The answer, and the files.
    """
    from ...annotate.agreement import several
    from ...annotate.pages import annotation_report
    from ...annotations.clusters import Annotations
    from ...annotations.report import write_report
    from ...engines.base import Plan
    from ...runs.progress import progress_events
    from ...study.inputs.kinds import file_kind

    console = the_console()
    path = request.path
    is_of_r = let_r_read(path)
    suffix = ".rds" if is_of_r else ".h5ad" if file_kind(path).is_anndata else None

    def progress(title: str) -> AbstractContextManager[OnEvent | None]:
        return progress_events(show=not console.quiet, title=title, line=console.note)

    def ask(output: Path | None, folder: Path | None) -> Annotations:
        found = several.annotate_by_several(
            engines, request, (), {}, progress=progress, output=output, folder=folder
        )
        assert isinstance(found, Annotations)
        return found

    if dry_run:
        planned = several.annotate_by_several(engines, request, (), {}, dry_run=True)
        assert isinstance(planned, Plan)
        console.result(str(planned), asked_for=True, plan=plain(asdict(planned)))
        raise click.exceptions.Exit
    if is_standard_input(base):
        return ask(None, None), []
    paths = output_paths(base, suffix)
    if not with_object:
        paths.pop("object", None)
    refuse_existing(list(paths.values()), overwrite=request.overwrite)
    with one_at_a_time(base), tempfile.TemporaryDirectory(prefix="cellferry-") as folder:
        labelled = paths.get("object")
        if labelled is None and suffix is not None:
            labelled = Path(folder) / f"labelled{suffix}"
        found = ask(labelled, run_folder(base))
        text = found.to_json()
        writers: dict[Path, Callable[[Path], object]] = {
            paths["table"]: found.to_csv,
            paths["record"]: lambda p: p.write_text(text, encoding="utf-8"),
            paths["report"]: lambda p: write_report(found, p),
        }
        if labelled is not None:
            of_object = labelled
            writers[paths["report"]] = lambda p: annotation_report(
                of_object, p, request.key, overwrite=True, progress=False
            )
            writers[paths["cells"]] = _columns(labelled, request.key, list(engines))
        written = write_all(writers)
    if "object" in paths:
        written.append(paths["object"])
    console.wrote(written)
    return found, written


def _columns(labelled: Path, key: str, names: Sequence[str]) -> Callable[[Path], object]:
    """Return what writes the labels of each cell: those agreed on, and those of each engine."""
    from ...annotations.delivery import COLUMN_SOURCES
    from ...annotations.labelled import labelled as object_of

    obs = object_of(labelled).obs
    wanted = [key + end for end in COLUMN_SOURCES] + [f"{key}_{name}" for name in names]
    columns = obs[[name for name in wanted if name in obs]]
    return lambda path: columns.to_csv(path, index_label="cell")
