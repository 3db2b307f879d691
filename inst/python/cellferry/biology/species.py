"""Species: what people call them, and as which species' symbols their genes are written."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from difflib import get_close_matches

from .genes import Species


@dataclass(frozen=True)
class KnownSpecies:
    """One species of the table.

    Attributes
    ----------
    name
        The usual English name.
    latin
        Genus and species.
    taxon
        Identifier in the NCBI taxonomy.
    reads
        The species among those with gene tables whose symbols its genes are written like:
        HGNC's rules hold for most mammals and the chicken (``CD3E``), those of the mouse for the
        rat (``Cd3e``); or to which a table of orthologs leads, as for the zebrafish. None where
        there is neither.
    words
        Other names, genome assemblies, abbreviations; in small letters.
    """

    name: str
    latin: str
    taxon: int
    reads: Species | None = None
    words: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether there are gene tables of this very species."""
        return self.name == self.reads

    def __str__(self) -> str:
        return f"{self.name} ({self.latin})"


KNOWN_SPECIES: tuple[KnownSpecies, ...] = (
    KnownSpecies("human", "Homo sapiens", 9606, "human", (
        "humans", "man", "homo", "hs", "hsa", "hsap", "patient", "patients",
        "hg18", "hg19", "hg38", "grch37", "grch38", "t2t", "chm13", "t2t-chm13", "hs1",
    )),
    KnownSpecies("mouse", "Mus musculus", 10090, "mouse", (
        "mice", "murine", "mus", "mm", "mmu", "mmus", "house mouse", "c57bl/6", "c57bl/6j",
        "mm9", "mm10", "mm39", "ncbim37", "grcm38", "grcm39",
    )),
    KnownSpecies("rat", "Rattus norvegicus", 10116, "mouse", (
        "rats", "rattus", "rn", "rno", "brown rat", "norway rat", "rn4", "rn5", "rn6", "rn7", "rn8",
        "rnor_6.0", "mratbn7.2", "grcr8",
    )),
    KnownSpecies("golden hamster", "Mesocricetus auratus", 10036, "mouse", (
        "hamster", "hamsters", "syrian hamster", "mesaur1.0",
    )),
    KnownSpecies("rhesus macaque", "Macaca mulatta", 9544, "human", (
        "macaque", "macaques", "rhesus", "rhesus monkey", "macaca", "monkey", "mmul", "mml",
        "rhemac8", "rhemac10", "mmul_8.0.1", "mmul_10",
    )),
    KnownSpecies("crab-eating macaque", "Macaca fascicularis", 9541, "human", (
        "cynomolgus", "cynomolgus macaque", "cynomolgus monkey", "long-tailed macaque", "macfas5",
        "macfas6", "mfas",
    )),
    KnownSpecies("marmoset", "Callithrix jacchus", 9483, "human", (
        "common marmoset", "caljac3", "caljac4",
    )),
    KnownSpecies("mouse lemur", "Microcebus murinus", 30608, "human", ("lemur", "mmur3")),
    KnownSpecies("chimpanzee", "Pan troglodytes", 9598, "human", (
        "chimp", "chimps", "pantro5", "pantro6",
    )),
    KnownSpecies("pig", "Sus scrofa", 9823, "human", (
        "pigs", "swine", "porcine", "minipig", "ssc", "susscr3", "susscr11", "sscrofa11.1",
    )),
    KnownSpecies("dog", "Canis lupus familiaris", 9615, "human", (
        "dogs", "canine", "canis familiaris", "canis lupus", "cfa", "canfam3", "canfam3.1",
        "canfam4", "ros_cfam_1.0",
    )),
    KnownSpecies("cat", "Felis catus", 9685, "human", ("cats", "feline", "felcat9")),
    KnownSpecies("cow", "Bos taurus", 9913, "human", (
        "cows", "cattle", "bovine", "bta", "bostau8", "bostau9", "ars-ucd1.2", "ars-ucd1.3",
    )),
    KnownSpecies("sheep", "Ovis aries", 9940, "human", ("ovine", "oviari4", "oar_v3.1")),
    KnownSpecies("goat", "Capra hircus", 9925, "human", ("caprine", "ars1")),
    KnownSpecies("horse", "Equus caballus", 9796, "human", ("equine", "equcab2", "equcab3.0")),
    KnownSpecies("rabbit", "Oryctolagus cuniculus", 9986, "human", ("rabbits", "orycun2.0")),
    KnownSpecies("ferret", "Mustela putorius furo", 9669, "human", ("ferrets", "musputfur1.0")),
    KnownSpecies("guinea pig", "Cavia porcellus", 10141, "human", ("cavpor3.0",)),
    KnownSpecies("opossum", "Monodelphis domestica", 13616, "human", ("mondom5",)),
    KnownSpecies("chicken", "Gallus gallus", 9031, "human", (
        "chick", "gga", "galgal4", "galgal5", "galgal6", "grcg6a", "grcg7b",
    )),
    KnownSpecies("zebrafish", "Danio rerio", 7955, "human", (
        "danio", "dre", "drer", "grcz10", "grcz11", "danrer10", "danrer11",
    )),
    KnownSpecies("western clawed frog", "Xenopus tropicalis", 8364, None, (
        "xenopus", "frog", "xentro9", "xentro10",
    )),
    KnownSpecies("African clawed frog", "Xenopus laevis", 8355, None, ("xenla10.1",)),
    KnownSpecies("axolotl", "Ambystoma mexicanum", 8296, None, ("salamander",)),
    KnownSpecies("fruit fly", "Drosophila melanogaster", 7227, None, (
        "fly", "drosophila", "dme", "dmel", "dm3", "dm6", "bdgp6",
    )),
    KnownSpecies("roundworm", "Caenorhabditis elegans", 6239, None, (
        "worm", "nematode", "c. elegans", "cel", "ce10", "ce11", "wbcel235",
    )),
)  # fmt: skip
"""Everything that is asked of a species is asked of this table."""

_OF_SEVERAL = re.compile(r"humani[sz]ed|xeno|chimer|hybrid|pdx|mixed")
"""Words for samples with cells or genes of several species."""
_LIKE_ENOUGH = 0.75
_LONG_ENOUGH = 3
"""Letters of a name that counts inside of a longer text ("human PBMC")."""


def known_species(text: str | None) -> KnownSpecies | None:
    """Return the species that a text means, None where it is not understood.

    A name, a Latin name (also shortened, as ``mmusculus`` or ``M. musculus``), an identifier of the
    NCBI taxonomy, an assembly of the genome; or a longer text with the names of one species.

    Parameters
    ----------
    text
        As the user wrote it.

    Examples
    --------
    >>> [known_species(text).name for text in ("10090", "R. norvegicus", "GRCh38", "human PBMC")]
    ['mouse', 'rat', 'human', 'human']
    >>> known_species("martian") is None
    True
    """
    words = _plain(text or "")
    names = _names()
    if not words or words in names:
        return names.get(words)
    if _OF_SEVERAL.search(words):
        return None
    spans = [
        (match.span(), name)
        for name in names
        if len(name) >= _LONG_ENOUGH and not name.isdigit()
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", words)
    ]
    # A guinea pig is no pig: a name inside of a longer one does not count.
    found = {
        names[name].name: names[name]
        for (start, end), name in spans
        if not any(a <= start and end <= b and (a, b) != (start, end) for (a, b), _ in spans)
    }
    return next(iter(found.values())) if len(found) == 1 else None


def species_of(text: str | None) -> Species | None:
    """Return the species that a word means, if it is one with gene tables of its own.

    Examples
    --------
    >>> species_of("Homo  sapiens"), species_of(" Mice "), species_of("zebrafish")
    ('human', 'mouse', None)
    """
    found = known_species(text)
    return found.reads if found is not None and found.is_own else None


def nearest_species(text: str) -> KnownSpecies | None:
    """Return the species whose name is most like a text that is not understood.

    Examples
    --------
    >>> nearest_species("mosue").name, nearest_species("martian")
    ('mouse', None)
    """
    close = get_close_matches(_plain(text), list(_names()), 1, _LIKE_ENOUGH)
    return _names()[close[0]] if close else None


@functools.cache
def _names() -> dict[str, KnownSpecies]:
    """Every name in small letters -> its species."""
    found: dict[str, KnownSpecies] = {}
    for species in KNOWN_SPECIES:
        genus, *rest = species.latin.casefold().split()
        short = " ".join(rest[:1])
        for name in (
            species.name, species.latin, str(species.taxon), f"taxid:{species.taxon}",
            f"ncbitaxon:{species.taxon}", f"{genus[0]}. {short}", f"{genus[0]} {short}",
            f"{genus[0]}{short}", *species.words,
        ):  # fmt: skip
            found.setdefault(_plain(name), species)
    return found


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[_()\[\],;]", " ", str(text)).casefold().split())
