"""Several engines in one call: each answers the clusters, and what they agree on is the answer."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...annotations import delivery
from ...annotations.agreement.request import consensus_of_tables
from ...annotations.clusters import Annotations
from ...annotations.labelling.objects import attach
from ...engines import create_engine
from ...engines.base import Engine, Plan, Prepares
from ...errors import CellferryError, InvalidOptionError, in_language, listing
from ...files import portable_name
from ...study.inputs.kinds import file_kind
from ...study.inputs.objects import read_object
from ...study.inputs.readers import reader_of_r
from .. import verb
from ..checks import check_consent
from ..files import Input, as_path, check_output_file, opened_input, replacing_output, write_h5ad
from ..request import AnnotateRequest, is_anndata

if TYPE_CHECKING:
    from ...study.clusters import Clusters

logger = logging.getLogger("cellferry")

Engines = Mapping[str, "str | Engine[Annotations]"] | Sequence["str | Engine[Annotations]"]


def is_several(engine: object) -> bool:
    """Whether several engines are meant: a mapping, a list or a tuple.

    Examples
    --------
    >>> is_several(["local", "llm"]), is_several("local")
    (True, False)
    """
    return isinstance(engine, Mapping | list | tuple)


def named_engines(engines: Engines) -> dict[str, str | Engine[Annotations]]:
    """Return engines by their names: those of the mapping, else of the engines.

    Parameters
    ----------
    engines
        Name -> engine, or engines, whose names must differ.

    Raises
    ------
    InvalidOptionError
        There is none, two have one name, or a name cannot be in that of a column.

    Examples
    --------
    >>> list(named_engines(["local", "cytetype"]))
    ['local', 'cytetype']
    """
    pairs = list(engines.items()) if isinstance(engines, Mapping) else [
        (e if isinstance(e, str) else str(getattr(e, "name", type(e).__name__)), e)
        for e in engines
    ]  # fmt: skip
    names = [str(name) for name, _ in pairs]
    line = in_language(
        python='engine={"one": "local", "other": cellferry.engines.llm.LLM(...)}',
        r='engine = list(one = "local", other = LLMEngine(...))',
        cli="--engine one=local --engine other=llm",
    )  # fmt: skip
    twice = sorted({n for n in names if names.count(n) > 1})
    if not names or twice:
        message = f"Several engines are named {listing(twice)}." if twice else "There is no engine."
        raise InvalidOptionError(message, f"Name them: {line}")
    wrong = [n for n in names if not re.fullmatch(r"[A-Za-z0-9_.]+", n)]
    if wrong:
        message = f'"{wrong[0]}" is no name for an engine: it is part of the name of a column.'
        raise InvalidOptionError(message, "Use letters, digits, `_` and `.`.")
    return {str(name): engine for name, engine in pairs}


@dataclass(frozen=True)
class One:
    """One of several engines, with what it is asked and what it would do."""

    name: str
    engine: Engine[Annotations]
    request: AnnotateRequest
    plan: Plan


class Source(Protocol):
    """What several engines read, and what is labelled with their answers."""

    @property
    def suffix(self) -> str | None:
        """Of the file that a labelled object is written to; None where there is no object."""
        ...

    def opened(self, request: AnnotateRequest) -> AbstractContextManager[Input]:
        """Read what one engine is asked about; the request's data is of no matter."""
        ...

    def answered(self, name: str, opened: Input, found: Annotations) -> None:
        """Take the answer of one engine, while what it read is open."""
        ...

    def agree(self, request: AnnotateRequest, failed: Mapping[str, str]) -> Annotations:
        """Return what all agree on, and label the object with it and with each answer."""
        ...

    def save(self, output: Path) -> None:
        """Write the labelled object."""
        ...


def several_plans(found: Sequence[One]) -> Plan:
    """Return what all engines would do together."""
    costs = [one.plan.cost_usd for one in found]
    known = [c for c in costs if c is not None]
    return Plan(
        " + ".join(one.name for one in found),
        found[0].plan.clusters,
        sum(one.plan.calls for one in found),
        sum(one.plan.bytes_sent for one in found),
        sum(one.plan.input_tokens for one in found),
        sum(one.plan.output_tokens for one in found),
        sum(known) if len(known) == len(costs) else None,
        tuple(dict.fromkeys(c for one in found for c in one.plan.columns)),
        tuple(f"{one.name}: {note}" for one in found for note in one.plan.notes),
    )


def annotate_by_several(
    engines: Engines,
    request: AnnotateRequest,
    arguments: tuple[str, ...],
    options: Mapping[str, object],
    *,
    dry_run: bool = False,
    progress: Callable[[str], AbstractContextManager[Any]] = lambda _title: nullcontext(),
    output: Path | None = None,
    folder: Path | None = None,
) -> Annotations | Plan:
    """Annotate clusters by several engines, and label an object with what they agree on.

    Keys, consents, options and the common cost are checked before the first engine starts.

    Parameters
    ----------
    engines
        As of :func:`named_engines`.
    request
        What is annotated; its engine is of no matter.
    arguments
        Of the function that was called.
    options
        None are taken: each engine has its own.
    dry_run
        Only return the plan of all.
    progress
        Shows what an engine does while its block runs, given a title.
    output
        Where the labelled object of a file is written; None writes none.
    folder
        Where the runs are kept, each under the name of its engine; None is the user's data folder.

    Raises
    ------
    CellferryError
        Of the first engine, where all failed.
    """
    named = named_engines(engines)
    if options:
        name = next(iter(options))
        message = f"`{name}` is an option of one engine, and there are several."
        raise InvalidOptionError(message, "Give engines that are made with their options.")
    if request.within is not None:
        message = "`within` is for one engine."
        raise InvalidOptionError(message, "Annotate the parts with one engine after the other.")
    made = {name: create_engine(e, {}, "clusters", arguments) for name, e in named.items()}
    source = _source(request.data)
    if output is not None:
        check_output_file(output, source.suffix, overwrite=request.overwrite)
    ready = _planned(made, request, source)
    total = several_plans(ready)
    if dry_run:
        return total
    for each in ready:
        check_consent(each.engine, each.plan, allow_upload=request.allow_upload)
        if isinstance(each.engine, Prepares):
            each.engine.prepare()
    logger.info("%s", total)
    answered = 0
    failed: dict[str, CellferryError] = {}
    folders: dict[str, str] = {}
    for one in ready:
        folders[one.name] = portable_name(one.name, folders.values())
        try:
            with (
                source.opened(one.request) as opened,
                progress(f"Annotating by {one.name}") as on_event,
            ):
                found = verb.annotate(
                    opened.study, one.engine, checked=True, on_event=on_event,
                    folder=None if folder is None else folder / folders[one.name],
                    provenance=opened.provenance,
                )  # fmt: skip
                source.answered(one.name, opened, found)
                answered += 1
        except CellferryError as error:
            failed[one.name] = error
            logger.warning("%s failed, and is no vote: %s", one.name, error.message)
    if not answered:
        raise next(iter(failed.values()))
    agreed = source.agree(request, {name: e.message for name, e in failed.items()})
    if output is not None:
        source.save(output)
    return agreed


def _planned(
    engines: Mapping[str, Engine[Annotations]], request: AnnotateRequest, source: Source
) -> list[One]:
    """Return the engines with their plans, once what each would read and write was checked."""
    if source.suffix is None:
        for key in (request.key, *(f"{request.key}_{name}" for name in engines)):
            delivery.check_key(key, ())
    ready: list[One] = []
    with source.opened(replace(request, engine=next(iter(engines.values())))) as opened:
        # The key of the answer can be written; markers are found once.
        markers = opened.study.markers if opened.object is not None else request.markers
    for name, engine in engines.items():
        # Beside the answer there is the label alone.
        key = f"{request.key}_{name}"
        one = replace(
            request, engine=engine, key=key, key_given=True, levels=False, markers=markers
        )  # fmt: skip
        with source.opened(one) as opened:
            ready.append(One(name, engine, one, verb.plan(opened.study, engine)))
    return ready


def _source(data: object) -> Source:
    path = as_path(data)
    if not isinstance(path, Path):
        return _Read(data)
    kind = file_kind(path)
    if kind.is_of_r:
        of_r: Source = reader_of_r("several", path)(path)
        return of_r
    return _Read(read_object(path, kind) if kind.is_anndata else path)


class _Read:
    """An AnnData in memory, which is labelled at the end, or a marker table."""

    def __init__(self, data: object) -> None:
        self._data = data
        self._answers: dict[str, tuple[Annotations, Clusters]] = {}
        self._read: dict[str, Input] = {}
        self.suffix = ".h5ad" if is_anndata(data) else None

    def opened(self, request: AnnotateRequest) -> AbstractContextManager[Input]:
        # It is in memory, and read once for each engine.
        if request.key not in self._read:
            with opened_input(replace(request, data=self._data)) as opened:
                self._read[request.key] = opened
        return nullcontext(self._read[request.key])

    def answered(self, name: str, opened: Input, found: Annotations) -> None:
        self._answers[name] = found, opened.study.clusters

    def agree(self, request: AnnotateRequest, failed: Mapping[str, str]) -> Annotations:
        tables = {name: found for name, (found, _) in self._answers.items()}
        made = consensus_of_tables(tables, request.key, failed=failed, levels=request.levels)
        adata = self._data
        if not is_anndata(adata):
            return made
        clusters = None
        for name, (found, of_engine) in self._answers.items():
            key, clusters = f"{request.key}_{name}", of_engine
            attach(adata, found, clusters, key)
            for end in delivery.COLUMN_SOURCES:
                if end and key + end in adata.obs:
                    del adata.obs[key + end]
        assert clusters is not None
        labelled = attach(adata, made, clusters, request.key)
        assert isinstance(labelled, Annotations)
        return labelled

    def save(self, output: Path) -> None:
        assert is_anndata(self._data)
        with replacing_output(output) as partial:
            write_h5ad(self._data, partial)
