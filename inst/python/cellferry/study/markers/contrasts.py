"""Which cells are compared with which: the contrasts that markers are found for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import MarkersRequiredError, counted, listing
from .wilcoxon import Groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..clusters import Clusters


@dataclass(frozen=True)
class Contrast:
    """Groups of cells, each compared with all other cells that take part.

    Attributes
    ----------
    names
        What each group is called in the table.
    groups
        Of each cell.
    """

    names: tuple[str, ...]
    groups: Groups

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Cells of each group, and last those that are in the rest only."""
        return self.groups.sizes

    def drawn(
        self, most: int, seed: int, draws: Sequence[NDArray[np.integer]] | None = None
    ) -> Iterator[Contrast]:
        """Yield a contrast of each group, with at most ``most`` cells of it and of the rest.

        Parameters
        ----------
        most
            Cells of each side.
        seed
            Of NumPy's generator, which is begun anew for each group.
        draws
            The cells of each group's test where they were drawn already.
        """
        codes = self.groups.codes
        for number, name in enumerate(self.names):
            if draws is None:
                rng = np.random.default_rng(seed)
                sides = (
                    np.flatnonzero(codes == number),
                    np.flatnonzero((codes >= 0) & (codes != number)),
                )
                kept = np.concatenate(
                    [
                        side if len(side) <= most else rng.choice(side, most, replace=False)
                        for side in sides
                    ]
                )
            else:
                kept = np.asarray(draws[number])
            only = np.full(len(codes), -1, np.int32)
            only[kept] = np.where(codes[kept] == number, 0, 1)
            yield Contrast((name,), Groups(only, 1))


def _at_most(most: int, cells: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    return cells if len(cells) <= most else rng.choice(cells, most, replace=False)


def one_against_rest(clusters: Clusters) -> Contrast:
    """Return the contrast of every cluster against all other cells, those of no cluster too.

    Raises
    ------
    MarkersRequiredError
        There is one cluster and nothing else, or there are no cells.
    """
    codes = _codes_of(clusters)
    n = len(clusters.names)
    if n < 2 and not (codes < 0).any():
        message = "Markers compare clusters, and there is only one cluster."
        raise MarkersRequiredError(message, "Cluster the cells, or pass `markers`.")
    return Contrast(clusters.names, Groups(np.where(codes < 0, n, codes).astype(np.int32), n))


def two_groups(clusters: Clusters, first: Sequence[str], second: Sequence[str] | None) -> Contrast:
    """Return the contrast of some clusters against others, or against all other cells.

    Raises
    ------
    MarkersRequiredError
        There is no such cluster, or one is on both sides.
    """
    codes = _codes_of(clusters)
    sides = []
    for given in (first, second or ()):
        missing = [name for name in given if name not in clusters.names]
        if missing:
            message = (
                f"There is no cluster {listing(missing)}; there are {listing(clusters.names)}."
            )
            raise MarkersRequiredError(message, "Name clusters as they are in the object.")
        sides.append(np.isin(codes, [clusters.names.index(name) for name in given]))
    inside, outside = sides
    if second is None:
        outside = ~inside
    return two_sets(inside, outside, ", ".join(first))


def two_sets(inside: NDArray[np.bool_], outside: NDArray[np.bool_], name: str) -> Contrast:
    """Return the contrast of two sets of cells.

    Parameters
    ----------
    inside, outside
        Of each cell, whether it is in the set; no cell may be in both.
    name
        What the first is called in the table.

    Raises
    ------
    MarkersRequiredError
        A cell is in both.
    """
    both = int((inside & outside).sum())
    if both:
        message = f"The two groups share {counted(both, 'cell')}."
        raise MarkersRequiredError(message, "A cell can be on one side only.")
    codes = np.where(inside, 0, np.where(outside, 1, -1)).astype(np.int32)
    return Contrast((name,), Groups(codes, 1))


def within_parents(clusters: Clusters, parents: Clusters) -> list[Contrast]:
    """Return the contrasts of clusters against their sisters: the other cells of their parent.

    Parameters
    ----------
    clusters
        The subclusters.
    parents
        The parent of each cell; a cluster belongs to that of most of its cells, and only those
        cells take part.
    """
    codes, above = _codes_of(clusters), _codes_of(parents)
    found = []
    for parent in range(len(parents.names)):
        inside = above == parent
        mine = [
            code
            for code in range(len(clusters.names))
            if _leading(above[codes == code], len(parents.names)) == parent
        ]
        if len(mine) < 2:
            continue
        place = np.full(len(clusters.names) + 1, len(mine), np.int32)
        place[mine] = np.arange(len(mine))
        of_cell = np.where(inside, place[codes], -1).astype(np.int32)
        names = tuple(clusters.names[code] for code in mine)
        found.append(Contrast(names, Groups(of_cell, len(mine))))
    return found


def _leading(codes: NDArray[np.integer], n: int) -> int:
    counts = np.bincount(codes[codes >= 0], minlength=max(1, n))
    return int(counts.argmax()) if counts.sum() else -1


def _codes_of(clusters: Clusters) -> NDArray[np.int32]:
    if clusters.codes is None:
        message = "Markers are computed from cells, and there are none."
        raise MarkersRequiredError(message, "Pass the object itself, not only its marker table.")
    return clusters.codes
