"""All clusters of a run: several at a time, each durable when known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import ServiceError
from ...runs.worker import CancelledWork
from ..base import Payload
from .answer import payload_of
from .checks import term_of
from .client import Address, Client, Known
from .conversation import Session
from .limits import Budget, BudgetReachedError, RateLimiter
from .providers import open_model, open_pool

if TYPE_CHECKING:
    from ...runs.run import Run
    from ...runs.worker import Events
    from ..service.secrets import Secret
    from .evidence import Evidence
    from .questions import Question
    from .settings import Settings

logger = logging.getLogger("cellferry")

CANCEL_SECONDS = 0.1
"""How often it is looked whether the user has interrupted."""

MOST_FAILURES = 5
"""So many failures without one success, and the service is given up."""


@dataclass
class Batch:
    """One pass over the questions that have no answer yet.

    Attributes
    ----------
    evidence
        What the annotator may have looked up.
    payloads
        Cluster -> what is known of it; failures too, which the journal does not keep.
    stopped
        Why the pass ended early with questions left, in words; None if it did not.
    """

    settings: Settings
    keys: tuple[Secret | None, ...]
    run: Run
    events: Events
    total: int
    done: int
    payloads: dict[str, Payload] = field(default_factory=dict)
    evidence: Evidence | None = None
    stopped: str | None = None
    _failures: int = 0
    _said: set[str] = field(default_factory=set)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def answer(self, questions: Mapping[str, Question]) -> None:
        """Ask all questions, in an event loop of this thread.

        Raises
        ------
        CancelledWork
            The user interrupted; what was known by then is in the journal.
        CredentialsRequiredError, ServiceError
            No call can succeed.
        """
        if questions:
            asyncio.run(self._answer(questions))

    async def _answer(self, questions: Mapping[str, Question]) -> None:
        s = self.settings
        waiting = list(questions.values())[::-1]
        async with open_pool([s.annotator, s.validator], s.max_workers, s.timeout) as pool:
            limiter = RateLimiter(s.max_workers)
            budget = Budget(s.max_cost_usd, s.max_tokens)
            known: dict[Address, Known] = {}
            clients = [
                Client(
                    e, open_model(e, key, pool, s.timeout), limiter, budget, s.output_mode,
                    s.prices, known.setdefault(e.address, Known()), self._say,
                )
                for e, key in zip(s.endpoints, self.keys, strict=True)
            ]  # fmt: skip
            session = Session(clients[0], clients[-1], s.strict, s.max_retries, self.evidence)
            workers = min(s.max_workers, len(waiting))
            tasks = [asyncio.create_task(self._work(waiting, session)) for _ in range(workers)]
            watch = asyncio.create_task(self._watch())
            warm = asyncio.create_task(_warm_up())
            try:
                await _first_trouble([*tasks, watch], needed=tasks)
            finally:
                for task in (*tasks, watch, warm):
                    task.cancel()
                await asyncio.gather(*tasks, watch, warm, return_exceptions=True)

    async def _work(self, waiting: list[Question], session: Session) -> None:
        """Take one question after the other until none is left."""
        while waiting and self.stopped is None:
            question = waiting.pop()
            try:
                made = await session.annotate(question)
            except BudgetReachedError as reached:
                self.stopped = str(reached)
                return
            payload = payload_of(made, self.settings.annotator)
            self.payloads[question.cluster] = payload
            if made.outcome == "failed":
                self._count_failure(made.error or "")
            else:
                self._failures = -1
                await self._record(question, payload)
            self.done += 1
            self.events.emit("progress", done=self.done, total=self.total, unit=question.cluster)

    def _say(self, text: str) -> None:
        """Say something to people, beside the bar, but not again and again."""
        if text not in self._said:
            self._said.add(text)
            logger.warning(text)
            self.events.emit("message", done=self.done, total=self.total, text=text)

    async def _record(self, question: Question, payload: Payload) -> None:
        """Make an answer durable while the calls of other clusters go on."""
        async with self._writing:
            await asyncio.to_thread(self.run.record, question.cluster, question.key, payload)

    def _count_failure(self, error: str) -> None:
        if self._failures < 0:
            return
        self._failures += 1
        # Another worker may fail before it is cancelled: one of them says it.
        if self._failures == MOST_FAILURES:
            message = f"The first {self._failures} clusters failed, the last with: {error}"
            hint = "Nothing was answered, so the rest was not asked. Check `model` and `base_url`."
            raise ServiceError(message, hint)

    async def _watch(self) -> None:
        """End with :class:`CancelledWork` when the user interrupts."""
        while not self.events.cancelled:
            await asyncio.sleep(CANCEL_SECONDS)
        raise CancelledWork


async def _warm_up() -> None:
    """Load what the first reply will need while it is waited for."""
    await asyncio.sleep(CANCEL_SECONDS)
    term_of("B cell")


async def _first_trouble(tasks: list[asyncio.Task[None]], needed: list[asyncio.Task[None]]) -> None:
    """Wait until all needed tasks are done, or raise the first exception of any."""
    pending = set(tasks)
    while pending & set(needed):
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
