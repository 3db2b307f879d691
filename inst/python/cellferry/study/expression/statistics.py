"""What one read of the matrix shows: who expresses what, and whether it is normalised."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...errors import ArtifactValuesError
from .blocks import row_ranges, sparse_view
from .kinds import LARGEST_LOGARITHM, Kind, first_fraction, kind_of_range

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ..clusters import Clusters
    from .source import Axis, Block, ExpressionSource

SAMPLED_CELLS = 200
FEW_CLUSTERS = 64
AT_ONCE = 1 << 16
"""Values whose clusters are counted together, but for a gene with more: they fit into a cache."""

NormalisationKind = Literal["log_normalised", "raw_counts", "scaled", "not_logged", "empty"]
_NAMES: dict[Kind, NormalisationKind] = {
    "normalized": "log_normalised",
    "counts": "raw_counts",
    "linear": "not_logged",
    "scaled": "scaled",
    "empty": "empty",
}
"""The names that results have had since 0.1.0. Damaged values are refused when they are met."""


@dataclass(frozen=True)
class Normalisation:
    """Whether the values are log-normalised, and what shows it.

    Attributes
    ----------
    kind
        ``log_normalised``; ``raw_counts`` (whole numbers); ``scaled`` (negative values);
        ``not_logged`` (too large for logarithms); ``empty`` (only zeros).
    explanation
        One full sentence.
    smallest, largest
        Of all values, zeros included.
    total
        What the counts of a cell sum to before the logarithm, where cells agree.
    """

    kind: NormalisationKind
    explanation: str
    smallest: float
    largest: float
    total: float | None = None

    @property
    def is_log_normalized(self) -> bool:
        """Whether the values are what CyteType and the local engine expect."""
        return self.kind == "log_normalised"


@dataclass(frozen=True)
class BlockStatistics:
    """What one block adds. ``expressed`` is clusters x its genes, from gene ``first_gene``."""

    expressed: NDArray[np.int64]
    first_gene: int
    smallest: float
    largest: float
    all_whole: bool
    total: float | None


class ExpressionStatistics:
    """Adds up blocks of one matrix; :meth:`of_block` may run on any thread.

    Parameters
    ----------
    genes
        Names of all columns.
    clusters
        Of all cells.
    cells
        Names for messages; None uses positions.
    """

    def __init__(
        self, genes: Sequence[str], clusters: Clusters, cells: Sequence[str] | None = None
    ) -> None:
        if clusters.codes is None:
            message = "Clusters without cells have no expression."
            raise ValueError(message)
        self._genes, self._cells, self._codes = genes, cells, clusters.codes
        self.cluster_names, self.codes = clusters.names, clusters.codes
        self._n_clusters = len(clusters.names)
        self.sizes = np.bincount(self._codes[self._codes >= 0], minlength=self._n_clusters)
        self.expressed = np.zeros((self._n_clusters, len(genes)), dtype=np.int64)
        self._smallest, self._largest, self._all_whole = 0.0, 0.0, True
        self._total: float | None = None
        self._kept: NDArray[np.number] = np.ones(0, dtype=np.int32)

    def of_block(self, start: int, block: Block, axis: Axis) -> BlockStatistics:
        """Return what a block adds.

        Parameters
        ----------
        start
            The first row (or column) of the block.
        block
            Cells x genes, canonical, compressed along ``axis``.
        axis
            What the blocks are made of.

        Raises
        ------
        ArtifactValuesError
            A value is NaN or infinite; names the gene and the cell.
        """
        data = block.data
        smallest = float(data.min()) if len(data) else 0.0
        largest = float(data.max()) if len(data) else 0.0
        if not (np.isfinite(smallest) and np.isfinite(largest)):
            raise self._not_finite(start, block, axis)
        # Once a fraction was met there is nothing left to find out.
        all_whole = self._all_whole and first_fraction(data) is None
        has_zeros = smallest <= 0
        expressed = self._expressed(start, block, axis, has_zeros=has_zeros)
        total = _common_total(block) if axis == "cells" and start == 0 else None
        first_gene = start if axis == "genes" else 0
        return BlockStatistics(expressed, first_gene, smallest, largest, all_whole, total)

    def add(self, found: BlockStatistics) -> None:
        """Add what :meth:`of_block` returned."""
        stop = found.first_gene + found.expressed.shape[1]
        self.expressed[:, found.first_gene : stop] += found.expressed
        self._smallest = min(self._smallest, found.smallest)
        self._largest = max(self._largest, found.largest)
        self._all_whole = self._all_whole and found.all_whole
        self._total = self._total if found.total is None else found.total

    def add_total(self, block: Block, start: int) -> None:
        """Look at what the first cells sum to, where all else was read by gene."""
        if start == 0:
            self._total = _common_total(block)

    def percentages(self) -> NDArray[np.float64]:
        """Return clusters x genes: percent of cells whose value is not 0, to two decimals."""
        return np.asarray(np.round(100.0 * self.expressed / np.maximum(self.sizes, 1)[:, None], 2))

    def normalisation(self) -> Normalisation:
        """Return the verdict on all blocks added so far."""
        low, high = self._smallest, self._largest
        kind = _NAMES[kind_of_range(low, high, all_whole=self._all_whole)]
        if kind == "log_normalised":
            text = f"The values are fractions from 0 to {high:.4g}, as log-normalised counts are"
            if self._total is not None:
                text += f"; before the logarithm the sampled cells sum to {self._total:,.0f}"
            return Normalisation(kind, f"{text}.", low, high, self._total)
        text = {
            "scaled": f"Some values are negative (the smallest is {low:.4g}): the data are scaled.",
            "empty": "All values are zero.",
            "raw_counts": f"All values are whole numbers up to {high:.4g}: these are raw counts.",
            "not_logged": f"The largest value is {high:.4g}, too large for a logarithm of counts.",
        }[kind]
        return Normalisation(kind, text, low, high)

    def _expressed(
        self, start: int, block: Block, axis: Axis, *, has_zeros: bool
    ) -> NDArray[np.int64]:
        if axis == "genes":
            return self._of_genes(block, has_zeros=has_zeros)
        n_cells = block.shape[0]
        few = self._n_clusters <= FEW_CLUSTERS and n_cells <= np.iinfo(np.uint16).max
        small = np.dtype(np.uint32 if few else np.int32)
        values = (block.data != 0).astype(small) if has_zeros else self._ones(block.nnz, small)
        codes = self._codes[start : start + n_cells]
        if few:
            # By gene: SciPy's own transpose would copy what is a view of larger arrays.
            shape = (int(block.shape[1]), n_cells)
            arrays = (values, block.indices, block.indptr)
            return self._counted(codes, sparse_view(arrays, shape, "genes"))
        pattern = sparse_view((values, block.indices, block.indptr), block.shape)
        return np.asarray((self._member(codes) @ pattern).toarray(), dtype=np.int64)

    def _of_genes(self, block: Block, *, has_zeros: bool) -> NDArray[np.int64]:
        """Return cells per cluster and gene of some genes in all cells.

        A product would look each value up in arrays as long as there are cells, which a processor
        has at hand for a hundred thousand cells and not for a million; here it is a byte or two of
        each cell, and some values at a time, or those of a gene that has more.
        """
        width = self._n_clusters + 1  # the last are those of no cluster
        codes, ends, n_genes = self._narrow, block.indptr, int(block.shape[1])
        found = np.empty((n_genes, width), np.int64)
        for first, stop in row_ranges(ends, AT_ONCE, max(AT_ONCE // width, 1)):
            here = slice(int(ends[first]), int(ends[stop]))
            of_values = codes[block.indices[here]]
            if has_zeros:
                of_values[block.data[here] == 0] = self._n_clusters
            places = np.repeat(np.arange(stop - first) * width, np.diff(ends[first : stop + 1]))
            places += of_values
            size = (stop - first) * width
            found[first:stop] = np.bincount(places, minlength=size).reshape(-1, width)
        return found[:, :-1].T

    @functools.cached_property
    def _narrow(self) -> NDArray[np.integer]:
        """The cluster of each cell in as few bytes as they take; the last number is none."""
        smallest = np.min_scalar_type(self._n_clusters)
        return np.where(self._codes < 0, self._n_clusters, self._codes).astype(smallest)

    def _counted(self, codes: NDArray[np.int32], pattern: Block) -> NDArray[np.int64]:
        """Return cells per cluster and gene, by a dense table to which SciPy adds line by line.

        Several clusters are counted in one number, so that a line is short: half the time of
        the product below.
        """
        cells = np.flatnonzero(codes >= 0)
        most = np.bincount(codes[cells], minlength=1).max()
        part = np.dtype(np.uint8 if most <= np.iinfo(np.uint8).max else np.uint16)
        width = -(-self._n_clusters // 4) * 4
        table = np.zeros((len(codes), width), dtype=part)
        table[cells, codes[cells]] = 1
        counted = np.ascontiguousarray(pattern @ table.view(np.uint32)).view(part)
        return np.asarray(counted[:, : self._n_clusters].T, dtype=np.int64)

    def _ones(self, n: int, dtype: np.dtype) -> NDArray[np.number]:
        # Kept, because blocks are alike in size and fresh memory is slow.
        if len(self._kept) < n or self._kept.dtype != dtype:
            self._kept = np.ones(n, dtype=dtype)
        return self._kept[:n]

    def _member(self, codes: NDArray[np.int32]) -> csr_matrix:
        from scipy.sparse import csr_matrix

        cells = np.flatnonzero(codes >= 0)
        ones = np.ones(len(cells), dtype=np.int32)
        return csr_matrix((ones, (codes[cells], cells)), shape=(self._n_clusters, len(codes)))

    def _not_finite(self, start: int, block: Block, axis: Axis) -> ArtifactValuesError:
        wrong = np.flatnonzero(~np.isfinite(block.data))
        major = start + int(np.searchsorted(block.indptr, wrong[0], side="right")) - 1
        minor = int(block.indices[wrong[0]])
        cell, gene = (major, minor) if axis == "cells" else (minor, major)
        return self.not_finite(cell, gene, missing=bool(np.isnan(block.data[wrong[0]])))

    def not_finite(self, cell: int, gene: int, *, missing: bool) -> ArtifactValuesError:
        """Return the error that names a value.

        Parameters
        ----------
        cell, gene
            Their positions.
        missing
            Whether it is NaN, and not infinite.
        """
        cell_name = self._cells[cell] if self._cells is not None else str(cell + 1)
        value = "NaN" if missing else "infinite"
        message = (
            f'The value of gene "{self._genes[gene]}" in cell "{cell_name}" is {value}, and '
            "expression must be finite numbers."
        )
        hint = "Find out where it comes from: normalising a cell without counts divides by zero."
        return ArtifactValuesError(message, hint, gene=str(self._genes[gene]), cell=str(cell_name))


def _common_total(block: Block) -> float | None:
    """Return the sum of exp(value) - 1 of a cell if the first cells agree within 1 %."""
    n = min(SAMPLED_CELLS, block.shape[0])
    if n == 0 or float(block.data[: block.indptr[n]].max(initial=0)) > LARGEST_LOGARITHM:
        return None
    pointers = block.indptr[: n + 1]
    values = np.expm1(block.data[: pointers[-1]].astype(np.float64))
    filled = np.flatnonzero(np.diff(pointers))
    if len(filled) == 0:
        return None
    totals = np.add.reduceat(values, pointers[filled])
    middle = float(np.median(totals))
    return middle if bool(np.all(np.abs(totals - middle) <= 0.01 * middle)) else None


def fraction_expressed(source: ExpressionSource, clusters: Clusters) -> NDArray[np.float64] | None:
    """Return the fraction of cells of each cluster with a value above zero.

    Shape clusters x genes of the source, values 0..1; one read of the source. It is
    Seurat's ``pct.1`` and scanpy's ``pct_nz_group``. None for a source with negative
    values: those are scaled data, in which "above zero" says nothing.

    Parameters
    ----------
    source
        n cells x genes.
    clusters
        Of the n cells.

    Raises
    ------
    ValueError
        The clusters have no cells.
    """
    from scipy.sparse import csr_matrix

    if clusters.codes is None:
        message = "Clusters without cells have no expression."
        raise ValueError(message)
    n_clusters = len(clusters.names)
    expressed = np.zeros((n_clusters, source.shape[1]))
    for start, block in source:
        if block.nnz and block.data.min() < 0:
            return None
        codes = clusters.codes[start : start + block.shape[0]]
        rows = np.flatnonzero(codes >= 0)
        member = csr_matrix(
            (np.ones(len(rows)), (codes[rows], rows)), shape=(n_clusters, block.shape[0])
        )
        above = sparse_view((block.data > 0, block.indices, block.indptr), block.shape)
        expressed += (member @ above.astype(np.float64)).toarray()
    sizes = np.bincount(clusters.codes[clusters.codes >= 0], minlength=n_clusters)
    return np.asarray(expressed / np.maximum(sizes, 1)[:, None])


def cluster_sums(
    source: ExpressionSource, clusters: Clusters, genes: Sequence[int] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Return clusters x genes: how many cells express a gene, and the sum of its values.

    One read of the source; a sum over a cluster's number of cells is the mean. None for a
    source with negative values, which are scaled.

    Parameters
    ----------
    source
        n cells x genes.
    clusters
        Of the n cells; cells without one are left out.
    genes
        Positions of the genes; None is all of them.

    Raises
    ------
    ValueError
        The clusters have no cells.
    """
    from scipy.sparse import csr_matrix

    if clusters.codes is None:
        message = "Clusters without cells have no expression."
        raise ValueError(message)
    n_clusters = len(clusters.names)
    n_genes = source.shape[1] if genes is None else len(genes)
    expressed = np.zeros((n_clusters, n_genes), dtype=np.int64)
    sums = np.zeros((n_clusters, n_genes), dtype=np.float64)
    for start, whole in source:
        if whole.nnz and whole.data.min() < 0:
            return None
        codes = clusters.codes[start : start + whole.shape[0]]
        rows = np.flatnonzero(codes >= 0)
        member = csr_matrix(
            (np.ones(len(rows)), (codes[rows], rows)), shape=(n_clusters, whole.shape[0])
        )
        block = whole if genes is None else whole[:, list(genes)]
        above = sparse_view((block.data > 0, block.indices, block.indptr), block.shape)
        expressed += np.rint((member @ above.astype(np.float64)).toarray()).astype(np.int64)
        sums += (member @ block.astype(np.float64)).toarray()
    return expressed, sums
