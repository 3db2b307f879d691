import inspect

import pytest

from cellferry import errors
from cellferry.engines import create_engine
from cellferry.engines.llm import LLM

CONFIGS = [
    {"provider": "openai", "name": "m", "apiKey": "sk-canary", "modelSettings": {"top_p": 0.5}},
    {"provider": "anthropic", "name": "v", "baseUrl": "http://localhost:1"},
]


@pytest.mark.parametrize(
    "options",
    [{}, {"provider": "http://localhost:1/V1", "model": "m", "reasoning": "low", "n_genes": 7,
          "api_key_env": "MY_KEY", "model_settings": {"max_tokens": 5}, "temperature": None},
     {"llm_configs": CONFIGS, "max_tokens": 10, "prices": {"input": 1, "output": 2}}],
)  # fmt: skip
def test_the_same_engine_can_be_made_from_its_description(options):
    first = LLM(**options)
    described = dict(first.describe())
    assert "canary" not in str(described)
    again = create_engine("llm", described)
    assert again.describe() == described
    assert [e.determining() for e in again._settings.endpoints] == [
        e.determining() for e in first._settings.endpoints
    ]


def test_specified_defaults():
    defaults = {k: p.default for k, p in inspect.signature(LLM).parameters.items()}
    assert defaults["max_workers"] == 4
    assert defaults["n_genes"] == 50
    assert defaults["temperature"] == 0
    assert defaults["validator_involvement"] == "v1"
    assert defaults["ranking_method"] == "avg_log2FC"
    assert defaults["max_retries"] == 1
    for name in ("reasoning", "ascending", "additional_info"):
        assert defaults[name] is None


@pytest.mark.parametrize(
    "options",
    [{"max_workers": 0}, {"max_retries": -1}, {"validator_involvement": "v2"}, {"n_genes": 0},
     {"ranking_method": "logfc"}, {"max_tokens": 0}, {"output_mode": "json"}, {"timeout": 0},
     {"overwrite_files": 1}, {"additional_info": 5}, {"output_name": 5}, {"prices": {}},
     {"llm_configs": CONFIGS, "model": "m"}],
)  # fmt: skip
def test_wrong_values_are_refused_when_the_engine_is_made(options):
    with pytest.raises(errors.InvalidOptionError):
        LLM(**options)


def test_a_cost_budget_needs_a_price():
    with pytest.raises(errors.InvalidOptionError, match="none is known") as caught:
        LLM(provider="http://localhost:1/v1", model="mine", max_cost_usd=1)
    assert "prices" in caught.value.hint
    LLM(provider="http://localhost:1/v1", model="mine", max_cost_usd=1,
        prices={"input": 0, "output": 0})  # fmt: skip
    LLM(provider="anthropic", model="claude-sonnet-4-6", max_cost_usd=1)
