"""The R that runs SingleR: the session that called, in its thread, or an Rscript child.

Arrays go to R in a file, because what Python asks R is JSON; they come back as buffers.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DependencyError
from ...runs.worker import CancelledWork
from .. import wire
from ..callbacks import session
from ..wire import Message
from .child import RChild, child_environment, find_rscript, write_buffers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..callbacks import Ask

_TYPES = {"i": "<i4", "f": "<f8"}
_LOOK = (
    "needed <- commandArgs(TRUE); cat('lacks', needed[!vapply(needed, function(name) "
    "nzchar(system.file(package = name)), NA)])"
)
_found: set[tuple[str, tuple[str, ...]]] = set()
"""The Rscripts that were seen to have packages."""


def open_singler(*, check: Mapping[str, str | None] | None = None) -> AbstractContextManager[Any]:
    """Return the R that is asked, as a context manager; in a session it is that one.

    Parameters
    ----------
    check
        Only see that it has SingleR and what that needs for a ``de_method``. A session of R has
        looked before it asked.

    Raises
    ------
    DependencyError
        There is no R, or it has no SingleR: with the line that installs it.
    """
    if session.is_open:
        return _by_session() if check is None else nullcontext()
    rscript = _rscript()
    if check is None:
        return _by_child(rscript)
    _check(rscript, check["de_method"])
    return nullcontext()


def _rscript() -> str:
    try:
        return find_rscript()
    except DependencyError as error:
        message = "SingleR is an R package, and there is no Rscript on the PATH."
        raise DependencyError(message, error.hint) from error


def _check(rscript: str, de_method: str | None) -> None:
    """Raise :class:`DependencyError` where a package is missing; none is loaded for that."""
    needed = ("SingleR", *(() if de_method in {None, "classic"} else ("scran",)))
    if (rscript, needed) in _found:
        return
    done = subprocess.run(
        [rscript, "--no-save", "--no-restore", "-e", _LOOK, *needed],
        capture_output=True, text=True, check=False, env=child_environment(),
    )  # fmt: skip
    said = done.stdout.split()
    if done.returncode or said[:1] != ["lacks"]:
        message = f"The R of {rscript} cannot be started: {done.stderr.strip()[-300:]}"
        raise DependencyError(message, "Start it by itself, and see what it says.")
    if said[1:]:
        word = "package" if len(said) == 2 else "packages"
        quoted = ", ".join(f'"{name}"' for name in said[1:])
        message = (
            f'The engine "singler" needs the R {word} {", ".join(said[1:])}, and the R of '
            f"{rscript} does not have {'it' if len(said) == 2 else 'them'}."
        )
        hint = (
            'Install from Bioconductor, in R: install.packages("BiocManager"); '
            f"BiocManager::install(c({quoted}))"
        )
        raise DependencyError(message, hint)
    _found.add((rscript, needed))


@contextmanager
def _by_child(rscript: str) -> Iterator[Callable[..., Message]]:
    with RChild(rscript) as child:
        task: Message = {"verb": "singler"}
        child.serve({"task": lambda _message, _out: task}, until="singler")
        with _folder() as folder:
            yield partial(_asked, child.ask, folder)
        child.answer(None)


@contextmanager
def _by_session() -> Iterator[Callable[..., Message]]:
    caller, ask = session.caller, session.ask

    def there(question: Message) -> Message:
        try:
            return caller.ask(partial(ask, question)).result()
        except CancelledError:
            raise CancelledWork from None

    with _folder() as folder:
        yield partial(_asked, there, folder)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cellferry-singler-") as name:
        yield Path(name)


def _asked(
    ask: Ask,
    folder: Path,
    step: str,
    plain: Mapping[str, Any],
    arrays: Mapping[str, NDArray[np.generic]],
) -> Message:
    """Ask one step, with its arrays in a file that is gone afterwards."""
    out = wire.Outgoing()
    sent = {name: out.vector(a, _TYPES[a.dtype.kind]) for name, a in arrays.items()}
    path = folder / "arrays"
    write_buffers(path, out.buffers)
    try:
        numbers = {k: {"$double": repr(v)} if isinstance(v, float) else v for k, v in plain.items()}
        return ask({"kind": "singler", "step": step, "file": str(path), **numbers, **sent})
    finally:
        path.unlink(missing_ok=True)
