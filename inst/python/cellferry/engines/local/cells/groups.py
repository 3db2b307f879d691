"""An over-clustering: many small groups of neighbouring cells, most of them of one type each.

Affinity clustering (Bateni and others 2017, Advances in Neural Information Processing Systems 30,
"Affinity clustering: hierarchical clustering at scale") on the neighbour graph: in rounds, every
group of fewer than :data:`FEWEST` cells joins the group to which it has the strongest links, by
the mean over the cells there, all of them at once, until there is none that has links. So groups
are many more than types, none is larger than what a few small ones have joined, and there is no
random number.

Cells are put into the order of a hash of their names first, and of links as strong the one to the
group with the first cell in this order counts: so the order of the cells changes nothing, and
neither do chunks or workers, which only make the calls. A hash, because names are often numbered
along the samples, and ties by name would make long chains of them. Other names may decide other
ties.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

FEWEST = 10
"""Cells from which a group looks for no other.

On 700 blood cells this makes 37 groups with as pure labels as Leiden's 31 at the resolution that
CellTypist over-clusters so few cells with; with 20 they are 15 and less pure.
"""
NEIGHBOURS = 15
"""Of a cell on a map, as in scanpy's and UMAP's graphs."""
SCALE_AT = 7
"""Which neighbour is as far as the scale of a cell, as Zelnik-Manor and Perona (2004) have it."""
HASH_BYTES = 8


def over_clustering(
    cells: Sequence[str],
    graph: csr_matrix | None = None,
    coordinates: NDArray[np.number] | None = None,
) -> NDArray[np.int32]:
    """Return the group of each cell, numbered by their first cells.

    Parameters
    ----------
    cells
        n names, all different.
    graph
        Neighbours of the cells (n x n), weights at least 0; it need not be symmetric.
    coordinates
        n x 2 places on a map, NaN for cells that are not on it; read where there is no graph.

    Returns
    -------
    int32 of n. A cell without neighbours is a group by itself.

    Raises
    ------
    ValueError
        There is neither a graph nor a map.
    """
    order = _by_hash(cells)
    if graph is not None:
        links = _symmetric(_in_order(graph, order))
    elif coordinates is not None:
        links = _symmetric(near_on_map(np.asarray(coordinates, dtype=np.float64)[order]))
    else:
        message = "An over-clustering needs a graph or a map."
        raise ValueError(message)
    group = np.arange(len(cells), dtype=np.int32)
    while (joined := _joined(links, np.bincount(group, minlength=links.shape[0]))) is not None:
        group, links = joined[group], _between(links, joined)
    made = np.empty(len(cells), dtype=np.int32)
    made[order] = group
    return made


def near_on_map(places: NDArray[np.float64]) -> csr_matrix:
    """Return the nearest cells of each on a map, weighted by their distance.

    The weight is ``exp(-d^2 / (s_i s_j))`` with the distance d and the scale s of each cell: how
    far its seventh neighbour is (Zelnik-Manor and Perona 2004, Advances in Neural Information
    Processing Systems 17, "Self-tuning spectral clustering").

    Parameters
    ----------
    places
        n x 2, NaN for a cell that is not on the map and gets no neighbour.
    """
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    n = len(places)
    there = np.flatnonzero(np.isfinite(places).all(axis=1))
    k = min(NEIGHBOURS, len(there) - 1)
    if k < 1:
        return csr_matrix((n, n), dtype=np.float64)
    tree = cKDTree(places[there])
    # Cells that are asked about one after the other are near each other: half of the time.
    asked = tree.query(places[there[tree.indices]], k=k + 1)
    far, near = np.empty((len(there), k + 1)), np.empty((len(there), k + 1), dtype=np.intp)
    far[tree.indices], near[tree.indices] = asked
    # The cell itself is not always the first: others may be at the same place.
    own = near == np.arange(len(there))[:, None]
    own[~own.any(axis=1), -1] = True
    far, near = far[~own].reshape(-1, k), near[~own].reshape(-1, k)
    scale = np.maximum(far[:, min(SCALE_AT, k) - 1], np.finfo(np.float64).tiny ** 0.25)
    weight = np.exp(-(far**2) / (scale[:, None] * scale[near]))
    rows = np.repeat(there, k)
    return csr_matrix((weight.ravel(), (rows, there[near.ravel()])), shape=(n, n))


def _by_hash(cells: Sequence[str]) -> NDArray[np.intp]:
    """Return the places of the cells in an order that their names alone decide."""
    hashes = [hashlib.blake2b(c.encode(), digest_size=HASH_BYTES).digest() for c in cells]
    keys = np.frombuffer(b"".join(hashes), dtype=">u8")
    order = np.argsort(keys, kind="stable")
    if bool(np.any(np.diff(keys[order]) == 0)):
        order = np.array(sorted(range(len(cells)), key=lambda i: (hashes[i], cells[i])))
    return order.astype(np.intp)


def _in_order(graph: csr_matrix, order: NDArray[np.intp]) -> csr_matrix:
    """Return a graph with its cells in an order, one value for each pair."""
    from scipy.sparse import csr_matrix

    found = csr_matrix(graph, dtype=np.float64, copy=True)
    found.sum_duplicates()
    return csr_matrix(found[order][:, order])


def _symmetric(graph: csr_matrix) -> csr_matrix:
    """Return the links both ways, without those of a cell to itself."""
    from scipy.sparse import csr_matrix

    links = csr_matrix(graph + graph.T)
    links.setdiag(0)
    links.eliminate_zeros()
    links.sort_indices()
    return links


def _joined(links: csr_matrix, sizes: NDArray[np.int64]) -> NDArray[np.int32] | None:
    """Return the next group of each group; None where no small one has a link."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    n = links.shape[0]
    lengths = np.diff(links.indptr)
    if not len(links.data) or not bool(np.any(asking := (lengths > 0) & (sizes < FEWEST))):
        return None
    rows = np.repeat(np.arange(n), lengths)
    strength = links.data / sizes[links.indices]
    linked = np.flatnonzero(lengths)
    best = np.zeros(n)
    best[linked] = np.maximum.reduceat(strength, links.indptr[linked])
    at = np.flatnonzero(asking[rows] & (strength == best[rows]))
    # Columns are ascending in each row, and groups are numbered by their first cells.
    asked, first = np.unique(rows[at], return_index=True)
    chosen = links.indices[at[first]]
    pairs = csr_matrix((np.ones(len(asked)), (asked, chosen)), shape=(n, n))
    _, label = connected_components(pairs, directed=False)
    _, begins = np.unique(label, return_index=True)
    place = np.empty(len(begins), dtype=np.int32)
    place[np.argsort(begins, kind="stable")] = np.arange(len(begins), dtype=np.int32)
    joined: NDArray[np.int32] = place[label]
    return joined


def _between(links: csr_matrix, joined: NDArray[np.int32]) -> csr_matrix:
    """Return the links between groups that were joined, each the sum of those of its parts."""
    from scipy.sparse import csr_matrix

    n = int(joined.max()) + 1
    rows = joined[np.repeat(np.arange(links.shape[0]), np.diff(links.indptr))]
    columns = joined[links.indices]
    apart = rows != columns
    made = csr_matrix((links.data[apart], (rows[apart], columns[apart])), shape=(n, n))
    made.sum_duplicates()
    return made
