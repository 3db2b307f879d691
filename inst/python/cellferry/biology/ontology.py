"""The Cell Ontology: names to terms, ancestors, common ancestors, distances, replacements.

An extract of labels, synonyms and is-a relations comes with the package
(``data/cell_ontology.json.gz``; ``data/README.md`` says from where). Engines, the checks of
their answers and the measures of agreement all ask this module.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from .text import normalized, ontology_id, singular

How = Literal["id", "label", "synonym", "plural"]

ROOT = "CL:0000000"
"""The term "cell"."""

TOO_GENERAL = frozenset({
    "CL:0000000",  # cell
    "CL:0000255",  # eukaryotic cell
    "CL:0000520",  # prokaryotic cell
    "CL:0001034",  # cell in vitro
    "CL:0001061",  # abnormal cell
    "CL:0000080",  # circulating cell
    "CL:0000151",  # secretory cell
    "CL:0000152",  # exocrine cell
    "CL:0000163",  # endocrine cell
    "CL:0000183",  # contractile cell
    "CL:0000211",  # electrically active cell
    "CL:0000393",  # electrically responsive cell
    "CL:0000404",  # electrically signaling cell
    "CL:0000219",  # motile cell
    "CL:0000221",  # ectodermal cell
    "CL:0000222",  # mesodermal cell
    "CL:0000223",  # endodermal cell
    "CL:0000225",  # anucleate cell
    "CL:0000226",  # single nucleate cell
    "CL:0000228",  # multinucleate cell
    "CL:0002242",  # nucleate cell
    "CL:0000412",  # polyploid cell
    "CL:0000413",  # haploid cell
    "CL:0000325",  # stuff accumulating cell
    "CL:0000329",  # oxygen accumulating cell
    "CL:0000422",  # mitogenic signaling cell
    "CL:0000424",  # excretory cell
    "CL:0000457",  # biogenic amine secreting cell
    "CL:0000630",  # supporting cell
    "CL:0000095",  # neuron associated cell
    "CL:0000064",  # ciliated cell
    "CL:0000197",  # sensory receptor cell
    "CL:0002321",  # embryonic cell (metazoa)
    "CL:0011115",  # precursor cell
    "CL:0011026",  # progenitor cell
    "CL:0000034",  # stem cell
    "CL:0000048",  # multi fate stem cell
    "CL:0000723",  # somatic stem cell
    "CL:1000497",  # kidney cell
    "CL:0002681",  # kidney cortical cell
    "CL:1000504",  # kidney medulla cell
    "CL:0002494",  # cardiocyte
    "CL:0009004",  # retinal cell
    "CL:1000600",  # lower urinary tract cell
})  # fmt: skip
"""Terms that say what a cell does, has or where it is, and are above unrelated cell types: nobody's
label, and no answer of a consensus. By hand: the lowest common ancestors of types of different
compartments, and the grouping terms beside them."""


@dataclass(frozen=True)
class Term:
    """One term.

    Attributes
    ----------
    parents
        Ids of the terms it is a direct kind of.
    obsolete
        Whether the term must not be used any more.
    replaced_by
        What takes its place, if the ontology names one term; may be of another ontology.
    consider
        Terms to choose from where it names several.
    """

    id: str
    label: str
    synonyms: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    obsolete: bool = False
    replaced_by: str | None = None
    consider: tuple[str, ...] = ()


@dataclass(frozen=True)
class Match:
    """A term found for a text, and how: by id, label, synonym or as a plural."""

    term: Term
    how: How


@dataclass(frozen=True)
class Ontology:
    """Terms by id, and what can be looked up of them.

    Unknown ids raise ``KeyError``; ask ``id in ontology`` first.
    """

    terms: Mapping[str, Term]
    version: str = ""

    def __contains__(self, identifier: object) -> bool:
        return identifier in self.terms

    def __getitem__(self, identifier: str) -> Term:
        return self.terms[identifier]

    def find(self, text: str) -> Match | None:
        """Return the term that a text names, or None.

        An id (``CL:0000236``, ``CL_0000236``), a label, or a synonym; case, hyphens and
        spacing do not count, and a plural is understood. A label wins over a synonym, and
        a term in use over an obsolete one, which is answered by its replacement. A text
        that stands for several terms finds none: nothing is guessed.

        Examples
        --------
        >>> cell_ontology().find("Natural killer cells").term.id
        'CL:0000623'
        """
        identifier = ontology_id(text) or text.strip()
        if identifier in self.terms:
            current = self.current(identifier)
            return None if current is None else Match(self.terms[current], "id")
        wanted = normalized(text)
        for name, plural in ((wanted, False), (singular(wanted), True)):
            for how, names in self._names.items():
                candidates = {self.current(i) for i in names.get(name, ())} - {None}
                if len(candidates) > 1:
                    return None
                for found in candidates:
                    return Match(self.terms[str(found)], "plural" if plural else how)
        return None

    @functools.cached_property
    def _names(self) -> dict[How, dict[str, set[str]]]:
        tables: dict[How, dict[str, set[str]]] = {"label": {}, "synonym": {}}
        for obsolete in (False, True):
            # An old name does not make a name in use unclear.
            in_use = {how: set(names) if obsolete else set() for how, names in tables.items()}
            for term in self.terms.values():
                if term.obsolete is not obsolete:
                    continue
                label = term.label.removeprefix("obsolete ")
                named: dict[How, tuple[str, ...]] = {"label": (label,), "synonym": term.synonyms}
                for how, names in named.items():
                    for name in {normalized(n) for n in names} - in_use[how]:
                        tables[how].setdefault(name, set()).add(term.id)
        return tables

    def current(self, identifier: str) -> str | None:
        """Return the id, or for an obsolete term its replacement; None if there is none."""
        seen: set[str] = set()
        while identifier in self.terms and identifier not in seen:
            seen.add(identifier)
            term = self.terms[identifier]
            if not term.obsolete:
                return identifier
            if term.replaced_by is None:
                return None
            identifier = term.replaced_by
        return None

    def ancestors(self, identifier: str) -> dict[str, int]:
        """Return the ids of all ancestors and how many steps up each is (the shortest way)."""
        found: dict[str, int] = {}
        level: Iterable[str] = self.terms[identifier].parents
        steps = 1
        while level:
            new = [p for p in dict.fromkeys(level) if p not in found and p in self.terms]
            found.update(dict.fromkeys(new, steps))
            level = [p for term in new for p in self.terms[term].parents]
            steps += 1
        return found

    def kinds(self, identifier: str) -> int:
        """Return how many terms in use are a term or a kind of it.

        The fewer, the more the term says: its information content is
        ``-log(kinds / all terms)`` (Seco and others 2004, without their scale).

        Examples
        --------
        >>> found = cell_ontology()
        >>> found.kinds("CL:0000236") < found.kinds("CL:0000542") < found.kinds(ROOT)
        True
        """
        return self._kinds.get(identifier, 1)

    @functools.cached_property
    def _kinds(self) -> Counter[str]:
        in_use = (i for i, term in self.terms.items() if not term.obsolete)
        return Counter(above for i in in_use for above in (i, *self.ancestors(i)))

    def is_a(self, identifier: str, other: str) -> bool:
        """Whether a term is another one or a kind of it."""
        return identifier == other or other in self.ancestors(identifier)

    def related(self, one: str, other: str) -> bool:
        """Whether one term is the other, or its ancestor or descendant."""
        return self.is_a(one, other) or self.is_a(other, one)

    def common_ancestor(self, one: str, other: str) -> str | None:
        """Return the lowest term that both are kinds of, or None (only obsolete terms have none).

        Lowest is the one with most ancestors of its own; among equals the one that is
        closer to both, then by id.
        """
        above = [{term: 0, **self.ancestors(term)} for term in (one, other)]
        shared = above[0].keys() & above[1].keys()
        return min(
            shared,
            key=lambda t: (-len(self.ancestors(t)), above[0][t] + above[1][t], t),
            default=None,
        )

    def distance(self, one: str, other: str) -> int | None:
        """Return the number of is-a steps between two terms by way of a common ancestor.

        0 for the same term, 1 for parent and child; None if they have no common ancestor.
        """
        above = [{term: 0, **self.ancestors(term)} for term in (one, other)]
        shared = above[0].keys() & above[1].keys()
        return min((above[0][t] + above[1][t] for t in shared), default=None)


@functools.cache
def cell_ontology() -> Ontology:
    """Return the Cell Ontology that comes with cellferry.

    Examples
    --------
    >>> cell_ontology()["CL:0000236"].label
    'B cell'
    """
    packed = (resources.files("cellferry") / "data" / "cell_ontology.json.gz").read_bytes()
    content = json.loads(gzip.decompress(packed))

    def term(number: str, row: list[Any]) -> Term:
        label, synonyms, parents, *obsolete = row
        replaced_by, consider = obsolete or (None, ())
        return Term(
            f"CL:{number}",
            label,
            tuple(synonyms),
            tuple(f"CL:{p}" for p in parents),
            bool(obsolete),
            replaced_by,
            tuple(consider),
        )

    terms = {f"CL:{number}": term(number, row) for number, row in content["terms"].items()}
    return Ontology(terms, content["version"])
