"""What is asked of whoever looks figures of genes and metadata up, and what is answered.

Engines know only this: where the matrix is, in an object or in the artifacts that a client sent,
is the affair of the lookup that a study has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Figures:
    """How genes are expressed in each cluster.

    Attributes
    ----------
    genes
        Those that were found, by the names that they were asked for.
    clusters
        Names.
    sizes
        int64: cells of each cluster.
    expressed
        Genes x clusters: cells with a value above zero.
    sums
        Genes x clusters, float64: the sum of the values of these cells.
    """

    genes: tuple[str, ...]
    clusters: tuple[str, ...]
    sizes: NDArray[np.int64]
    expressed: NDArray[np.int64]
    sums: NDArray[np.float64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Genes x clusters: the share of cells with a value above zero, 0..1."""
        return np.asarray(self.expressed / np.maximum(self.sizes, 1))

    @property
    def mean(self) -> NDArray[np.float64]:
        """Genes x clusters: the mean of all cells of the cluster."""
        return np.asarray(self.sums / np.maximum(self.sizes, 1))


@dataclass(frozen=True)
class Composition:
    """How often each value of a metadata column occurs in each cluster.

    Attributes
    ----------
    values
        The different values, as text.
    counts
        Values x clusters, int64: cells; those without a value are not counted.
    """

    column: str
    values: tuple[str, ...]
    clusters: tuple[str, ...]
    counts: NDArray[np.int64]


class Lookup(Protocol):
    """Where figures are looked up."""

    def figures(self, genes: Sequence[str]) -> Figures | None:
        """Return the figures of those genes that there are; None where none can be had."""
        ...

    def composition(self, column: str) -> Composition | None:
        """Return the composition of a column of text; None where there is none of that name."""
        ...
