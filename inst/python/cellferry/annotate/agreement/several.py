"""Several engines in one call: each answers the clusters, and what they agree on is the answer."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...annotations import delivery
from ...annotations.agreement.request import consensus_of_tables
from ...annotations.clusters import Annotations
from ...annotations.labelling import attach, check_unedited, stored_labels
from ...engines import create_engine
from ...engines.base import Engine, Plan, Prepares
from ...errors import (
    CellferryError,
    InvalidOptionError,
    UnsupportedObjectError,
    in_language,
    listing,
)
from ...study.inputs.kinds import file_kind
from ...study.inputs.objects import read_object
from .. import verb
from ..checks import check_consent
from ..files import as_path
from ..request import AnnotateRequest, build_study, is_anndata

if TYPE_CHECKING:
    from ...study.study import Study

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
        r='engine = list(one = "local", other = LLMEngine(...))', cli="engine",
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
    """One of several engines, with what it reads and what it would do."""

    name: str
    engine: Engine[Annotations]
    request: AnnotateRequest
    study: Study
    plan: Plan


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
) -> Annotations | Plan:
    """Annotate clusters by several engines, and label an AnnData with what they agree on.

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
    request = replace(request, data=_opened(request.data))
    ready = _checked(named, request, arguments)
    total = several_plans(ready)
    if dry_run:
        return total
    logger.info("%s", total)
    tables: dict[str, Annotations] = {}
    failed: dict[str, CellferryError] = {}
    for one in ready:
        try:
            with progress(f"Annotating by {one.name}") as on_event:
                tables[one.name] = verb.annotate(
                    one.study, one.engine, checked=True, provenance=one.request.provenance,
                    on_event=on_event,
                )  # fmt: skip
        except CellferryError as error:
            failed[one.name] = error
            logger.warning("%s failed, and is no vote: %s", one.name, error.message)
    if not tables:
        raise next(iter(failed.values()))
    made = consensus_of_tables(
        tables, request.key, failed={name: e.message for name, e in failed.items()}
    )
    if request.levels:
        made = replace(made, provenance={**made.provenance, "levels": True})
    if is_anndata(request.data):
        return _delivered(request, ready, tables, made)
    return made


def _checked(
    named: Mapping[str, str | Engine[Annotations]],
    request: AnnotateRequest,
    arguments: tuple[str, ...],
) -> list[One]:
    """Return the engines, all of which could begin now."""
    made = [(name, create_engine(e, {}, "clusters", arguments)) for name, e in named.items()]
    _check_keys(request, [f"{request.key}_{name}" for name, _ in made])
    ready: list[One] = []
    markers = request.markers
    for name, engine in made:
        # Beside the answer there is the label alone.
        one = replace(request, engine=engine, key=f"{request.key}_{name}", levels=False)
        study = build_study(
            one.data, markers, group_key=one.group_key, context=one.context,
            reading=engine.capabilities.reading,
        )  # fmt: skip
        if is_anndata(one.data):
            # They are found once.
            markers = study.markers
        ready.append(One(name, engine, one, study, verb.plan(study, engine)))
    for each in ready:
        check_consent(each.engine, each.plan, allow_upload=request.allow_upload)
        if isinstance(each.engine, Prepares):
            each.engine.prepare()
    return ready


def _opened(data: object) -> object:
    """Return the object of a path; a marker table is read where its study is made."""
    path = as_path(data)
    if not isinstance(path, Path):
        return data
    kind = file_kind(path)
    if kind.is_of_r:
        message = f'"{path}" is an object of R, which several engines do not read from a file.'
        raise UnsupportedObjectError(message, "Read it, or annotate by one engine after the other.")
    return read_object(path, kind) if kind.is_anndata else path


def _check_keys(request: AnnotateRequest, beside: Sequence[str]) -> None:
    for key in (request.key, *beside):
        if not is_anndata(request.data):
            delivery.check_key(key, ())
            continue
        levels = request.levels and key == request.key
        delivery.check_group_key(key, request.group_key)
        delivery.check_object_key(request.data, key, overwrite=request.overwrite, levels=levels)
        previous = stored_labels(request.data, key)
        if previous is not None:
            check_unedited(previous, overwrite=request.overwrite)


def _delivered(
    request: AnnotateRequest,
    ready: Sequence[One],
    tables: Mapping[str, Annotations],
    made: Annotations,
) -> Annotations:
    adata = request.data
    assert is_anndata(adata)
    for one in ready:
        if one.name in tables:
            attach(adata, tables[one.name], one.study.clusters, one.request.key)
            for end in delivery.COLUMN_SOURCES:
                if end and one.request.key + end in adata.obs:
                    del adata.obs[one.request.key + end]
    found = attach(adata, made, ready[0].study.clusters, request.key)
    assert isinstance(found, Annotations)
    return found
