"""Who is whose ancestor among the types that are scored, as matrices."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .knowledge.packaged import transcription_factors
from .knowledge.shared import programmes
from .profiles import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .knowledge.base import Knowledge
    from .profiles import Profiles


@dataclass(frozen=True)
class Hierarchy:
    """Relations between the types of the profiles, as matrices of types x types.

    Attributes
    ----------
    inside
        Whether the row is the column or a descendant of it.
    related
        Whether one is the other, or an ancestor or descendant.
    compatible
        Whether some type is inside both.
    same_lineage
        Whether they share a topmost ancestor that is no compartment.
    own
        Per type, whether the user added it.
    """

    knowledge: Knowledge
    profiles: Profiles
    inside: NDArray[np.bool_]
    related: NDArray[np.bool_]
    compatible: NDArray[np.bool_]
    same_lineage: NDArray[np.bool_]
    state: NDArray[np.bool_]
    compartment: NDArray[np.bool_]
    own: NDArray[np.bool_]

    @classmethod
    def build(cls, knowledge: Knowledge, profiles: Profiles) -> Hierarchy:
        """Work the relations out once for a run."""
        names = profiles.names
        kinds = [knowledge.by_name[n].kind for n in names]
        lineages = [_lineages(knowledge, n) for n in names]
        chains = [(name, *knowledge.ancestors[name]) for name in names]
        inside = _members(chains, {name: i for i, name in enumerate(names)})
        tops = {name: i for i, name in enumerate(sorted({n for some in lineages for n in some}))}
        # Whole numbers up to the number of types are exact, and only floats are multiplied fast.
        of, contains = _members(lineages, tops).astype(np.float32), inside.astype(np.float32)
        return cls(
            knowledge,
            profiles,
            inside,
            inside | inside.T,
            # CD8 T cell and Naive T cell can both be true, as Naive CD8 T cell is inside both.
            contains.T @ contains > 0,
            of @ of.T > 0,
            np.array([k == "state" for k in kinds], dtype=bool),
            np.array([k == "compartment" for k in kinds], dtype=bool),
            np.array([n in knowledge.own for n in names], dtype=bool),
        )

    @functools.cached_property
    def marks(self) -> NDArray[np.bool_]:
        """Types x genes: what a type lists, or one that it is a kind of."""
        return _any_listed(self.inside, self.profiles)

    @functools.cached_property
    def mark_weights(self) -> Weights:
        """``marks`` without its zeros, by which markers are counted."""
        return Weights.of(self.marks.astype(np.float64))

    @functools.cached_property
    def marks_below(self) -> NDArray[np.bool_]:
        """Types x genes: the same, and what its subtypes list."""
        return _any_listed(self.related, self.profiles)

    def lineage_marks(self, i: int) -> NDArray[np.bool_]:
        """Per gene, whether a type of the lineage of one lists it, or one has it all the same."""
        if i not in self._lineage_marks:
            types = self.same_lineage[i] | self.related[i]
            listed = (self.profiles.own[types] > 0).any(axis=0)
            self._lineage_marks[i] = np.asarray(listed | self.shared[i])
        return self._lineage_marks[i]

    @functools.cached_property
    def shared(self) -> NDArray[np.bool_]:
        """Types x genes: what a type is known to have though it is of another lineage."""
        found = np.zeros_like(self.marks)
        for programme in programmes(self.profiles.species):
            above = [self.positions[name] for name in programme.types if name in self.positions]
            genes = [self.gene_positions[g] for g in programme.genes if g in self.gene_positions]
            types = np.flatnonzero(self.inside[:, above].any(axis=1))
            found[types[:, None], genes] = True
        return found

    @functools.cached_property
    def _lineage_marks(self) -> dict[int, NDArray[np.bool_]]:
        return {}

    @functools.cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Per gene, whether a packaged type lists it."""
        return np.asarray((self.profiles.own[~self.own] > 0).any(axis=0))

    @functools.cached_property
    def factors(self) -> NDArray[np.bool_]:
        """Per gene, whether it is a transcription factor."""
        known = transcription_factors(self.profiles.species)
        symbols = self.profiles.symbols
        named = [not known.isdisjoint((gene, *symbols[gene])) for gene in self.profiles.genes]
        return np.array(named, dtype=bool)

    @functools.cached_property
    def positions(self) -> dict[str, int]:
        """Name of a type -> its row."""
        return {name: i for i, name in enumerate(self.profiles.names)}

    @functools.cached_property
    def gene_positions(self) -> dict[str, int]:
        """Gene -> its column in the profiles."""
        return {gene: j for j, gene in enumerate(self.profiles.genes)}

    def in_tissues(self, tissues: frozenset[str]) -> Hierarchy:
        """Return the same for a sample of tissues; what is worked out already is kept.

        Parameters
        ----------
        tissues
            As of :meth:`.profiles.Profiles.from_knowledge`.
        """
        made = replace(self, profiles=self.profiles.in_tissues(self.knowledge, tissues))
        # None of it depends on where a type occurs.
        made.__dict__.update({k: v for k, v in self.__dict__.items() if k not in made.__dict__})
        return made

    def index(self, name: str) -> int:
        """Return the row of a type in the profiles."""
        return self.profiles.names.index(name)

    def above(self, i: int) -> list[int]:
        """Return the rows of its parents."""
        parents = self.knowledge.by_name[self.profiles.names[i]].parents
        return [self.index(p) for p in parents if p in self.profiles.names]

    def below(self, i: int) -> list[int]:
        """Return the rows of its children."""
        children = self.knowledge.children[self.profiles.names[i]]
        return [self.index(c) for c in children if c in self.profiles.names]


def _any_listed(which: NDArray[np.bool_], profiles: Profiles) -> NDArray[np.bool_]:
    """Return per row and gene whether any of the row's types lists the gene."""
    listed = profiles.own > 0
    return np.array([listed[types].any(axis=0) for types in which])


def _members(rows: Sequence[Iterable[str]], column: Mapping[str, int]) -> NDArray[np.bool_]:
    """Return which of the columns each row names."""
    found = np.zeros((len(rows), len(column)), dtype=bool)
    for i, names in enumerate(rows):
        found[i, [column[name] for name in names if name in column]] = True
    return found


def _lineages(knowledge: Knowledge, name: str) -> frozenset[str]:
    """Return the topmost ancestors that are no compartments: T cell and NK cell share one."""
    chain = [name, *knowledge.ancestors[name]]
    inside = [n for n in chain if knowledge.by_name[n].kind != "compartment"]
    top = [n for n in inside if not set(knowledge.ancestors[n]) & set(inside)]
    return frozenset(top or [name])
