"""``cellferry tissues`` and ``cellferry cell-types``: what the embedded engine knows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

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


def _print(records: Sequence[dict[str, str | int]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    the_console().result(text.getvalue().rstrip("\n"), asked_for=True, rows=list(records))
