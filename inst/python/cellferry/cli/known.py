"""``cellferry engines``, ``tissues`` and ``cell-types``: what there is, and what a shell completes.

Nothing that completes may print or fail: the user is in the middle of a line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from ..errors import CellferryError
from .console import the_console

if TYPE_CHECKING:
    from ..annotations.clusters import Level


@click.command()
def tissues() -> None:
    """List the tissues that --tissue understands, as tab-separated text.

    \b
    Example:
      cellferry tissues | grep -i colon
    """
    from ..engines.local.knowledge.known import tissue_records

    _print(tissue_records())


@click.command("cell-types")
@click.option("--tissue", help="Only types that occur in it, for example blood.")
@click.option("--species", help="Only types with markers for it, for example mouse.")
def cell_types(tissue: str | None, species: str | None) -> None:
    """List the cell types that the engine local can name, as tab-separated text.

    \b
    Examples:
      cellferry cell-types --tissue lung
      cellferry cell-types --species mouse > types.tsv
    """
    from ..engines.local.knowledge.known import cell_type_records

    _print(cell_type_records(tissue, species))


@click.command()
@click.argument(
    "name", required=False,
    shell_complete=lambda _context, _parameter, begun: [n for n in _names() if n.startswith(begun)],
)  # fmt: skip
def engines(name: str | None) -> None:
    """List the engines, those of other packages too, as tab-separated text.

    With the NAME of one, its options: for clusters or for cells, and the default of each as JSON.
    They are given to cellferry annotate as --option NAME=VALUE.

    \b
    Examples:
      cellferry engines
      cellferry engines local
    """
    from ..engines import engine_records, option_records

    if name is None:
        _print(engine_records())
    else:
        _print(option_records(name), ["answers", "option", "default"])


def _names() -> list[str]:
    from ..engines import engine_names

    return sorted({*engine_names(), *engine_names("cells")})


def complete_engines(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return the engines whose names begin so, after ``NAME=`` too."""
    before, equals, start = begun.rpartition("=")
    return [CompletionItem(before + equals + n) for n in _names() if n.startswith(start)]


def complete_options(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return the options of the engine that was named before, to be completed with a value."""
    given = context.params.get("engines") or [context.params.get("engine") or "local"]
    has_level = "cells" in {parameter.name for parameter in context.command.params}
    level: Level = "cells" if context.params.get("cells") or not has_level else "clusters"
    return _options([str(name) for name in given], level, begun)


def complete_options_of_run(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return the options of the engine of the run that was named before."""
    from ..annotate.verb import level_of_run
    from ..runs.run import Run

    # While an option has no value yet, click has not given the arguments their names.
    named = context.params.get("run") or next(iter(context.args), "")
    try:
        run = Run.open(str(named))
        return _options([str(run.content["engine"])], level_of_run(run), begun)
    except (CellferryError, KeyError):
        return []


def _options(given: Sequence[str], level: Level, begun: str) -> list[CompletionItem]:
    from ..engines import usable_engines

    known, several = usable_engines(level), len(given) > 1
    found = []
    for one in given:
        name, _, engine = one.partition("=")
        for option, value in known.get(engine or name, {}).items():
            text = f"{name}.{option}=" if several else f"{option}="
            if text.startswith(begun):
                found.append(CompletionItem(text, help=f"default {json.dumps(value)}"))
    return found


class _Bash(BashComplete):
    """Bash ends words at each ``=``: ``a=local`` comes as three words, and its end is replaced."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is completed, and that one, as they were typed."""
        words, begun = super().get_completion_args()
        joined: list[str] = []
        for word in [*words, begun]:
            after = bool(joined) and joined[-1].endswith("=") and not joined[-1].startswith("=")
            if joined and (word == "=" or after):
                joined[-1] += word
            else:
                joined.append(word)
        self._is_split = begun == "=" or (len(words) > 0 and words[-1] == "=")
        return joined[:-1], joined[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """Return what bash puts in place of its last word."""
        value = str(item.value)
        return f"{item.type},{value.rpartition('=')[2] if self._is_split else value}"


add_completion_class(_Bash)


def _print(records: Sequence[Mapping[str, str | int]], columns: Sequence[str] = ()) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or list(records[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    the_console().result(
        text.getvalue().rstrip("\n"), asked_for=True, rows=[dict(record) for record in records]
    )
