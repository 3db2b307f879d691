"""What the service answers: ``calls``, one per cell, in the order of the rows that were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...annotations.cells import OK, UNKNOWN_STATUS
from ...annotations.clusters import UNKNOWN
from ...annotations.texts import TextLists, Texts
from ...biology.text import says_unknown
from ...errors import ServiceAnswerError
from ...files import Json

_HINT = "The service speaks another protocol, or another version of it."


@dataclass(frozen=True, eq=False)
class Calls:
    """The calls of one or several chunks as columns."""

    label: Texts
    status: NDArray[np.uint8]
    confidence: NDArray[np.float64]
    alternatives: TextLists
    supporting: TextLists

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def joined(cls, parts: list[Calls]) -> Calls:
        """Return the parts below one another."""
        return cls(
            Texts.joined([p.label for p in parts]),
            np.concatenate([np.zeros(0, np.uint8), *(p.status for p in parts)]),
            np.concatenate([np.zeros(0), *(p.confidence for p in parts)]),
            TextLists.joined([p.alternatives for p in parts]),
            TextLists.joined([p.supporting for p in parts]),
        )


def check_answer(answer: object, n_cells: int) -> list[Mapping[str, Json]]:
    """Return the calls of an answer; keys that are not known are left alone.

    Parameters
    ----------
    answer
        The data that the service returned.
    n_cells
        Cells of the chunk, each of which must have one call.

    Raises
    ------
    ServiceAnswerError
        There is not one call with a label for each cell.
    """
    calls = answer.get("calls") if isinstance(answer, Mapping) else None
    if not isinstance(calls, list):
        message = "The answer of the service has no `calls`."
        raise ServiceAnswerError(message, _HINT)
    if len(calls) != n_cells:
        message = f"The service answered {len(calls)} calls for {n_cells} cells."
        raise ServiceAnswerError(message, _HINT)
    for i, call in enumerate(calls):
        label = call.get("label") if isinstance(call, Mapping) else None
        if not isinstance(label, str) or not label.strip():
            message = f"Call {i + 1} of {n_cells} has no label."
            raise ServiceAnswerError(message, _HINT)
        sure = call.get("confidence")
        if sure is not None and not _is_share(sure):
            message = f"Call {i + 1} of {n_cells} has a confidence that is not between 0 and 1."
            raise ServiceAnswerError(message, _HINT)
    return calls


def columns_of(calls: Sequence[Mapping[str, Json]]) -> Calls:
    """Return checked calls as columns; missing alternates, markers and confidences are none."""
    known = [str(c["label"]).strip() for c in calls]
    labels = [UNKNOWN if says_unknown(x) else x for x in known]
    sure = [c.get("confidence") for c in calls]
    return Calls(
        Texts.of(labels),
        np.array([UNKNOWN_STATUS if x == UNKNOWN else OK for x in labels], dtype=np.uint8),
        np.array([np.nan if x is None else x for x in sure], dtype=np.float64),
        TextLists.of(_texts(c.get("alternates"), ("label", "name")) for c in calls),
        TextLists.of(_texts(c.get("markers"), ("gene", "symbol", "name")) for c in calls),
    )


def _is_share(value: object) -> bool:
    # NaN and infinity are not between.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _texts(values: object, names: tuple[str, ...]) -> list[str]:
    """Return a list of text; the type of its elements is not documented."""
    found = []
    for value in values if isinstance(values, list) else ():
        text = value
        if isinstance(value, Mapping):
            text = next((value[n] for n in names if isinstance(value.get(n), str)), None)
        elif isinstance(value, list) and value:
            text = value[0]
        if isinstance(text, str) and text:
            found.append(text)
    return found
