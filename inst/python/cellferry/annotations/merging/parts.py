"""A part of an object that was annotated by itself, as it is put into the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..clusters import Annotations
from ..labelling.labels import Labels
from .names import Affix

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Part:
    """A part as it is put into the whole.

    Attributes
    ----------
    name
        What its rows are named by.
    labels
        What its cells have.
    rows
        For each of its cells the row of its record, -1 without one.
    at
        For each of its cells the place in the whole, -1 where it is not there.
    affix
        What was added to the names of its cells.
    hand
        For each of its cells the number of the decision about cells that is in force, else -1.
    """

    name: str
    labels: Labels
    rows: NDArray[np.intp]
    at: NDArray[np.intp]
    affix: Affix
    hand: NDArray[np.intp]

    @property
    def record(self) -> Annotations:
        """Of the part."""
        return self.labels.record

    @property
    def origin(self) -> str:
        """What a decision says of where it was made."""
        if self.affix.is_none:
            return self.name
        return f"{self.name}, cells renamed to {self.affix.of('*')}"

    def row(self, cluster: str) -> str:
        """Return the name that a row gets; of cells a row is its label, and one in all parts."""
        return cluster if self.labels.of_cells else f"{self.name}:{cluster}"


def is_of(cluster: str, part: str) -> bool:
    """Whether a cluster of the whole is named as one of a part."""
    return cluster.startswith(f"{part}:")
