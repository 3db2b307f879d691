"""The command line: ``cellferry annotate | artifacts | runs | report | serve | doctor | demo``."""

from __future__ import annotations

import logging
import sys
import warnings

import click

from .._version import __version__
from ..errors import CellferryError, CellferryWarning, OptionError
from .annotate import annotate
from .artifacts import artifacts
from .demo import demo
from .output import EXIT_ERROR, EXIT_USAGE, in_its_words
from .report import doctor, report
from .runs import runs
from .serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cellferry")
def group() -> None:
    """Annotate the cell types of clusters, on this machine or with a service you choose.

    \b
    Exit codes: 0 every cluster was answered, 1 error, 2 usage, 3 some clusters failed.

    \b
    Example:
      cellferry annotate markers.csv --out pbmc --tissue blood
    """


for command in (annotate, artifacts, runs, report, serve, doctor, demo):
    group.add_command(command)


class _ToStandardError(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)


def main() -> None:
    """Run the command line and exit with the documented code."""
    logger = logging.getLogger("cellferry")
    logger.addHandler(_ToStandardError())
    logger.setLevel(logging.INFO)
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", CellferryWarning)
    try:
        group(standalone_mode=False)
    except CellferryError as error:
        click.echo(f"Error: {in_its_words(error.message)}", err=True)
        hint = error.data.get("in_shell") or in_its_words(error.hint)
        if hint:
            click.echo(f"  {hint}", err=True)
        sys.exit(EXIT_USAGE if isinstance(error, OptionError) else EXIT_ERROR)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except (KeyboardInterrupt, click.Abort) as stop:
        notes = getattr(stop, "__notes__", [])
        click.echo("\n".join(["Interrupted.", *notes]), err=True)
        sys.exit(EXIT_ERROR)


def _show_warning(message: Warning | str, *_args: object, **_kwargs: object) -> None:
    if isinstance(message, CellferryWarning):
        click.echo(f"Warning: {in_its_words(message.message)}", err=True)
        if message.hint:
            click.echo(f"  {in_its_words(message.hint)}", err=True)


__all__ = ["group", "main"]
