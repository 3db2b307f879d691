"""What each cell type is expected to express: the knowledge as weights.

A weight is tier x specificity x inheritance. Specificity is 1 / sqrt(number of separate
lineages that list the gene), so that types without a shared gene do not influence each
other. A type inherits the markers of its ancestors at a reduced weight: a subtype without
evidence of its own therefore fits worse than its parent.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...biology.gene_tables import aliases
from ...biology.genes import Species
from .knowledge.tissues import expected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .knowledge.base import Knowledge
    from .knowledge.types import CellType

TIER_WEIGHT: dict[int, float] = {3: 1.0, 2: 0.7, 1: 0.4}
INHERITANCE = 0.3
"""Factor for each step up to the ancestor that lists a marker."""
NEGATIVE_WEIGHT = 0.7
OF_STATE = 0.3
"""Factor for a gene that marks a state (cycling, stress, inflammation) where a type lists it."""
ELSEWHERE = 0.8
"""Factor for the fit of a type that is not known from the tissue of the sample."""


@dataclass(frozen=True)
class Weights:
    """The few values of a matrix of types x genes that are not zero.

    A type lists some twenty of thousands of genes, so products take a hundredth of the time.
    """

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    value: NDArray[np.float64]
    size: int

    @classmethod
    def of(cls, matrix: NDArray[np.float64]) -> Weights:
        """Take the values out of a matrix."""
        row, column = np.nonzero(matrix)
        return cls(row, column, matrix[row, column], len(matrix))

    def times(self, genes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the matrix times a vector of genes: one value per type."""
        weighted = self.value * genes[self.column]
        found = np.bincount(self.row, weights=weighted, minlength=self.size)
        return np.asarray(found, dtype=np.float64)

    @functools.cached_property
    def _squared(self) -> NDArray[np.float64]:
        return self.value**2

    def squares(self, genes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the squared matrix times a vector of genes."""
        weighted = self._squared * genes[self.column]
        found = np.bincount(self.row, weights=weighted, minlength=self.size)
        return np.asarray(found, dtype=np.float64)

    @functools.cached_property
    def _first(self) -> NDArray[np.intp]:
        """Where the values of each type begin, and where the last ones end."""
        return np.searchsorted(self.row, np.arange(self.size + 1))

    def genes_of(self, types: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the genes of any of some types, in order."""
        parts = [self.column[self._first[i] : self._first[i + 1]] for i in types]
        return np.unique(np.concatenate(parts))

    def count(self, genes: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return per type how many of its genes are marked."""
        return np.bincount(self.row[genes[self.column]], minlength=self.size)


@dataclass(frozen=True)
class Profiles:
    """The knowledge of one species as matrices of types x genes.

    ``own`` has what a row of the table lists, ``positive`` also what it inherits, ``new``
    only what no ancestor lists; ``of_state`` marks the genes of states, by which no type is named;
    ``prior`` is 1, or less for a type that is not known from the tissue of the sample; ``here``
    marks the types that name it.
    """

    names: tuple[str, ...]
    genes: tuple[str, ...]
    symbols: dict[str, tuple[str, ...]]
    own: NDArray[np.float64]
    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    specificity: NDArray[np.float64]
    prior: NDArray[np.float64]
    new: NDArray[np.float64]
    here: NDArray[np.bool_]
    species: Species = "human"
    of_state: NDArray[np.bool_] | None = None

    @functools.cached_property
    def own_weights(self) -> Weights:
        """``own`` without its zeros."""
        return Weights.of(self.own)

    @functools.cached_property
    def positive_weights(self) -> Weights:
        """``positive`` without its zeros."""
        return Weights.of(self.positive)

    @functools.cached_property
    def negative_weights(self) -> Weights:
        """``negative`` without its zeros."""
        return Weights.of(self.negative)

    @classmethod
    def from_knowledge(
        cls, knowledge: Knowledge, species: Species, tissues: frozenset[str] = frozenset()
    ) -> Profiles:
        """Build for the types that are known in a species (groups always are).

        Types that are not known from ``tissues`` need more evidence; none means anywhere.
        """
        types = [t for t in knowledge.types if species in t.positive or t.kind in _HOLDERS]
        current = knowledge.names_of_genes(species)
        genes = tuple(sorted(set(current.values())))
        column = {g: i for i, g in enumerate(genes)}
        symbols: dict[str, list[str]] = {g: [] for g in genes}
        for symbol in sorted(current):
            symbols[current[symbol]].append(symbol)
        for alias, symbol in aliases(species).items():
            # Names that are out of use, and those of proteins: CD20, SDPR.
            if alias not in current and symbol in current:
                symbols[current[symbol]].append(alias)
        names = tuple(t.name for t in types)
        listed = np.zeros((len(types), len(genes)))
        negative = np.zeros_like(listed)
        for i, cell_type in enumerate(types):
            for marker in cell_type.positive.get(species, ()):
                j = column[current[marker.name]]
                listed[i, j] = max(listed[i, j], TIER_WEIGHT[marker.tier])
            for marker in cell_type.negative.get(species, ()):
                negative[i, column[current[marker.name]]] = NEGATIVE_WEIGHT
        states = np.array([t.kind == "state" for t in types], dtype=bool)
        of_state = (listed[states] > 0).any(axis=0)
        listed[np.ix_(~states, of_state)] *= OF_STATE
        row = {name: i for i, name in enumerate(names)}
        above = [
            {row[a]: n for a, n in knowledge.ancestors[name].items() if a in row} for name in names
        ]
        specificity = 1 / np.sqrt(np.maximum(_lineages(listed, above), 1))
        own = listed * specificity
        positive = own.copy()
        for i, steps in enumerate(above):
            for ancestor, distance in steps.items():
                inherited = own[ancestor] * INHERITANCE**distance
                np.maximum(positive[i], inherited, out=positive[i])
        new = own.copy()
        for i, steps in enumerate(above):
            if steps:
                new[i, (own[list(steps)] > 0).any(axis=0)] = 0
        # What a type lists itself is never evidence against it.
        negative[positive > 0] = 0
        return cls(
            names,
            genes,
            {g: tuple(s) for g, s in symbols.items()},
            own,
            positive,
            negative,
            specificity,
            _prior(types, tissues),
            new,
            _named(types, tissues),
            species,
            of_state,
        )

    def in_tissues(self, knowledge: Knowledge, tissues: frozenset[str]) -> Profiles:
        """Return the same for a sample of tissues; what is worked out already is kept.

        Parameters
        ----------
        knowledge
            That they were made of.
        tissues
            As of :meth:`from_knowledge`.
        """
        types = [knowledge.by_name[name] for name in self.names]
        made = replace(self, prior=_prior(types, tissues), here=_named(types, tissues))
        made.__dict__.update({k: v for k, v in self.__dict__.items() if k not in made.__dict__})
        return made


def _prior(types: Sequence[CellType], tissues: frozenset[str]) -> NDArray[np.float64]:
    """Return what the fit of each type is multiplied with."""
    return np.array([1.0 if expected(t.tissues, tissues) else ELSEWHERE for t in types])


def _named(types: Sequence[CellType], tissues: frozenset[str]) -> NDArray[np.bool_]:
    """Return which types name a tissue of the sample."""
    return np.array([not tissues.isdisjoint(t.tissues) for t in types], dtype=bool)


_HOLDERS = ("group", "compartment")


def _lineages(listed: NDArray[np.float64], above: list[dict[int, int]]) -> NDArray[np.float64]:
    """Return per gene how many types list it, a type and its ancestors counting once."""
    contains = listed > 0
    count = np.zeros(listed.shape[1])
    for i, steps in enumerate(above):
        through_ancestor = contains[list(steps)].any(axis=0) if steps else False
        count += contains[i] & ~np.asarray(through_ancestor)
    return count
