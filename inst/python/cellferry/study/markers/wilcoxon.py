"""The Wilcoxon rank sum test of every gene of a block between groups of cells.

What Seurat's ``FindMarkers(test.use = "wilcox")`` computes with limma or presto: ranks over all
cells with ties at their mean, a variance corrected for ties, a correction for continuity, and the
normal approximation. Values that are not stored are zeros, which are ranked in closed form.

    U = R1 - n1 (n1 + 1) / 2,  mu = n1 n2 / 2
    sigma^2 = n1 n2 / 12 * ((N + 1) - sum(t^3 - t) / (N (N - 1)))
    p = 2 * Phi(-max(0, |U - mu| - 1/2) / sigma)

Source: Lehmann, Nonparametrics (1975), chapter 1, sections 2 and 4; ``wilcox.test()`` of R with
``correct = TRUE``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import NotNormalizedError
from .compiled import expanded, summed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    from ..expression.source import Block

SORTED_VALUES = 1 << 16
"""Values that are sorted at once: as many genes as fit, so that all stays in the cache."""
_ZERO_BEYOND = 37.5193
"""R's ``pnorm`` is exactly 0 for a smaller quantile than minus this; ``erfc`` goes on to 38.5."""


@dataclass(frozen=True)
class Groups:
    """The group of each cell.

    Attributes
    ----------
    codes
        Of each cell (int32, n): 0 to ``n_groups - 1``, ``n_groups`` for cells that are in no group
        but belong to the rest, -1 for cells that are left out.
    n_groups
        How many groups there are.
    """

    codes: NDArray[np.int32]
    n_groups: int

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Cells of each group, and last those of no group."""
        kept = self.codes[self.codes >= 0]
        return np.bincount(kept, minlength=self.n_groups + 1).astype(np.int64)


@dataclass(frozen=True)
class GroupSums:
    """What one read of the values gives for every gene (rows) and group (columns).

    Attributes
    ----------
    rank_sums
        Sums of the ranks of the cells of each group, over all cells that take part; float64.
    positive
        Cells with a value above zero; int64.
    sums
        Sums of the values, or of ``expm1`` of them; float64.
    ties
        Of each gene: the sum of ``t^3 - t`` over values that occur ``t`` times.
    """

    rank_sums: NDArray[np.float64]
    positive: NDArray[np.int64]
    sums: NDArray[np.float64]
    ties: NDArray[np.float64]

    @classmethod
    def empty(cls, n_genes: int, width: int) -> GroupSums:
        """Return zeros for genes x columns."""
        shape = (n_genes, width)
        return cls(np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape), np.zeros(n_genes))

    def put(self, start: int, some: GroupSums) -> None:
        """Take the sums of the genes from ``start`` on."""
        rows = slice(start, start + len(some.ties))
        self.rank_sums[rows], self.positive[rows] = some.rank_sums, some.positive
        self.sums[rows], self.ties[rows] = some.sums, some.ties


def group_sums(
    block: Block, groups: Groups, *, scale: float | None, ranks: bool = True
) -> GroupSums:
    """Return the sums of each gene of a block over the groups of its cells.

    Parameters
    ----------
    block
        Cells x genes, compressed by genes; float32 or float64 are ranked as they are.
    groups
        Of its cells.
    scale
        ``sums`` are of ``expm1`` of the values times this, which is 1 for natural logarithms: so
        those of log-normalised values are on the scale of counts. None: of the values as they are.
    ranks
        Whether the values are ranked; without it only ``positive`` and ``sums`` are filled.

    Raises
    ------
    NotNormalizedError
        A value is NaN or infinite.

    Examples
    --------
    >>> from scipy.sparse import csc_matrix
    >>> block = csc_matrix([[0.0], [2.0], [2.0], [0.0], [5.0]])
    >>> found = group_sums(block, Groups(np.array([0, 0, 1, 1, 1], np.int32), 2), scale=None)
    >>> found.rank_sums.tolist(), found.ties.tolist()
    ([[5.0, 10.0, 0.0]], [12.0])
    """
    sizes = groups.sizes
    found = GroupSums.empty(int(block.shape[1]), groups.n_groups + 1)
    for start, stop in _ranges(block.indptr):
        batch = _Batch.of(block, groups, start, stop)
        rows = slice(start, stop)
        batch.add_sums(found, rows, scale)
        if ranks:
            batch.add_ranks(found, rows, sizes)
    return found


def _ranges(indptr: NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Yield runs of genes of about :data:`SORTED_VALUES` values, or of one gene that has more."""
    n_genes, start = len(indptr) - 1, 0
    while start < n_genes:
        stop = int(np.searchsorted(indptr, int(indptr[start]) + SORTED_VALUES, "right")) - 1
        stop = min(n_genes, max(stop, start + 1))
        yield start, stop
        start = stop


class _Buffers(threading.local):
    """Arrays that are used again and again by one thread.

    Memory that is new for each step has to be given by the system each time, which takes longer
    than most of the steps.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.generic]] = {}

    def get(self, name: str, length: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return the array of a name; what it holds is of no meaning."""
        kept = self._arrays.get(name)
        if kept is None or len(kept) < length or kept.dtype != dtype:
            kept = self._arrays[name] = np.empty(max(length, SORTED_VALUES), dtype)
        return kept[:length]


_BUFFERS = _Buffers()


@dataclass(frozen=True)
class _Batch:
    """The values of some genes that are not zero, gene after gene, in cells that take part.

    Attributes
    ----------
    values, codes, gene
        Of each: value, group of its cell, gene (from 0). They are buffers of the thread.
    stored
        Genes x groups: how many there are.
    below
        Genes x groups: how many are less than zero; None where none is.
    """

    values: NDArray[np.floating]
    codes: NDArray[np.int32]
    gene: NDArray[np.int32]
    stored: NDArray[np.int64]
    below: NDArray[np.int64] | None

    @classmethod
    def of(cls, block: Block, groups: Groups, start: int, stop: int) -> _Batch:
        pointers = block.indptr[start : stop + 1]
        given = slice(int(pointers[0]), int(pointers[-1]))
        values = block.data[given]
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
        n = len(values)
        codes, gene = _BUFFERS.get("codes", n, np.int32), _BUFFERS.get("gene", n, np.int32)
        np.take(groups.codes, block.indices[given], out=codes, mode="clip")
        expanded((pointers - pointers[0]).astype(np.int32), gene)
        if n and not (np.all(values) and codes.min() >= 0):
            kept = (values != 0) & (codes >= 0)
            values, codes, gene = values[kept], codes[kept], gene[kept]
        if not np.isfinite(values.sum()) and not np.isfinite(values).all():
            message = "The values hold NaN or infinite ones, which have no rank."
            raise NotNormalizedError(message, "Values must be log-normalised and finite.")
        shape = (stop - start, groups.n_groups + 1)
        stored = _counted(gene, codes, shape)
        below = None
        if len(values) and values.min() < 0:
            negative = values < 0
            below = _counted(gene[negative], codes[negative], shape)
        return cls(values, codes, gene, stored, below)

    def add_sums(self, into: GroupSums, rows: slice, scale: float | None) -> None:
        """Fill ``positive`` and ``sums``."""
        into.positive[rows] = self.stored if self.below is None else self.stored - self.below
        linear = _BUFFERS.get("linear", len(self.values), np.float64)
        linear[:] = self.values
        if scale is not None:
            if scale != 1:
                linear *= scale
            np.expm1(linear, out=linear)
        into.sums[rows] = summed(linear, self.gene, self.codes, self.stored.shape)

    def add_ranks(self, into: GroupSums, rows: slice, sizes: NDArray[np.int64]) -> None:
        """Fill ``rank_sums`` and ``ties``."""
        n_genes, n = len(self.stored), len(self.values)
        n_stored = self.stored.sum(axis=1)
        zeros = int(sizes.sum()) - n_stored
        n_below = 0 * n_stored if self.below is None else self.below.sum(axis=1)
        cubes = zeros.astype(np.float64) ** 3 - zeros
        sums = np.zeros(self.stored.shape)
        if n:
            codes, differs = self._sorted(n_genes, len(sizes))
            starts = np.flatnonzero(differs)
            lengths = np.diff(starts, append=n)
            ranks, run = _BUFFERS.get("ranks", n, np.float64), _BUFFERS.get("run", n, np.int32)
            differs[0] = False
            np.cumsum(differs.view(np.int8), dtype=np.int32, out=run)
            np.take(starts + (lengths + 1) / 2, run, out=ranks, mode="clip")
            sums += summed(ranks, self.gene, codes, self.stored.shape)
            # These ranks go through all genes, and know of no zeros.
            sums -= self.stored * (np.cumsum(n_stored) - n_stored)[:, None]
            above = self.stored if self.below is None else self.stored - self.below
            sums += above * zeros[:, None]
            tied = np.flatnonzero(lengths > 1)
            longer = lengths[tied].astype(np.float64)
            cubes += np.bincount(self.gene[starts[tied]], longer**3 - longer, n_genes)
        # Zeros are ranked behind the values below zero, at the mean of their ranks.
        sums += (sizes - self.stored) * (n_below + (zeros + 1) / 2)[:, None]
        into.rank_sums[rows], into.ties[rows] = sums, cubes

    def _sorted(self, n_genes: int, n_groups: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return the groups in the order of gene and value, and whether another value begins there.

        The whole is one sort of 64-bit keys, because NumPy sorts numbers far faster than places:
        gene, value, group. Where these need more bits the key has as much of the value as there is
        place for, and where the value was; those that it does not tell apart are settled after.
        """
        n = len(self.values)
        bits = _ordered_bits(self.values)
        of_gene, of_group = _bits_for(n_genes), _bits_for(n_groups)
        of_value = int(bits.max()).bit_length()
        exact = of_gene + of_value + of_group <= 64
        low = of_group if exact else _bits_for(n)
        lost = 0 if exact else max(0, of_value + of_gene + low - 64)
        key = _BUFFERS.get("key", n, np.uint64)
        np.right_shift(bits, np.uint64(lost), out=key)
        key <<= np.uint64(low)
        at = _BUFFERS.get("at", n, np.uint64)
        at[:] = self.gene
        at <<= np.uint64(64 - of_gene)
        key |= at
        at[:] = self.codes if exact else np.arange(n, dtype=np.uint64)
        key |= at
        key.sort()
        np.bitwise_and(key, np.uint64((1 << low) - 1), out=at)
        differs = _BUFFERS.get("differs", n, np.bool_)
        differs[:1] = True
        codes = _BUFFERS.get("sorted", n, np.int32)
        if exact:
            codes[:] = at
            key >>= np.uint64(low)
            np.not_equal(key[1:], key[:-1], out=differs[1:])
            return codes, differs
        order = at.view(np.int64)
        ranked = _BUFFERS.get("ranked", n, np.uint64)
        np.take(bits, order, out=ranked, mode="clip")
        # The genes are sorted already: they need no order.
        new_gene = self.gene[1:] != self.gene[:-1]
        falls = (ranked[1:] < ranked[:-1]) & ~new_gene
        if falls.any():
            key >>= np.uint64(low)
            _settle(key, order, bits, np.flatnonzero(falls))
            np.take(bits, order, out=ranked, mode="clip")
        np.not_equal(ranked[1:], ranked[:-1], out=differs[1:])
        differs[1:] |= new_gene
        np.take(self.codes, order, out=codes, mode="clip")
        return codes, differs


def _bits_for(n: int) -> int:
    """Return how many bits the numbers below ``n`` need."""
    return max(1, (n - 1).bit_length())


def _counted(
    gene: NDArray[np.int32], codes: NDArray[np.int32], shape: tuple[int, int]
) -> NDArray[np.int64]:
    one = _BUFFERS.get("one", len(gene), np.int32)
    one[:] = 1
    return summed(one, gene, codes, shape).astype(np.int64)


def _settle(
    leading: NDArray[np.uint64],
    order: NDArray[np.int64],
    bits: NDArray[np.uint64],
    falls: NDArray[np.int64],
) -> None:
    """Put values in order whose leading bits are equal; few are."""
    keys = np.unique(leading[falls])
    lows, highs = np.searchsorted(leading, keys), np.searchsorted(leading, keys, "right")
    for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
        part = order[low:high]
        order[low:high] = part[np.argsort(bits[part], kind="stable")]


def _ordered_bits(values: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Return whole numbers in the order of the values, equal where those are equal.

    The bits of a float above zero are ordered as it is; those of one below zero the other way.
    """
    size = values.dtype.itemsize
    raw = _BUFFERS.get("bits", len(values), np.int64)
    raw[:] = np.ascontiguousarray(values).view(f"i{size}")
    least = raw.min()
    if least < 0:
        np.copyto(raw, raw ^ np.int64(np.iinfo(f"i{size}").max), where=raw < 0)
        least = raw.min()
    raw -= least
    return raw.view(np.uint64)


def p_values(
    rank_sums: NDArray[np.float64],
    ties: NDArray[np.float64],
    n_first: NDArray[np.int64],
    n_all: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two-sided p-values of groups against the rest, and their z.

    Parameters
    ----------
    rank_sums
        Genes x groups.
    ties
        Of each gene.
    n_first
        Cells of each group.
    n_all
        Cells that take part.

    Returns
    -------
    p and z, genes x groups. Where no value differs from another p is 1 and z is 0; p is exactly 0
    where it is in R, beyond a z of 37.5193.

    Examples
    --------
    >>> p, z = p_values(np.array([[5.0, 10.0]]), np.array([12.0]), np.array([2, 3]), 5)
    >>> p.round(4).tolist(), z.round(4).tolist()
    ([[0.7609, 0.7609]], [[-0.3043, 0.3043]])
    """
    from scipy.special import erfc

    n1, n2 = n_first.astype(np.float64), (n_all - n_first).astype(np.float64)
    n = float(n_all)
    away = rank_sums - n1 * (n1 + 1) / 2 - n1 * n2 / 2
    tied = ties[:, None] / (n * (n - 1)) if n_all > 1 else np.zeros((len(ties), 1))
    sigma = np.sqrt(np.maximum(n1 * n2 / 12 * ((n + 1) - tied), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.sign(away) * np.maximum(np.abs(away) - 0.5, 0) / sigma
    z[~np.isfinite(z)] = 0
    p = erfc(np.abs(z) / np.sqrt(2))
    p[np.abs(z) > _ZERO_BEYOND] = 0
    return p, z
