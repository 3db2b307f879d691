"""Genes of species without markers of their own, by the table of their orthologs.

The tables (``data/orthologs/``, made by ``scripts/build_orthologs.py``) lead from a gene of dog,
pig, rat, the macaques and the zebrafish, by its symbol or its Ensembl identifier, to one gene of
the species whose markers are read. One gene is read as one: of several orthologs the one of the
same name, then the one that most databases state, then the first by the alphabet. Several genes
may be read as the same one, as the two copies of a zebrafish.
"""

from __future__ import annotations

import functools
import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources

from .genes import ENSEMBL
from .species import KNOWN_SPECIES, known_species

PREFIXES: Mapping[str, str] = {
    "ENSCAFG": "dog",
    "ENSSSCG": "pig",
    "ENSRNOG": "rat",
    "ENSMMUG": "rhesus macaque",
    "ENSMFAG": "crab-eating macaque",
    "ENSDARG": "zebrafish",
}
"""Start of Ensembl identifiers -> the species, for those with a table."""
_COMPLEXES: Mapping[str, str] = {
    "DLA": "dog",
    "SLA": "pig",
    "RT1": "rat",
    "MAMU": "rhesus macaque",
    "MAFA": "crab-eating macaque",
}
_COMPLEX = re.compile(r"(DLA|SLA|RT1|MAMU|MAFA)[-.]\w", re.IGNORECASE)
"""Genes of the major histocompatibility complex, whose names begin with the species'."""
ENOUGH = 2
"""Names of the complex that show a species: one may be anything."""
CLEAR = 0.8
"""Share of the telling names that one species needs."""
MOSTLY = 0.5
"""Share of all names that identifiers of Ensembl need, if they are to show the species."""


@dataclass(frozen=True)
class Orthologs:
    """The table of one species.

    Attributes
    ----------
    species
        Its name, as in :data:`.species.KNOWN_SPECIES`.
    by_symbol
        Symbol -> symbol of the species whose markers are read.
    by_number
        Number of the Ensembl identifier -> the same.
    """

    species: str
    prefix: str
    by_symbol: Mapping[str, str] = field(repr=False)
    by_number: Mapping[int, str] = field(repr=False)

    @functools.cached_property
    def _in_capitals(self) -> Mapping[str, str]:
        # Sorted, so that the same symbol wins whatever the order of the table.
        found: dict[str, str] = {}
        for symbol in sorted(self.by_symbol):
            found.setdefault(symbol.upper(), self.by_symbol[symbol])
        return found

    def find(self, name: str) -> str | None:
        """Return the symbol that a gene is read as, None where the table does not have it.

        Parameters
        ----------
        name
            A symbol, in whatever letters where nothing has it as it is written, or an Ensembl
            identifier, whose version is ignored.

        Examples
        --------
        >>> table = ortholog_table("dog")
        >>> table.find("DLA-DRA"), table.find("ENSCAFG00845017467"), table.find("nothing")
        ('HLA-DRA', 'HLA-DRA', None)
        """
        text = name.strip()
        found = self.by_symbol.get(text)
        if found is None and text[: len(self.prefix)].upper() == self.prefix:
            match = ENSEMBL.fullmatch(text)
            if match is not None and match["number"] is not None:
                return self.by_number.get(int(match["number"]))
        return self._in_capitals.get(text.upper()) if found is None else found


def has_orthologs(species: str) -> bool:
    """Whether there is a table of a species, by its name.

    Examples
    --------
    >>> has_orthologs("dog"), has_orthologs("mouse"), has_orthologs("cow")
    (True, False, False)
    """
    return species in PREFIXES.values()


@functools.cache
def ortholog_table(species: str) -> Orthologs:
    """Return the table of a species that has one.

    Parameters
    ----------
    species
        Its name, as in :data:`.species.KNOWN_SPECIES`.

    Raises
    ------
    KeyError
        There is none: ask :func:`has_orthologs` first.

    Examples
    --------
    >>> ortholog_table("zebrafish").find("mpx"), ortholog_table("rat").find("RT1-Da")
    ('MPO', 'H2-Ea')
    """
    prefix = {name: start for start, name in PREFIXES.items()}[species]
    like_mouse = any(s.name == species and s.reads == "mouse" for s in KNOWN_SPECIES)
    file = re.sub(r"\W", "_", species) + ".tsv.gz"
    packed = (resources.files("cellferry") / "data" / "orthologs" / file).read_bytes()
    by_symbol: dict[str, str] = {}
    by_number: dict[int, str] = {}
    number = 0
    for line in gzip.decompress(packed).decode().splitlines():
        step, symbol, target = line.split("\t")
        # An empty cell is the usual case: the ortholog has the same name.
        target = target or (symbol if like_mouse else symbol.upper())
        if step:
            number += int(step)
            by_number[number] = target
        if symbol:
            by_symbol[symbol] = target
    return Orthologs(species, prefix, by_symbol, by_number)


def species_shown(names: Iterable[object]) -> str | None:
    """Return the species with a table that names of genes show, None where they show none.

    Ensembl identifiers show it where they are half of the names, and so do the names of the major
    histocompatibility complex (``DLA-DRA`` of the dog, ``SLA-DRA`` of the pig, ``RT1-Da`` of the
    rat). Other symbols do not: a pig's are written like a human's.

    Parameters
    ----------
    names
        Names of genes; each counts once.

    Examples
    --------
    >>> species_shown([f"ENSSSCG{i:011}" for i in range(9)]), species_shown(["DLA-DRA", "DLA-DMA"])
    ('pig', 'dog')
    >>> species_shown(["CD3E", "SLA", "HLA-DRA"]) is None
    True
    """
    different = {str(name).strip() for name in names}
    starts: Counter[str] = Counter()
    complexes: Counter[str] = Counter()
    n_others = 0
    for name in different:
        start = name[:3].upper()
        if start == "ENS":
            match = ENSEMBL.fullmatch(name)
            if match is not None:
                starts[(match["prefix"] or "").upper()] += 1
        elif start == "HLA" or name.startswith("H2-"):
            n_others += 1
        elif (match := _COMPLEX.match(name)) is not None:
            complexes[_COMPLEXES[match[1].upper()]] += 1
    if starts.total() > MOSTLY * len(different):
        prefix, n = starts.most_common(1)[0]
        return PREFIXES.get(prefix) if n >= CLEAR * starts.total() else None
    if not complexes:
        return None
    species, n = max(complexes.items(), key=lambda item: (item[1], item[0]))
    clear = n >= ENOUGH and n >= CLEAR * (complexes.total() + n_others)
    return species if clear else None


def species_read(stated: str | None, names: Iterable[object]) -> str | None:
    """Return the species by whose table genes are read, None where they are read as they are.

    Parameters
    ----------
    stated
        As the user wrote it; where it was not understood, the genes may still show it.
    names
        Names of the genes, of a table or an object.

    Examples
    --------
    >>> species_read("canine", ["CD3E"]), species_read("human", ["DLA-DRA", "DLA-DMA"])
    ('dog', None)
    """
    known = known_species(stated)
    if known is not None:
        return known.name if has_orthologs(known.name) else None
    return species_shown(names)
