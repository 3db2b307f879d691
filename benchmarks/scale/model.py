"""What so many cells cost: a line through the smaller sizes, held against the largest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Model:
    """Seconds of a piece of work: ``begin + of_cell * cells``.

    Values grow with cells in a file of the bench, so that what a cell costs and what its values
    cost is one number.
    """

    begin: float
    of_cell: float

    @classmethod
    def of(cls, cells: Sequence[int], seconds: Sequence[float]) -> Model:
        """Fit a line whose *relative* errors are least, or a large size would be all of it."""
        n, took = np.array(cells, float), np.array(seconds)
        weights = 1 / took
        slope, begin = np.polyfit(n, took, 1, w=weights)
        if begin < 0:
            slope, begin = float((n * weights).sum() / ((n * weights) ** 2).sum()), 0.0
        return cls(float(begin), float(slope))

    def seconds(self, cells: int) -> float:
        """Return what so many cells take."""
        return self.begin + self.of_cell * cells

    @classmethod
    def told(cls, sizes: Sequence[tuple[int, int]], seconds: Sequence[float]) -> str:
        """Return the model of all sizes but the last, and how far the last is from it.

        Parameters
        ----------
        sizes
            Cells and values of each file, the largest last.
        seconds
            What each took.
        """
        model = cls.of([n for n, _ in sizes[:-1]], seconds[:-1])
        cells, values = sizes[-1]
        expected, real = model.seconds(cells), seconds[-1]
        of_values = model.of_cell * cells / values
        return (
            f"{model.begin:.1f} s + {model.of_cell * 1e6:.0f} s for a million cells "
            f"({of_values * 1e9:.0f} s for a billion values); of {cells:,} cells {expected:.0f} s "
            f"are expected and {real:.0f} s were taken ({real / expected - 1:+.0%})"
        )
