import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.llm.limits import RECOVER_AFTER, Budget, BudgetReachedError, RateLimiter


def test_no_more_than_the_limit_run_at_once_and_a_429_halves_it():
    async def main():
        limiter, seen = RateLimiter(8), []

        async def call():
            async with limiter.slot():
                seen.append(limiter.active)
                await asyncio.sleep(0.01)

        await asyncio.gather(*(call() for _ in range(30)))
        assert max(seen) == 8
        limiter.slow_down(0.0)
        assert limiter.limit == 4
        seen.clear()
        await asyncio.gather(*(call() for _ in range(12)))
        assert max(seen) == 4
        for _ in range(RECOVER_AFTER):
            await limiter.went_well()
        assert limiter.limit == 5

    asyncio.run(main())


def test_retry_after_holds_every_new_call_and_many_429_at_once_count_as_one():
    async def main():
        limiter = RateLimiter(8)
        clock = asyncio.get_running_loop().time
        for _ in range(5):
            limiter.slow_down(0.3)
        assert limiter.limit == 4
        began = clock()
        async with limiter.slot():
            assert clock() - began >= 0.29

    asyncio.run(main())


def test_the_limit_never_falls_below_one_call():
    async def main():
        limiter = RateLimiter(2)
        for _ in range(5):
            limiter.slow_down(0.0)
            await asyncio.sleep(0)
        assert limiter.limit == 1

    asyncio.run(main())


@given(st.lists(st.integers(1, 500), max_size=40), st.integers(1, 5000))
def test_a_budget_of_tokens_is_never_exceeded_by_calls_that_keep_to_their_estimate(calls, most):
    budget = Budget(max_tokens=most)
    for tokens in calls:
        try:
            budget.reserve(tokens, None)
        except BudgetReachedError:
            assert budget.spent_tokens + tokens > most
        else:
            budget.settle((tokens, None), tokens, None)
    assert budget.spent_tokens <= most


def test_calls_under_way_count():
    budget = Budget(max_cost_usd=1.0)
    budget.reserve(10, 0.6)
    with pytest.raises(BudgetReachedError, match=r"\$1"):
        budget.reserve(10, 0.6)
    budget.settle((10, 0.6), 5, 0.2)
    budget.reserve(10, 0.6)
    assert (budget.spent_usd, budget.spent_tokens) == (0.2, 5)


def test_an_unknown_price_makes_the_sum_unknown():
    budget = Budget()
    budget.reserve(1, None)
    budget.settle((1, None), 1, None)
    assert budget.spent_usd is None


def test_what_is_set_aside_for_a_cluster_is_used_first_and_the_rest_given_back():
    budget = Budget(max_tokens=1000)
    reservation = budget.admit(600, None)
    with pytest.raises(BudgetReachedError):
        budget.admit(600, None)
    reservation.consume(400, None)
    budget.settle((400, None), 350, None)
    # 350 spent, 200 set aside: a call of 500 needs 300 more.
    reservation.consume(500, None)
    with pytest.raises(BudgetReachedError):
        budget.reserve(200, None)
    budget.settle((500, None), 500, None)
    reservation.release()
    budget.reserve(150, None)
    assert budget.spent_tokens == 850
