"""What a card shows beyond the columns: validation rounds, the conversation; and the CSV."""

from __future__ import annotations

import base64
import csv
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from ..clusters import COLUMNS

if TYPE_CHECKING:
    from ..clusters import Annotations


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet would compute."""


class Round(NamedTuple):
    """One round of checking: what was answered, who looked, and what was wrong with it."""

    number: int
    answer: str
    by: str
    problems: tuple[str, ...]


class Message(NamedTuple):
    """One prompt or reply: who speaks at which stage, and the words."""

    heading: str
    text: str


_WHO = {"checks": "automatic checks", "validator": "validator"}
_DIRECTIONS = {"assistant": "Reply of the", "evidence": "Looked up for the"}
_STAGES = {"annotator": "annotator", "validator": "validator", "blind": "second reader"}


def rounds_of(annotations: Annotations, cluster: str) -> tuple[Round, ...]:
    """Return the validation rounds of a cluster; none where the engine has no such thing.

    Parameters
    ----------
    annotations
        With the evidence of the engine.
    cluster
        Its name.
    """
    found = _part(annotations, cluster, "rounds")
    return tuple(
        Round(
            int(r.get("round", i)),
            str(r.get("answer", "")),
            _WHO.get(str(r.get("by")), str(r.get("by", ""))),
            tuple(map(str, r.get("problems") or ())),
        )
        for i, r in enumerate(found, 1)
    )


def conversation_of(annotations: Annotations, cluster: str) -> tuple[Message, ...]:
    """Return the prompts and replies about a cluster, in order.

    Parameters
    ----------
    annotations
        With the evidence of the engine.
    cluster
        Its name.
    """
    messages = []
    for message in _part(annotations, cluster, "conversation"):
        stage = _STAGES.get(str(message.get("stage")), str(message.get("stage", "")))
        direction = _DIRECTIONS.get(str(message.get("role")), "To the")
        parts = [f"{direction} {stage}", f"round {message.get('round', 1)}"]
        if message.get("problem"):
            parts.append(str(message["problem"]))
        messages.append(Message(", ".join(parts), str(message.get("content") or "(empty)")))
    return tuple(messages)


def _part(annotations: Annotations, cluster: str, name: str) -> list[dict[str, Any]]:
    evidence = annotations.evidence.get(cluster)
    found = evidence.get(name) if isinstance(evidence, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe goes before such a one.

    The rule is OWASP's, https://owasp.org/www-community/attacks/CSV_Injection.

    Examples
    --------
    >>> guarded("=1+1"), guarded("CD3E")
    ("'=1+1", 'CD3E')
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def csv_base64(annotations: Annotations) -> str:
    """Return the whole table as CSV, in base64: what the page's download button hands out.

    It is made for a spreadsheet, so what would be a formula there is guarded.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in annotations:
        values = (getattr(row, name) for name in COLUMNS)
        texts = ("; ".join(v) if isinstance(v, tuple) else v for v in values)
        writer.writerow(guarded(v) if isinstance(v, str) else v for v in texts)
    return base64.b64encode(text.getvalue().encode("utf-8", "replace")).decode()
