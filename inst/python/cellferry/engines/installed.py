"""Engines of other packages: what is installed under the entry point ``cellferry.engines``.

A package names its engines in its ``pyproject.toml``::

    [project.entry-points."cellferry.engines"]
    density = "its_package:Density"
    "density.cells" = "its_package:DensityOfCells"

The first answers clusters, the second cells. Nothing of the package is imported to list them.
CONTRIBUTING.md has the recipe; :class:`cellferry.engines.contract.EngineContract` are its tests.
"""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import EngineUnusableError, listing

if TYPE_CHECKING:
    from ..annotations.delivery import Level

GROUP = "cellferry.engines"
LEVELS: tuple[Level, ...] = ("clusters", "cells")
_METHODS = ("describe", "plan", "run")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""It is part of the id of a run, and of the name of a column where several engines are asked."""


@dataclass(frozen=True)
class Installed:
    """One entry point.

    Attributes
    ----------
    name, level
        Of the engine: what its users write, and what it answers.
    place
        ``module:class``.
    package, version
        The distribution that has it.
    """

    name: str
    level: Level
    place: str
    package: str
    version: str

    @property
    def origin(self) -> str:
        """The package with its version."""
        return f"{self.package} {self.version}".strip()

    def load(self) -> Callable[..., Any]:
        """Import and return the class.

        Raises
        ------
        EngineUnusableError
            It cannot be imported, or what is there is no engine.
        """
        module, _, attribute = self.place.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        except Exception as error:
            # Whatever a package of others raises when it is imported.
            reason = f"{type(error).__name__}: {error}"
            raise self._unusable(reason, "Install it again, or ask its authors.") from error
        problem = _problem(found, self.name)
        if problem:
            raise self._unusable(problem, "It is for its authors to mend.")
        made: Callable[..., Any] = found
        return made

    def _unusable(self, reason: str, hint: str) -> EngineUnusableError:
        message = f'The engine "{self.name}" of the package {self.origin} cannot be used: {reason}'
        return EngineUnusableError(message.rstrip(".") + ".", hint, package=self.package)


def _problem(found: object, name: str) -> str:
    """Return what a class lacks to be an engine; empty where it lacks nothing."""
    if not inspect.isclass(found):
        return f"{type(found).__name__} is no class"
    named = getattr(found, "name", None)
    if named != name:
        return f"its class {found.__name__} has the name {named!r}"
    missing = [m for m in _METHODS if not callable(getattr(found, m, None))]
    if not hasattr(found, "capabilities"):
        missing.append("capabilities")
    if missing:
        return f"its class {found.__name__} lacks {listing(missing)}"
    return ""


def installed_engines() -> tuple[Installed, ...]:
    """Return the engines of other packages, sorted by name and package; imports none of them."""
    return _installed(tuple(sys.path))


@functools.lru_cache(maxsize=4)
def _installed(path: tuple[str, ...]) -> tuple[Installed, ...]:  # noqa: ARG001 - the key
    found = []
    for point in importlib.metadata.entry_points(group=GROUP):
        name, _, level = point.name.partition(".")
        known = next((one for one in LEVELS if one == (level or "clusters")), None)
        if known is None or not _NAME.fullmatch(name):
            continue
        package, version = ("", "") if point.dist is None else (point.dist.name, point.dist.version)
        found.append(Installed(name, known, point.value, package, version))
    return tuple(sorted(found, key=lambda one: (one.name, one.package, one.level)))


def the_one(name: str, level: Level) -> Installed | None:
    """Return the engine of that name and level; None where no package has it.

    Parameters
    ----------
    name, level
        Of the engine.

    Raises
    ------
    EngineUnusableError
        Several packages have it: which one answers must not depend on their order.
    """
    found = [one for one in installed_engines() if (one.name, one.level) == (name, level)]
    if len(found) > 1:
        packages = listing([one.origin for one in found])
        message = f'There are {len(found)} engines "{name}", of the packages {packages}.'
        raise EngineUnusableError(message, "Uninstall all but one of them.")
    return found[0] if found else None
