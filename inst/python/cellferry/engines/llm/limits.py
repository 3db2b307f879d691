"""How many calls run at once, and how much may be spent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

RECOVER_AFTER = 10
"""Good answers after which one more call may run at once again."""
LONGEST_PAUSE = 300.0
"""Seconds that a service may ask us to wait; more is an error of its own."""


class BudgetReachedError(Exception):
    """The next call could exceed the budget; the text says which."""


class RateLimiter:
    """At most so many calls at once, fewer while the service says that it is too much.

    A 429 halves the number and stops every new call until ``Retry-After`` has passed;
    each :data:`RECOVER_AFTER` good answers add one again. Runs in one event loop.

    Parameters
    ----------
    most
        Calls at once when the service is well.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = most
        self.active = 0
        self._good = 0
        self._open_at = 0.0
        self._announced = 0.0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until a call may be made, and count it as active for the body of the ``with``."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.active < self.limit)
            self.active += 1
        try:
            await self._pause_over()
            yield
        finally:
            async with self._changed:
                self.active -= 1
                self._changed.notify_all()

    async def _pause_over(self) -> None:
        clock = asyncio.get_running_loop().time
        while (left := self._open_at - clock()) > 0:
            # Not all at the same moment, or the next 429 is certain.
            await asyncio.sleep(left + random.uniform(0, 0.05))

    def slow_down(self, seconds: float | None) -> None:
        """React to a 429: fewer calls, and none before ``seconds`` have passed (None: 1)."""
        clock = asyncio.get_running_loop().time
        if self._open_at <= clock():
            # Calls that were under way together are one sign, not many.
            self.limit = max(1, self.limit // 2)
        self._good = 0
        wait = min(1.0 if seconds is None else seconds, LONGEST_PAUSE)
        self._open_at = max(self._open_at, clock() + wait)

    def announces(self, seconds: float) -> bool:
        """Whether a pause is news: calls that wait together are one piece of news, not many."""
        until = asyncio.get_running_loop().time() + seconds
        if until < self._announced + 5:
            return False
        self._announced = until
        return True

    async def went_well(self) -> None:
        """Count a good answer."""
        self._good += 1
        if self._good >= RECOVER_AFTER and self.limit < self.most:
            self._good = 0
            async with self._changed:
                self.limit += 1
                self._changed.notify_all()


@dataclass
class Budget:
    """What may be spent, what was, and what calls under way may still cost.

    ``spent_usd`` is None once a call of unknown price was made.
    """

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    spent_tokens: int = 0
    spent_usd: float | None = 0.0
    _reserved_tokens: int = field(default=0, repr=False)
    _reserved_usd: float = field(default=0.0, repr=False)

    def reserve(self, tokens: int, usd: float | None) -> None:
        """Set aside what a call may cost.

        Parameters
        ----------
        tokens
            Of input and output together.
        usd
            None counts as 0.

        Raises
        ------
        BudgetReachedError
        """
        if self.max_tokens is not None:
            expected = self.spent_tokens + self._reserved_tokens + tokens
            if expected > self.max_tokens:
                message = f"the budget of {self.max_tokens} tokens"
                raise BudgetReachedError(message)
        if self.max_cost_usd is not None:
            cost = (self.spent_usd or 0.0) + self._reserved_usd + (usd or 0.0)
            if cost > self.max_cost_usd:
                message = f"the budget of ${self.max_cost_usd:g}"
                raise BudgetReachedError(message)
        self._reserved_tokens += tokens
        self._reserved_usd += usd or 0.0

    def settle(self, reserved: tuple[int, float | None], tokens: int, usd: float | None) -> None:
        """Replace what was set aside by what was spent.

        Parameters
        ----------
        reserved
            Tokens and USD that :meth:`reserve` was given.
        tokens, usd
            What the call took; ``usd`` is None where its price is not known.
        """
        self._reserved_tokens -= reserved[0]
        self._reserved_usd -= reserved[1] or 0.0
        self.spent_tokens += tokens
        if self.spent_usd is not None:
            self.spent_usd = None if usd is None else self.spent_usd + usd

    def admit(self, tokens: int, usd: float | None) -> Reservation:
        """Set aside what a whole cluster needs, so that none is begun that cannot be finished.

        Raises
        ------
        BudgetReachedError
        """
        self.reserve(tokens, usd)
        return Reservation(self, tokens, usd or 0.0)


@dataclass
class Reservation:
    """What is set aside for one cluster; its calls use it before they ask for more."""

    budget: Budget
    tokens: int
    usd: float

    def consume(self, tokens: int, usd: float | None) -> None:
        """Set aside what a call may cost; raises :class:`BudgetReachedError`."""
        here = min(self.tokens, tokens), min(self.usd, usd or 0.0)
        self.budget.reserve(tokens - here[0], (usd or 0.0) - here[1])
        self.tokens -= here[0]
        self.usd -= here[1]

    def release(self) -> None:
        """Give back what was not needed."""
        self.budget.settle((self.tokens, self.usd), 0, 0.0)
        self.tokens, self.usd = 0, 0.0
