"""``cellferry engines``, ``tissues`` and ``cell-types``: what there is, and what it knows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import click

from .console import the_console


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
@click.argument("name", required=False, shell_complete=lambda *_: _names())
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


def _print(records: Sequence[Mapping[str, str | int]], columns: Sequence[str] = ()) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or list(records[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    the_console().result(
        text.getvalue().rstrip("\n"), asked_for=True, rows=[dict(record) for record in records]
    )
