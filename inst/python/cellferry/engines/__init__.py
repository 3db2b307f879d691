"""The engine door: what every engine is, and the one table of engines.

The command line, R and :func:`cellferry.annotate_clusters` learn of an engine only from
here: its name, where its class lives, and (from the signature of the class) its options.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from ..errors import (
    InvalidOptionError,
    UnknownEngineError,
    UnknownOptionError,
    listing,
    nearest,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ..annotations import Annotations
    from ..cell_annotations import CellAnnotations
    from ..delivery import Level
    from ..events import Events
    from ..runs import Run
    from ..study import Study
    from ..study_builders import Reading


@dataclass(frozen=True)
class Capabilities:
    """What an engine answers, needs, and sends off the machine.

    Attributes
    ----------
    answers
        ``"clusters"``, ``"cells"`` or both.
    needs
        Parts of a study it cannot do without, for example ``"markers"``.
    uses
        Parts it reads when they are there.
    genes
        For a use of ``"normalized"``: the only genes it reads, or None for all. It lets
        R send those rows and not the whole matrix.
    sends
        What leaves the machine: any of ``"markers"``, ``"expression"``, ``"metadata"``.
    host
        Where to, or None when nothing leaves the machine.
    reading
        How an AnnData is to be read for it, or None for the usual way.
    one_of
        Parts of ``uses`` of which one is read: the first that the object has. The others need
        not be brought.
    companions
        What the service is said to offer beside annotation, by name. Their protocols are not
        public: nothing here calls them, and this is where they belong once they are.
    """

    answers: frozenset[str] = frozenset({"clusters"})
    needs: frozenset[str] = frozenset({"markers"})
    uses: frozenset[str] = frozenset()
    genes: tuple[str, ...] | None = None
    sends: frozenset[str] = frozenset()
    host: str | None = None
    reading: Reading | None = None
    one_of: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()


def _counted(n: int, unit: str) -> str:
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"


@dataclass(frozen=True)
class Plan:
    """What a run would do, found without a call: the dry run.

    ``cost_usd`` is None where no price is known; 0 where nothing is paid. ``columns`` are the
    metadata columns that would be sent.
    """

    engine: str
    clusters: int
    calls: int = 0
    bytes_sent: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)
    cells: int = 0
    """Of an engine that answers cells; 0 for one that answers clusters."""

    def told(self) -> str:
        """Return the plan in words.

        Examples
        --------
        >>> Plan("local", 9).told()
        'local: 9 clusters, 0 calls, 0 bytes sent, cost $0.00'
        """
        tokens = ""
        if self.input_tokens or self.output_tokens:
            tokens = f", about {self.input_tokens:,} tokens in and {self.output_tokens:,} out"
        cost = "unknown" if self.cost_usd is None else f"${self.cost_usd:.2f}"
        asked = _counted(self.cells, "cell") if self.cells else _counted(self.clusters, "cluster")
        sent = f"{_counted(self.calls, 'call')}, {_counted(self.bytes_sent, 'byte')} sent"
        first = f"{self.engine}: {asked}, {sent}{tokens}, cost {cost}"
        return "\n".join([first, *(note for note in self.notes if self.calls)])

    __str__ = told


@runtime_checkable
class Engine(Protocol):
    """What :func:`cellferry.annotate.annotate` asks of an engine."""

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """What it answers, needs and sends."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return its options as plain data for the record of the run; never a secret."""
        ...

    def plan(self, study: Study) -> Plan:
        """Say what a run would cost, without a call."""
        ...

    def run(self, study: Study, run: Run, events: Events) -> Annotations:
        """Answer every cluster of the study, in its order.

        Called in a worker thread. Finished units go to ``run.record`` and are not done
        again when ``run.finished`` has them; ``events.check()`` between units lets the
        user stop it.
        """
        ...


Found_co = TypeVar("Found_co", covariant=True)


class AnyEngine(Protocol[Found_co]):
    """An engine, whatever it answers; see :class:`Engine`."""

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """What it answers, needs and sends."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return its options as plain data for the record of the run; never a secret."""
        ...

    def plan(self, study: Study) -> Plan:
        """Say what a run would cost, without a call."""
        ...

    def run(self, study: Study, run: Run, events: Events) -> Found_co:
        """Answer everything that was asked."""
        ...


USUAL_SPARSITY = 10
"""One value in so many is stored, where that is not known without reading."""


@dataclass(frozen=True)
class Extent:
    """How large an object is, known before any of it is read.

    Attributes
    ----------
    columns
        Names of its metadata.
    """

    cells: int
    genes: int
    columns: tuple[str, ...] = ()

    @property
    def values(self) -> int:
        """About how many values are stored."""
        return self.cells * self.genes // USUAL_SPARSITY


@runtime_checkable
class Estimates(Protocol):
    """An engine that says what it would send of an object that was not read yet."""

    def estimate(self, extent: Extent) -> Plan:
        """Return the plan as far as it depends on the extent."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """An engine with more to check before its first call than a plan shows: keys, paths."""

    def prepare(self) -> None:
        """Raise what would otherwise be found out after something was paid."""
        ...


@runtime_checkable
class CellEngine(Protocol):
    """What :func:`cellferry.annotate.annotate` asks of an engine for cells."""

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """What it answers (``{"cells"}``), needs and sends."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return its options as plain data for the record of the run; never a secret."""
        ...

    def plan(self, study: Study) -> Plan:
        """Say what a run would cost, without a call."""
        ...

    def run(self, study: Study, run: Run, events: Events) -> CellAnnotations:
        """Answer every cell of the study, in its order; otherwise as :class:`Engine`."""
        ...


@runtime_checkable
class WritesFiles(Protocol):
    """An engine that leaves files of its own beside the annotations."""

    @property
    def folder(self) -> Path | None:
        """Where its run is kept; None is the usual place."""
        ...

    @property
    def files(self) -> list[Path]:
        """What it writes."""
        ...

    def write_files(self, found: Annotations, study: Study, run: Run) -> None:
        """Write them once the answer is complete."""
        ...


ENGINES: dict[str, str] = {
    "local": "cellferry.engines.local:Local",
    "llm": "cellferry.engines.llm:LLM",
    "cytetype": "cellferry.engines.cytetype:CyteType",
}
"""Name -> ``module:class`` for clusters. An engine is added by a line here."""

CELL_ENGINES: dict[str, str] = {
    "local": "cellferry.engines.local.cells:LocalCells",
    "cellatlas": "cellferry.engines.cellatlas:CellAtlas",
}
"""Name -> ``module:class`` for cells. One name may be in both tables."""


ENVIRONMENT: tuple[str, ...] = (
    "CELLATLAS_API_KEY", "CELLATLAS_API_URL", "CYTETYPE_API_URL", "CYTETYPE_AUTH_TOKEN",
    "ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_SECRET_ACCESS_KEY",
    "DEEPSEEK_API_KEY", "FIREWORKS_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "GROQ_API_KEY",
    "HF_TOKEN", "MISTRAL_API_KEY", "NEBIUS_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY",
    "TOGETHER_API_KEY", "XAI_API_KEY",
)  # fmt: skip
"""Environment variables that engines read. R tells Python when one of them changes."""


def engine_names(level: Level = "clusters") -> list[str]:
    """Return the names of the engines that answer clusters, or cells."""
    return list(ENGINES if level == "clusters" else CELL_ENGINES)


def engine_class(name: str, level: Level = "clusters") -> type[Any]:
    """Return the class registered under a name; raises :class:`UnknownEngineError`."""
    table = ENGINES if level == "clusters" else CELL_ENGINES
    if name not in table:
        guess = nearest(name, list(table))
        message = f'There is no engine "{name}". Available: {listing(list(table))}.'
        hint = f'Did you mean "{guess}"?' if guess else ""
        if name in {**ENGINES, **CELL_ENGINES}:
            other = "cells" if level == "clusters" else "clusters"
            message = f'The engine "{name}" answers {other}, not {level}.'
            hint = _OTHER_VERB[level]
        raise UnknownEngineError(message, hint)
    module, _, attribute = table[name].partition(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


_OTHER_VERB = {
    "clusters": "Use annotate_cells() or AnnotateCells().",
    "cells": "Use annotate_clusters() or AnnotateClusters().",
}


def engine_options(name: str, level: Level = "clusters") -> dict[str, Any]:
    """Return the options of an engine and their defaults, in order.

    Examples
    --------
    >>> "n_genes" in engine_options("local")
    True
    """
    signature = inspect.signature(engine_class(name, level))
    return {
        p.name: (None if p.default is inspect.Parameter.empty else p.default)
        for p in signature.parameters.values()
    }


def create_engine(engine: str | Engine, options: Mapping[str, Any] | None = None) -> Engine:
    """Return an engine for clusters from its name and options, or the engine itself.

    Raises
    ------
    UnknownEngineError, UnknownOptionError, InvalidOptionError
    """
    made: Engine = _create(engine, options, "clusters")
    return made


def create_cell_engine(
    engine: str | CellEngine, options: Mapping[str, Any] | None = None
) -> CellEngine:
    """Return an engine for cells, as :func:`create_engine` does for clusters."""
    made: CellEngine = _create(engine, options, "cells")
    return made


def _create(engine: Any, options: Mapping[str, Any] | None, level: Level) -> Any:
    options = dict(options or {})
    if not isinstance(engine, str):
        if not isinstance(engine, Engine):
            message = f"`engine` must be a name or an engine, not {type(engine).__name__}."
            raise InvalidOptionError(message, f"Available: {listing(engine_names(level))}.")
        check_options(engine.name, options, valid=())
        return engine
    check_options(engine, options, valid=tuple(engine_options(engine, level)))
    return engine_class(engine, level)(**options)


def check_options(engine: str, options: Mapping[str, Any], valid: tuple[str, ...]) -> None:
    """Raise :class:`UnknownOptionError` for the first name that is not valid."""
    for name in options:
        if name in valid:
            continue
        guess = nearest(name, list(valid))
        message = f'The engine "{engine}" has no option `{name}`.'
        known = (
            f"Its options: {', '.join(f'`{v}`' for v in valid)}."
            if valid
            else ("Give options when the engine is made, not beside it.")
        )
        raise UnknownOptionError(message, f"Did you mean `{guess}`? {known}" if guess else known)
