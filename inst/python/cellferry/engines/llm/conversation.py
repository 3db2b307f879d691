"""The conversation about one cluster: annotate, check, validate, and again where needed."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from pydantic import BaseModel

from ...biology.text import same_token
from .checks import (
    check_answer,
    disagreement,
    is_unknown,
    mended,
    ontology_problem,
    without_id,
)
from .client import CallFailedError
from .evidence import EvidenceRequest, Looked
from .planning import ANNOTATOR, BLIND, MOST_ROUNDS, VALIDATOR, Stage, Usage, stages_of
from .questions import fill, prompt
from .replies import Answer, Verdict

if TYPE_CHECKING:
    from ...files import Json
    from .client import Client, Reply
    from .evidence import Evidence
    from .limits import Reservation
    from .questions import Question


class UnusableReplyError(CallFailedError):
    """None of the replies to a question could be read."""


Outcome = Literal["passed", "abstained", "not_passed", "failed"]
_Schema = TypeVar("_Schema", bound=BaseModel)


class Round(NamedTuple):
    """An answer and what was found wrong with it, by ``"checks"`` or ``"validator"``."""

    round: int
    answer: str
    by: str
    problems: list[str]


@dataclass
class Conversation:
    """What was said about a cluster and what came of it.

    Attributes
    ----------
    rounds
        Per round the problems that were found, with who found them; empty where it passed.
    messages
        Every prompt and reply as plain data, in order, with what was looked up.
    looked
        What was looked up.
    lookups
        The same as plain data, by round.
    reservation
        What is set aside of the budget for it.
    """

    question: Question
    outcome: Outcome = "failed"
    answer: Answer | None = None
    error: str | None = None
    rounds: list[Round] = field(default_factory=list)
    messages: list[dict[str, Json]] = field(default_factory=list)
    looked: Looked = field(default_factory=Looked)
    lookups: list[dict[str, Json]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    model: str | None = None
    reservation: Reservation | None = field(default=None, repr=False)

    @property
    def known(self) -> Question:
        """The question with what was looked up."""
        return self.looked.known(self.question)


class Message(NamedTuple):
    """One thing to ask: at which stage, in which round, in which words."""

    stage: Stage
    round: int
    text: str


@dataclass
class Session:
    """Leads the conversation about one cluster.

    Attributes
    ----------
    annotator, validator
        The ways to the models; often the same.
    strict
        ``validator_involvement="v0"``: the validator also annotates blind.
    max_retries
        How often a reply that cannot be read is asked for again.
    evidence
        What the annotator may have looked up; None is nothing.
    """

    annotator: Client
    validator: Client
    strict: bool
    max_retries: int
    evidence: Evidence | None = None

    async def annotate(self, question: Question) -> Conversation:
        """Return the finished conversation; a failure is in it, not raised.

        Raises what concerns all clusters: a refused key, a budget that is used up.
        """
        made = Conversation(question, reservation=self._admit(question))
        began = time.monotonic()
        try:
            await self._rounds(made)
        except CallFailedError as error:
            made.outcome, made.error = "failed", str(error)
            made.usage = made.usage.plus(error.usage)
        finally:
            if made.reservation is not None:
                made.reservation.release()
        made.seconds = round(time.monotonic() - began, 3)
        return made

    def _client(self, stage: Stage) -> Client:
        return self.annotator if stage.role == "annotator" else self.validator

    def _admit(self, question: Question) -> Reservation:
        """Set aside one whole round, or raise because the budget has no room for it."""
        total = Usage()
        for stage in stages_of(strict=self.strict, evidence_rounds=self._most_lookups):
            characters = len(prompt(stage.name)) + len(question.text) + stage.extra_characters
            total = total.plus(self._client(stage).expected(characters))
        return self.annotator.budget.admit(total.tokens, total.cost_usd)

    @property
    def _most_lookups(self) -> int:
        return 0 if self.evidence is None else self.evidence.rounds

    async def _rounds(self, made: Conversation) -> None:
        text = made.question.text
        blind: asyncio.Task[Answer] | None = None
        try:
            for number in range(1, MOST_ROUNDS + 1):
                given = await self._answer(made, number, text)
                answer, problems = _checked(given, made.known, number)
                made.answer, by = answer, "checks"
                abstained = not problems and is_unknown(answer)
                if not problems and not abstained:
                    if self.strict and blind is None:
                        blind = asyncio.create_task(self._blind(made))
                    by, problems = "validator", await self._validate(made, answer, number, blind)
                made.rounds.append(Round(number, answer.main_type, by, problems))
                if not problems:
                    made.outcome = "abstained" if abstained else "passed"
                    return
                text = _again(made.question, answer, problems)
            made.outcome = "not_passed"
        finally:
            if blind is not None and not blind.done():
                blind.cancel()

    async def _answer(self, made: Conversation, number: int, text: str) -> Answer:
        """Return the annotator's answer, once all is looked up that it asks for and may ask for."""
        while self.evidence is not None and len(made.lookups) < self.evidence.rounds:
            left = self.evidence.rounds - len(made.lookups)
            offered = self.evidence.offer(made.looked.added_to(text), left)
            try:
                found = await self._ask_or_look(made, Message(ANNOTATOR, number, offered))
            except UnusableReplyError:
                # It may only be the offer that it could not deal with.
                break
            if isinstance(found, Answer):
                return found
            await self._look_up(made, number, found)
        plain = Message(ANNOTATOR, number, made.looked.added_to(text))
        return await self._ask(made, plain, Answer)

    async def _look_up(self, made: Conversation, number: int, asked: EvidenceRequest) -> None:
        assert self.evidence is not None
        # A large matrix takes a while, in which other clusters go on.
        found = await asyncio.to_thread(self.evidence.look_up, made.question.cluster, asked)
        made.looked.findings.append(found)
        made.lookups.append(found.record(number))
        where: dict[str, Json] = {"stage": ANNOTATOR.name, "round": number}
        made.messages.append({**where, "role": "evidence", "content": found.text})

    async def _validate(
        self, made: Conversation, answer: Answer, number: int, blind: asyncio.Task[Answer] | None
    ) -> list[str]:
        text = fill("validation", question=made.known.text.rstrip(), answer=_plain(answer))
        verdict = await self._ask(made, Message(VALIDATOR, number, text), Verdict)
        problems = [] if verdict.passed else (verdict.problems or [verdict.reasoning])
        if blind is not None:
            apart = disagreement(answer, await blind)
            problems = [*problems, apart] if apart else problems
        return problems

    async def _blind(self, made: Conversation) -> Answer:
        """Return the second reader's answer, made without sight of the first."""
        text = made.question.text
        for number in range(1, MOST_ROUNDS + 1):
            given = await self._ask(made, Message(BLIND, number, text), Answer)
            answer, problems = _checked(given, made.question, number)
            if not problems:
                return answer
            text = _again(made.question, answer, problems)
        message = f"The second reader's answer never passed the checks: {_listed(problems)}"
        raise CallFailedError(message)

    async def _ask(self, made: Conversation, message: Message, schema: type[_Schema]) -> _Schema:
        found = await self._usable(made, message, schema, evidence=False)
        assert isinstance(found, schema)
        return found

    async def _ask_or_look(self, made: Conversation, message: Message) -> Answer | EvidenceRequest:
        return await self._usable(made, message, Answer, evidence=True)

    async def _usable(
        self, made: Conversation, message: Message, schema: type[_Schema], *, evidence: bool
    ) -> _Schema | EvidenceRequest:
        """Ask until the reply can be read, at most ``max_retries`` times more.

        Where it is seen that the model cannot answer in a mode, one try in the next is added.
        """
        client, system = self._client(message.stage), prompt(message.stage.name)
        text, mode, problem = message.text, client.mode, ""
        tries, unreadable = self.max_retries + 1, 0
        while tries > 0:
            tries -= 1
            reply = await client.ask(
                system, text, schema, mode, made.reservation, evidence=evidence
            )
            problem = reply.problem or _other_token(reply.answer, made.question)
            self._keep(made, message._replace(text=text), reply, problem)
            if reply.wanted is not None:
                return reply.wanted
            if reply.answer is not None and not problem:
                return reply.answer
            mode = reply.mode
            if reply.answer is None and not reply.cut_off:
                unreadable += 1
                following = client.other_mode(mode)
                # A text shows that the model makes no calls. What else cannot be read may be
                # chance once.
                if following != mode and (reply.in_words or unreadable > 1):
                    mode, unreadable = following, 0
                    tries = max(tries, min(self.max_retries, 1))
            text = fill("unreadable", question=message.text.rstrip(), problem=problem)
        failed = f"The {message.stage.name}'s reply could not be used: {problem}"
        raise UnusableReplyError(failed)

    @staticmethod
    def _keep(made: Conversation, message: Message, reply: Reply[BaseModel], problem: str) -> None:
        made.usage = made.usage.plus(reply.usage)
        if message.stage is ANNOTATOR:
            made.model = reply.model
        where: dict[str, Json] = {"stage": message.stage.name, "round": message.round}
        made.messages += [
            {**where, "role": "user", "content": message.text},
            {
                **where,
                "role": "assistant",
                "content": reply.text,
                "problem": problem or None,
                "model": reply.model,
                "mode": reply.mode,
                **reply.usage._asdict(),
                "seconds": round(reply.seconds, 3),
                "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            },
        ]


def _checked(given: Answer, question: Question, number: int) -> tuple[Answer, list[str]]:
    """Return an answer as it is meant, and what is wrong with it.

    An id that does not fit is asked about once; then the label stays without it.
    """
    answer = mended(given, question)
    problems = check_answer(answer, question)
    unfit = ontology_problem(answer.main_type, answer.subtypes, answer.ontology_id)
    if number > 1 and problems == [unfit]:
        return without_id(answer), []
    return answer, problems


def _other_token(answer: BaseModel | None, question: Question) -> str:
    """Return what is wrong with a verdict's token; an annotator's is a check of its round."""
    if isinstance(answer, Verdict) and not same_token(answer.cluster_token, question.token):
        return "The cluster token is not that of the question."
    return ""


def _again(question: Question, answer: Answer, problems: Sequence[str]) -> str:
    """Return the question once more, with the answer and what is wrong with it."""
    return fill(
        "again",
        question=question.text.rstrip(),
        answer=_plain(answer),
        problems=_listed(problems),
    )


def _plain(answer: Answer) -> str:
    return json.dumps(answer.model_dump(), ensure_ascii=False, indent=1)


def _listed(problems: Sequence[str]) -> str:
    return "\n".join(f"- {problem}" for problem in problems)
