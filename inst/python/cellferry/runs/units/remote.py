"""What runs on the workers: they are looked at, and do units."""

from __future__ import annotations

import functools
import importlib
import json
import platform
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ..._version import __version__
from ...errors import CellferryError, SchedulerError
from .remembered import packed

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _that_travels(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Raise errors of ours without what they came from, which may be nothing that can be sent."""

    @functools.wraps(function)
    def called(*arguments: _P.args, **options: _P.kwargs) -> _R:
        try:
            return function(*arguments, **options)
        except CellferryError as error:
            found = error
        found.__cause__ = found.__context__ = None
        raise found

    return called


def versions() -> dict[str, str]:
    """Return what must be the same on every worker, or numbers may differ."""
    import scipy

    return {
        "cellferry": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


@_that_travels
def looked_at(check: str | None, where: str, expected: Mapping[str, str]) -> None:
    """Raise what keeps this worker from working."""
    check_versions(expected)
    if check is not None:
        _named(check)(json.loads(where))


def check_versions(expected: Mapping[str, str]) -> None:
    """Raise :class:`SchedulerError` where this process has other versions than are expected."""
    here = versions()
    other = [f"{name} {here[name]} and not {v}" for name, v in expected.items() if here[name] != v]
    if other:
        message = f"This worker has {', '.join(other)}."
        wanted = " ".join(f'"{n}=={v}"' for n, v in expected.items() if n != "python")
        hint = f"Results would not be the same. On the worker: pip install {wanted}"
        raise SchedulerError(message, hint, problem="versions")


@_that_travels
def done(content: str, arguments: str, expected: Mapping[str, str]) -> bytes:
    """Do one unit."""
    check_versions(expected)
    function, shared, where = _read_job(content)
    return packed(_named(function)(shared, where, *json.loads(arguments)))


@functools.lru_cache(maxsize=4)
def _read_job(content: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the job, once it is known that this worker can do it.

    A worker may have come after all others were looked at.
    """
    function, shared, where, check = json.loads(content)
    if check is not None:
        _named(check)(where)
    return function, shared, where


def _named(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
