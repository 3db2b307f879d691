"""In how many samples a marker holds: a difference that one sample makes alone is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .rules import fold_change
from .wilcoxon import Groups, group_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..clusters import Clusters
    from ..expression.source import Block
    from .contrasts import Contrast
    from .rules import MarkerOptions


class SampleCounts:
    """Counts, for each gene and group, the samples in which the group has more and less of it.

    Only samples with ``min_cells_group`` cells of the group and as many beside it count.

    Parameters
    ----------
    n_genes
        Genes of the matrix.
    contrast
        Which cells are compared.
    samples
        Of each cell.
    options
        Of the fold change, whose sign is the direction.
    """

    def __init__(
        self, n_genes: int, contrast: Contrast, samples: Clusters, options: MarkerOptions
    ) -> None:
        self._options = options
        self._n_samples, self._n_groups = len(samples.names), len(contrast.names)
        of_cell = (
            np.full(len(contrast.groups.codes), -1) if samples.codes is None else samples.codes
        )
        codes = contrast.groups.codes
        both = (codes >= 0) & (of_cell >= 0)
        # The group changes slowest, and the rest, which is of no group, is the last of them.
        joint = np.where(both, codes * self._n_samples + of_cell, -1).astype(np.int32)
        self._groups = Groups(joint, (self._n_groups + 1) * self._n_samples)
        sizes = self._groups.sizes[:-1].reshape(self._n_groups + 1, self._n_samples)
        self._inside, self._outside = sizes[:-1], sizes.sum(axis=0) - sizes[:-1]
        least = max(1, options.min_cells_group)
        self._counts = (self._inside >= least) & (self._outside >= least)
        self.n = self._counts.sum(axis=1).astype(np.int32)
        """Samples that count, of each group."""
        self.more = np.zeros((n_genes, self._n_groups), np.int32)
        self.less = np.zeros((n_genes, self._n_groups), np.int32)

    def take(self, start: int, block: Block) -> None:
        """Take a block of genes, of which ``start`` is the first."""
        options = self._options
        found = group_sums(block, self._groups, scale=options.scale, ranks=False)
        sums = found.sums[:, :-1].reshape(-1, self._n_groups + 1, self._n_samples)
        rows = slice(start, start + len(sums))
        for group in range(self._n_groups):
            others = np.delete(sums, group, axis=1).sum(axis=1)
            given = {"pseudocount": options.pseudocount_use, "base": options.base}
            change = fold_change(
                sums[:, group], self._inside[group], options.law, **given
            ) - fold_change(others, self._outside[group], options.law, **given)
            counts = self._counts[group]
            self.more[rows, group] = ((change > 0) & counts).sum(axis=1)
            self.less[rows, group] = ((change < 0) & counts).sum(axis=1)

    def of(
        self, group: int, genes: NDArray[np.intp], change: NDArray[np.float64]
    ) -> NDArray[np.int32]:
        """Return in how many samples the difference of some genes has its direction."""
        more, less = self.more[genes, group], self.less[genes, group]
        found: NDArray[np.int32] = np.where(change > 0, more, np.where(change < 0, less, 0))
        return found.astype(np.int32)
