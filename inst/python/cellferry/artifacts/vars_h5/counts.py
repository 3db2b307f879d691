"""Where the raw counts are: every place is looked at, and what was found is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...study.expression.kinds import Look, look_at
from ..inputs import Candidate

if TYPE_CHECKING:
    from numpy.typing import NDArray


SLICE = 1 << 15
LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class CountsVerdict:
    """Whether one place holds raw counts, and why or why not."""

    name: str
    are_counts: bool
    explanation: str
    refused_while_writing: bool = False


class NotCountsError(Exception):
    """A value that is not a whole number that an int32 holds, met while writing."""

    def __init__(self, value: float) -> None:
        super().__init__(f"it holds {value:g}, which is no count")
        self.value = value


def judge(candidates: Sequence[Candidate]) -> tuple[list[CountsVerdict], list[Candidate]]:
    """Return what is thought of every candidate, and those that look like counts, best first.

    What is looked at says :mod:`cellferry.study.expression.kinds`. The rest, and a matrix that
    can be read only once, is checked while it is written.
    """
    verdicts, usable = [], []
    for candidate in candidates:
        if candidate.source is None:
            verdicts.append(CountsVerdict(candidate.name, False, candidate.problem))
            continue
        if not candidate.source.rereadable:
            # It passes by once: nothing can be looked at beforehand.
            text = "every value was looked at"
            verdicts.append(CountsVerdict(candidate.name, True, text))
            usable.append(candidate)
            continue
        problem = _problem(candidate.look or look_at(candidate.source))
        text = problem or "the sampled values are all whole numbers"
        verdicts.append(CountsVerdict(candidate.name, not problem, text))
        if not problem:
            usable.append(candidate)
    return verdicts, usable


def _problem(seen: Look) -> str:
    """Return why values are no counts, the empty text where they are."""
    wrong = seen.no_count
    if wrong is None and seen.largest > LARGEST:
        wrong = seen.largest
    return "" if wrong is None else f"it holds {wrong:g}, which is no count"


def _are_counts(values: NDArray[np.number]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.isfinite(values) & (values >= 0) & (values <= LARGEST) & (values == np.floor(values))
        )


def as_counts(
    values: NDArray[np.number], out: NDArray[np.int32] | None = None
) -> NDArray[np.int32]:
    """Return values as int32; raises :class:`NotCountsError` if that would change any.

    Parameters
    ----------
    values
        Numbers in one dimension; what are int32 are returned as they are.
    out
        Where the others are put, if they are to be in memory that was used before.
    """
    same = values.dtype == np.int32
    if same:
        counts = values.view(np.int32)
    else:
        counts = np.empty(len(values), dtype=np.int32) if out is None else out[: len(values)]
    # Slices that stay in the processor's cache: whole blocks would need fresh memory twice.
    for start in range(0, len(values), SLICE):
        given, made = values[start : start + SLICE], counts[start : start + SLICE]
        if not same:
            with np.errstate(invalid="ignore"):
                np.copyto(made, given, casting="unsafe")
            if not bool(np.array_equal(made.astype(given.dtype), given)):
                raise NotCountsError(float(given[~_are_counts(given)][0]))
        smallest = made.min()
        if smallest < 0:
            raise NotCountsError(float(smallest))
    return counts
