"""The engines, and the one table of them: by name, with their options.

The command line, R and :func:`cellferry.annotate_clusters` learn of an engine only from
here: its name, where its class lives, and (from the signature of the class) its options. Those of
other packages are found by :mod:`.installed`; a name of ours is never taken by one of them.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from ..errors import (
    EngineNeedsError,
    EngineUnusableError,
    InvalidOptionError,
    UnknownEngineError,
    UnknownOptionError,
    listing,
    nearest,
)
from .base import AnyEngine, Capabilities, Engine, Extent, Plan
from .installed import LEVELS, installed_engines, the_one
from .majority import by_majority

if TYPE_CHECKING:
    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations
    from ..annotations.delivery import Level
    from .cellatlas import CellAtlas
    from .celltypist import CellTypist
    from .cytetype import CyteType
    from .llm import LLM
    from .local import Local
    from .local.cells import LocalCells
    from .reference import Reference


__all__ = [
    "ENGINES",
    "LLM",
    "Capabilities",
    "CellAtlas",
    "CellTypist",
    "CyteType",
    "Engine",
    "Extent",
    "Local",
    "LocalCells",
    "Plan",
    "Reference",
    "check_options",
    "create_engine",
    "engine_class",
    "engine_names",
    "engine_options",
    "engine_records",
    "environment_variables",
    "option_records",
    "package_of",
    "plain_default",
    "usable_engines",
]

ENGINES: dict[str, dict[Level, str]] = {
    "local": {
        "clusters": "cellferry.engines.local:Local",
        "cells": "cellferry.engines.local.cells:LocalCells",
    },
    "llm": {"clusters": "cellferry.engines.llm:LLM"},
    "cytetype": {"clusters": "cellferry.engines.cytetype:CyteType"},
    "cellatlas": {"cells": "cellferry.engines.cellatlas:CellAtlas"},
    "reference": {"cells": "cellferry.engines.reference:Reference"},
    "celltypist": {"cells": "cellferry.engines.celltypist:CellTypist"},
    "singler": {"cells": "cellferry.engines.singler:SingleR"},
    "azimuth": {"cells": "cellferry.engines.azimuth:Azimuth"},
}
"""Name -> what it answers -> ``module:class``. CONTRIBUTING.md says what else an engine needs."""


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Return the class of an engine, imported on first use.

    ``annotate_clusters(x, engine=cellferry.engines.Local(n_genes=20))`` is what an editor can
    complete; ``engine="local", n_genes=20`` is the same.

    Examples
    --------
    >>> from cellferry import engines
    >>> engines.Local(n_genes=20).name
    'local'
    """
    for classes in ENGINES.values():
        for place in classes.values():
            module, _, attribute = place.partition(":")
            if attribute == name:
                return getattr(importlib.import_module(module), attribute)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def _table() -> dict[str, dict[Level, str]]:
    """Return :data:`ENGINES` with those of other packages below them."""
    table = {name: dict(classes) for name, classes in ENGINES.items()}
    for one in installed_engines():
        if one.name not in ENGINES:
            table.setdefault(one.name, {}).setdefault(one.level, one.place)
    return table


def engine_names(level: Level = "clusters") -> list[str]:
    """Return the names of the engines that answer clusters, or cells; ours come first.

    One that answers cells answers clusters too, by :class:`.majority.ByMajority`.
    """
    return [n for n, classes in _table().items() if _level_of_class(classes, level) is not None]


def _level_of_class(classes: Mapping[Level, str], level: Level) -> Level | None:
    """Return which class of an engine answers the level, None where it has none for it."""
    if level in classes:
        return level
    return "cells" if level == "clusters" and "cells" in classes else None


def engine_class(name: str, level: Level = "clusters") -> Callable[..., AnyEngine]:
    """Return the class registered under a name.

    For clusters of an engine that answers cells it is the one that answers cells.

    Raises
    ------
    UnknownEngineError
        There is none, or it does not answer the level.
    EngineUnusableError
        It is of another package, and cannot be loaded.
    """
    table = _table()
    of_class = _level_of_class(table.get(name, {}), level)
    if of_class is None:
        if name in table:
            raise UnknownEngineError(*_other_level(name, level))
        names = engine_names(level)
        guess = nearest(name, names)
        message = f'There is no engine "{name}". Available: {listing(names)}.'
        raise UnknownEngineError(message, f'Did you mean "{guess}"?' if guess else "")
    found: Callable[..., AnyEngine]
    if name in ENGINES:
        module, _, attribute = ENGINES[name][of_class].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        return found
    one = the_one(name, of_class)
    assert one is not None
    found = one.load()
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
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        p.name: (None if p.default is inspect.Parameter.empty else p.default)
        for p in signature.parameters.values()
        if p.kind in named
    }


def usable_engines(level: Level = "clusters") -> dict[str, dict[str, object]]:
    """Return the options of every engine that can be loaded; defaults are plain data, or text.

    One of another package that cannot be loaded must not keep the others from anybody; asked for
    by its name it says why.

    Examples
    --------
    >>> usable_engines()["local"]["n_genes"]
    50
    """
    found: dict[str, dict[str, object]] = {}
    for name in engine_names(level):
        with suppress(EngineUnusableError):
            options = engine_options(name, level)
            found[name] = {option: plain_default(value) for option, value in options.items()}
    return found


def plain_default(value: object) -> object:
    """Return a default as plain data, or as text.

    Examples
    --------
    >>> plain_default(3), plain_default({1})
    (3, '{1}')
    """
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)
    return value


def package_of(name: str, level: Level = "clusters") -> tuple[str, str] | None:
    """Return the package and its version that an engine is of; None for ours and unknown ones."""
    if name in ENGINES:
        return None
    of_class = _level_of_class(_table().get(name, {}), level)
    one = None if of_class is None else the_one(name, of_class)
    return None if one is None else (one.package, one.version)


def engine_records() -> list[dict[str, str]]:
    """Return one record for each engine: its name, what it answers, its package, what it is.

    ``problem`` says why one cannot be used.

    Examples
    --------
    >>> engine_records()[0]["engine"], engine_records()[0]["answers"]
    ('local', 'clusters, cells')
    """
    records = []
    for name, classes in _table().items():
        level: Level | None = next((one for one in LEVELS if one in classes), None)
        if level is None:
            continue
        package, description, problem = "cellferry", "", ""
        try:
            package = " ".join(package_of(name, level) or ("cellferry",)).strip()
            found = engine_class(name, level)
            description, problem = _first_line(found), _lacking(found)
        except EngineUnusableError as error:
            package, problem = "", error.message
        answers = ", ".join(one for one in LEVELS if one in classes)
        records.append({
            "engine": name,
            "answers": answers if "clusters" in classes else "cells, clusters by majority",
            "package": package,
            "description": description,
            "problem": problem,
        })  # fmt: skip
    taken = [one for one in installed_engines() if one.name in ENGINES]
    return records + [
        {
            "engine": one.name, "answers": one.level, "package": one.origin, "description": "",
            "problem": f'"{one.name}" is the name of an engine of cellferry.',
        }
        for one in taken
    ]  # fmt: skip


def option_records(name: str) -> list[dict[str, str]]:
    """Return one record for each option of an engine: for what, its name, its default as JSON.

    Raises
    ------
    UnknownEngineError, EngineUnusableError

    Examples
    --------
    >>> option_records("local")[0]
    {'answers': 'clusters', 'option': 'n_genes', 'default': '50'}
    """
    classes = _table().get(name)
    if not classes:
        engine_class(name)
    return [
        {"answers": level, "option": option, "default": json.dumps(plain_default(value))}
        for level in LEVELS
        if level in (classes or {})
        for option, value in engine_options(name, level).items()
    ]


def _lacking(made: Callable[..., AnyEngine]) -> str:
    """Return which Python package an engine of ours names as ``package`` and does not have."""
    needed = getattr(made, "package", None)
    if not isinstance(needed, str) or find_spec(needed) is not None:
        return ""
    return f"It needs the Python package {needed}, which is not installed: pip install {needed}"


def _first_line(made: Callable[..., AnyEngine]) -> str:
    return (inspect.getdoc(made) or "").strip().partition("\n")[0]


def environment_variables(engine: str | None = None, level: Level | None = None) -> list[str]:
    """Return the variables that engines read: what each class names in ``variables``, if any.

    R lets Python know when one of them changes.

    Parameters
    ----------
    engine
        Only those of this one; None is all.
    level
        Only those of the class that answers it; None is all classes.

    Examples
    --------
    >>> "OPENAI_API_KEY" in environment_variables(), environment_variables("local", "clusters")
    (True, [])
    """
    found: set[str] = set()
    for name, classes in _table().items():
        if engine not in {None, name}:
            continue
        wanted = list(classes) if level is None else [_level_of_class(classes, level)]
        for of_class in wanted:
            if of_class is None:
                continue
            with suppress(EngineUnusableError):
                found.update(getattr(engine_class(name, of_class), "variables", ()))
    return sorted(found)


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
        return _made(engine, level, options)
    if not isinstance(engine, Engine):
        message = f"`engine` must be a name or an engine, not {type(engine).__name__}."
        raise InvalidOptionError(message, f"Available: {listing(engine_names(level))}.")
    answers = engine.capabilities.answers
    # A run is gone on with by the name of its engine, which must then stand for the same.
    by_cells = level == "clusters" and "clusters" not in _table().get(engine.name, {})
    if level not in answers and not (by_cells and "cells" in answers):
        raise EngineNeedsError(*_other_level(engine.name, level))
    check_options(engine.name, options, (), arguments)
    return engine if level in answers else by_majority(cast("Engine[CellAnnotations]", engine))


def _made(name: str, level: Level, options: Mapping[str, Any]) -> AnyEngine:
    """Make a registered engine, and one of another package only if it is what it says."""
    engine = engine_class(name, level)(**options)
    of_class = _level_of_class(_table()[name], level)
    if name not in ENGINES and (
        not isinstance(engine, Engine) or of_class not in engine.capabilities.answers
    ):
        kept = isinstance(engine, Engine)
        problem = f"it does not answer {of_class}" if kept else "it is no engine"
        package = " ".join(package_of(name, level) or ()).strip()
        message = f'The engine "{name}" of the package {package} cannot be used: {problem}.'
        raise EngineUnusableError(message, "It is for its authors to mend.")
    return engine if level == of_class else by_majority(cast("Engine[CellAnnotations]", engine))


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
