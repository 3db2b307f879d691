"""The conversation about one cluster: annotate, check, validate, and again where needed."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel

from .checks import check_answer, disagreement, is_unknown
from .client import CallFailedError
from .questions import fill, prompt
from .replies import Answer, Verdict

if TYPE_CHECKING:
    from .client import Client, Reply
    from .limits import Hold
    from .questions import Question

MOST_ROUNDS = 3
ANSWER_CHARACTERS = 1500
"""About what an answer adds to the question of its validator."""

Outcome = Literal["passed", "abstained", "not_passed", "failed"]
_Schema = TypeVar("_Schema", bound=BaseModel)


@dataclass
class Conversation:
    """What was said about a cluster and what came of it.

    Attributes
    ----------
    rounds
        Per round the problems that were found, with who found them; empty where it passed.
    messages
        Every prompt and reply as plain data, in order.
    hold
        What is set aside of the budget for it.
    """

    question: Question
    outcome: Outcome = "failed"
    answer: Answer | None = None
    error: str | None = None
    rounds: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    model: str | None = None
    hold: Hold | None = field(default=None, repr=False)


class Turn(NamedTuple):
    """One thing to ask: at which stage, in which round, in which words."""

    stage: str
    round: int
    asked: str


@dataclass
class Talk:
    """Leads the conversation about one cluster.

    Attributes
    ----------
    annotator, validator
        The ways to the models; often the same.
    strict
        ``validator_involvement="v0"``: the validator also annotates blind.
    max_retries
        How often a reply that cannot be read is asked for again.
    """

    annotator: Client
    validator: Client
    strict: bool
    max_retries: int

    async def about(self, question: Question) -> Conversation:
        """Return the finished conversation; a failure is in it, not raised.

        Raises what concerns all clusters: a refused key, a budget that is used up.
        """
        made = Conversation(question, hold=self._admit(question))
        began = time.monotonic()
        try:
            await self._rounds(made)
        except CallFailedError as error:
            made.outcome, made.error = "failed", str(error)
        finally:
            if made.hold is not None:
                made.hold.release()
        made.seconds = round(time.monotonic() - began, 3)
        return made

    def _admit(self, question: Question) -> Hold:
        """Set aside one whole round, or raise because the budget has no room for it."""
        stages = [
            (self.annotator, "annotator", 0),
            (self.validator, "validator", ANSWER_CHARACTERS),
        ]
        if self.strict:
            stages.append((self.validator, "blind", 0))
        tokens, usd = 0, 0.0
        for client, stage, more in stages:
            told, paid = client.expected(len(prompt(stage)) + len(question.text) + more)
            tokens, usd = tokens + told, usd + (paid or 0.0)
        return self.annotator.budget.admit(tokens, usd)

    async def _rounds(self, made: Conversation) -> None:
        asked = made.question.text
        blind: asyncio.Task[Answer] | None = None
        try:
            for number in range(1, MOST_ROUNDS + 1):
                answer = await self._ask(
                    made, self.annotator, Turn("annotator", number, asked), Answer
                )
                made.answer = answer
                found = {"round": number, "answer": answer.main_type}
                problems = check_answer(answer, made.question)
                if problems:
                    made.rounds.append({**found, "by": "checks", "problems": problems})
                elif is_unknown(answer):
                    made.rounds.append({**found, "by": "checks", "problems": []})
                    made.outcome = "abstained"
                    return
                else:
                    if self.strict and blind is None:
                        blind = asyncio.create_task(self._blind(made))
                    problems = await self._validate(made, answer, number, blind)
                    made.rounds.append({**found, "by": "validator", "problems": problems})
                if not problems:
                    made.outcome = "passed"
                    return
                asked = fill(
                    "again",
                    question=made.question.text.rstrip(),
                    answer=_plain(answer),
                    problems=_listed(problems),
                )
            made.outcome = "not_passed"
        finally:
            if blind is not None and not blind.done():
                blind.cancel()

    async def _validate(
        self, made: Conversation, answer: Answer, number: int, blind: asyncio.Task[Answer] | None
    ) -> list[str]:
        asked = fill("validation", question=made.question.text.rstrip(), answer=_plain(answer))
        verdict = await self._ask(made, self.validator, Turn("validator", number, asked), Verdict)
        problems = [] if verdict.passed else (verdict.problems or [verdict.reasoning])
        if blind is not None:
            apart = disagreement(answer, await blind)
            problems = [*problems, apart] if apart else problems
        return problems

    async def _blind(self, made: Conversation) -> Answer:
        """Return the second reader's answer, made without sight of the first."""
        asked = made.question.text
        for number in range(1, MOST_ROUNDS + 1):
            answer = await self._ask(made, self.validator, Turn("blind", number, asked), Answer)
            problems = check_answer(answer, made.question)
            if not problems:
                return answer
            asked = fill(
                "again",
                question=made.question.text.rstrip(),
                answer=_plain(answer),
                problems=_listed(problems),
            )
        message = f"The second reader's answer never passed the checks: {_listed(problems)}"
        raise CallFailedError(message)

    async def _ask(
        self, made: Conversation, client: Client, turn: Turn, schema: type[_Schema]
    ) -> _Schema:
        """Ask until the reply can be read, at most ``max_retries`` times more."""
        said, mode = turn.asked, client.mode
        problem = ""
        for _ in range(self.max_retries + 1):
            reply = await client.ask(prompt(turn.stage), said, schema, mode, made.hold)
            problem = reply.problem or _other_token(reply.answer, made.question)
            self._keep(made, turn._replace(asked=said), reply, problem)
            if reply.answer is not None and not problem:
                return reply.answer
            # A call that was cut off shows that the model can make calls.
            mode = reply.mode
            if reply.answer is None and not reply.called:
                mode = client.other_mode(mode)
            said = fill("unreadable", question=turn.asked.rstrip(), problem=problem)
        message = f"The {turn.stage}'s reply could not be used: {problem}"
        raise CallFailedError(message)

    @staticmethod
    def _keep(made: Conversation, turn: Turn, reply: Reply[Any], problem: str) -> None:
        made.input_tokens += reply.input_tokens
        made.output_tokens += reply.output_tokens
        paid = reply.cost_usd
        both_known = made.cost_usd is not None and paid is not None
        made.cost_usd = (made.cost_usd or 0.0) + (paid or 0.0) if both_known else None
        if turn.stage == "annotator":
            made.model = reply.model
        where = {"stage": turn.stage, "round": turn.round}
        made.messages += [
            {**where, "role": "user", "content": turn.asked},
            {
                **where,
                "role": "assistant",
                "content": reply.text,
                "problem": problem or None,
                "model": reply.model,
                "mode": reply.mode,
                "input_tokens": reply.input_tokens,
                "output_tokens": reply.output_tokens,
                "cost_usd": paid,
                "seconds": round(reply.seconds, 3),
                "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            },
        ]


def _other_token(answer: BaseModel | None, question: Question) -> str:
    """Return what is wrong with a verdict's token; an annotator's is a check of its round."""
    if isinstance(answer, Verdict) and answer.cluster_token.strip() != question.token:
        return "The cluster token is not that of the question."
    return ""


def _plain(answer: Answer) -> str:
    return json.dumps(answer.model_dump(), ensure_ascii=False, indent=1)


def _listed(problems: Sequence[str]) -> str:
    return "\n".join(f"- {problem}" for problem in problems)
