"""Expression as models of cells want it: log1p of counts that sum up to 10,000 in each cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...errors import NotNormalizedError
from ...study.expression.kinds import NOT_LOGGED, look_at

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ...study.expression.source import ExpressionSource
    from ...study.study import Study

TOTAL = 10_000.0
LOOKED_AT_CELLS = 1_000
TOLERANCE = 0.01
"""How far a cell's sum may be from that of the others, as a part of it."""
BLOCK_ROWS = 4_096

How = Literal["as_is", "from_counts", "rescaled", "uneven", "logged"]
SAID: dict[How, str] = {
    "as_is": "The values are read as they are: log1p of 10,000 counts per cell.",
    "from_counts": "log1p of 10,000 counts per cell is made from the counts.",
    "rescaled": "The log-normalised values are brought to 10,000 counts per cell.",
    "logged": "The log-normalised values are read as they are.",
    "uneven": "The values do not sum up to the same in each cell, and are read as they are.",
}


@dataclass(frozen=True, eq=False)
class LogNormalized:
    """The values of a study as log1p of 10,000, block by block.

    Attributes
    ----------
    source
        What is read.
    how
        What is done with its values: nothing, or which of :data:`SAID`.
    """

    source: ExpressionSource
    how: How

    @property
    def said(self) -> str:
        """What is done with the values, in words for the user."""
        return SAID[self.how]

    @classmethod
    def of(cls, study: Study, engine: str, *, exact: bool = True) -> LogNormalized:
        """Choose what is read of a study, and how.

        Log-normalised values of 10,000 as they are; else the counts, if it has any; else values
        that are not logged, or log-normalised to another sum, which is brought to 10,000. What is
        left are log-normalised values of different sums, as of an object with some of its genes.

        Parameters
        ----------
        study
            With ``normalized``, ``counts`` or both, of all genes of the object.
        engine
            Who reads it, for the message.
        exact
            Whether it must be 10,000. Else log-normalised values are read as they are, whatever
            they sum up to and of whatever logarithm.

        Raises
        ------
        NotNormalizedError
            The values are scaled, damaged or all zero, and there are no counts.
        EngineNeedsError
            The study has no expression.
        """
        if study.normalized is None and study.counts is not None:
            return cls(study.counts, "from_counts")
        source: ExpressionSource = study.require("normalized", engine)
        kind = look_at(source).kind
        if kind == "normalized" and not exact:
            return cls(source, "logged")
        sums = _sums(source) if kind == "normalized" else None
        even = sums is not None and _is_even(sums)
        if even and sums is not None and abs(float(np.median(sums)) / TOTAL - 1) <= TOLERANCE:
            return cls(source, "as_is")
        if study.counts is not None and look_at(study.counts).kind == "counts":
            return cls(study.counts, "from_counts")
        if kind in NOT_LOGGED:
            return cls(source, "from_counts")
        if kind == "normalized":
            return cls(source, "rescaled" if even else "uneven")
        what = {"scaled": "scaled (some are below 0)", "empty": "all zero"}.get(kind, "damaged")
        message = f'The engine "{engine}" needs log-normalised values or counts; these are {what}.'
        hint = (
            "Start again from the counts, and normalise them: NormalizeData(x) in R; "
            "scanpy.pp.normalize_total(adata, target_sum=1e4); scanpy.pp.log1p(adata)."
        )
        raise NotNormalizedError(message, hint)

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield ``(row_start, block)`` of at most :data:`BLOCK_ROWS` cells, as float32."""
        for start, block in self.source:
            for first in range(0, block.shape[0], BLOCK_ROWS):
                yield start + first, self._made(block[first : first + BLOCK_ROWS])

    def _made(self, block: csr_matrix) -> csr_matrix:
        if self.how in {"as_is", "uneven", "logged"}:
            return block.astype(np.float32)
        values = np.asarray(block.data, dtype=np.float64)
        if self.how == "rescaled":
            values = np.expm1(values)
        made = block.astype(np.float64)
        made.data = values
        sums = np.asarray(made.sum(axis=1)).ravel()
        factors = np.divide(TOTAL, sums, out=np.zeros_like(sums), where=sums > 0)
        made.data = np.log1p(values * np.repeat(factors, np.diff(made.indptr)))
        return made.astype(np.float32)


def _sums(source: ExpressionSource) -> NDArray[np.float64]:
    """Return what the counts of some cells sum up to, without those that have none."""
    for _, block in source:
        some = block[:LOOKED_AT_CELLS].astype(np.float64)
        some.data = np.expm1(some.data)
        sums = np.asarray(some.sum(axis=1), dtype=np.float64).ravel()
        positive: NDArray[np.float64] = sums[sums > 0]
        if len(positive):
            return positive
    return np.zeros(0)


def _is_even(sums: NDArray[np.float64]) -> bool:
    if not len(sums):
        return False
    middle = float(np.median(sums))
    return bool(np.mean(np.abs(sums / middle - 1) <= TOLERANCE) >= 0.99)
