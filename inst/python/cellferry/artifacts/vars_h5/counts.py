"""Where the raw counts are: every place is looked at, and what was found is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..inputs import Candidate

if TYPE_CHECKING:
    from numpy.typing import NDArray


SAMPLED_CELLS = 200
SEED = 42
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


def judge(candidates: Sequence[Candidate]) -> tuple[list[CountsVerdict], list[Candidate]]:
    """Return what is thought of every candidate, and those that look like counts, best first.

    A matrix of a whole-number type holds counts; of others, 200 cells drawn with seed 42
    must hold only whole numbers from 0. The rest, and a matrix that can be read only once, is
    checked while it is written.
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
        values = candidate.source.sample_values(SAMPLED_CELLS, SEED)
        wrong = values[~_are_counts(values)]
        if len(wrong):
            text = f"it holds {wrong[0]:g}, which is no count"
            verdicts.append(CountsVerdict(candidate.name, False, text))
        else:
            text = "the sampled values are all whole numbers"
            verdicts.append(CountsVerdict(candidate.name, True, text))
            usable.append(candidate)
    return verdicts, usable


def _are_counts(values: NDArray[Any]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.isfinite(values) & (values >= 0) & (values <= LARGEST) & (values == np.floor(values))
        )


def as_counts(values: NDArray[Any]) -> NDArray[np.int32]:
    """Return values as int32; raises :class:`NotCountsError` if that would change any."""
    counts = values if values.dtype == np.int32 else np.empty(len(values), dtype=np.int32)
    # Slices that stay in the processor's cache: whole blocks would need fresh memory twice.
    for start in range(0, 0 if counts is values else len(values), SLICE):
        given, made = values[start : start + SLICE], counts[start : start + SLICE]
        with np.errstate(invalid="ignore"):
            made[:] = given.astype(np.int32)
        if not bool(np.array_equal(made.astype(given.dtype), given)):
            raise NotCountsError(float(given[~_are_counts(given)][0]))
    if len(counts) and counts.min() < 0:
        raise NotCountsError(float(counts.min()))
    return counts
