"""Jobs of a species that is read by a table of orthologs: dog, pig, rat, macaques, zebrafish.

As the verbs do, the engine reads the symbols of the orthologs. Whoever asked gets the names that it
sent: they are in its object, its files and its percentages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...study.symbols import recognise_genes, species_of_genes, with_symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...annotations.clusters import Annotations
    from ...study.expression.lookup import Composition, Figures, Lookup
    from ...study.study import Study


def read_by_orthologs(study: Study) -> Study:
    """Return the study with the symbols of orthologs, where its species has a table of them.

    Parameters
    ----------
    study
        Of a job, its genes as the client has them.
    """
    if species_of_genes(study) is None:
        return study
    found = recognise_genes(study)
    read = with_symbols(study, found)
    if read.lookup is not None and read.gene_names:
        read = read.with_parts(lookup=ByOwnNames(read.lookup, read.gene_names))
    return read.with_parts(recognised=found.to_dict())


def with_own_names(found: Annotations, study: Study) -> Annotations:
    """Return answers whose genes have the names of the client.

    Parameters
    ----------
    found
        What the engine answered.
    study
        What it read.
    """
    own = study.gene_names
    if not own:
        return found

    def named(genes: Iterable[str]) -> tuple[str, ...]:
        return tuple(own.get(gene, gene) for gene in genes)

    rows = tuple(
        replace(
            row,
            supporting=named(row.supporting),
            conflicting=named(row.conflicting),
            missing=named(row.missing),
        )
        for row in found
    )
    return replace(found, rows=rows)


class ByOwnNames:
    """Looks genes up under the client's names, and returns them under the symbols.

    Parameters
    ----------
    lookup
        By the client's names.
    own
        Symbol -> name.
    """

    def __init__(self, lookup: Lookup, own: Mapping[str, str]) -> None:
        self._lookup, self._own = lookup, own

    def figures(self, genes: Sequence[str]) -> Figures | None:
        """Return the figures of those genes that there are."""
        symbols: dict[str, str] = {}
        for gene in genes:
            symbols.setdefault(self._own.get(gene, gene), gene)
        found = self._lookup.figures(tuple(symbols))
        if found is None:
            return None
        return replace(found, genes=tuple(symbols.get(name, name) for name in found.genes))

    def composition(self, column: str) -> Composition | None:
        """Return the composition of a column."""
        return self._lookup.composition(column)
