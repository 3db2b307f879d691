"""What the embedded engine makes of the tissue and the species of a sample, said and recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...biology.gene_tables import resolve
from ...biology.genes import Species
from ...biology.orthologs import has_orthologs
from ...biology.recognition import detect_species
from ...biology.species import KNOWN_SPECIES, KnownSpecies, known_species, nearest_species
from ...errors import CellferryWarning, SpeciesWarning, TissueWarning, listing
from ..base import Understood
from .knowledge.tissues import TissueText, nearest_tissues, read_tissue, tissue_table
from .knowledge.types import SPECIES

if TYPE_CHECKING:
    from ...files import Json
    from ...study.study import Context
    from .knowledge.base import Knowledge

FEW = 0.5
"""Share of the genes of another species that must be known for its answers to be trusted."""
WHERE_TISSUES = (
    "All there are: KnownTissues() in R, cellferry.known_tissues() in Python, cellferry tissues on "
    "the command line."
)


@dataclass(frozen=True)
class SpeciesRead:
    """Whose markers are read.

    Attributes
    ----------
    vocabulary
        The species whose symbols and markers are looked up.
    how
        ``"stated"`` by the user, or found from the ``"genes"``.
    known
        The stated species; None where none was, or it was not understood.
    """

    vocabulary: Species
    how: str
    known: KnownSpecies | None = None

    @property
    def name(self) -> str:
        """The species of the sample, as far as it is known."""
        return self.vocabulary if self.known is None else self.known.name

    def provenance(self) -> dict[str, Json]:
        """Return what the answer remembers."""
        found: dict[str, Json] = {"species": self.name, "species_from": self.how}
        if self.name != self.vocabulary:
            found["species_read"] = self.vocabulary
        return found


def read_species(context: Context, knowledge: Knowledge, genes: Iterable[str]) -> SpeciesRead:
    """Return whose markers are read: of the stated species, or of the one the genes are of.

    Parameters
    ----------
    context
        What was stated, or found from the genes before.
    knowledge
        With the markers of each species.
    genes
        Names of the genes.
    """
    stated = known_species(context.species)
    if stated is not None and stated.reads is not None:
        return SpeciesRead(stated.reads, context.species_from, stated)
    names = set(map(str, genes))
    guess = None if stated is not None else detect_species(sorted(names)).species
    found = {s: len(knowledge.names_of_genes(s).keys() & names) for s in SPECIES}
    best = max(SPECIES, key=lambda s: found[s])
    how = "genes" if stated is None else context.species_from
    return SpeciesRead(best if guess is None else guess, how, stated)


def understand(context: Context, knowledge: Knowledge, genes: Iterable[str]) -> Understood:
    """Return what is made of tissue and species, in words and for the record.

    Parameters
    ----------
    context, knowledge, genes
        As of :func:`read_species`.
    """
    lines: list[str] = []
    problems: list[CellferryWarning] = []
    record: dict[str, Json] = {}
    if (context.tissue or "").strip():
        read = read_tissue(context.tissue or "", knowledge.tissues)
        problem = _tissue_problem(read, knowledge.tissues)
        if read.names:
            lines.append(f"tissue: {_as_given(', '.join(read.names), read.given)}.")
            if read.unread and problem is None:
                lines[-1] += f" Not read as a tissue: {listing(read.unread)}."
        problems += [] if problem is None else [problem]
        record["tissue"] = {
            "given": read.given,
            "names": list(read.names),
            "not_understood": list(read.unread) if read.names else [read.given],
        }
    known = known_species(context.species)
    is_shown = known is not None and not known.is_own
    if (context.species or "").strip() and (context.species_from == "stated" or is_shown):
        names = list(dict.fromkeys(map(str, genes)))
        species = read_species(context, knowledge, names)
        line, warning = _species_words(context.species or "", species, knowledge, names)
        lines += [line] if line else []
        problems += [] if warning is None else [warning]
        record["species"] = {
            "given": context.species,
            "name": None if species.known is None else species.known.name,
            "read_as": species.vocabulary,
        }
    return Understood(tuple(lines), tuple(problems), record)


def _as_given(name: str, given: str) -> str:
    return name if name == given.strip().casefold() else f"{name}, from '{given.strip()}'"


def _tissue_problem(read: TissueText, own: Iterable[str]) -> TissueWarning | None:
    """Return a warning where nothing was understood, or a part is like the name of a tissue."""
    parts = [p for p in read.unread if nearest_tissues(p, own)] if read.names else [read.given]
    if not parts:
        return None
    near = list(dict.fromkeys(n for p in parts for n in nearest_tissues(p, own)))
    what = "tissue" if not read.names else "part of the tissue"
    message = f"The {what} {listing(parts)} was not understood, and is not used."
    if near:
        guess = " or ".join(f'"{name}"' for name in near)
        return TissueWarning(message, f"Did you mean {guess}? {WHERE_TISSUES}")
    known = ", ".join(t.name for t in tissue_table())
    return TissueWarning(message, f"Name one or more of: {known}. {WHERE_TISSUES}")


def _species_words(
    given: str, read: SpeciesRead, knowledge: Knowledge, genes: list[str]
) -> tuple[str, SpeciesWarning | None]:
    known, vocabulary = read.known, read.vocabulary
    if known is None:
        near = nearest_species(given)
        message = (
            f'The species "{given}" was not understood; the genes are read as those of '
            f"{vocabulary}, which their names fit best."
        )
        guess = "" if near is None else f'Did you mean "{near.name}"? '
        valid = ", ".join(species.name for species in KNOWN_SPECIES)
        hint = f"{guess}Valid: {valid}; Latin names, taxon numbers and genome assemblies too."
        return "", SpeciesWarning(message, hint)
    if known.is_own:
        same = known.name == given.strip().casefold()
        return "" if same else f"species: {_as_given(known.name, given)}.", None
    symbols = sum(resolve(gene, vocabulary) is not None for gene in genes)
    markers = len(knowledge.names_of_genes(vocabulary).keys() & set(genes))
    by = "their symbols"
    if has_orthologs(known.name):
        by = f"the table of its {vocabulary} orthologs, the others by their symbols"
    text = (
        f"species: {_as_given(known.name, given)}. There are no markers of {known} of its own: its "
        f"genes are read by {by}, as those of {vocabulary}. {symbols:,} of "
        f"{len(genes):,} genes are {vocabulary} symbols, and {markers:,} of them are markers of a "
        "cell type."
    )
    if symbols >= FEW * len(genes):
        return text, None
    hint = f"Give the symbols of the {vocabulary} orthologs in place of the genes' own names."
    return "", SpeciesWarning(text, hint)
