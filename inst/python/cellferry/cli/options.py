"""What every command takes, and how messages name its options."""

from __future__ import annotations

import functools
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .console import Console, Spell, the_console

_OTHER_NAMES = {
    "data": "input_file", "group_by": "group_key", "input": "input_file",
    "obs_duckdb_path": "obs_duckdb", "output_name": "out", "overwrite_files": "overwrite",
    "vars_h5_path": "vars_h5",
}  # fmt: skip
"""Arguments of R and Python whose option has another name."""
_VERBS = {
    "annotate_cells()": "cellferry annotate --cells",
    "annotate_clusters()": "cellferry annotate without --cells",
    "build_artifacts()": "cellferry artifacts build",
    "resume()": "cellferry runs resume",
    "train_reference()": "cellferry train",
}
_VALUES = {"TRUE": "true", "True": "true", "FALSE": "false", "False": "false", "None": "null"}


class FilePath(click.Path):
    """A path as :class:`pathlib.Path`, refused where its name is no text in this locale."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        found = super().convert(value, param, ctx)
        try:
            str(found).encode("utf-8")
        except UnicodeEncodeError:
            shown = os.fsencode(found).decode("utf-8", "backslashreplace")
            encoding = sys.getfilesystemencoding()
            message = (
                f'The name "{shown}" is no text in the encoding of this locale ({encoding}). Set a '
                "UTF-8 locale, for example LC_ALL=C.UTF-8, or rename the file."
            )
            self.fail(message, param, ctx)
        return found


class InputPath(FilePath):
    """A path, or an address (``https://...``), which is left as it is written."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path or the address."""
        if "://" in str(value):
            from ..study.inputs.address import address_of

            address = address_of(value)
            if address is not None:
                return address
        return super().convert(value, param, ctx)


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield each command that does something, with its name, such as ``"runs show"``."""
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from leaves(child, (*path, name))
    else:
        yield " ".join(path), command


def prepare(name: str, command: click.Command) -> None:
    """Give a command the options of all commands, and its console its name and its options."""
    taken = {option for parameter in command.params for option in parameter.opts}
    command.params += [o for o in output_options() if not taken & set(o.opts)]
    function = command.callback
    assert function is not None

    @functools.wraps(function)
    def called(*arguments: object, **options: object) -> object:
        console = the_console()
        console.command, console.spell = name, spelling_of(command)
        console.log(f"cellferry {name}")
        return function(*arguments, **options)

    command.callback = called


def output_options() -> list[click.Option]:
    """Return ``--quiet``, ``--json`` and ``--log-file``, for before and after a verb."""
    return [
        click.Option(
            ["-q", "--quiet"], is_flag=True, is_eager=True, expose_value=False, callback=_quiet,
            help="Say nothing but errors on standard error.",
        ),
        click.Option(
            ["--json"], is_flag=True, is_eager=True, expose_value=False, callback=_json,
            help="Write one JSON document to standard output.",
        ),
        click.Option(
            ["--log-file"], type=FilePath(dir_okay=False), is_eager=True, expose_value=False,
            callback=_log_file, metavar="FILE",
            help="Append everything that is said, with its time, to FILE.",
        ),
    ]  # fmt: skip


def _quiet(context: click.Context, _parameter: click.Parameter, given: bool) -> None:
    context.ensure_object(Console).quiet |= given


def _json(context: click.Context, _parameter: click.Parameter, given: bool) -> None:
    context.ensure_object(Console).as_json |= given


def _log_file(context: click.Context, _parameter: click.Parameter, given: Path | None) -> None:
    if given is not None and not context.resilient_parsing:
        context.ensure_object(Console).keep_log(given)


def spelling_of(command: click.Command) -> Spell:
    """Return how messages name the options of a command.

    Examples
    --------
    >>> from cellferry.cli.annotate import annotate
    >>> spell = spelling_of(annotate)
    >>> spell("overwrite", "True"), spell("group.by", '"leiden"'), spell("n_genes", "30")
    ('--overwrite', '--group-key leiden', '--option n_genes=30')
    """
    parameters = {str(p.name): p for p in command.params}

    def spell(name: str, value: str | None) -> str | None:
        if name.endswith("()"):
            return _VERBS.get(name)
        plain = name.replace(".", "_")
        parameter = parameters.get(_OTHER_NAMES.get(plain, plain))
        if isinstance(parameter, click.Argument):
            return parameter.human_readable_name.rstrip(".")
        if isinstance(parameter, click.Option):
            return _option(parameter, value)
        if value is not None and "options" in parameters and plain in _engine_options():
            return f"--option {plain}={shlex.quote(_literal(value))}"
        return None

    return spell


def _option(option: click.Option, value: str | None) -> str:
    name = max(option.opts, key=len)
    if option.is_flag or value is None:
        return name
    text = value[1:-1] if re.fullmatch(r'"[^"]*"', value) else value
    # R and Python can make a table where it is asked for; a shell has files.
    return f"{name} FILE" if "(" in text else f"{name} {shlex.quote(text)}"


def _literal(value: str) -> str:
    return _VALUES.get(value, value)


@functools.cache
def _engine_options() -> frozenset[str]:
    from ..engines import usable_engines

    found = [*usable_engines().values(), *usable_engines("cells").values()]
    return frozenset(option for options in found for option in options)
