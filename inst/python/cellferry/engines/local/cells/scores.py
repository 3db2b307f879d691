"""The score of a cell: how well what it expresses fits each cell type.

With x the log-normalised value of a gene in a cell, its strength is e = x / (x + 1): being
there counts most, more of it counts less and less. For a type with marker weights w and
negative markers v (see :mod:`.score`), and m the mean strength of all measured markers in the
cell (of at least 200, or a small panel of genes would be its own background)::

    fit = (sum w (e - m) - sum v e) / sqrt(sum w^2 + SHRINKAGE)

A cell is scored by itself: no other cell counts. So the answer is the same however the cells
are divided into blocks, chunks or requests, and a sample of one type is no special case. One
read of the matrix is enough, and only the columns of markers are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ....errors import InvalidObjectError
from ..score import SHRINKAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ..profiles import Profiles

HALF = 1.0
"""The log-normalised value at which a gene counts half."""
TARGET_SUM = 10_000.0
FEWEST_MARKERS = 200
"""The least number of markers that the mean is taken over."""


@dataclass(frozen=True, eq=False)
class CellProfiles:
    """The profiles of the types for the genes that were measured.

    Attributes
    ----------
    columns
        Position in the data of each marker gene, k; ascending in the order of the profiles.
    genes
        Name of each of them in the data.
    weights
        k x types float32: w - v, as one matrix, because strengths are never negative.
    positive
        types x k float32: w alone, to say which genes speak for a label.
    total, scale
        Per type: sum of w, and what divides the sum.
    """

    columns: NDArray[np.intp]
    genes: tuple[str, ...]
    weights: NDArray[np.float32]
    positive: NDArray[np.float32]
    own: NDArray[np.bool_]
    total: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def for_genes(cls, profiles: Profiles, genes: Sequence[str]) -> CellProfiles:
        """Keep what was measured; of several names of a gene the current one counts."""
        place: dict[str, int] = {}
        for i, name in enumerate(genes):
            place.setdefault(name, i)
        rows, columns = [], []
        for row, gene in enumerate(profiles.genes):
            names = [gene, *(s for s in profiles.symbols[gene] if s != gene)]
            found = next((place[n] for n in names if n in place), None)
            if found is not None:
                rows.append(row)
                columns.append(found)
        positive = profiles.positive[:, rows]
        negative = (profiles.negative * profiles.specificity)[:, rows]
        squares = (positive**2).sum(axis=1)
        return cls(
            np.array(columns, dtype=np.intp),
            tuple(genes[c] for c in columns),
            np.ascontiguousarray((positive - negative).T, dtype=np.float32),
            positive.astype(np.float32),
            profiles.own[:, rows] > 0,
            positive.sum(axis=1).astype(np.float32),
            np.sqrt(squares + SHRINKAGE).astype(np.float32),
        )

    def strengths(self, block: csr_matrix, *, counts: bool) -> csr_matrix:
        """Return cells x k strengths of a block of cells x all genes.

        ``counts``: the values are raw counts, or linear, and are normalised here to 10,000 per
        cell and logged.

        Raises
        ------
        InvalidObjectError
            Some values are negative, infinite or missing.
        """
        from scipy.sparse import csr_matrix

        data = block.data
        if len(data) and not (np.isfinite(data.min()) and np.isfinite(data.max())):
            message = "The expression has values that are not finite numbers."
            raise InvalidObjectError(message, "Normalise the counts again.")
        if len(data) and data.min() < 0:
            message = "The expression has values below 0, so it is scaled data."
            hint = "Give log-normalised values, as in .raw or in the layer data, or raw counts."
            raise InvalidObjectError(message, hint)
        chosen = csr_matrix(block[:, self.columns])
        values = chosen.data.astype(np.float32)
        if counts:
            sums = np.maximum(_row_sums(block), 1e-9)
            factor = (TARGET_SUM / sums).astype(np.float32)
            values = np.log1p(values * np.repeat(factor, np.diff(chosen.indptr)))
        made = csr_matrix(
            (values / (values + np.float32(HALF)), chosen.indices, chosen.indptr),
            shape=chosen.shape,
        )
        # The order of summation must not depend on the order of the genes in the data.
        made.sort_indices()
        return made

    def fits(self, strengths: csr_matrix) -> NDArray[np.float32]:
        """Return cells x types: the fit of the module's description."""
        summed = np.asarray(strengths @ self.weights, dtype=np.float32)
        k = max(len(self.columns), FEWEST_MARKERS)
        mean = (_row_sums(strengths) / k).astype(np.float32)
        summed -= mean[:, None] * self.total[None, :]
        summed /= self.scale[None, :]
        return summed


def _row_sums(matrix: csr_matrix) -> NDArray[np.float64]:
    """Return the sum of each row; empty rows are 0, rounding as if each row stood alone."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    sums = np.bincount(rows, weights=matrix.data, minlength=matrix.shape[0])
    return sums.astype(np.float64, copy=False)
