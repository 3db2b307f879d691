"""The dry run: calls, tokens and cost of a batch, told before the first call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import RunDamagedError, RunNotFoundError
from ...runs import Run
from .. import Plan
from .prices import cost
from .questions import prompt

if TYPE_CHECKING:
    from .questions import Question
    from .settings import Settings

MOST_ROUNDS = 3
CHARACTERS_PER_TOKEN = 3
ANSWER_TOKENS, VERDICT_TOKENS = 400, 150
FORM_TOKENS = 500
"""What the schema of the answer adds to each call."""


def make_plan(
    questions: Mapping[str, Question],
    n_clusters: int,
    settings: Settings,
    folder: Path | None,
) -> Plan:
    """Return what a batch would do if every answer passed at once.

    Parameters
    ----------
    folder
        Folder of an earlier run, whose answers are not asked for again.

    Notes
    -----
    Tokens are estimated at three characters each, which is cautious for gene names, and
    answers at 400 tokens (verdicts at 150).
    """
    known = _known(folder)
    open_ = {c: q for c, q in questions.items() if q.key not in known}
    stages = [("annotator", settings.annotator, 0, ANSWER_TOKENS)]
    stages.append(("validator", settings.validator, ANSWER_TOKENS, VERDICT_TOKENS))
    if settings.strict:
        stages.append(("blind", settings.validator, 0, ANSWER_TOKENS))
    told, said, usd, sent = 0, 0, 0.0, 0
    unpriced = False
    for question in open_.values():
        for stage, endpoint, more, answer in stages:
            characters = len(prompt(stage)) + len(question.text)
            tokens = characters // CHARACTERS_PER_TOKEN + FORM_TOKENS + more
            paid = cost(endpoint, settings.prices, tokens, answer)
            unpriced = unpriced or paid is None
            told, said, sent = told + tokens, said + answer, sent + characters
            usd += paid or 0.0
    calls = len(open_) * len(stages)
    notes = [f"{calls} calls if every answer passes at once, at most {MOST_ROUNDS} rounds each."]
    if len(open_) < len(questions):
        notes.append(f"{len(questions) - len(open_)} clusters are already answered.")
    if len(questions) < n_clusters:
        notes.append(f"{n_clusters - len(questions)} clusters have no marker to ask about.")
    price = None if unpriced else usd
    return Plan(
        "llm",
        n_clusters,
        calls=calls,
        bytes_sent=sent,
        input_tokens=told,
        output_tokens=said,
        cost_usd=price,
        notes=tuple(notes),
    )


def _known(folder: Path | None) -> set[str]:
    if folder is None:
        return set()
    try:
        return set(Run.open(folder).finished())
    except (RunNotFoundError, RunDamagedError, OSError, ValueError):
        return set()
