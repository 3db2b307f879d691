"""What the service answers: ``calls``, one per cell, in the order of the rows that were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...annotations.cells import FAILED, OK, UNKNOWN_STATUS
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


NO_LABEL = "The service gave no label for this cell."
_WRAPPERS = ("data", "result", "results", "response", "output")
"""Members in which some services put their whole answer."""


def unwrapped(answer: object, member: str = "calls") -> object:
    """Return the answer itself where a service has put it one level deeper.

    Parameters
    ----------
    answer
        The data that the service returned.
    member
        By which list the answer is known.

    Examples
    --------
    >>> unwrapped({"data": {"calls": []}, "id": 7})
    {'id': 7, 'calls': []}
    """
    if not isinstance(answer, Mapping) or isinstance(answer.get(member), list):
        return answer
    for name in _WRAPPERS:
        inner = answer.get(name)
        if isinstance(inner, Mapping) and isinstance(inner.get(member), list):
            return {**{k: v for k, v in answer.items() if k != name}, **inner}
    return answer


def check_answer(answer: object, n_cells: int) -> list[Mapping[str, Json]]:
    """Return the calls of an answer; keys that are not known are left alone.

    A call without a label is that of a cell without one: all the others were paid.

    Parameters
    ----------
    answer
        The data that the service returned.
    n_cells
        Cells of the chunk, each of which must have one call.

    Raises
    ------
    ServiceAnswerError
        There is not one call for each cell, or none of them is one. ``data["whole"]`` says that
        the answer arrived as it was meant, so that asking again gives the same.
    """
    inner = unwrapped(answer)
    calls = inner.get("calls") if isinstance(inner, Mapping) else None
    if not isinstance(calls, list):
        message = "The answer of the service has no `calls`."
        raise ServiceAnswerError(message, _HINT, whole=True)
    if len(calls) != n_cells:
        message = f"The service answered {len(calls)} calls for {n_cells} cells."
        raise ServiceAnswerError(message, _HINT)
    if calls and not any(_is_call(call) for call in calls):
        which = "The call" if n_cells == 1 else f"None of the {n_cells} calls"
        message = f"{which} has {'no' if n_cells == 1 else 'a'} label."
        raise ServiceAnswerError(message, _HINT, whole=True)
    return [call if isinstance(call, Mapping) else {} for call in calls]


def _is_call(call: object) -> bool:
    """Say whether a call is one, be it of a cell that the service has no label for."""
    return isinstance(call, Mapping) and isinstance(call.get("label", 0), str | None)


def label_of(call: Mapping[str, Json]) -> str | None:
    """Return the label of a call, None where it has none."""
    label = call.get("label")
    plain = " ".join(label.split()) if isinstance(label, str) else ""
    if not plain:
        return None
    return UNKNOWN if says_unknown(plain) else plain


def confidence_of(call: Mapping[str, Json]) -> float | None:
    """Return the confidence of a call; one that is no number from 0 to 1 is none.

    Examples
    --------
    >>> confidence_of({"confidence": "0.9"}), confidence_of({"confidence": "high"})
    (0.9, None)
    """
    given = call.get("confidence")
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        found = float(given)
    except ValueError:
        return None
    # NaN and infinity are not between.
    return found if 0 <= found <= 1 else None


def columns_of(calls: Sequence[Mapping[str, Json]]) -> Calls:
    """Return checked calls as columns; missing alternates, markers and confidences are none."""
    labels = [label_of(c) for c in calls]
    sure = [
        None if label is None else confidence_of(c) for c, label in zip(calls, labels, strict=True)
    ]
    statuses = {None: FAILED, UNKNOWN: UNKNOWN_STATUS}
    return Calls(
        Texts.of(labels),
        np.array([statuses.get(x, OK) for x in labels], dtype=np.uint8),
        np.array([np.nan if x is None else x for x in sure], dtype=np.float64),
        TextLists.of(_texts(c.get("alternates"), ("label", "name")) for c in calls),
        TextLists.of(_texts(c.get("markers"), ("gene", "symbol", "name")) for c in calls),
    )


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
