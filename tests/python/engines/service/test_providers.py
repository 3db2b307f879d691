"""One table of providers for all who name one."""

import pytest
from pydantic_ai.providers import infer_provider_class

from cellferry.engines import environment_variables
from cellferry.engines.llm.endpoints import MODELS_OF, endpoint
from cellferry.engines.service.llm_configs import LLMConfigs
from cellferry.engines.service.providers import (
    AWS_VARIABLES,
    PROVIDERS,
    find_provider,
    key_variables,
    variables_for,
)
from cellferry.errors import InvalidOptionError
from cellferry.server.jobs.llm_configs import PUBLIC_ORIGINS


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in key_variables():
        monkeypatch.delenv(name, raising=False)


def test_every_provider_has_what_its_users_need():
    assert list(PROVIDERS) == sorted(PROVIDERS)
    for name, provider in PROVIDERS.items():
        assert name == name.lower()
        assert all(url.startswith("https://") for url in provider.base_urls)
        if provider.package is not None:
            assert provider.variables
            assert provider.host
            infer_provider_class(name)
    assert " ".join(MODELS_OF) == "anthropic bedrock google groq mistral openai openrouter"


@pytest.mark.parametrize("provider", [p for p in MODELS_OF if p != "bedrock"])
def test_both_engines_ask_the_same_variables_in_the_same_order(provider, monkeypatch):
    """Architecture review: the engines read GOOGLE_API_KEY and GEMINI_API_KEY in opposite order."""
    model = {"provider": provider, "name": "a/m"}
    for name in reversed(PROVIDERS[provider].variables):
        monkeypatch.setenv(name, f"key-of-{name}")
        wanted = f"key-of-{name}"
        assert endpoint(provider=provider, model="a/m").key().reveal() == wanted
        assert LLMConfigs(model).wire()[0]["apiKey"] == wanted


def test_the_order_is_that_of_googles_own_packages(monkeypatch):
    from pydantic_ai.providers.google import GoogleProvider

    monkeypatch.setenv("GEMINI_API_KEY", "sk-gemini")
    monkeypatch.setenv("GOOGLE_API_KEY", "sk-google")
    theirs = GoogleProvider().client._api_client.api_key
    assert endpoint(provider="google", model="m").key().reveal() == theirs == "sk-google"


def test_all_variables_are_handed_on_to_r():
    listed = environment_variables()
    assert listed == sorted(set(listed))
    assert set(key_variables()) <= set(listed)
    assert {"CYTETYPE_API_URL", "CYTETYPE_AUTH_TOKEN", "CELLATLAS_API_KEY"} <= set(listed)
    assert set(AWS_VARIABLES.values()) <= set(listed)
    assert {n for p in PROVIDERS.values() for n in p.variables} <= set(listed)


@pytest.mark.parametrize(
    ("provider", "base_url", "expected"),
    [("google", None, ["GOOGLE_API_KEY", "GEMINI_API_KEY"]), ("vertex", None, []),
     ("openai", "https://example.org/v1", ["CELLFERRY_LLM_API_KEY", "CUSTOMIZED_API_KEY"]),
     ("openai", "https://API.openai.com:443/v1",
      ["CELLFERRY_LLM_API_KEY", "CUSTOMIZED_API_KEY", "OPENAI_API_KEY"])],
)  # fmt: skip
def test_variables_for(provider, base_url, expected):
    assert list(variables_for(provider, base_url)) == expected


def test_a_provider_is_a_name_in_any_case_or_an_address():
    assert find_provider(" OpenRouter ") == ("openrouter", None)
    assert find_provider("openai", "http://h/V1") == ("openai", "http://h/V1")
    assert find_provider("HTTPS://Host/V1") == ("openai", "HTTPS://Host/V1")
    for given in ("", " ", None, 5, "opnai", "http://me:x@host", "http://"):
        with pytest.raises(InvalidOptionError, match="`provider`"):
            find_provider(given)
    with pytest.raises(InvalidOptionError, match="beside it"):
        find_provider("http://a/v1", "http://b/v1")
    with pytest.raises(InvalidOptionError, match="xai"):
        find_provider("xai", valid=MODELS_OF)


def test_the_server_may_call_the_addresses_of_the_table_and_no_others():
    assert len(PUBLIC_ORIGINS) == 14
    assert "https://api.openai.com" in PUBLIC_ORIGINS
    assert not {None, "https://bedrock-runtime.amazonaws.com"} & PUBLIC_ORIGINS
