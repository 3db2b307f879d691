import pytest

from cellferry.engines.llm.endpoints import cost, endpoint


@pytest.mark.parametrize(
    ("provider", "model"),
    [("anthropic", "claude-sonnet-4-6"), ("openai", "gpt-4o-mini"),
     ("openrouter", "anthropic/claude-sonnet-4.5"), ("google", "gemini-2.5-flash")],
)  # fmt: skip
def test_known_models_have_a_price_that_grows(provider, model):
    found = endpoint(provider=provider, model=model)
    assert 0 < cost(found, None, 1000, 100) < cost(found, None, 2000, 200) < 1


def test_an_unknown_price_is_none_and_never_zero():
    assert cost(endpoint(provider="openai", model="no-such-model"), None, 1000, 100) is None
    mine = endpoint(provider="openai", model="gpt-4o-mini", base_url="http://localhost/v1")
    assert cost(mine, None, 1000, 100) is None


def test_own_prices_are_per_million():
    mine = endpoint(provider="http://localhost/v1", model="m")
    assert cost(mine, {"input": 3.0, "output": 15.0}, 1_000_000, 100_000) == pytest.approx(4.5)
