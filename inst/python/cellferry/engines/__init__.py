"""The engines, and the one table of them: by name, with their options.

The command line, R and :func:`cellferry.annotate_clusters` learn of an engine only from
here: its name, where its class lives, and (from the signature of the class) its options.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import (
    InvalidOptionError,
    UnknownEngineError,
    UnknownOptionError,
    listing,
    nearest,
)
from .base import Capabilities, CellEngine, Engine, Plan

if TYPE_CHECKING:
    from ..annotations.delivery import Level

__all__ = [
    "CELL_ENGINES",
    "ENGINES",
    "Capabilities",
    "CellEngine",
    "Engine",
    "Plan",
    "check_options",
    "create_cell_engine",
    "create_engine",
    "engine_class",
    "engine_names",
    "engine_options",
    "environment_variables",
]

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


def environment_variables() -> list[str]:
    """Return the variables that engines read: what each class names in ``variables``, if any.

    R tells Python when one of them changes.

    Examples
    --------
    >>> "OPENAI_API_KEY" in environment_variables()
    True
    """
    levels: tuple[Level, Level] = ("clusters", "cells")
    classes = [engine_class(name, level) for level in levels for name in engine_names(level)]
    return sorted({name for made in classes for name in getattr(made, "variables", ())})


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
