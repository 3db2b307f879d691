"""The one judge of what the values of a matrix are: counts, log-normalised, scaled, ...

Whoever reads every value (the summary, the writer of artifacts, a request) gives
:func:`kind_of_range` what it saw. All others ask :func:`look_at`, which looks at runs of values
spread evenly over the whole matrix: at most :data:`LOOKED_AT` of them, which takes some 10 ms of
a matrix in memory and some 200 ms of one in a file, whatever its size. A matrix with fewer values
is looked at whole. ``value_kind()`` in R follows the same rules;
``tests/fixtures/value_kinds.json`` is the table that both are tested with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .source import ExpressionSource

Kind = Literal["counts", "normalized", "linear", "scaled", "empty", "damaged"]
"""``counts``: whole numbers; ``normalized``: log-normalised; ``linear``: fractions that are too
large for logarithms, such as CPM; ``scaled``: some are negative; ``empty``: all are zero;
``damaged``: some are NaN or infinite."""

NOT_LOGGED: tuple[Kind, ...] = ("counts", "linear")
"""What becomes log-normalised by dividing by the sum of the cell and taking logarithms."""
LARGEST_LOGARITHM = 20.0
"""log1p of a count is below 16 even for ten million per cell; larger values are no logarithms."""
LOOKED_AT = 2_000_000
"""Most values that are looked at."""
AT_ONCE = 1 << 14
"""Values that are looked at in one step."""


def kind_of_range(
    smallest: float, largest: float, *, all_whole: bool, all_finite: bool = True
) -> Kind:
    """Return the kind of values that range from ``smallest`` to ``largest``, zeros included.

    Parameters
    ----------
    smallest, largest
        Of all values.
    all_whole, all_finite
        Whether all are whole numbers; whether none is NaN or infinite.

    Examples
    --------
    >>> kind_of_range(0, 7, all_whole=True), kind_of_range(0, 2000.25, all_whole=False)
    ('counts', 'linear')
    """
    if not all_finite:
        return "damaged"
    if smallest < 0:
        return "scaled"
    if largest == 0:
        return "empty"
    if all_whole:
        return "counts"
    return "linear" if largest > LARGEST_LOGARITHM else "normalized"


@dataclass(frozen=True)
class Look:
    """What was seen of the values of a matrix.

    Attributes
    ----------
    smallest, largest
        Of the finite values, and 0: most values of expression are zeros that are not stored.
    fraction
        The first value that is no whole number; None where all are whole.
    not_finite
        The first value that is NaN or infinite; None where all are finite.
    """

    smallest: float = 0.0
    largest: float = 0.0
    fraction: float | None = None
    not_finite: float | None = None

    @property
    def kind(self) -> Kind:
        """What the values are."""
        return "damaged" if self.not_finite is not None else self.kind_of_finite

    @property
    def kind_of_finite(self) -> Kind:
        """What the values are but for those that are NaN or infinite."""
        return kind_of_range(self.smallest, self.largest, all_whole=self.fraction is None)

    @property
    def no_count(self) -> float | None:
        """A value that cannot be a count, where there is one."""
        found = (self.not_finite, self.fraction, self.smallest if self.smallest < 0 else None)
        return next((value for value in found if value is not None), None)


def look_at_values(values: NDArray[np.number]) -> Look:
    """Return what is seen of all of some values.

    Parameters
    ----------
    values
        Numbers in one dimension, of any type.

    Examples
    --------
    >>> look_at_values(np.array([0.0, 2.0, 7.0])).kind, look_at_values(np.array([0.5, -1])).kind
    ('counts', 'scaled')
    """
    not_finite = None
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            not_finite, values = float(values[~finite][0]), values[finite]
    if not len(values):
        return Look(not_finite=not_finite)
    smallest, largest = min(0.0, float(values.min())), max(0.0, float(values.max()))
    return Look(smallest, largest, first_fraction(values), not_finite)


def first_fraction(values: NDArray[np.number]) -> float | None:
    """Return the first of some finite values that is no whole number, None if all are whole."""
    if values.dtype.kind in "iub":
        return None
    # Most matrices are decided by their first values; the others stay in the processor's cache.
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        fractions = part != np.floor(part)
        if fractions.any():
            return float(part[int(fractions.argmax())])
    return None


def look_at(source: ExpressionSource) -> Look:
    """Return what is seen of values spread over a whole source.

    Deterministic. A few values of another kind can be missed in a matrix of more than
    :data:`LOOKED_AT` values: whoever must be sure looks at every value.

    Parameters
    ----------
    source
        Cells x genes; about :data:`LOOKED_AT` of its values are looked at.

    Raises
    ------
    ValueError
        The source can be read once only, and looking would use it up.

    Examples
    --------
    >>> from cellferry.study.expression.matrix import MatrixSource
    >>> look_at(MatrixSource(np.array([[0.5, 0.0], [1.5, 0.7]]), ["CD3E", "CD79A"])).kind
    'normalized'
    """
    if not source.rereadable:
        message = "A source that can be read once cannot be looked at."
        raise ValueError(message)
    return look_at_values(source.sample_values(LOOKED_AT))
