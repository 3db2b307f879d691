"""Tissues: what users call them, and which types occur there."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources

from ....biology.species import known_species

ANYWHERE = "any"
EMBRYO = "embryo"
"""What has the beginnings of all organs: no type is of another tissue."""

LIKE_ENOUGH = 0.75
"""Similarity from which a name is suggested for a word that is not understood."""
SUGGESTIONS = 3
_SAMPLE = """
    adult adults adjacent and biopsy biopsies case cancer carcinoma cell cells control controls
    culture dataset data disease diseased donor donors elderly embryonic female fetal foetal
    fresh from frozen healthy in male mixed no normal nuclei of old organ patient patients
    primary rna-seq sample samples scrna-seq single-cell single-nucleus sorted study the tissue
    tissues tumor tumors tumour tumours unknown untreated treated whole with young
"""
NO_TISSUE = frozenset(_SAMPLE.split())
"""Words that say something of a sample, but not of a tissue."""
_BETWEEN = re.compile(r"[,;/|+&]| and | or ")


@dataclass(frozen=True)
class Tissue:
    """A tissue of the table.

    Attributes
    ----------
    part_of
        Name of the tissue that it is a part of, or "".
    names
        All its names in small letters, the first being ``name``.
    related
        Words that point to it without being a name: diseases, their abbreviations.
    """

    name: str
    ontology_id: str
    ontology_label: str
    part_of: str
    names: tuple[str, ...]
    related: tuple[str, ...]


@dataclass(frozen=True)
class TissueText:
    """What was understood of a text about the tissue of a sample.

    Attributes
    ----------
    given
        The text.
    names
        The tissues that it names, in their order in the text.
    unread
        Its parts (between commas and the like) that name none, but for words like "healthy".
    """

    given: str
    names: tuple[str, ...]
    unread: tuple[str, ...]

    @property
    def tissues(self) -> frozenset[str]:
        """The tissues, with the parts of each and what it is part of."""
        found = set(self.names)
        if "fetal liver" in found:
            found.add("liver")
        whole = {t.part_of for t in tissue_table() if t.name in found and t.part_of}
        parts = {t.name for t in tissue_table() if t.part_of in found}
        return frozenset(found | whole | parts)


@functools.cache
def tissue_table() -> tuple[Tissue, ...]:
    """Return the tissues that come with cellferry."""
    text = (resources.files("cellferry") / "data" / "tissues.tsv").read_text(encoding="utf-8")
    rows = []
    for line in text.splitlines()[1:]:
        cells = [*line.split("\t"), "", "", "", ""][:6]
        name, identifier, label, part_of, other, related = cells
        names = dict.fromkeys([name, label, *_split(other)])
        rows.append(Tissue(name, identifier, label, part_of, tuple(names), _split(related)))
    return tuple(rows)


def _split(text: str) -> tuple[str, ...]:
    return tuple(x.strip() for x in text.split(";") if x.strip())


def read_tissue(text: str, own: Iterable[str] = ()) -> TissueText:
    """Return what is understood of a free text about the tissue of a sample.

    Parameters
    ----------
    text
        As the user wrote it.
    own
        Tissues that only the user's knowledge names, in small letters.

    Examples
    --------
    >>> read_tissue("Lung tumor; blod")
    TissueText(given='Lung tumor; blod', names=('lung',), unread=('blod',))
    """
    words = text.casefold()
    named = [(n, t.name) for t in tissue_table() for n in t.names]
    named += [(n, n) for n in own if all(n != other for other, _ in named)]
    spans = sorted(
        (match.span(), name)
        for n, name in named
        if n in words  # a pattern takes long to be made, and few names are there
        for match in re.finditer(rf"(?<!\w){re.escape(n)}(?!\w)", words)
    )
    # Bone marrow is no bone: a name inside of a longer one does not count.
    spans = [
        ((start, end), name)
        for (start, end), name in spans
        if not any(a <= start and end <= b and (a, b) != (start, end) for (a, b), _ in spans)
    ]
    unread, start = [], 0
    for between in [*_BETWEEN.finditer(words), None]:
        end = len(words) if between is None else between.start()
        if not any(a < end and start < b for (a, b), _ in spans) and _says_more(words[start:end]):
            unread.append(text[start:end].strip() if len(text) == len(words) else words[start:end])
        start = end if between is None else between.end()
    return TissueText(text, tuple(dict.fromkeys(name for _, name in spans)), tuple(unread))


def _says_more(part: str) -> bool:
    """Whether a part that names no tissue could have been meant to."""
    words = re.findall(r"[\w'-]+", part)
    return not set(words) <= NO_TISSUE and known_species(part) is None


def tissues_of(text: str, own: Iterable[str] = ()) -> frozenset[str]:
    """Return the tissues that a free text names, with the parts of each and what it is part of.

    Parameters
    ----------
    text, own
        As of :func:`read_tissue`.

    Examples
    --------
    >>> sorted(tissues_of("Human colon, healthy"))
    ['intestine', 'large intestine']
    >>> sorted(tissues_of("PBMCs"))
    ['blood']
    """
    return read_tissue(text, own).tissues


def nearest_tissues(text: str, own: Iterable[str] = ()) -> tuple[str, ...]:
    """Return tissues that a text that was not understood may mean, the most likely first.

    Examples
    --------
    >>> nearest_tissues("blod"), nearest_tissues("NSCLC, stage 2"), nearest_tissues("xyz")
    (('blood',), ('lung',), ())
    """
    words = " ".join(text.casefold().split())
    related = [
        t.name
        for t in tissue_table()
        for word in t.related
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", words)
    ]
    name_of = {n: n for n in own}
    name_of |= {n: t.name for t in tissue_table() for n in t.names}
    single = [w for w in re.findall(r"[\w-]+", words) if len(w) > 2 and w not in NO_TISSUE]
    like = [
        name_of[close]
        for wanted in dict.fromkeys([words, *single])
        for close in get_close_matches(wanted, list(name_of), SUGGESTIONS, LIKE_ENOUGH)
    ]
    return tuple(dict.fromkeys([*related, *like]))[:SUGGESTIONS]


def occurs(types: Iterable[str], tissues: frozenset[str]) -> bool:
    """Whether a type that is known from some tissues may occur in others.

    Examples
    --------
    >>> occurs(["liver"], frozenset({"lung"})), occurs(["any"], frozenset({"lung"}))
    (False, True)
    """
    known = set(types)
    return not known or ANYWHERE in known or not tissues or bool(known & tissues)


def expected(types: Iterable[str], tissues: frozenset[str]) -> bool:
    """Whether a type that is known from some tissues is no surprise in a sample of others.

    Examples
    --------
    >>> expected(["liver"], frozenset({"lung"})), expected(["liver"], frozenset({"embryo"}))
    (False, True)
    """
    return EMBRYO in tissues or occurs(types, tissues)
