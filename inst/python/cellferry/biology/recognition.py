"""Which names of genes are known symbols, of which species, and why the others are not.

A name is known if it is a symbol of human or mouse, current or not. One that is not may be a
symbol in disguise: with the prefix of a genome, with an identifier beside it, made unique by a
number, with dots for hyphens, in other letters. Such a name is read as the symbol, and only
where that leaves no doubt; the names themselves are never changed. Others are nothing to read:
dates that a spreadsheet made of symbols, peaks, proteins, placeholders.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from .gene_tables import aliases, known_symbols, to_symbols
from .genes import ENSEMBL, ENTREZ, Species
from .orthologs import ortholog_table
from .symbols import pair_of

Disguise = Literal[
    "prefix", "ending", "pair", "suffix", "separators", "case", "blanks", "ensembl", "ortholog"
]
"""Why a name that is read as a symbol is not written like one."""
EXPECTED: frozenset[Disguise] = frozenset({"ensembl", "ortholog"})
"""Of these there is no warning: nothing is wrong with such names."""
NoGene = Literal[
    "dates", "numbers", "peaks", "proteins", "placeholders", "transcripts", "probes", "entrez"
]
"""Why a name cannot be read."""

FEW = 0.5
"""Share of the names that has to be known."""
HARDLY_ANY = 0.1
"""The same, where names of clones, which show nothing, are counted too."""
NOTED = 0.01
"""A disguise of a smaller share of the names is usual: a handful of genes share a symbol."""
ENOUGH_GENES = 5
"""Fewer genes that show a species are no evidence."""
ENOUGH_IN_CAPITALS = 3
"""Names that only the mouse has, in capitals, which show that all are of the mouse."""
CLEAR_MAJORITY = 0.8
"""Share of the telling genes that one species needs."""
SECOND_SPECIES = 0.2
"""Share of the telling genes from which a second species is there too."""
LOOKED_AT = 2000
"""Unknown names among which a common prefix is looked for."""
HOPELESS = 0.002
"""Share of so many that is readable, below which the others are not tried."""
IN_OTHER_LETTERS = 0.6
"""Share of the names that has to be known in other letters, or letter case explains nothing."""

Together: TypeAlias = Callable[[str, str], bool]
_Find: TypeAlias = Callable[[str], str | None]

_OTHER: dict[Species, Species] = {"human": "mouse", "mouse": "human"}
_BETWEEN = r"[-_.:|/\s]+"
_GENOME = re.compile(
    r"(?P<human>GRCh\d+|hg\d+|b37|hs37\w*|T2T|CHM13|human|homo[-_. ]?sapiens)"
    r"|(?P<mouse>GRCm\d+|mm\d+|mouse|mus[-_. ]?musculus)"
    r"|GRC[a-z]+\d+|rn\d+|mRatBN\w*|Rnor\w*|danRer\d+|BDGP\d+|dm\d+|ce\d+|refdata|premrna|genome",
    re.IGNORECASE,
)
_PROTEIN_WORD = re.compile(
    r"(?i)(?:^|[-_. ])(?:total[-_]?(?:seq)?[-_]?[abcd]?\d*|adts?|htos?|prots?|proteins?|anti|"
    r"antibody|antibodies|abs?|cite|isotype|control|ctrl|hashtag\d*)(?:$|[-_. ])"
)
_CD = re.compile(r"(?i)(?:CD\d+[a-z]{0,2}|Ig[GMADE]\d?[a-c]?|HLA[-_. ]?(?:DR|ABC|E)|TCR\S*)")
_MONTH = (
    r"(?:jan|feb|fev|févr?|mar|mär|maerz|märz|mrz|mars|mrt|apr|avr|may|mai|mei|jun|juin|jul|juil"
    r"|aug|août|aou|ago|sept?|set|oct|okt|ott|out|nov|dec|dez|déc|dic)[a-zäéû]*\.?"
)
_NO_GENE: tuple[tuple[NoGene, re.Pattern[str]], ...] = (
    (
        "dates",
        re.compile(
            rf"\d{{1,4}}[-./ ]+{_MONTH}(?:[-./ ]+\d{{2,4}})?|{_MONTH}[-./ ]+\d{{1,4}}"
            r"|\d{4}[-./]\d{1,2}[-./]\d{1,2}(?:[T ][\d:.]+)?|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}"
            r"|[2-6]\d{4}(?:\.0)?",
            re.IGNORECASE,
        ),
    ),
    ("numbers", re.compile(r"[-+]?\d+[.,]\d+e[+-]?\d+|[-+]?\d+e\+\d+", re.IGNORECASE)),
    ("entrez", ENTREZ),
    (
        "peaks",
        re.compile(
            r"(?:\S+[-_])?(?:chr\w+|\d{1,2}|[XYM]T?|(?:GL|KI|JH)\d+\.\d)(?:_\w+)?[-:_.]\d+[-:_.]\d+",
            re.IGNORECASE,
        ),
    ),
    ("transcripts", re.compile(r"(?:ENS[A-Z]*[TP]\d{11}|[NX][MRP]_\d+)(?:\.\d+)?", re.IGNORECASE)),
    ("probes", re.compile(r"\d+(?:_[a-z])?_at|ILMN_\d+|A_\d+_P\d+|[OPQ]\d[A-Z\d]{3}\d")),
    ("proteins", _PROTEIN_WORD),
    (
        "placeholders",
        re.compile(
            r"(?:(?:gene|features?|feat|gen|marker|target|probe|var|variable|col|column|name|symbol"
            r"|[gvxn])[-_. ]?\d+|gene[-_. ]?[a-z]|(?:foo|bar|baz|test)\w*)",
            re.IGNORECASE,
        ),
    ),
)
_SHOWS_NOTHING = re.compile(
    r"[A-Z]{1,3}\d{5,6}(?:\.\d+)?|(?:RP|CT[ABCDN]|KB|LL|GS|CH|WI|bP|XX|DKFZ|FLJ|KIAA|LA|ABC)[\w-]*"
    r"-?\w+\.\d+|LOC\d+|LINC\d+|MIR\w+(?:-\w+)?|Gm\d+\w*|\w+Rik\d*|ERCC-\d+|Y_RNA\S*|ENS[A-Z]*G\d+\S*"
)
"""Names of clones, predicted genes and controls: no table has them all."""
_QUOTES = frozenset("\"'`")
_HYPHENS = dict.fromkeys(map(ord, "‐‑‒–—−﹣－"), "-") | dict.fromkeys(map(ord, "\u200b\ufeff"))
_NUMBERED = re.compile(r"(.*[^-._])(?:\.{1,2}|-|_{1,2})\d{1,3}")


@dataclass(frozen=True)
class SpeciesGuess:
    """What the gene names say.

    Attributes
    ----------
    species
        ``"human"``, ``"mouse"``, or None if neither has a clear majority.
    share
        Share of the telling genes that fit ``species``, or the better of both, 0..1.
    mixed
        Whether both species are there.
    """

    species: Species | None
    share: float
    mixed: bool = False


@dataclass(frozen=True)
class Recognition:
    """What is known of the names of some genes.

    Attributes
    ----------
    names
        How many different names there are.
    known
        How many of them are symbols as they are.
    read
        How many others are read as a symbol that is known.
    silent
        How many unknown names show nothing: clones, predicted genes.
    readings
        Name -> what it is read as; only names that are read otherwise than they are written.
    disguises
        Why they are not symbols as they are -> these names.
    no_genes
        Why other names are no symbols -> these names.
    second
        Names of an object that are right as they are: another gene of a symbol it has already.
    unknown
        Some of the names that are not known.
    genomes
        Prefixes of genomes, and how many names have each.
    species
        That of the genes that are known.
    letters
        The species whose symbols were found in other letters, None if all are in the usual ones.
    """

    names: int
    known: int
    read: int = 0
    silent: int = 0
    readings: Mapping[str, str] = field(default_factory=dict)
    disguises: Mapping[Disguise, tuple[str, ...]] = field(default_factory=dict)
    no_genes: Mapping[NoGene, tuple[str, ...]] = field(default_factory=dict)
    second: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    genomes: Mapping[str, int] = field(default_factory=dict)
    species: SpeciesGuess = SpeciesGuess(None, 0.0)
    letters: Species | None = None

    @property
    def is_few(self) -> bool:
        """Whether so few names are known that any answer is by chance."""
        found = self.known + self.read
        judged = self.names - self.silent
        return self.names > 0 and (found < FEW * judged or found < HARDLY_ANY * self.names)

    @property
    def genome_species(self) -> frozenset[str]:
        """The species of the genomes that the prefixes name."""
        found = (_GENOME.match(prefix) for prefix in self.genomes)
        return frozenset(m.lastgroup or "other" for m in found if m)

    @property
    def is_mixed(self) -> bool:
        """Whether the genes are of two species."""
        return self.species.mixed or len(self.genome_species) > 1

    def as_written(self) -> Recognition:
        """Return what is known where a name is read only as it is written, never as another."""
        return replace(
            self, read=0, readings={}, disguises={}, unknown=(*self.readings, *self.unknown)
        )

    def _with_orthologs(self, found: Mapping[str, str]) -> Recognition:
        """Add names that a table of orthologs has; most are the symbols as they are."""
        others = {name: symbol for name, symbol in found.items() if name != symbol}
        symbols = {*found.values(), *self.readings.values()}
        guess = detect_species(symbols)
        return replace(
            self,
            names=self.names + len(found),
            known=self.known + len(found) - len(others),
            read=self.read + len(others),
            readings={**self.readings, **others},
            disguises={**self.disguises, "ortholog": tuple(others)} if others else self.disguises,
            species=guess if guess.species is not None else self.species,
        )

    def noted(self) -> dict[Disguise, tuple[str, ...]]:
        """Return the disguises of so many names that the user should know of it."""
        least = NOTED * self.names
        return {k: n for k, n in self.disguises.items() if k not in EXPECTED and len(n) >= least}

    def to_dict(self) -> dict[str, object]:
        """Return the figures as plain data, for the record."""
        return {
            "names": self.names,
            "known": self.known,
            "read": self.read,
            "species": self.species.species,
            **({"disguises": _sizes(self.disguises)} if self.disguises else {}),
            **({"no_genes": _sizes(self.no_genes)} if self.no_genes else {}),
            **({"prefixes": dict(self.genomes)} if self.genomes else {}),
        }


def _sizes(found: Mapping[Disguise, Sequence[str]] | Mapping[NoGene, Sequence[str]]) -> object:
    return {str(kind): len(names) for kind, names in found.items()}


def detect_species(genes: Iterable[object]) -> SpeciesGuess:
    """Guess human or mouse from the names that are symbols of one of them.

    Identifiers of Ensembl carry the species, and so do symbols with a number of one species, as
    ``Gm1234`` and ``RP11-34P13.7``. A species needs 80 % of the different names that
    do show one, and at least five of those. Names cannot distinguish mouse from rat, nor human
    from macaque or pig, whose symbols are written alike.

    Examples
    --------
    >>> detect_species(["Cd3e", "Cd79a", "Ms4a1", "H2-Aa", "mt-Co1", "Lyz2"])
    SpeciesGuess(species='mouse', share=1.0, mixed=False)
    >>> detect_species(f"Gene{i}" for i in range(20)).share
    0.0
    """
    return _guessed(frozenset(str(g).strip() for g in genes))


@functools.lru_cache(maxsize=4)
def _guessed(names: frozenset[str]) -> SpeciesGuess:
    """Return the guess; a table and its object are asked about several times in one call."""
    found: dict[str, int] = {s: sum(map(_shows, names & _own(s))) for s in _OTHER}
    other = 0
    for name in names - _vocabulary():
        start = name[:3]
        match = ENSEMBL.fullmatch(name) if start.upper() in _IDENTIFIER_STARTS else None
        numbered = None
        if start[:2] in _NUMBERED_STARTS or name[-3:] == "Rik":
            numbered = _NUMBERED_GENES.fullmatch(name)
        if numbered is not None:
            found["mouse" if numbered["mouse"] else "human"] += 1
        elif match is not None:
            prefix = (match["prefix"] or "").upper()
            species = {"ENSG": "human", "ENSMUSG": "mouse"}.get(prefix)
            other += species is None
            if species is not None:
                found[species] += 1
        elif name.startswith("RT1-"):  # the major histocompatibility complex of the rat
            other += 1
    total = sum(found.values()) + other
    best: Species = "human" if found["human"] >= found["mouse"] else "mouse"
    share = found[best] / total if total else 0.0
    clear = total >= ENOUGH_GENES and share >= CLEAR_MAJORITY
    least = max(2.0, SECOND_SPECIES * total)
    mixed = total >= ENOUGH_GENES and min(found.values()) >= least
    return SpeciesGuess(best if clear else None, share, mixed)


_IDENTIFIER_STARTS = ("ENS", "FBG", "WBG")
_NUMBERED_STARTS = ("Gm", "RP", "CT")
_CLONE = re.compile(r"[A-Z]{1,2}\d{5,6}(?:\.\d+)?")
_NUMBERED_GENES = re.compile(
    r"(?P<mouse>Gm\d{3,6}|\d{7}[A-Z]\d{2}Rik\d*)|(?:RP\d{1,2}|CT[ABCD])-\d+[A-Z]\w*\.\d+"
)
"""Symbols of so many genes that no table has them all, in a form that one species has."""


@functools.cache
def _of_species(species: Species) -> frozenset[str]:
    return known_symbols(species) | aliases(species).keys()


@functools.cache
def _own(species: Species) -> frozenset[str]:
    return _of_species(species) - _of_species(_OTHER[species])


def _shows(name: str) -> bool:
    """Whether a name of one species alone shows it; clones and single letters do not."""
    return len(name) > 1 and not _CLONE.fullmatch(name)


@functools.cache
def _vocabulary() -> frozenset[str]:
    return _of_species("human") | _of_species("mouse")


@functools.cache
def _in_capitals(species: Species) -> Mapping[str, str]:
    """Return names in capitals -> as they are written; a symbol wins over an old name."""
    found = {name.upper(): name for name in aliases(species)}
    found.update((name.upper(), name) for name in known_symbols(species))
    return found


def recognise(
    names: Iterable[object],
    species: Species | None = None,
    *,
    also: Set[str] = frozenset(),
    together: Together | None = None,
    orthologs_of: str | None = None,
) -> Recognition:
    """Say which names are known symbols, and as what the others are read.

    Parameters
    ----------
    names
        Names of genes; each counts once.
    species
        Whose genes they are said to be. It decides as what a name in other letters is read.
    also
        Names that are right as they are: those of the object, or of the engine's own table.
    together
        For a marker table: whether two names are in one cluster. Only then are names read that
        R made unique when it bound tables by row (``CD3D1``), because within one table no name
        was there twice. None for the genes of an object, in which ``CD3D.1`` beside ``CD3D``
        is a second gene of that symbol.
    orthologs_of
        The species by whose table of orthologs the names are read first. What it does not have
        is read by its symbol, as without.

    Examples
    --------
    >>> dict(recognise(["GRCh38-CD3D", "GRCh38-CD19", "GRCh38-HLA-DRA"]).readings)["GRCh38-CD19"]
    'CD19'
    >>> recognise(["Gene000", "Gene001"]).is_few
    True
    """
    different = [n for n in dict.fromkeys(map(str, names)) if n and not n.isspace()]
    if orthologs_of is not None:
        find_ortholog = ortholog_table(orthologs_of).find
        found = {n: s for n in different if n not in also and (s := find_ortholog(n)) is not None}
        rest = [n for n in different if n not in found]
        return recognise(rest, species, also=also, together=together)._with_orthologs(found)
    vocabulary = _vocabulary()
    unknown = [n for n in different if n not in vocabulary and n not in also]
    n_known = len(different) - len(unknown)
    if not unknown and _other_letters(different, species, n_known) is None:
        return Recognition(len(different), n_known, species=detect_species(different))
    is_table = together is not None
    here = frozenset(different)
    read = _Reader(_by_itself().get, here, is_table=is_table).read_all(unknown, len(different))
    if together is not None:
        proteins = _bound_by_row(read, unknown, different, together)
        n_known -= len(proteins)
        unknown += proteins
    letters = _other_letters(different, species, n_known + read.n_known)
    if letters is not None:
        find = _in_capitals(letters).get
        reader = _Reader(lambda text: find(text.upper()), here, is_table=is_table)
        written = [n for n in different if n not in also and n not in _of_species(letters)]
        sample = written[:: max(1, len(written) // LOOKED_AT)]
        fits = reader.read_all(sample, len(sample)).n_known
        # The other names are not tried where a part of them shows that it is for nothing.
        hopeless = fits < 0.5 * IN_OTHER_LETTERS * len(sample)
        cased = _Read() if hopeless else reader.read_all(written, len(different))
        if cased.n_known + len(different) - len(written) >= IN_OTHER_LETTERS * len(different):
            read, n_known, unknown = cased, len(different) - len(written), written
        else:
            letters = None
    return _summed_up(different, unknown, n_known, read, letters)


def _summed_up(
    different: Sequence[str],
    unknown: Sequence[str],
    n_known: int,
    read: _Read,
    letters: Species | None,
) -> Recognition:
    no_genes: dict[NoGene, list[str]] = {}
    silent, left = 0, []
    for name in unknown:
        if name in read.known_names or name in read.second:
            continue
        text = read.readings.get(name, name)
        if _SHOWS_NOTHING.fullmatch(text):
            silent += 1
            continue
        left.append(name)
    texts = [read.readings.get(name, name) for name in left]
    for name, kind in zip(left, _kinds_of(texts), strict=True):
        if kind is not None:
            no_genes.setdefault(kind, []).append(name)
    symbols = (read.readings.get(name, name) for name in different)
    return Recognition(
        len(different),
        n_known + len(read.second),
        read.n_known,
        silent,
        read.readings,
        {k: tuple(v) for k, v in read.disguises.items()},
        {k: tuple(v) for k, v in no_genes.items()},
        frozenset(read.second),
        tuple(left[:LOOKED_AT]),
        {p: n for p, n in read.prefixes.items() if _GENOME.match(p)},
        detect_species(symbols),
        letters,
    )


@functools.cache
def _by_itself() -> dict[str, str]:
    """Return each symbol by itself: finding one costs no call of Python."""
    return {symbol: symbol for symbol in _vocabulary()}


def _no_gene(name: str) -> NoGene | None:
    text = _plain(name)
    for kind, pattern in _NO_GENE:
        found = pattern.search(text) if kind == "proteins" else pattern.fullmatch(text)
        if found:
            return kind
    return "proteins" if _CD.fullmatch(text) else None


def _kinds_of(names: Sequence[str]) -> Iterable[NoGene | None]:
    """Return what each name is instead of a gene; where nearly all are alike, all are."""
    if len(names) > 2 * LOOKED_AT:
        seen = Counter(map(_no_gene, names[:: len(names) // LOOKED_AT]))
        usual, n = seen.most_common(1)[0]
        if n > 0.98 * seen.total():
            is_date = _NO_GENE[0][1].fullmatch
            return ("dates" if x[:1] in _OF_DATES and is_date(x) else usual for x in names)
    return map(_no_gene, names)


_OF_DATES = frozenset("0123456789jJfFmMaAsSoOnNdD")


def are_proteins(names: Iterable[str]) -> bool:
    """Whether the features of an assay are proteins that antibodies were raised against.

    Some of them are called like their genes (CD4, CD19); most are not.

    Examples
    --------
    >>> are_proteins(["CD3", "CD4", "CD8a", "CD56", "IgG1"]), are_proteins(["CD3D", "CD4", "CD19"])
    (True, False)
    """
    different = set(names)
    symbols = known_symbols("human") | known_symbols("mouse")
    words = sum(_no_gene(n) == "proteins" for n in different if n not in symbols)
    return 2 * words > len(different)


def _other_letters(
    different: Sequence[str], species: Species | None, n_found: int
) -> Species | None:
    """Return the species in whose symbols letter case may be wrong, None if it is not."""
    total = len(different)
    if not total:
        return None
    if species is not None:
        own, foreign = _of_species(species), _of_species(_OTHER[species])
        right = sum(n in own for n in different)
        wrong = sum(n in foreign and n not in own for n in different)
        # Of another species than was stated: only letters may make the difference.
        if wrong > max(right, FEW * total * 0.5):
            return species
    few = n_found < FEW * total
    if few and species is not None:
        return species
    sample = different[:: max(1, total // LOOKED_AT)]
    if not few and (species or n_found > 0.97 * total or any(n != n.upper() for n in sample)):
        return None
    n_human, n_mouse = _only_of(sample)
    if few:
        # What both have is read as human, unless clearly more are of the mouse.
        return "mouse" if n_mouse - n_human > 0.02 * len(sample) else "human"
    return "mouse" if _of_one(n_mouse, n_human) else None


def _only_of(names: Iterable[str]) -> tuple[int, int]:
    """Return how many names, in capitals, are of human alone, and how many of the mouse alone."""
    human, mouse = _in_capitals("human"), _in_capitals("mouse")
    bare = [_bare(n).upper() for n in names]
    n_human = sum(n in human and n not in mouse for n in bare)
    return n_human, sum(n in mouse and n not in human for n in bare)


def _of_one(n_its: int, n_others: int) -> bool:
    # Most names are of both; of what one alone has, a table of the other has next to nothing.
    return n_its >= ENOUGH_IN_CAPITALS and n_its > 2 * n_others


def species_in_capitals(names: Iterable[object]) -> Species | None:
    """Return the species that names show whatever their letters are, None where it is not clear.

    Examples
    --------
    >>> species_in_capitals(["H2-AA", "CD209A", "GM4951", "LY6C2", "KLRA8", "CD3E"])
    'mouse'
    >>> species_in_capitals(["CD3E", "CD79A"]) is None
    True
    """
    different = list(dict.fromkeys(map(str, names)))
    n_human, n_mouse = _only_of(different[:: max(1, len(different) // LOOKED_AT)])
    if _of_one(n_mouse, n_human):
        return "mouse"
    return "human" if _of_one(n_human, n_mouse) else None


def _bare(name: str) -> str:
    pair = pair_of(name)
    return pair[0] if pair else name


def _plain(name: str) -> str:
    """Return a name without blanks, quotes and signs that only look like hyphens."""
    # By methods of text, which cost a third of a search: no sign but the usual ones, no quotes.
    if (
        name.isascii()
        and name.isprintable()
        and " " not in name
        and name[:1] not in _QUOTES
        and name[-1:] not in _QUOTES
    ):
        return name
    text = unicodedata.normalize("NFKC", name).translate(_HYPHENS)
    return text.strip().strip("\"'`").strip()


@dataclass
class _Read:
    """What was read so far.

    ``known_names`` are read as a known symbol, ``second`` are right as they are: another gene
    of a symbol that an object has already.
    """

    readings: dict[str, str] = field(default_factory=dict)
    disguises: dict[Disguise, list[str]] = field(default_factory=dict)
    prefixes: dict[str, int] = field(default_factory=dict)
    known_names: set[str] = field(default_factory=set)
    second: set[str] = field(default_factory=set)

    @property
    def n_known(self) -> int:
        return len(self.known_names)

    def add(self, name: str, symbol: str, kinds: Iterable[Disguise], *, known: bool) -> None:
        self.readings[name] = symbol
        for kind in kinds:
            self.disguises.setdefault(kind, []).append(name)
        if known:
            self.known_names.add(name)


class _Reader:
    """Reads names as the symbols that ``find`` knows."""

    def __init__(self, find: _Find, here: Set[str], *, is_table: bool) -> None:
        self._find = find
        self._here = here
        self._is_table = is_table
        self._prefix: re.Pattern[str] | None = None
        self._ending: re.Pattern[str] | None = None

    def read_all(self, names: Sequence[str], n_all: int) -> _Read:
        found = _Read()
        self._look_for_affixes(names, n_all)
        identifiers: Mapping[str, str] = {}
        starts = {n[:3].upper() for n in names}
        if "ENS" in starts:
            identifiers = to_symbols(n for n in names if ENSEMBL.fullmatch(n.strip())).symbols
        if len(names) > 2 * LOOKED_AT:
            # Where hardly any of a sample can be read, all the others cost time for nothing.
            sample = _Read()
            for name in names[:: len(names) // LOOKED_AT]:
                self._read(name, sample)
            if sample.n_known + len(sample.second) < HOPELESS * LOOKED_AT:
                names = [n for n in names if n in identifiers]
        for name in names:
            symbol = identifiers.get(name)
            if symbol is not None:
                if self._is_table or symbol not in self._here:
                    found.add(name, symbol, ["ensembl"], known=True)
                continue
            self._read(name, found)
        for name in found.disguises.get("prefix", ()):
            match = self._prefix.match(_plain(name)) if self._prefix else None
            if match:
                found.prefixes[match[0]] = found.prefixes.get(match[0], 0) + 1
        return found

    def _read(self, name: str, found: _Read) -> None:
        kinds: list[Disguise] = []
        text = _plain(name)
        if text != name:
            kinds.append("blanks")
        symbol = self._find(text)
        if symbol is None and self._prefix is not None:
            match = self._prefix.match(text)
            if match is not None and match.end() < len(text):
                kinds.append("prefix")
                text = text[match.end() :]
                symbol = self._find(text)
        if symbol is None and self._ending is not None:
            match = self._ending.search(text)
            if match is not None and match.start():
                kinds.append("ending")
                text = text[: match.start()]
                symbol = self._find(text)
        if symbol is None:
            pair = pair_of(text)
            if pair is None:
                symbol = self._by_identifier(text)
            else:
                kinds.append("pair")
                text = pair[0]
                symbol = self._find(text) or self._by_identifier(pair[1])
        if symbol is None:
            symbol = self._respelt(text)
            if symbol is not None:
                kinds.append("separators")
        if symbol is None:
            symbol = self._without_number(text)
            if symbol is not None:
                if not kinds and not self._is_table and self._here & {symbol, text[: len(symbol)]}:
                    found.second.add(name)
                    return
                kinds.append("suffix")
        # What has the prefix of the others loses it too, also where it is not known.
        reading = symbol or text
        if reading != name:
            if symbol is not None and symbol not in name and symbol.upper() in name.upper():
                kinds.append("case")
            found.add(name, reading, kinds, known=symbol is not None)

    @staticmethod
    def _by_identifier(text: str) -> str | None:
        if text[:3].upper() != "ENS" or ENSEMBL.fullmatch(text) is None:
            return None
        return to_symbols([text]).symbols.get(text)

    def _respelt(self, text: str) -> str | None:
        """Return the symbol of a name of which R, or a tool, made another of allowed letters."""
        numbered = text[:1] == "X" and text[1:2].isdigit()
        if not numbered and "." not in text and "_" not in text:
            return None
        plain = text[1:] if numbered else text
        hyphens = plain.replace(".", "-").replace("_", "-")
        symbol = self._find(hyphens)
        if symbol is None and hyphens.count("-") > 1:
            symbol = self._find(re.sub(r"[._]", "-", plain, count=1))
        return symbol

    def _without_number(self, text: str) -> str | None:
        """Return the symbol of a name that was made unique, also twice: CD3D.1, CD3D-1.1."""
        for _ in range(2):
            match = _NUMBERED.fullmatch(text)
            if match is None:
                return None
            text = match[1]
            symbol = self._find(text) or self._respelt(text)
            if symbol is not None:
                return symbol
        return None

    def _look_for_affixes(self, names: Sequence[str], n_all: int) -> None:
        """Find what is in front of many names, or behind them, and is no part of the symbol."""
        step = max(1, len(names) // LOOKED_AT)
        sample = [_plain(n) for n in names[::step]]
        fronts: Counter[str] = Counter()
        backs: Counter[str] = Counter()
        for text in sample:
            cuts = [m.span() for m in re.finditer(_BETWEEN, text)]
            if not cuts or self._respelt(text) is not None:
                continue
            front = next((text[:b] for _, b in cuts if b and self._is_symbol(text[b:])), None)
            if front:
                fronts[front] += 1
            elif self._without_number(text) is None and pair_of(text) is None:
                back = next((text[a:] for a, _ in reversed(cuts) if self._find(text[:a])), None)
                if back:
                    backs[back] += 1
        least = max(3.0, 0.1 * n_all / step)
        prefixes = [p for p, n in fronts.items() if _is_affix(p, n, least)]
        # The rest of a genome that was seen has its prefix too, whatever follows it.
        endings = [p for p, n in backs.items() if _is_affix(p, n, least)]
        self._prefix = _any_of(prefixes, "^(?:{})")
        self._ending = _any_of(endings, "(?:{})$")

    def _is_symbol(self, text: str) -> bool:
        if not text:
            return False
        if self._find(text) is not None or self._by_identifier(text) is not None:
            return True
        pair = pair_of(text)
        if pair is not None:
            return self._find(pair[0]) is not None
        return self._respelt(text) is not None or self._without_number(text) is not None


def _is_affix(affix: str, n: int, least: float) -> bool:
    if _PROTEIN_WORD.search(affix) or ENSEMBL.search(affix):
        return False
    word = affix.strip("-_.:|/ \t")
    return bool(_GENOME.match(word)) or (n >= least and bool(word) and not word.isdigit())


def _any_of(texts: Iterable[str], form: str) -> re.Pattern[str] | None:
    longest_first = sorted(set(texts), key=lambda t: (-len(t), t))
    if not longest_first:
        return None
    return re.compile(form.format("|".join(map(re.escape, longest_first))))


def _bound_by_row(
    read: _Read, unknown: Sequence[str], different: Sequence[str], together: Together
) -> list[str]:
    """Read names that R made unique without a sign between: CD3D1 in a second table of CD3D.

    Returns those that would also be the name of a protein, such as CD191 of CD19.
    """
    here, vocabulary = frozenset(different), _vocabulary()
    found: dict[str, str] = {}
    without_base: dict[str, str] = {}
    for name in unknown:
        text = read.readings.get(name, name)
        if name in read.known_names or not text[-1:].isdigit():
            continue
        known = _bases(text, vocabulary)
        if not known or _SHOWS_NOTHING.fullmatch(text):
            continue
        if _no_gene(text) not in {None, "proteins"}:
            continue
        beside = [b for b in known if b in here and not together(name, b)]
        if len(beside) == 1:
            found[name] = beside[0]
        elif len(known) == 1 and known[0] not in here:
            without_base[name] = known[0]
    if len(without_base) + len(found) >= max(3.0, 0.2 * len(different)):
        found |= without_base
    if not found or len(found) < NOTED * len(different):
        return []
    also: dict[str, str] = {}
    if len(found) >= max(3.0, 0.1 * len(different)):
        symbols = known_symbols("human") | known_symbols("mouse")
        for name in here & vocabulary - symbols:
            bases = [b for b in _bases(name, vocabulary) if b in here and not together(name, b)]
            if len(bases) == 1:
                also[name] = bases[0]
    for name, base in (found | also).items():
        read.add(name, base, ["suffix"], known=True)
    return [n for n in different if n in also]


def _bases(text: str, vocabulary: Set[str]) -> list[str]:
    """Return the symbols of which R may have made a name by a number of at most three digits."""
    bases: list[str] = []
    for cut in range(len(text) - 1, max(2, len(text) - 3) - 1, -1):
        if not text[cut].isdigit():
            break
        if text[cut] != "0" and text[:cut] in vocabulary:
            bases.insert(0, text[:cut])
    return bases


def not_in_the_tables(names: Iterable[str]) -> frozenset[str]:
    """Return the names that are no symbols of human or mouse, such as those of own knowledge.

    Examples
    --------
    >>> not_in_the_tables(["CD3D", "Cd3d", "mpx"])
    frozenset({'mpx'})
    """
    return frozenset(names) - _vocabulary()


@functools.lru_cache(maxsize=8)
def recognise_object(
    names: tuple[str, ...], species: Species | None = None, orthologs_of: str | None = None
) -> Recognition:
    """Return what :func:`recognise` says of the genes of an object; the latest are kept.

    Parameters
    ----------
    names
        All of them.
    species
        As it was stated.
    orthologs_of
        As of :func:`recognise`.
    """
    return recognise(names, species, orthologs_of=orthologs_of)
