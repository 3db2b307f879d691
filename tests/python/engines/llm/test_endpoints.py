import pytest

from cellferry import errors
from cellferry.engines.llm.endpoints import (
    MODELS_OF,
    endpoint,
    endpoints_from_configs,
    models_of,
    prices_option,
    settings_of,
)
from cellferry.engines.service.providers import PROVIDERS

SPEC = {
    "provider": "openai",
    "name": "gpt-4o-mini",
    "apiKey": "sk-canary",
    "baseUrl": "https://api.openai.com/v1",
    "modelSettings": {"temperature": 0.0, "max_tokens": 4096},
}


def test_the_seven_providers_of_the_specification():
    expected = "anthropic bedrock google groq mistral openai openrouter"
    assert sorted(MODELS_OF) == expected.split()
    for provider in MODELS_OF:
        assert endpoint(provider=provider.upper(), model="x/m").host == PROVIDERS[provider].host


def test_default_models():
    assert endpoint(provider="openrouter").model == "anthropic/claude-sonnet-4.5"
    with pytest.raises(errors.InvalidOptionError, match="`model` must be given"):
        endpoint(provider="groq")
    with pytest.raises(errors.InvalidOptionError, match="`model` must be given"):
        endpoint(provider="openrouter", base_url="http://localhost/v1")


def test_anthropic_gets_room_for_its_answer_without_streaming():
    assert endpoint(provider="anthropic").settings["max_tokens"] == 16_000
    own = endpoint(provider="anthropic", settings={"max_tokens": 99})
    assert own.settings["max_tokens"] == 99


def test_a_base_url_as_provider_is_kept_with_its_case():
    found = endpoint(provider="https://Example.org/Deployments/A/v1", model="m")
    assert (found.provider, found.base_url) == ("openai", "https://Example.org/Deployments/A/v1")
    assert found.host == "example.org"
    assert endpoint(provider="http://127.0.0.1:1/v1", model="m").host is None
    with pytest.raises(errors.InvalidOptionError, match="cannot be given beside"):
        endpoint(provider="http://a/v1", model="m", base_url="http://b/v1")


def test_an_unknown_provider_names_the_nearest():
    with pytest.raises(errors.InvalidOptionError) as caught:
        endpoint(provider="antropic", model="m")
    assert caught.value.hint == 'Did you mean "anthropic"?'


def test_configs_of_cytetype():
    (found,) = endpoints_from_configs(models_of([SPEC]), {"temperature": 0.5, "reasoning": "low"})
    assert (found.provider, found.model, found.base_url) == (
        "openai", "gpt-4o-mini", "https://api.openai.com/v1",
    )  # fmt: skip
    assert found.api_key.reveal() == "sk-canary"
    assert found.settings == {"temperature": 0.0, "reasoning": "low", "max_tokens": 4096}
    assert "canary" not in repr(found) + repr([found])


def test_the_second_config_validates():
    both = endpoints_from_configs(models_of([SPEC, {"provider": "anthropic", "name": "c"}]), {})
    assert [e.model for e in both] == ["gpt-4o-mini", "c"]


@pytest.mark.parametrize(
    ("configs", "message"),
    [([], "one or two"), ([SPEC] * 3, "one or two"), ("x", "one or two"), ([1], "must be a dict"),
     ([{**SPEC, "api_key": "x"}], "no field `api_key`"), ([{"provider": "openai"}], "`model`"),
     ([{**SPEC, "modelSettings": 3}], "modelSettings"), ([{**SPEC, "apiKey": 5}], "apiKey")],
)  # fmt: skip
def test_wrong_configs_are_refused_without_showing_the_key(configs, message):
    with pytest.raises(errors.InvalidOptionError, match=message) as caught:
        endpoints_from_configs(models_of(configs), {})
    assert "canary" not in str(caught.value)


def test_settings_of_the_model():
    assert settings_of(0, None, None) == {"temperature": 0.0}
    assert settings_of(None, {"effort": "high"}, {"max_tokens": 5}) == {
        "reasoning": "high",
        "max_tokens": 5,
    }
    for wrong in [(-1, None, None), (True, None, None), (0, "max", None), (0, None, 5)]:
        with pytest.raises(errors.InvalidOptionError):
            settings_of(*wrong)


def test_prices():
    assert prices_option({"input": 3, "output": 15}) == {"input": 3.0, "output": 15.0}
    for call in [
        lambda: prices_option({"input": 3}),
        lambda: prices_option(3),
    ]:
        with pytest.raises(errors.InvalidOptionError):
            call()
