"""An .rds file on the command line: an Rscript child reads it, and labels and writes it.

The child runs the same R functions as a session does, with the bridge to Python as a folder of
files (``R/bridge-rscript.R``). R is not embedded here and Python is not embedded there.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from ... import errors
from ..._version import called_from_r, of_a_child
from .. import wire
from ..callbacks import checked_answer
from ..r_code import RSources, r_sources
from ..wire import Message

POLL_SECONDS = 0.01
PATIENCE_SECONDS = 5.0
"""How long a child may take to end when it should."""

Handler = Callable[[Message, wire.Outgoing], Message | None]

_SCRIPT = """
arguments <- commandArgs(TRUE)
for (name in c("C.UTF-8", "en_US.UTF-8", "UTF-8")) {{
  if (l10n_info()[["UTF-8"]]) break
  suppressWarnings(Sys.setlocale("LC_CTYPE", name))
}}
if (!l10n_info()[["UTF-8"]]) {{
  file.create(file.path(arguments[1], "no-utf8"))
  quit(save = "no", status = 1L)
}}
needed <- c("SeuratObject", "jsonlite", "rlang")
missing <- needed[!vapply(needed, requireNamespace, NA, quietly = TRUE)]
if (length(missing)) {{
  writeLines(missing, file.path(arguments[1], "missing"))
  quit(save = "no", status = 1L)
}}
{load}
code$work_on_rds(arguments[1])
"""
_LOAD_FILES = """
code <- new.env(parent = baseenv())
assign("%||%", rlang::`%||%`, envir = code)
for (file in list.files({folder}, "[.]R$", full.names = TRUE)) {{
  sys.source(file, envir = code, keep.source = FALSE)
}}
"""
_LOAD_PACKAGE = """
code <- loadNamespace("cellferry", lib.loc = {folder})
"""


class RChild:
    """An Rscript that asks: one folder for the exchange, one child process.

    Use as a context manager; leaving it ends the child, whatever it is doing.
    """

    def __init__(self, rscript: str | None = None) -> None:
        self._rscript = rscript or find_rscript()
        # It is removed at the end of the process too, if a signal came just now.
        self._temporary = tempfile.TemporaryDirectory(
            prefix="cellferry-rds-", ignore_cleanup_errors=True
        )
        self._folder = Path(self._temporary.name)
        self._requests = 0
        self._told = ExitStack()
        self._child: subprocess.Popen[bytes] | None = None
        self._at_the_end: weakref.finalize[..., RChild] | None = None

    def __enter__(self) -> RChild:
        self._told.enter_context(of_a_child())
        script = self._folder / "child.R"
        script.write_text(child_script(r_sources()), encoding="utf-8")
        with _interrupts_later():
            self._child = subprocess.Popen(
                [self._rscript, "--no-save", "--no-restore", str(script), str(self._folder)],
                stdin=subprocess.PIPE,
                # What R packages print is not a result of ours.
                stdout=subprocess.DEVNULL,
                stderr=(self._folder / "stderr").open("wb"),
                env=child_environment(),
                # Ctrl-C is Python's to handle; it then ends the child.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows
            )
            # An interrupt before the block of `with` has begun leaves no child either.
            self._at_the_end = weakref.finalize(self, _kill, self._child)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        child = self._child
        if child is not None:
            if child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(PATIENCE_SECONDS if _type is None else 0)
            except subprocess.TimeoutExpired:
                _kill(child)
            if self._at_the_end is not None:
                self._at_the_end.detach()
        self._temporary.cleanup()
        self._told.close()

    def serve(self, handlers: Mapping[str, Handler], until: str) -> Message:
        """Answer what the child asks by name, and return the message named ``until`` unanswered.

        Parameters
        ----------
        handlers
            Name of a message -> what answers it; others are answered by None.
        until
            Name of the message that is returned.

        Raises
        ------
        CellferryError
            What went wrong in R, by its code; :class:`InternalError` if R ended.
        """
        while True:
            name, message = self._next()
            if name == "failed":
                raise errors.error_from_r(message["class"], message["text"], "the Rscript child")
            if name == "warned":
                errors.warn_from_r(message["class"], message["text"])
                self.answer(None)
            elif name == "session":
                called_from_r(message["versions"])
                self.answer(None)
            elif name == until:
                return message
            else:
                out = wire.Outgoing()
                value = handlers[name](message, out) if name in handlers else None
                self.answer(value, out)

    def ask(self, question: Message) -> Message:
        """Ask the child, which waits for the answer to its last message, and return its answer."""
        self._reply(question, [])
        return checked_answer(self.serve({}, until="answered"), "the Rscript child")

    def answer(self, value: Message | None, out: wire.Outgoing | None = None) -> None:
        """Answer the last message.

        Parameters
        ----------
        value
            Plain data, or None.
        out
            The buffers that it refers to.
        """
        reply: Message = {"ok": True, "value": value, "warnings": [], "messages": []}
        self._reply(reply, [] if out is None else out.buffers)

    def _reply(self, reply: Message, parts: Sequence[bytes | bytearray]) -> None:
        text = json.dumps(reply, ensure_ascii=False, allow_nan=False).encode()
        buffers: list[bytes | bytearray] = [text, *parts]
        write_buffers(self._folder / f"answer_{self._requests}", buffers)
        pipe = None if self._child is None else self._child.stdin
        if pipe is None:
            message = "The Rscript child was not started."
            raise errors.InternalError(message)
        try:
            pipe.write(b"\n")
            pipe.flush()
        except BrokenPipeError:
            self._stopped()

    def deliver(self, value: Message, out: wire.Outgoing) -> None:
        """Give R the labels that it writes into its object, and wait until it has them."""
        self.answer(value, out)
        self.serve({}, until="save")

    def save(self, path: Path) -> None:
        """Let R write its object, see that the file is whole, and wait until the child has ended.

        Parameters
        ----------
        path
            The file.
        """
        self.answer({"path": str(path.resolve())})
        self.serve({}, until="saved")
        self.answer(None)
        self.wait()
        check_whole(path)

    def wait(self) -> None:
        """Wait until the child has ended by itself."""
        if self._child is not None:
            self._child.wait()

    def _next(self) -> tuple[str, Message]:
        self._requests += 1
        path = self._folder / f"request_{self._requests}"
        while not path.exists():
            if self._child is not None and self._child.poll() is not None and not path.exists():
                self._stopped()
            time.sleep(POLL_SECONDS)
        name, text, *buffers = read_buffers(path)
        path.unlink()
        return name.decode(), wire.decode(json.loads(text.decode()), buffers)

    def _stopped(self) -> None:
        if (self._folder / "no-utf8").exists():
            message = f"The R of {self._rscript} finds no UTF-8 locale, which names of cells need."
            hint = "Set LC_ALL to a locale of UTF-8 that `locale -a` lists, or install one."
            raise errors.DependencyError(message, hint)
        missing = self._folder / "missing"
        if missing.exists():
            names = missing.read_text(encoding="utf-8").split()
            quoted = ", ".join(f'"{n}"' for n in names)
            message = f"The R of {self._rscript} lacks the packages {errors.listing(names)}."
            raise errors.DependencyError(message, f"In R: install.packages(c({quoted}))")
        printed = (self._folder / "stderr").read_text(encoding="utf-8", errors="replace")
        last = "\n".join(printed.strip().splitlines()[-5:])
        code = None if self._child is None else self._child.returncode
        message = f"R ended unexpectedly (exit status {code}): {last}"
        hint = "If R ran out of memory, use a machine with more, or a smaller object."
        raise errors.InternalError(message, hint)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Let signals of Python's handlers wait until the block has ended: a child is lost by none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = {number: signal.getsignal(number) for number in numbers}
    mine = [number for number, handler in before.items() if callable(handler)]
    waiting: list[int] = []
    for number in mine:
        signal.signal(number, lambda caught, _frame: waiting.append(caught))
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
    for number in waiting[:1]:
        signal.raise_signal(number)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and what it has started: it leads a session of its own.

    Windows has no sessions, and its Rscript starts the R that works.
    """
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        import psutil

        with suppress(psutil.Error):
            for started in psutil.Process(child.pid).children(recursive=True):
                with suppress(psutil.Error):
                    started.kill()
    child.kill()
    child.wait()


def existing_file(path: Path) -> str:
    """Return the absolute path of a file for the child; raises :class:`InputError` without it."""
    if not path.is_file():
        message = f'There is no file "{path}".'
        raise errors.InputError(message, "Check the path.")
    return str(path.resolve())


def child_script(sources: RSources) -> str:
    """Return the R code that the child runs: our functions, then the one that asks."""
    # A JSON string is an R string.
    folder = json.dumps(str(sources.folder), ensure_ascii=False)
    load = (_LOAD_PACKAGE if sources.is_package else _LOAD_FILES).format(folder=folder)
    return _SCRIPT.format(load=load)


def child_environment() -> dict[str, str]:
    """Return our environment for the child: without the library path of another R, in UTF-8.

    A locale that is not UTF-8, such as ``LC_ALL=C``, loses names of files and clusters.
    """
    kept = {k: v for k, v in os.environ.items() if k not in {"LD_LIBRARY_PATH", "R_HOME"}}
    chosen = next((kept[k] for k in ("LC_ALL", "LC_CTYPE", "LANG") if kept.get(k)), "")
    # R of Windows speaks UTF-8 by itself, and knows no locale of this name.
    if os.name != "nt" and not re.search(r"utf-?8", chosen, re.IGNORECASE):
        kept["LC_ALL"] = "C.UTF-8"
    return kept


def find_rscript() -> str:
    """Return the path of Rscript.

    Raises
    ------
    DependencyError
        There is none.
    """
    found = shutil.which("Rscript")
    if found is None:
        message = "An .rds file is read by R, and there is no Rscript on the PATH."
        hint = "Install R, or add its folder `bin` to the PATH."
        raise errors.DependencyError(message, hint)
    return found


def check_whole(path: Path) -> None:
    """Raise :class:`OSError` where an .rds ends too early: R overlooks a failure at its end.

    Parameters
    ----------
    path
        What R wrote.
    """
    try:
        with gzip.open(path) as content:
            while content.read(1 << 24):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        reason = "it is not whole, as on a full disk"
        raise OSError(errno.ENOSPC, reason, str(path)) from error


def write_buffers(path: Path, buffers: Sequence[bytes | bytearray]) -> None:
    """Write buffers as R reads them: how many, the length of each, and then all of them."""
    sizes = np.array([len(buffers), *map(len, buffers)], dtype="<i4")
    with path.open("wb") as file:
        file.write(sizes.tobytes())
        for buffer in buffers:
            file.write(buffer)


def read_buffers(path: Path) -> list[bytes]:
    """Read what :func:`write_buffers`, or R, wrote."""
    content = path.read_bytes()
    n = int(np.frombuffer(content, "<i4", 1)[0])
    sizes = np.frombuffer(content, "<i4", n, offset=4)
    ends = np.cumsum(sizes, dtype=np.int64) + 4 * (n + 1)
    return [content[end - size : end] for end, size in zip(ends, sizes, strict=True)]
