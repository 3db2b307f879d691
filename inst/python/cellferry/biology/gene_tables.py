"""Gene tables: Ensembl identifiers to symbols, orthologs, and names that are out of use.

Human and mouse come with the package (``data/README.md`` says from where and which
releases). Everything is looked up by table; no name is ever changed by rule.
"""

from __future__ import annotations

import functools
import gzip
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

from .genes import ENSEMBL, Species

PREFIXES: dict[Species, str] = {"human": "ENSG", "mouse": "ENSMUSG"}
_BY_PREFIX = {prefix: species for species, prefix in PREFIXES.items()}


_SYMBOLS = re.compile(r"\t(.*)")


@dataclass(frozen=True)
class Conversion:
    """Ensembl identifiers and the symbols found for them.

    Attributes
    ----------
    symbols
        Identifier as it was given -> symbol; those without one are left out.
    lost
        Identifiers for which the tables have no symbol (novel genes have none).
    ambiguous
        Symbols that several of the identifiers share.
    """

    symbols: Mapping[str, str]
    lost: tuple[str, ...]
    ambiguous: tuple[str, ...]

    @property
    def share(self) -> float:
        """Part of the different identifiers that have a symbol, 0..1."""
        total = len(self.symbols) + len(self.lost)
        return len(self.symbols) / total if total else 0.0


def to_symbols(identifiers: Iterable[object]) -> Conversion:
    """Look Ensembl gene identifiers of human and mouse up; versions are ignored.

    Names that are no such identifiers count as lost: what to do with them is the
    caller's decision.

    Examples
    --------
    >>> dict(to_symbols(["ENSG00000167286.9", "ENSMUSG00000032094"]).symbols)
    {'ENSG00000167286.9': 'CD3D', 'ENSMUSG00000032094': 'Cd3d'}
    """
    names = list(dict.fromkeys(map(str, identifiers)))
    found: dict[str, str] = {}
    genes: dict[str, set[str]] = {}
    for name in names:
        match = ENSEMBL.fullmatch(name.strip())
        species = _BY_PREFIX.get(match["prefix"] or "") if match else None
        if match is None or species is None:
            continue
        symbol = symbols_by_number(species).get(int(match["number"]))
        if symbol is not None:
            found[name] = symbol
            genes.setdefault(symbol, set()).add(PREFIXES[species] + match["number"])
    return Conversion(
        found,
        tuple(n for n in names if n not in found),
        tuple(sorted(s for s, of in genes.items() if len(of) > 1)),
    )


def known_symbols(species: Species) -> frozenset[str]:
    """Return all symbols of a species in the packaged release."""
    return _known(species)


def orthologs(source: Species) -> Mapping[str, str]:
    """Return symbol -> symbol of the other species, for one-to-one orthologs only.

    Examples
    --------
    >>> orthologs("mouse")["Cd79a"], "CD177" in orthologs("human")
    ('CD79A', True)
    """
    pairs = _pairs()
    return dict(pairs) if source == "human" else {m: h for h, m in pairs}


def aliases(species: Species) -> Mapping[str, str]:
    """Return name -> current symbol, for protein names and outdated symbols.

    Examples
    --------
    >>> aliases("human")["CD20"], aliases("human")["SDPR"]
    ('MS4A1', 'CAVIN2')
    """
    return _aliases()[species]


def resolve(name: str, species: Species) -> str | None:
    """Return the current symbol that a name stands for, or None if it stands for none.

    A current symbol stands for itself even where it is also somebody's old name.

    Parameters
    ----------
    name
        A symbol, current or not, in its usual letters.
    species
        Whose gene it is.

    Examples
    --------
    >>> resolve("CD20", "human"), resolve("CD3E", "human"), resolve("cd3e", "human")
    ('MS4A1', 'CD3E', None)
    """
    return name if name in _known(species) else aliases(species).get(name)


def _packed(name: str) -> list[str]:
    return _unpacked(name).splitlines()


def _unpacked(name: str) -> str:
    return gzip.decompress((resources.files("cellferry") / "data" / name).read_bytes()).decode()


@functools.cache
def symbols_by_number(species: Species) -> Mapping[int, str]:
    """Return the number of the Ensembl identifier -> symbol."""
    found: dict[int, str] = {}
    number = 0
    for line in _packed(f"genes_{species}.tsv.gz"):
        step, _, symbol = line.partition("\t")
        number += int(step)
        found[number] = symbol
    return found


@functools.cache
def _known(species: Species) -> frozenset[str]:
    # Without the numbers, which few ask for, it takes a third of the time.
    return frozenset(_SYMBOLS.findall(_unpacked(f"genes_{species}.tsv.gz")))


@functools.cache
def _pairs() -> tuple[tuple[str, str], ...]:
    lines = (line.partition("\t") for line in _packed("orthologs.tsv.gz"))
    return tuple((human, mouse) for human, _, mouse in lines)


@functools.cache
def _aliases() -> Mapping[str, Mapping[str, str]]:
    text = (resources.files("cellferry") / "data" / "aliases.tsv").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {species: {} for species in PREFIXES}
    for line in text.splitlines():
        if line and not line.startswith(("#", "alias\t")):
            alias, species, symbol, _ = line.split("\t")
            found[species][alias] = symbol
    return found
