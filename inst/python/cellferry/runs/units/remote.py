"""What runs on the workers: they are looked at, and do units."""

from __future__ import annotations

import ctypes
import functools
import importlib
import json
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
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
    keep_memory()
    function, shared, where = _read_job(content)
    return packed(_named(function)(shared, where, *json.loads(arguments)))


@functools.cache
def keep_memory() -> None:
    """Let this process use memory again that was freed, as any process does.

    dask begins workers with MALLOC_TRIM_THRESHOLD_=65536. Every array that is freed then goes back
    to the system, and comes again page by page: a third of the processor time of a unit. Set is
    what glibc comes to by itself where nobody sets anything (mallopt(3): the thresholds grow with
    what is freed, to 32 and 64 MB), so at most that much is kept.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, 32 << 20)
        mallopt(_TRIM_THRESHOLD, 64 << 20)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of malloc.h."""


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
