"""The command line: annotate, artifacts, markers, pseudobulk, runs, report, write, serve, ..."""

from __future__ import annotations

import gc
import io
import logging
import sys
import warnings

import click

from .._version import __version__
from ..errors import ISSUE_URL, CellferryError, CellferryWarning, InternalError, language
from ..study.inputs.readers import give_readers_of
from .annotate import annotate
from .artifacts import artifacts
from .companions import embed, export_markers
from .console import Console, ToConsole
from .demo import demo
from .exits import (
    EXIT_CODES,
    EXIT_ERROR,
    EXIT_OK,
    Stopped,
    exit_code_of,
    exit_code_of_interrupt,
    stopped_by_signals,
)
from .known import cell_types, engines, tissues
from .labels.agreement import compare, consensus
from .labels.decide import apply, label
from .markers import markers, pseudobulk
from .options import leaves, output_options, prepare
from .reannotate import reannotate
from .report import doctor, report, write
from .runs import runs
from .serve import review, serve
from .training import train

GARBAGE = 100_000
"""So many new objects are made before cycles of unused ones are looked for."""
_HELP = f"""Annotate the cell types of clusters, on this machine or with a service you choose.

    \b
    {EXIT_CODES.replace(chr(10), chr(10) + "    ")}
    \b
    Example:
      cellferry annotate markers.csv --out pbmc --tissue blood
    Completion, in ~/.bashrc (zsh_source, fish_source):
      eval "$(_CELLFERRY_COMPLETE=bash_source cellferry)"
    """


@click.group(
    help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="cellferry")
def group() -> None:
    """Annotate cell types."""


group.params += output_options()
for command in (
    annotate, reannotate, label, apply, consensus, compare, artifacts, markers, export_markers,
    embed, pseudobulk, train, runs, report, write, review,
    engines, tissues, cell_types, serve, doctor, demo,
):  # fmt: skip
    group.add_command(command)
for name, leaf in leaves(group):
    prepare(name, leaf)


def main() -> None:
    """Run the command line and exit with the documented code."""
    # A command makes many objects and hardly any cycle: looking for those takes a sixth of the time
    # of annotating a table.
    gc.set_threshold(GARBAGE)
    console = Console()
    logger = logging.getLogger("cellferry")
    logger.addHandler(ToConsole(console))
    logger.setLevel(logging.INFO)
    # What packages and R write may be of another encoding than the terminal.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")

    def show_warning(message: Warning | str, *_args: object, **_kwargs: object) -> None:
        if isinstance(message, CellferryWarning):
            console.warn(message)
        else:
            console.log(f"{type(message).__name__}: {message}", logging.WARNING)

    warnings.showwarning = show_warning
    warnings.simplefilter("always", CellferryWarning)
    language.set("cli")
    give_readers_of("cellferry.bridge.rds.readers")
    with stopped_by_signals():
        try:
            code = _run(console)
        except CellferryError as error:
            # Standard output itself cannot be written.
            console.as_json = False
            code = exit_code_of(error)
            console.failed(error.to_dict(), code)
        console.close(code)
    sys.exit(code)


def _run(console: Console) -> int:
    """Run the command and return its exit code; whatever goes wrong is said."""
    try:
        returned = group.main(prog_name="cellferry", standalone_mode=False, obj=console)
    except click.Abort as abort:
        # Click makes one of any interrupt, whose notes are with the interrupt.
        return _interrupted(console, abort.__cause__ or abort)
    except KeyboardInterrupt as interrupt:
        return _interrupted(console, interrupt)
    except CellferryError as error:
        console.log_error(error)
        console.failed(error.to_dict(), code := exit_code_of(error))
        return code
    except click.ClickException as error:
        return _refused(console, error)
    except MemoryError as error:
        console.log_error(error)
        message = "There is not enough memory."
        hint = "Use a machine with more, or a smaller object."
        console.failed({"code": "memory", "message": message, "hint": hint, "data": {}}, EXIT_ERROR)
        return EXIT_ERROR
    except Exception as error:
        console.log_error(error)
        text = f"cellferry failed unexpectedly: {type(error).__name__}: {error}"
        hint = f"Please report it at {ISSUE_URL}, with what --log-file FILE writes."
        console.failed(InternalError(text, hint).to_dict(), EXIT_ERROR)
        return EXIT_ERROR
    return returned if isinstance(returned, int) else EXIT_OK


def _interrupted(console: Console, interrupt: BaseException) -> int:
    code = exit_code_of_interrupt(interrupt)
    by = {143: "SIGTERM", 129: "SIGHUP"}.get(code)
    message = f"Stopped by {by}." if isinstance(interrupt, Stopped) else "Interrupted."
    hint = "\n".join(getattr(interrupt, "__notes__", ()))
    data = {"run": getattr(interrupt, "run", None)}
    error = {"code": "interrupted", "message": message, "hint": hint, "data": data}
    console.failed(error, code)
    return code


def _refused(console: Console, error: click.ClickException) -> int:
    """Say what click refuses, with the usage of the command."""
    context = getattr(error, "ctx", None)
    path = "cellferry" if context is None else context.command_path
    console.command = console.command or path.removeprefix("cellferry").strip()
    # One that stands after the mistake was not read.
    console.as_json |= "--json" in sys.argv[1:]
    if context is not None:
        console.note(context.get_usage(), logging.ERROR)
    hint = f"See {path} --help." if isinstance(error, click.UsageError) else ""
    said = {"code": "usage", "message": error.format_message(), "hint": hint, "data": {}}
    console.failed(said, error.exit_code)
    return error.exit_code


__all__ = ["group", "main"]
