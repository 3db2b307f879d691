"""Genes of the user's own knowledge that are no known symbols."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from ....biology.gene_tables import aliases, known_symbols, resolve
from ....biology.genes import Species
from ....errors import KnowledgeWarning, counted
from .types import CellType

SHOWN = 5
LIKE_ENOUGH = 0.7


def warn_of_unknown_genes(types: Iterable[CellType], places: Mapping[str, str]) -> None:
    """Warn of genes that no table knows, with their place and the nearest gene that there is.

    Parameters
    ----------
    types
        What was read.
    places
        Name of the type -> where it was read, in words.
    """
    unknown: dict[tuple[str, Species], str] = {}
    for cell_type in types:
        for markers in (cell_type.positive, cell_type.negative):
            for species in _species(markers):
                for marker in markers[species]:
                    if all(resolve(symbol, species) is None for symbol in marker.symbols):
                        unknown.setdefault((marker.name, species), places[cell_type.name])
    if not unknown:
        return
    parts = []
    for (gene, species), place in list(unknown.items())[:SHOWN]:
        near = nearest_gene(gene, species)
        parts.append(f'"{gene}" ({place}' + (f', nearest: "{near}")' if near else ")"))
    more = f", and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    names = " or ".join(sorted({species for _, species in unknown}))
    are = "is no known symbol" if len(unknown) == 1 else "are no known symbols"
    message = (
        f"{counted(len(unknown), 'gene')} of `knowledge` {are} of {names}: "
        f"{', '.join(parts)}{more}."
    )
    hint = (
        "Genes are looked up as they are written, letter case included; one of these counts only "
        "where the data have it under this very name."
    )
    warnings.warn(KnowledgeWarning(message, hint), stacklevel=6)


def _species(markers: Mapping[str, object]) -> list[Species]:
    known: tuple[Species, ...] = ("human", "mouse")
    return [species for species in known if species in markers]


def nearest_gene(name: str, species: Species) -> str | None:
    """Return the symbol that a name was most likely meant to be, or None.

    Examples
    --------
    >>> nearest_gene("cd3e", "human"), nearest_gene("CD79AA", "human")
    ('CD3E', 'CD79A')
    """
    plain = name.casefold()
    names = _by_beginning(species)
    for beginning in (plain[:3], plain[:2]):
        near = names.get(beginning, {})
        if plain in near:
            return near[plain]
        close = get_close_matches(plain, list(near), 1, LIKE_ENOUGH)
        if close:
            return near[close[0]]
    return None


@functools.cache
def _by_beginning(species: Species) -> dict[str, dict[str, str]]:
    """Return the first two or three letters -> names in small letters -> names."""
    found: dict[str, dict[str, str]] = {}
    for name in sorted([*aliases(species), *known_symbols(species)]):
        plain = name.casefold()
        for beginning in {plain[:2], plain[:3]}:
            found.setdefault(beginning, {})[plain] = name
    return found
