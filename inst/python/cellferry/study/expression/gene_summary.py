"""Figures of every gene in every cluster, from one read by gene, and what a page draws of them.

Of every gene: how many cells of each cluster have a value, and the mean of ``expm1`` of the values,
so that a picture of any gene is of all cells. Of some genes also how the values are spread, and the
values of the cells that are drawn.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..markers.wilcoxon import Groups, group_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..clusters import Clusters
    from .source import Block

BINS = 32
"""Of a histogram: the first counts zeros, the others part 0 to the largest value evenly."""
STEPS = 255
"""Values that are drawn are shares of the largest, in so many steps; 0 is zero."""


@dataclass(frozen=True)
class DrawnGene:
    """A gene whose values are drawn.

    Attributes
    ----------
    top
        The largest value of any cell.
    counts
        Clusters x :data:`BINS`: cells whose value falls into a bin.
    codes
        Of each cell that is drawn, a share of ``top`` in :data:`STEPS` steps (uint8); None where
        no values are kept.
    """

    top: float
    counts: NDArray[np.uint32]
    codes: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class GeneSummary:
    """Figures of every gene in every cluster.

    Attributes
    ----------
    genes
        Names, in the order of the rows.
    clusters
        Names, in the order of the columns.
    sizes
        Cells of each cluster.
    positive
        Genes x clusters: cells with a value above zero.
    means
        Genes x clusters: the mean of ``expm1`` of the values of all cells, float64.
    drawn
        Position of a gene -> what is drawn of it.
    """

    genes: tuple[str, ...]
    clusters: tuple[str, ...]
    sizes: NDArray[np.int64]
    positive: NDArray[np.int64]
    means: NDArray[np.float64]
    drawn: Mapping[int, DrawnGene] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the figures without what is drawn, as :meth:`from_bytes` reads them."""
        made = io.BytesIO()
        np.savez_compressed(
            made,
            # Texts as bytes: an array of objects would need pickle to be read.
            genes=_texts(self.genes),
            clusters=_texts(self.clusters),
            sizes=self.sizes,
            positive=self.positive.astype(np.int32),
            means=self.means.astype(np.float32),
        )
        return made.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> GeneSummary:
        """Read what :meth:`to_bytes` wrote; means are kept as float32.

        Raises
        ------
        ValueError
            It is damaged, or something else.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as read:
                found = {name: read[name] for name in read.files}
            genes, clusters = _names(found["genes"]), _names(found["clusters"])
            sizes, positive, means = (found[name] for name in ("sizes", "positive", "means"))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            message = "These are no figures of genes."
            raise ValueError(message) from error
        if positive.shape != means.shape or positive.shape != (len(genes), len(clusters)):
            message = "These figures are of other genes than they name."
            raise ValueError(message)
        return cls(
            genes,
            clusters,
            sizes.astype(np.int64),
            positive.astype(np.int64),
            means.astype(np.float64),
        )

    @property
    def shares(self) -> NDArray[np.float64]:
        """Genes x clusters: share of the cells with a value; 0 where a cluster has no cells."""
        return self.positive / np.maximum(self.sizes, 1)

    def of_clusters(self, names: Sequence[str]) -> GeneSummary:
        """Return the figures of other clusters in their order; of one that is not here, zeros."""
        place = {name: i for i, name in enumerate(self.clusters)}
        where = np.array([place.get(name, len(place)) for name in names], dtype=np.intp)

        def taken(values: NDArray[np.generic], axis: int) -> NDArray[np.generic]:
            shape = list(values.shape)
            shape[axis] = 1
            padded = np.concatenate([values, np.zeros(shape, values.dtype)], axis=axis)
            return np.take(padded, where, axis=axis)

        drawn = {
            gene: DrawnGene(one.top, taken(one.counts, 0).astype(np.uint32), one.codes)
            for gene, one in self.drawn.items()
        }
        return GeneSummary(
            self.genes,
            tuple(names),
            taken(self.sizes, 0).astype(np.int64),
            taken(self.positive, 1).astype(np.int64),
            taken(self.means, 1).astype(np.float64),
            drawn,
        )


def _texts(names: Sequence[str]) -> NDArray[np.uint8]:
    text = "\0".join(names).encode("utf-8", "surrogatepass")
    return np.frombuffer(text, dtype=np.uint8)


def _names(text: NDArray[np.uint8]) -> tuple[str, ...]:
    joined = text.tobytes().decode("utf-8", "surrogatepass")
    return tuple(joined.split("\0")) if joined else ()


class GeneFigures:
    """Collects a :class:`GeneSummary`, block by block of genes.

    Parameters
    ----------
    genes
        Names of all genes of the matrix.
    clusters
        Of its cells.
    drawn
        Positions of genes whose values are drawn.
    cells
        Positions of the cells that are drawn; None keeps no values of cells.
    scale
        What values are multiplied with before ``expm1``: 1 for natural logarithms.
    """

    def __init__(
        self,
        genes: Sequence[str],
        clusters: Clusters,
        *,
        drawn: Sequence[int] = (),
        cells: NDArray[np.integer] | None = None,
        scale: float = 1.0,
    ) -> None:
        if clusters.codes is None:
            message = "Clusters without cells have no expression."
            raise ValueError(message)
        self._genes, self._names, self._scale = tuple(genes), clusters.names, scale
        codes = np.asarray(clusters.codes, dtype=np.int32)
        n = len(clusters.names)
        self._codes = codes
        self._groups = Groups(np.where(codes < 0, n, codes).astype(np.int32), n)
        self._sizes = np.bincount(codes[codes >= 0], minlength=n).astype(np.int64)
        shape = (len(genes), n)
        self._positive, self._sums = np.zeros(shape, np.int64), np.zeros(shape)
        self._wanted, self._cells = frozenset(drawn), cells
        self._drawn: dict[int, DrawnGene] = {}

    def take(self, start: int, block: Block) -> None:
        """Take a block of genes, of which ``start`` is the first; may run on any thread."""
        found = group_sums(block, self._groups, scale=self._scale, ranks=False)
        n_clusters = len(self._names)
        rows = slice(start, start + int(block.shape[1]))
        self._positive[rows] = found.positive[:, :n_clusters]
        self._sums[rows] = found.sums[:, :n_clusters]
        for gene in self._wanted.intersection(range(rows.start, rows.stop)):
            here = slice(int(block.indptr[gene - start]), int(block.indptr[gene - start + 1]))
            self._drawn[gene] = self._draw(block.indices[here], block.data[here])

    def _draw(self, cells: NDArray[np.integer], values: NDArray[np.number]) -> DrawnGene:
        kept = values > 0
        return drawn_gene(cells[kept], values[kept], self._codes, self._sizes, self._cells)

    def summary(self) -> GeneSummary:
        """Return what was taken."""
        means = self._sums / np.maximum(self._sizes, 1)
        drawn = dict(sorted(self._drawn.items()))
        return GeneSummary(self._genes, self._names, self._sizes, self._positive, means, drawn)


def drawn_gene(
    cells: NDArray[np.integer],
    values: NDArray[np.number],
    codes: NDArray[np.integer],
    sizes: NDArray[np.integer],
    kept: NDArray[np.integer] | None = None,
) -> DrawnGene:
    """Return what is drawn of one gene.

    Parameters
    ----------
    cells, values
        Positions of the cells with a value above zero, and the values.
    codes, sizes
        Cluster of each cell (-1: none), and cells of each cluster.
    kept
        Positions of the cells whose values are kept; None keeps none.

    Examples
    --------
    >>> made = drawn_gene(
    ...     np.array([0, 2]), np.array([1.0, 2.0]), np.array([0, 0, 1]), np.array([2, 1]),
    ...     np.arange(3),
    ... )
    >>> made.top, made.codes.tolist(), made.counts[:, 0].tolist()
    (2.0, [128, 0, 255], [1, 0])
    """
    top, shares = coded_values(values)
    bins = 1 + np.minimum((shares.astype(np.int64) - 1) * (BINS - 1) // STEPS, BINS - 2)
    of_cell = codes[cells]
    inside = of_cell >= 0
    places = of_cell[inside] * BINS + bins[inside]
    binned = np.bincount(places, minlength=len(sizes) * BINS).reshape(len(sizes), BINS)
    binned[:, 0] = sizes - binned[:, 1:].sum(axis=1)
    counts: NDArray[np.uint32] = binned.astype(np.uint32)
    if kept is None:
        return DrawnGene(top, counts)
    dense = np.zeros(len(codes), dtype=np.uint8)
    dense[cells] = shares
    return DrawnGene(top, counts, dense[kept])


def coded_values(values: NDArray[np.number]) -> tuple[float, NDArray[np.uint8]]:
    """Return the largest of some values above zero, and the share of it that each is, 1 to 255.

    Examples
    --------
    >>> coded_values(np.array([1.0, 2.0]))
    (2.0, array([128, 255], dtype=uint8))
    """
    top = float(values.max()) if len(values) else 0.0
    return top, np.maximum(np.rint(values / (top or 1.0) * STEPS), 1).astype(np.uint8)
