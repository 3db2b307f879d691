"""What a round of calls about a cluster takes: reckoned once, for the dry run and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ...errors import RunDamagedError, RunNotFoundError
from ...runs.run import Run
from ..base import Plan
from .endpoints import cost
from .questions import prompt

if TYPE_CHECKING:
    from .endpoints import Endpoint
    from .questions import Question
    from .settings import Settings

MOST_ROUNDS = 3
"""Rounds of an annotator and its validator about one cluster."""

CHARACTERS_PER_TOKEN = 3
"""Cautious: gene names are short tokens."""
FORM_TOKENS = 600
"""What the schema of the answer adds to each call."""
ANSWER_TOKENS = 600
"""Cautious too: most answers are shorter, and a verdict always is."""
ANSWER_CHARACTERS = 1500
"""About what an answer adds to the question of its validator."""
EVIDENCE_CHARACTERS = 2500
"""About what one look-up adds to the questions after it."""

Role = Literal["annotator", "validator"]


class Stage(NamedTuple):
    """One call of a round.

    Attributes
    ----------
    name
        That of its prompt.
    role
        Whose model is asked.
    extra_characters
        What it sends beside the prompt and the question.
    """

    name: str
    role: Role
    extra_characters: int = 0


ANNOTATOR = Stage("annotator", "annotator")
VALIDATOR = Stage("validator", "validator", ANSWER_CHARACTERS)
BLIND = Stage("blind", "validator")


def stages_of(*, strict: bool, evidence_rounds: int = 0) -> tuple[Stage, ...]:
    """Return the calls of a round in which the answer passes; strict: with a blind annotator.

    Parameters
    ----------
    strict
        ``validator_involvement="v0"``.
    evidence_rounds
        How often the annotator may ask for evidence: each is a call of its own.

    Examples
    --------
    >>> [stage.name for stage in stages_of(strict=True)]
    ['annotator', 'validator', 'blind']
    """
    asks = [
        ANNOTATOR._replace(extra_characters=EVIDENCE_CHARACTERS * (done + 1))
        for done in range(evidence_rounds)
    ]
    # The offer is about as long as what is found.
    more = EVIDENCE_CHARACTERS * evidence_rounds
    validator = VALIDATOR._replace(extra_characters=ANSWER_CHARACTERS + more)
    stages = (*asks, ANNOTATOR._replace(extra_characters=more), validator)
    return (*stages, BLIND) if strict else stages


class Usage(NamedTuple):
    """Tokens of calls and their price in USD; None where a price is not known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0

    @property
    def tokens(self) -> int:
        """Both kinds together."""
        return self.input_tokens + self.output_tokens

    def plus(self, other: Usage) -> Usage:
        """Return the sum; its price is not known unless both are.

        Examples
        --------
        >>> Usage(10, 2, 0.5).plus(Usage(1, 1, None))
        Usage(input_tokens=11, output_tokens=3, cost_usd=None)
        """
        both = self.cost_usd is not None and other.cost_usd is not None
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            (self.cost_usd or 0.0) + (other.cost_usd or 0.0) if both else None,
        )


def expected_usage(
    endpoint: Endpoint, prices: Mapping[str, float] | None, characters: int
) -> Usage:
    """Return about what one call takes; rather too much than too little.

    Parameters
    ----------
    prices
        The user's own, in USD per million tokens; see :func:`cost`.
    characters
        Of the system prompt and of what is asked.
    """
    tokens = characters // CHARACTERS_PER_TOKEN + FORM_TOKENS
    return Usage(tokens, ANSWER_TOKENS, cost(endpoint, prices, tokens, ANSWER_TOKENS))


def make_plan(
    questions: Mapping[str, Question],
    n_clusters: int,
    settings: Settings,
    folder: Path | None,
) -> Plan:
    """Return what a batch would do if every answer passed at once.

    Tokens and cost are what the budget sets aside for it.

    Parameters
    ----------
    questions
        Cluster -> what would be asked.
    n_clusters
        Clusters of the study, with those that have no marker.
    folder
        Folder of an earlier run, whose answers are not requested again.
    """
    known = _known(folder)
    open_ = [q for q in questions.values() if q.key not in known]
    stages = stages_of(strict=settings.strict, evidence_rounds=settings.evidence_rounds)
    total, sent = Usage(), 0
    for question in open_:
        for stage in stages:
            endpoint = settings.annotator if stage.role == "annotator" else settings.validator
            characters = len(prompt(stage.name)) + len(question.text)
            sent += characters + (stage.extra_characters if settings.evidence_rounds else 0)
            total = total.plus(
                expected_usage(endpoint, settings.prices, characters + stage.extra_characters)
            )
    calls = len(open_) * len(stages)
    notes = [f"{calls} calls if every answer passes at once, at most {MOST_ROUNDS} rounds each."]
    if settings.evidence_rounds:
        asks = len(open_) * settings.evidence_rounds
        notes.append(f"{asks} of them only where the model asks for evidence from the data.")
    if len(open_) < len(questions):
        notes.append(f"{len(questions) - len(open_)} clusters are already answered.")
    if len(questions) < n_clusters:
        notes.append(f"{n_clusters - len(questions)} clusters have no marker to ask about.")
    return Plan(
        "llm",
        n_clusters,
        calls=calls,
        bytes_sent=sent,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cost_usd=total.cost_usd,
        columns=settings.evidence_columns if settings.evidence_rounds else (),
        notes=tuple(notes),
    )


def _known(folder: Path | None) -> set[str]:
    if folder is None:
        return set()
    try:
        return set(Run.open(folder).finished())
    except (RunNotFoundError, RunDamagedError, OSError, ValueError):
        return set()
