"""A study whose genes are not written as symbols, with symbols in their place.

What a name is read as says :mod:`cellferry.biology.recognition`. Engines read the symbols; the
user's tables and objects keep their names, and :attr:`Study.gene_names` leads back to them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..biology.genes import Species, identifier_kind, require_symbols
from ..biology.orthologs import species_read
from ..biology.recognition import Recognition, recognise, recognise_object
from ..biology.species import species_of

if TYPE_CHECKING:
    from .expression.source import ExpressionSource
    from .markers.table import Markers
    from .study import Study

logger = logging.getLogger("cellferry")

ENOUGH = 0.5
"""Part of the identifiers of a marker table that needs a symbol, or the table is refused."""


@dataclass(frozen=True)
class Recognised:
    """What is known of the genes of a study: of its marker table, and of its object."""

    table: Recognition | None = None
    of_object: Recognition | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the figures as plain data, for the record; nothing where there are no genes."""
        parts = {"markers": self.table, "object": self.of_object}
        return {name: found.to_dict() for name, found in parts.items() if found is not None}


def recognise_genes(study: Study, also: Set[str] = frozenset()) -> Recognised:
    """Say which genes of a study are known, and as what the others are read.

    Parameters
    ----------
    study
        With its markers, its genes, or both.
    also
        Names that are right as they are: those of the engine's own table.
    """
    species, other = species_of(study.context.species), species_of_genes(study)
    of_object = None
    if study.genes is not None:
        of_object = (
            recognise(study.genes, species, also=also, orthologs_of=other)
            if also
            else recognise_object(study.genes, species, other)
        )
    of_table = None
    if study.markers is not None:
        of_table = _of_table(study.markers, of_object, species, also, other)
    return Recognised(of_table, of_object)


def species_of_genes(study: Study) -> str | None:
    """Return the species by whose table of orthologs the genes of a study are read, or None."""
    names = study.genes or (() if study.markers is None else study.markers.gene.tolist())
    return species_read(study.context.species, names)


def _of_table(
    markers: Markers,
    of_object: Recognition | None,
    species: Species | None,
    also: Set[str],
    orthologs_of: str | None,
) -> Recognition:
    """Recognise the genes of a table; those that its object has are read as there."""
    genes = markers.gene.tolist()
    if of_object is not None:
        # CD3D.1 is a gene of its own where the object has one of that name.
        also = also | of_object.second
    members: dict[str, set[int]] = {}

    def together(one: str, other: str) -> bool:
        if not members:
            for name, cluster in zip(genes, markers.cluster.tolist(), strict=True):
                members.setdefault(name, set()).add(cluster)
        return bool(members[one] & members[other])

    return recognise(genes, species, also=also, together=together, orthologs_of=orthologs_of)


def with_symbols(study: Study, found: Recognised | None = None) -> Study:
    """Return the study with symbols for all genes that are read as one.

    Markers, genes and expression are renamed alike; a gene that is not known keeps its name.
    Two names of one symbol stay two rows: nothing is averaged.

    Parameters
    ----------
    study
        As it was read.
    found
        What is known of its genes; None finds it.

    Raises
    ------
    GeneIdentifiersError
        The marker table has identifiers that are not of Ensembl, or fewer than half of them
        have a symbol.
    """
    found = found or recognise_genes(study)
    if study.markers is not None and found.table is not None:
        _check_identifiers(study.markers, found.table)
    of_object = {} if found.of_object is None else found.of_object.readings
    of_table = {**({} if found.table is None else found.table.readings), **of_object}
    if not of_table:
        return study
    sources = {"normalized": study.normalized, "counts": study.counts}
    parts: dict[str, object] = {
        part: _renamed(source, of_object) for part, source in sources.items() if source is not None
    }
    if study.genes is not None:
        parts["genes"] = tuple(of_object.get(g, g) for g in study.genes)
    if study.markers is not None:
        genes = [of_table.get(g, g) for g in study.markers.gene.tolist()]
        parts["markers"] = replace(study.markers, gene=np.array(genes, dtype=object))
    parts["gene_names"] = _own_names(study, of_object, of_table)
    return study.with_parts(**parts)


def _own_names(
    study: Study, of_object: Mapping[str, str], of_table: Mapping[str, str]
) -> dict[str, str] | None:
    """Return symbol -> the name that the object has for it, else the table."""
    given = {s: name for name, s in (study.gene_names or {}).items()}
    plain = set(study.genes or ())
    own: dict[str, str] = {}
    for readings in (of_object, of_table):
        for name, symbol in readings.items():
            if symbol not in plain or name in plain:
                own.setdefault(symbol, given.get(name, name))
    if study.markers is not None:
        table = set(study.markers.gene.tolist())
        for name, symbol in of_table.items():
            # Of several names of one symbol, one that the table has is the one that is meant.
            if name in table and symbol in own and name in of_object:
                own[symbol] = given.get(name, name)
            # A symbol that the table has as it is needs no other name.
            if symbol in table and study.genes is None:
                own.pop(symbol, None)
    merged = {**(study.gene_names or {}), **own}
    return merged or None


def _check_identifiers(markers: Markers, found: Recognition) -> None:
    if 2 * found.known > found.names:
        return
    kind = identifier_kind(markers.gene)
    if kind == "symbol":
        return
    names = set(map(str, markers.gene))
    read = sum(n in found.readings for n in names)
    if kind != "ensembl" or read < ENOUGH * len(names):
        require_symbols(markers.gene, "marker table")
    _report(found, "marker table")


def with_gene_symbols(study: Study) -> Study:
    """Return the study with symbols for its genes and its expression.

    Its marker table has symbols already: it was renamed before it was stored.
    """
    if study.genes is None:
        return study
    species = species_of(study.context.species)
    found = Recognised(None, recognise_object(study.genes, species, species_of_genes(study)))
    given = study.with_parts(markers=None)
    return with_symbols(given, found).with_parts(markers=study.markers)


def with_expression_symbols(study: Study, found: Recognised | None = None) -> Study:
    """Return a study of cells with symbols for the names of its genes.

    A gene that is not known keeps its name, and so do all but the first of those that share a
    symbol. How many identifiers had one is reported.
    """
    found = found or recognise_genes(study)
    if study.genes is None or found.of_object is None or not found.of_object.readings:
        return study
    readings = found.of_object.readings
    if identifier_kind(study.genes) == "ensembl":
        _report(found.of_object, "study")
    sources = (study.normalized, study.counts)
    normalized, counts = (
        None if s is None else s.renamed(_different(s.genes, readings)) for s in sources
    )
    genes = _different(study.genes, readings)
    return study.with_parts(genes=genes, normalized=normalized, counts=counts)


def _different(genes: Sequence[str], readings: Mapping[str, str]) -> tuple[str, ...]:
    # A name that is a symbol as it is has the first claim to it, one that is in other letters the
    # second: of two copies of a gene the one that is called like the ortholog.
    seen = {g for g in genes if g not in readings}
    alike = {
        readings[g]: g for g in reversed(genes) if g.casefold() == readings.get(g, "").casefold()
    }
    made = []
    for gene in genes:
        symbol = readings.get(gene)
        if symbol is None:
            made.append(gene)
            continue
        made.append(gene if symbol in seen or alike.get(symbol, gene) != gene else symbol)
        seen.add(made[-1])
    return tuple(made)


def symbols_of(genes: Sequence[str], species: str | None = None) -> tuple[str, ...]:
    """Return the same genes with the symbols that their names are read as.

    Examples
    --------
    >>> symbols_of(["GRCh38_CD3D", "GRCh38_CD19"]), symbols_of(["CD3D", "CD19"])
    (('CD3D', 'CD19'), ('CD3D', 'CD19'))
    """
    names = tuple(genes)
    readings = recognise_object(names, species_of(species), species_read(species, names)).readings
    return tuple(readings.get(g, g) for g in names) if readings else names


def names_by_symbol(
    genes: Iterable[str], wanted: Iterable[str], species: str | None = None
) -> list[str]:
    """Return which genes of an object are meant by symbols, under the object's names.

    Parameters
    ----------
    genes
        The object's names.
    wanted
        Symbols, or the object's names.
    species
        As it was stated: it decides as what names in other letters are read.
    """
    names = tuple(genes)
    requested = set(wanted)
    symbols = symbols_of(names, species)
    return [n for n, s in zip(names, symbols, strict=True) if {n, s} & requested]


def _report(found: Recognition, what: str) -> None:
    identifiers = found.disguises.get("ensembl", ())
    symbols = [found.readings[n] for n in identifiers]
    shared = sum(n > 1 for n in Counter(symbols).values())
    text = (
        f"The genes of the {what} are Ensembl identifiers; {len(identifiers)} of {found.names} "
        "were given their symbols."
    )
    if shared:
        text += f" {shared} symbols stand for several identifiers."
    logger.info("%s", text)


def _renamed(source: ExpressionSource, readings: Mapping[str, str]) -> ExpressionSource:
    genes = tuple(readings.get(g, g) for g in source.genes)
    return source if genes == tuple(source.genes) else source.renamed(genes)
