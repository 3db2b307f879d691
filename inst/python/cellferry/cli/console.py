"""What the command line says, and where: results on standard output, the rest on standard error.

``--quiet`` leaves errors only, ``--json`` makes the result one JSON document, ``--log-file``
keeps everything with its time.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._version import __version__
from ..errors import CellferryWarning, OutputError, spelled

if TYPE_CHECKING:
    from ..files import Json
    from ..runs.worker import Event

SCHEMA = "cellferry.command/1"
logger = logging.getLogger("cellferry")

Spell = Callable[[str, str | None], str | None]


@dataclass
class Console:
    """Standard output, standard error and the log of one command.

    Attributes
    ----------
    quiet
        Nothing is said on standard error but errors.
    as_json
        What goes to standard output is one JSON document.
    command
        The verb, such as ``"runs show"``.
    spell
        Writes the arguments that messages name as options of this command.
    """

    quiet: bool = False
    as_json: bool = False
    command: str = ""
    spell: Spell = lambda _name, _value: None
    warnings: list[dict[str, object]] = field(default_factory=list)
    log_file: logging.Handler | None = None

    def result(
        self,
        text: str,
        *,
        code: int = 0,
        reason: str = "",
        asked_for: bool = False,
        **document: object,
    ) -> None:
        """Write the result of the command to standard output, and end it with its exit code.

        Parameters
        ----------
        text
            For people.
        code, reason
            How it ended, and why if not well; the reason goes to standard error too.
        asked_for
            Whether the text is all that the command is for, so that ``--quiet`` leaves it.
        document
            What is in the JSON document.

        Raises
        ------
        click.exceptions.Exit
            With the code, unless it is 0.
        """
        if self.as_json:
            self._document(code, reason, None, document)
        elif text and (asked_for or not self.quiet):
            self.out(text)
        if code:
            self.note(reason, logging.ERROR)
            raise click.exceptions.Exit(code)

    def failed(self, error: Mapping[str, object], code: int) -> None:
        """Say what went wrong: on standard error, and in the JSON document.

        Parameters
        ----------
        error
            ``code``, ``message``, ``hint`` and ``data``; an error of click is shown by itself and
            has no message on standard error.
        code
            The exit code.
        """
        said = {**error, **{k: self.spelled(str(error[k])) for k in ("message", "hint")}}
        if self.as_json:
            self._document(code, str(said["message"]), said, {})
        self.note(f"Error: {said['message']}", logging.ERROR)
        if said["hint"]:
            self.note(indented(str(said["hint"])), logging.ERROR)

    def warn(self, warning: CellferryWarning) -> None:
        """Say what is no error, and remember it for the JSON document."""
        said = {k: self.spelled(str(v)) for k, v in warning.to_dict().items()}
        self.warnings.append(dict(said))
        text = f"Warning: {said['message']}"
        if said["hint"]:
            text += f"\n{indented(said['hint'])}"
        self.note(text, logging.WARNING)

    def note(self, text: str, level: int = logging.INFO) -> None:
        """Say something on standard error and in the log."""
        self.log(text, level)
        if level >= logging.ERROR or not self.quiet:
            # Whoever reads it may have gone.
            with suppress(OSError):
                click.echo(text, err=True)

    def wrote(self, files: Sequence[Path]) -> None:
        """Say where the files are."""
        for path in files:
            self.note(f"wrote {path}")

    def progress(self, event: Event) -> None:
        """Keep an event of a run in the log."""
        if event.text:
            done = f" ({event.done} of {event.total})" if event.total else ""
            self.log(f"{event.kind}: {event.text}{done}", logging.DEBUG)

    def spelled(self, text: str) -> str:
        """Return a message with arguments as options of this command."""
        return spelled(text, self.spell)

    def out(self, text: str | bytes, *, newline: bool = True) -> None:
        """Write to standard output; a reader that has gone, such as ``head``, is no error.

        Raises
        ------
        OutputError
            It cannot be written: the disk is full.
        """
        try:
            click.echo(text, nl=newline)
        except BrokenPipeError:
            nobody_reads()
        except OSError as error:
            # What is still buffered would fail again at the end of the process, and be its status.
            nobody_reads()
            message = f"Standard output cannot be written: {error.strerror or error}."
            raise OutputError(message, "Free space, or send the output elsewhere.") from error

    def log(self, text: str, level: int = logging.INFO) -> None:
        """Write to the log file alone."""
        if self.log_file is not None:
            self.log_file.handle(logger.makeRecord("cellferry", level, "", 0, text, (), None))

    def log_error(self, error: BaseException) -> None:
        """Keep where an error came from, which is for those who mend it."""
        self.log("".join(traceback.format_exception(error)).rstrip(), logging.DEBUG)

    def keep_log(self, path: Path) -> None:
        """Begin to write the log to a file, after what is in it.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        try:
            handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            message = f'The log file "{path}" cannot be written: {error.strerror or error}.'
            raise OutputError(message, "Choose another place with --log-file.") from error
        handler.setFormatter(_Formatter())
        self.log_file = handler
        self.log(f"cellferry {__version__}, Python {sys.version.split()[0]}, process {os.getpid()}")

    def close(self, code: int) -> None:
        """Write the last line of the log."""
        self.log(f"exit code {code}")
        if self.log_file is not None:
            self.log_file.close()

    def _document(
        self,
        code: int,
        reason: str,
        error: Mapping[str, object] | None,
        more: Mapping[str, object],
    ) -> None:
        document: dict[str, object] = {
            "schema": SCHEMA,
            "command": self.command,
            "exit_code": code,
            "reason": reason or None,
            "error": error,
            "warnings": self.warnings,
            **more,
        }
        self.out(json.dumps(document, ensure_ascii=not _is_utf8(), allow_nan=False, default=str))


def the_console() -> Console:
    """Return the console of the command that runs."""
    return click.get_current_context().ensure_object(Console)


def indented(text: str) -> str:
    """Return a hint as it stands below its message."""
    return "\n".join(f"  {line}" for line in text.splitlines())


def plain(content: object) -> Json:
    """Return what a record holds as plain JSON values."""
    found: Json = json.loads(json.dumps(content, default=str))
    return found


def nobody_reads() -> None:
    """Let what is still written to standard output go nowhere, without an error at the end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _is_utf8() -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").replace("_", "") == "utf8"


class ToConsole(logging.Handler):
    """The log of the package, as notes of the console."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        text = self._console.spelled(record.getMessage())
        self._console.note(text, min(record.levelno, logging.WARNING))


class _Formatter(logging.Formatter):
    """Time with its zone, level and text; what is or looks like a secret is hidden."""

    def format(self, record: logging.LogRecord) -> str:
        from ..engines.service.secrets import redact

        then = time.localtime(record.created)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", then) + f".{int(record.msecs):03d}"
        zone = time.strftime("%z", then)
        return redact(f"{stamp}{zone} {record.levelname} {record.getMessage()}")
