"""A fixed projection of cells onto what marker genes say of cell types: an embedding of our own.

With e the strength of each known marker gene in a cell (see :mod:`.scores`), scaled to length 1,
and P the 50 leading right singular vectors of the packaged matrix of types x marker genes::

    embedding = e / |e| * P

P depends on the species only, and a cell on nothing but itself: embeddings of other chunks, other
days and other objects lie in the same space. Genes that were not measured are left out. It is not
trained and is no foundation model's embedding.

Source: Golub and Van Loan, Matrix Computations (2013), section 2.4, for the decomposition.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..knowledge.packaged import packaged_knowledge
from .answer import best_species, hierarchy_of, row_blocks
from .scores import CellProfiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ....biology.genes import Species

DIMENSIONS = 50
NAME = "cellferry marker projection 1"
"""Another projection gets another number: embeddings of two are not to be compared."""


@functools.cache
def _directions(species: Species) -> NDArray[np.float64]:
    """Return genes x dimensions, for all marker genes of a species in their order."""
    profiles = hierarchy_of(packaged_knowledge(), species).profiles
    weights = profiles.positive
    # By the types, which are far fewer than the genes.
    values, types = np.linalg.eigh(weights @ weights.T)
    leading = slice(None, -DIMENSIONS - 1, -1)
    found = (types[:, leading].T @ weights) / np.sqrt(values[leading])[:, None]
    # A singular vector has no sign of its own: its largest value is made positive.
    largest = np.abs(found).argmax(axis=1)
    found = found * np.sign(found[np.arange(len(found)), largest])[:, None]
    return np.ascontiguousarray(found.T)


@dataclass(frozen=True, eq=False)
class Projection:
    """The projection for the genes that were measured.

    Attributes
    ----------
    species
        Whose marker genes are known.
    n_genes
        How many of them were measured.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> made = Projection.for_genes(["CD79A", "MS4A1", "CD3E"])
    >>> cells = csr_matrix([[5.0, 3, 0], [0, 0, 4], [0, 0, 0]])
    >>> found = made.embed([(0, cells)], counts=True)
    >>> found.shape, bool(found[2].any())
    ((3, 50), False)
    """

    species: Species
    profiles: CellProfiles
    directions: NDArray[np.float64]

    @classmethod
    def for_genes(cls, genes: Sequence[str]) -> Projection:
        """Return the projection of cells that have these genes, which are symbols."""
        knowledge = packaged_knowledge()
        species = best_species(knowledge, genes)
        every = hierarchy_of(knowledge, species).profiles
        measured = CellProfiles.for_genes(every, genes)
        place = {gene: i for i, gene in enumerate(every.genes)}
        for i, gene in enumerate(every.genes):
            for name in every.symbols[gene]:
                place.setdefault(name, i)
        rows = [place[gene] for gene in measured.genes]
        return cls(species, measured, _directions(species)[rows])

    @property
    def n_genes(self) -> int:
        """How many marker genes were measured."""
        return len(self.profiles.genes)

    def embed(
        self, source: Iterable[tuple[int, csr_matrix]], *, counts: bool
    ) -> NDArray[np.float32]:
        """Return cells x :data:`DIMENSIONS`; a cell without any marker gene is all zeros.

        Parameters
        ----------
        source
            Blocks of cells x genes, in order.
        counts
            Whether the values are raw counts, or linear; else they are log-normalised.

        Raises
        ------
        InvalidObjectError
            Some values are negative, infinite or missing.
        """
        parts = [np.zeros((0, DIMENSIONS), np.float32)]
        for _, block in row_blocks(source):
            strengths = self.profiles.strengths(block, counts=counts).astype(np.float64)
            rows = np.repeat(np.arange(strengths.shape[0]), np.diff(strengths.indptr))
            squares = np.bincount(rows, strengths.data**2, strengths.shape[0])
            length = np.sqrt(np.where(squares > 0, squares, 1))
            found = np.asarray(strengths @ self.directions) / length[:, None]
            parts.append(found.astype(np.float32))
        return np.concatenate(parts)
