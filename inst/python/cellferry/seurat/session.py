"""R inside this process: started once, with our own R code, called under rpy2's lock and with R's
conditions as our own errors.

Everything here is rpy2's low level (``rinterface``). The high level keeps its conversion rules
in a context variable, which a worker thread does not inherit.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeAlias

from .. import errors
from .._version import pip_install
from ..bridge.r_code import r_sources
from ..errors import EmbeddingError

logger = logging.getLogger("cellferry")

# The call that R evaluates: a condition becomes data, because rpy2 knows only its text. Warnings
# and messages are collected; rpy2 would write them to the console.
_CATCHING = """
function(f, arguments) {
  conditions <- list()
  keep <- function(cnd) {
    conditions[[length(conditions) + 1L]] <<- c(
      if (inherits(cnd, "warning")) "warning" else "message",
      class(cnd)[1], sub("\\n$", "", conditionMessage(cnd))
    )
  }
  value <- withCallingHandlers(
    tryCatch(list(value = do.call(f, arguments, quote = TRUE)), error = function(cnd) {
      list(class = class(cnd)[1], text = conditionMessage(cnd))
    }),
    warning = function(cnd) {
      keep(cnd)
      invokeRestart("muffleWarning")
    },
    message = function(cnd) {
      keep(cnd)
      invokeRestart("muffleMessage")
    }
  )
  c(value, list(conditions = unlist(conditions)))
}
"""


def install_line() -> str:
    """Return the line that installs rpy2; pip would keep the wheel of another R."""
    return pip_install("r", "--no-cache-dir")


RObject: TypeAlias = Any
"""An object or a function of R, as rpy2 has it: rpy2 comes without types."""

_state: dict[str, RObject] = {}


def r_interface() -> ModuleType:
    """Return ``rpy2.rinterface`` with R running.

    Raises
    ------
    EmbeddingError
        R hosts this Python, or R is not running and this is not the main thread.
    DependencyError
        rpy2 is not installed, or finds no R.
    """
    refuse_inside_r()
    if "rinterface" in _state:
        running: ModuleType = _state["rinterface"]
        return running
    rinterface = _imported()
    with rinterface.openrlib.rlock:
        if not rinterface.embedded.isinitialized():
            if threading.current_thread() is not threading.main_thread():
                message = "R must be started in the main thread, and this is another one."
                hint = "Run `import rpy2.robjects` in the main thread first."
                raise errors.EmbeddingError(message, hint)
            rinterface.initr()
        _state["catching"] = rinterface.evalr(_CATCHING)
        _state["rinterface"] = rinterface
    return rinterface


def _imported() -> ModuleType:
    rpy2_logger = logging.getLogger("rpy2.rinterface_lib.openrlib")
    level = rpy2_logger.level
    try:
        # In ABI mode, which needs no compiler, rpy2 says that it is not in API mode.
        rpy2_logger.setLevel(logging.CRITICAL)
        from rpy2 import rinterface
    except ImportError as error:
        message = f"rpy2, which runs R inside Python, is not installed: {error}."
        raise errors.DependencyError(message, f"Run: {install_line()}") from error
    except Exception as error:
        message = f"rpy2 is installed and cannot load R: {type(error).__name__}: {error}."
        hint = "Check that `R --version` works in this shell, and `python -m rpy2.situation`."
        raise errors.DependencyError(message, hint) from error
    finally:
        rpy2_logger.setLevel(level)
    return rinterface


@contextmanager
def r_lock() -> Iterator[ModuleType]:
    """Lock R for this thread alone and yield ``rpy2.rinterface``."""
    rinterface = r_interface()
    with rinterface.openrlib.rlock:
        yield rinterface


def call(name: str, /, *arguments: RObject, **named: RObject) -> RObject:
    """Call one of our R functions, or ``package::function``, and return what it returns.

    Parameters
    ----------
    name
        A function of the R code of cellferry, or ``package::function``.
    *arguments, **named
        R objects of rpy2's low level; None is NULL.

    Raises
    ------
    CellferryError
        The class that belongs to the code of R's condition; another error of R is an
        :class:`InternalError`.
    """
    with r_lock() as rinterface:
        function = r_function(name)
        pairs = [(None, a) for a in arguments] + list(named.items())
        values = [rinterface.NULL if a is None else a for _, a in pairs]
        given = rinterface.ListSexpVector(values)
        if named:
            given.names = rinterface.StrSexpVector([n or "" for n, _ in pairs])
        answer = _evaluate(_state["catching"], function, given)
        parts = dict(zip(answer.names, answer, strict=True))
        _report(list(parts["conditions"]) if parts["conditions"] is not rinterface.NULL else [])
        if "value" not in parts:
            raise errors.error_from_r(str(parts["class"][0]), str(parts["text"][0]), f"{name}()")
        return parts["value"]


def r_function(name: str) -> RObject:
    """Return one of our R functions, or an exported one named ``package::function``."""
    with r_lock() as rinterface:
        package, _, function = name.rpartition("::")
        if package:
            getter = rinterface.baseenv["getExportedValue"]
            texts = (rinterface.StrSexpVector([t]) for t in (package, function))
            return _evaluate(getter, *texts)
        return _environment()[function]


def _evaluate(function: RObject, *arguments: RObject) -> RObject:
    # Not function(...): that one reads a context variable.
    rinterface = _state["rinterface"]
    return function.rcall([(None, a) for a in arguments], rinterface.globalenv)


def _environment() -> RObject:
    """Return the environment with our R functions, made on first use."""
    if "environment" in _state:
        return _state["environment"]
    rinterface = _state["rinterface"]
    base, text = rinterface.baseenv, rinterface.StrSexpVector
    try:
        # Methods for the classes of Seurat and Matrix must be there before the first call.
        for package in ("methods", "Matrix", "SeuratObject"):
            _evaluate(base["loadNamespace"], text([package]))
    except rinterface.embedded.RRuntimeError as error:
        message = "The R package SeuratObject cannot be loaded."
        hint = 'In R: install.packages("SeuratObject")'
        raise errors.DependencyError(message, f"{hint}\n{str(error).strip()}") from error
    sources = r_sources()
    if sources.is_package:
        # The code that belongs to this Python code, wherever else cellferry is installed.
        namespace = base["loadNamespace"].rcall(
            [("package", text(["cellferry"])), ("lib.loc", text([str(sources.folder)]))],
            rinterface.globalenv,
        )
        _state["environment"] = namespace
        return namespace
    environment = base["new.env"].rcall([("parent", rinterface.baseenv)], rinterface.globalenv)
    for file in sources.files():
        _evaluate(base["sys.source"], text([str(file)]), environment)
    _state["environment"] = environment
    return environment


def _report(conditions: list[RObject]) -> None:
    for kind, class_name, text in zip(
        conditions[::3], conditions[1::3], conditions[2::3], strict=True
    ):
        if kind == "warning":
            errors.warn_from_r(str(class_name), str(text))
        else:
            logger.info("R: %s", text)


def refuse_inside_r() -> None:
    """Raise :class:`EmbeddingError` in a Python that R hosts.

    reticulate puts its module ``rpytools`` into such a Python. Where rpy2 had started R, and
    that R then started reticulate, Python is the host, and nothing is refused.
    """
    if "rpytools" not in sys.modules or _python_is_host():
        return
    message = (
        "R is running this Python through reticulate, so rpy2 cannot start a second R in it: the "
        "process would crash or hang."
    )
    hint = (
        "Use the object in R itself, AnnotateClusters(object), or save it with saveRDS() and run "
        "`cellferry annotate object.rds`."
    )
    raise EmbeddingError(message, hint)


def _python_is_host() -> bool:
    embedded = sys.modules.get("rpy2.rinterface_lib.embedded")
    # reticulate writes this before it starts Python; what R sets later, Python does not see.
    by_reticulate = 'NAME="reticulate"' in os.environ.get("R_SESSION_INITIALIZED", "")
    return embedded is not None and embedded.isinitialized() and not by_reticulate
