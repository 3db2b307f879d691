"""The genes that a panel measured, given beside a marker table that names only some of them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import InvalidOptionError, counted, listing
from ...study.symbols import symbols_of

FEWEST_LISTED = 0.5
"""Part of the genes of the marker table that must be among those that were measured."""
_HEADINGS = frozenset({"gene", "genes", "gene_name", "gene_id", "symbol", "name", "target"})


def given_genes(given: object) -> str | tuple[str, ...] | None:
    """Return the option ``measured`` as it is kept: a path as text, or names.

    Parameters
    ----------
    given
        Names, or the path of a text file.

    Raises
    ------
    InvalidOptionError
        It is something else, or there are no names in it.
    """
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        path = Path(given).expanduser()
        _names_in(path)
        return str(path)
    names = tuple(map(str, given)) if isinstance(given, Iterable) else ()
    if not names:
        message = "`measured` has no names of genes."
        raise InvalidOptionError(message, _VALID, option="measured")
    return names


def measured_genes(
    given: str | tuple[str, ...] | None, genes: Sequence[str] | None, species: str | None
) -> tuple[str, ...] | None:
    """Return all genes that were measured, as symbols; None where nobody says.

    Parameters
    ----------
    given
        The option, as :func:`given_genes` keeps it. Says more than the object, which may have
        been cut to some genes.
    genes
        Those of the object, or None.
    species
        As the study states it, for names that are no symbols.
    """
    if given is None:
        return None if genes is None else tuple(genes)
    return symbols_of(_names_in(Path(given)) if isinstance(given, str) else given, species)


def check_listed(measured: Sequence[str], listed: Iterable[str]) -> None:
    """Refuse genes that were measured and do not have those of the marker table.

    Raises
    ------
    InvalidOptionError
        Fewer than half of them are there: these are other names, or another panel.
    """
    known, there = set(measured), {str(g) for g in listed}
    absent = sorted(there - known)
    if len(absent) > (1 - FEWEST_LISTED) * len(there):
        message = (
            f"`measured` has {len(there) - len(absent):,} of the {counted(len(there), 'gene')} of "
            f"the marker table: {listing(absent, 3)} are not among its {len(known):,}."
        )
        raise InvalidOptionError(
            message, "Give all genes of the panel, by the names that the table has.",
            option="measured",
        )  # fmt: skip


_VALID = (
    "Give the names of all genes that were measured, or the path of a text file with one on each "
    "line."
)


def _names_in(path: Path) -> tuple[str, ...]:
    """Return the first field of each line, without a heading."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "is no text" if isinstance(error, UnicodeDecodeError) else "cannot be read"
        message = f'`measured` is the path "{path}", which {why}.'
        raise InvalidOptionError(message, _VALID, option="measured") from error
    delimiter = "\t" if "\t" in text else ";" if ";" in text else ","
    rows = [row[0].strip() for row in csv.reader(text.splitlines(), delimiter=delimiter) if row]
    names = tuple(name for name in rows if name)
    if names and names[0].casefold() in _HEADINGS:
        names = names[1:]
    if not names:
        message = f'`measured` is the path "{path}", and no gene is in it.'
        raise InvalidOptionError(message, _VALID, option="measured")
    return names
