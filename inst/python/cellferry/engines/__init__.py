"""The engines, and the one table of them: by name, with their options.

The command line, R and :func:`cellferry.annotate_clusters` learn of an engine only from
here: its name, where its class lives, and (from the signature of the class) its options.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, overload

from ..errors import (
    EngineNeedsError,
    InvalidOptionError,
    UnknownEngineError,
    UnknownOptionError,
    listing,
    nearest,
)
from .base import AnyEngine, Capabilities, Engine, Extent, Plan

if TYPE_CHECKING:
    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations
    from ..annotations.delivery import Level


__all__ = [
    "ENGINES",
    "Capabilities",
    "Engine",
    "Extent",
    "Plan",
    "check_options",
    "create_engine",
    "engine_class",
    "engine_names",
    "engine_options",
    "environment_variables",
]

ENGINES: dict[str, dict[Level, str]] = {
    "local": {
        "clusters": "cellferry.engines.local:Local",
        "cells": "cellferry.engines.local.cells:LocalCells",
    },
    "llm": {"clusters": "cellferry.engines.llm:LLM"},
    "cytetype": {"clusters": "cellferry.engines.cytetype:CyteType"},
    "cellatlas": {"cells": "cellferry.engines.cellatlas:CellAtlas"},
}
"""Name -> what it answers -> ``module:class``. CONTRIBUTING.md says what else an engine needs."""


def __dir__() -> list[str]:
    return sorted(__all__)


def engine_names(level: Level = "clusters") -> list[str]:
    """Return the names of the engines that answer clusters, or cells."""
    return [name for name, classes in ENGINES.items() if level in classes]


def engine_class(name: str, level: Level = "clusters") -> Callable[..., AnyEngine]:
    """Return the class registered under a name; raises :class:`UnknownEngineError`."""
    if name not in ENGINES or level not in ENGINES[name]:
        if name in ENGINES:
            raise UnknownEngineError(*_other_level(name, level))
        names = engine_names(level)
        guess = nearest(name, names)
        message = f'There is no engine "{name}". Available: {listing(names)}.'
        raise UnknownEngineError(message, f'Did you mean "{guess}"?' if guess else "")
    module, _, attribute = ENGINES[name][level].partition(":")
    found: Callable[..., AnyEngine] = getattr(importlib.import_module(module), attribute)
    return found


def _other_level(name: str, level: Level) -> tuple[str, str]:
    """Return what is wrong, and what to do, where an engine answers only the other level."""
    other, verbs = {
        "clusters": ("cells", "`annotate_cells()`"),
        "cells": ("clusters", "`annotate_clusters()`"),
    }[level]
    return f'The engine "{name}" answers {other}, not {level}.', f"Use {verbs}."


def engine_options(name: str, level: Level = "clusters") -> dict[str, object]:
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

    R lets Python know when one of them changes.

    Examples
    --------
    >>> "OPENAI_API_KEY" in environment_variables()
    True
    """
    classes = [engine_class(name, level) for name, found in ENGINES.items() for level in found]
    return sorted({name for made in classes for name in getattr(made, "variables", ())})


@overload
def create_engine(
    engine: str | Engine[Annotations],
    options: Mapping[str, object] | None = None,
    level: Literal["clusters"] = "clusters",
    arguments: tuple[str, ...] = (),
) -> Engine[Annotations]: ...
@overload
def create_engine(
    engine: str | Engine[CellAnnotations],
    options: Mapping[str, object] | None,
    level: Literal["cells"],
    arguments: tuple[str, ...] = (),
) -> Engine[CellAnnotations]: ...
@overload
def create_engine(
    engine: str | AnyEngine,
    options: Mapping[str, object] | None,
    level: Level,
    arguments: tuple[str, ...] = (),
) -> AnyEngine: ...
def create_engine(
    engine: str | AnyEngine,
    options: Mapping[str, object] | None = None,
    level: Level = "clusters",
    arguments: tuple[str, ...] = (),
) -> AnyEngine:
    """Return an engine from its name and options, or the engine itself.

    Parameters
    ----------
    engine
        Name, or an engine; it must answer ``level``.
    options
        Of the class; an engine that is made takes none.
    level
        ``"clusters"``: an ``Engine[Annotations]``, ``"cells"``: an ``Engine[CellAnnotations]``.
    arguments
        Of the function that was called, which may have been meant by a wrong name.

    Raises
    ------
    UnknownEngineError, UnknownOptionError, InvalidOptionError, EngineNeedsError

    Examples
    --------
    >>> create_engine("local", {"smooth": True}, "cells").describe()["smooth"]
    True
    """
    options = dict(options or {})
    if isinstance(engine, str):
        check_options(engine, options, tuple(engine_options(engine, level)), arguments)
        return engine_class(engine, level)(**options)
    if not isinstance(engine, Engine):
        message = f"`engine` must be a name or an engine, not {type(engine).__name__}."
        raise InvalidOptionError(message, f"Available: {listing(engine_names(level))}.")
    if level not in engine.capabilities.answers:
        raise EngineNeedsError(*_other_level(engine.name, level))
    check_options(engine.name, options, (), arguments)
    return engine


OTHER_WORDS: dict[str, str] = {
    "group_by": "group_key",
    "groupby": "group_key",
    "groups": "group_key",
    "group": "group_key",
    "grouping": "group_key",
    "cluster": "group_key",
    "clusters": "group_key",
    "cluster_key": "group_key",
    "clusters_key": "group_key",
    "cluster_column": "group_key",
    "cluster_col": "group_key",
    "obs_key": "group_key",
    "organism": "species",
    "context": "study_context",
    "key_added": "key",
    "label_key": "key",
    "upload": "allow_upload",
}
"""What others call an argument of :func:`cellferry.annotate_clusters` -> its name here."""


def check_options(
    engine: str,
    options: Mapping[str, object],
    valid: tuple[str, ...],
    arguments: tuple[str, ...] = (),
) -> None:
    """Raise :class:`UnknownOptionError` for the first name that is not valid.

    Parameters
    ----------
    engine
        Its name.
    options
        By name.
    valid
        Names of the engine's options; none where it is made already.
    arguments
        Names of the function's own arguments, which may have been meant.
    """
    for name in options:
        if name in valid:
            continue
        guess = OTHER_WORDS.get(name.lower().replace(".", "_"))
        if guess not in arguments:
            guess = nearest(name, [*arguments, *valid])
        message = f'The engine "{engine}" has no option `{name}`.'
        if guess in arguments and not valid:
            raise UnknownOptionError(message, f"Did you mean `{guess}`?")
        known = (
            f"Its options: {', '.join(f'`{v}`' for v in valid)}."
            if valid
            else ("Give options when the engine is made, not beside it.")
        )
        raise UnknownOptionError(message, f"Did you mean `{guess}`? {known}" if guess else known)
