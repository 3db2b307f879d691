"""One reader of ``llm_configs``: what the engines used to read differently, they read alike."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.llm.endpoints import endpoints_from_configs, models_of
from cellferry.engines.service.llm_configs import AGENTS, LLMConfigs
from cellferry.engines.service.providers import PROVIDERS, key_variables
from cellferry.engines.service.secrets import HIDDEN
from cellferry.errors import CredentialsRequiredError, InvalidOptionError

CANARY = "canary-7f3a91-secret"
MODEL = {"provider": "openai", "name": "m"}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in key_variables():
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("config", "provider", "base_url"),
    [
        ({**MODEL, "apiKey": ""}, "openai", None),
        ({**MODEL, "apiKey": None, "baseUrl": None, "modelSettings": None}, "openai", None),
        ({**MODEL, "modelSettings": []}, "openai", None),
        ({**MODEL, "provider": "OpenAI"}, "openai", None),
        ({**MODEL, "provider": "http://Host/V1"}, "openai", "http://Host/V1"),
        ({**MODEL, "baseUrl": "http://Host/V1"}, "openai", "http://Host/V1"),
        ({**MODEL, "name": " m "}, "openai", None),
    ],
)
def test_what_both_engines_take(config, provider, base_url):
    (found,) = LLMConfigs(config)
    (made,) = endpoints_from_configs(models_of([config]), {})
    assert (found.plain["provider"], found.plain.get("baseUrl")) == (provider, base_url)
    assert (made.provider, made.base_url) == (provider, base_url)
    assert (found.plain["name"], made.model) == ("m", "m")
    assert made.api_key is None
    assert not found.secrets


@pytest.mark.parametrize(
    "config",
    [
        "openai", 5, {"name": "m"}, {**MODEL, "provider": "opnai"}, {**MODEL, "provider": 5},
        {**MODEL, "name": 5}, {**MODEL, "api_key": CANARY}, {**MODEL, "apiKey": 5},
        {**MODEL, "modelSettings": CANARY},
        {**MODEL, "baseUrl": "host:1"}, {**MODEL, "baseUrl": f"https://h/?api_key={CANARY}"},
        {**MODEL, "baseUrl": f"https://me:{CANARY}@h/"},
        {**MODEL, "provider": "http://a/v1", "baseUrl": "http://b/v1"},
    ],
)  # fmt: skip
def test_what_both_engines_refuse_without_showing_a_key(config):
    for read in (LLMConfigs, lambda c: endpoints_from_configs(models_of(c), {})):
        with pytest.raises(InvalidOptionError) as caught:
            read([config])
        assert CANARY not in str(caught.value)


def test_a_character_that_no_key_has_is_named_and_the_key_not_shown():
    with pytest.raises(CredentialsRequiredError, match=r"apiKey .* U\+00FC") as caught:
        LLMConfigs([{**MODEL, "apiKey": CANARY + "\u00fc"}])
    assert CANARY not in str(caught.value)


def test_a_list_is_wanted():
    for wrong in (5, CANARY, {1}):
        with pytest.raises(InvalidOptionError) as caught:
            LLMConfigs(wrong)
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize("extra", ["extra_headers", "extra_body", "extra_query"])
def test_extras_are_sent_and_only_their_names_are_described(extra):
    given = {**MODEL, "apiKey": "sk-1234", "modelSettings": {"top_p": 0.5, extra: {"X": CANARY}}}
    models = LLMConfigs(given)
    assert models.wire()[0]["modelSettings"] == given["modelSettings"]
    assert CANARY not in json.dumps(models.describe()) + repr(models) + repr(list(models))
    assert models.describe()[0]["modelSettings"] == {"top_p": 0.5, extra: {"X": HIDDEN}}
    again = LLMConfigs([{**models.describe()[0], "apiKey": "sk-1234"}])
    assert again.describe() == models.describe()
    with pytest.raises(InvalidOptionError, match=rf"modelSettings\.{extra}\.X"):
        again.wire()


@pytest.mark.parametrize("url", ["http://127.0.0.1:11434/v1", "https://example.org/v1"])
def test_for_an_address_of_ones_own_its_variable_comes_first(url, monkeypatch):
    own = {**MODEL, "baseUrl": url}
    with pytest.raises(CredentialsRequiredError, match="CELLFERRY_LLM_API_KEY or CUSTOMIZED_API"):
        LLMConfigs(own).wire()
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    assert LLMConfigs(MODEL).wire()[0]["apiKey"] == CANARY
    if "127.0.0.1" in url:
        assert LLMConfigs(own).wire()[0]["apiKey"] == CANARY
    else:
        # The key of a provider is not for another host.
        with pytest.raises(CredentialsRequiredError, match="CELLFERRY_LLM_API_KEY"):
            LLMConfigs(own).wire()
    monkeypatch.setenv("CELLFERRY_LLM_API_KEY", "sk-of-mine")
    assert LLMConfigs(own).wire()[0]["apiKey"] == "sk-of-mine"
    assert LLMConfigs(MODEL).wire()[0]["apiKey"] == CANARY


def test_bedrock_takes_a_bearer_token_or_all_three_of_aws(monkeypatch):
    bedrock = {"provider": "bedrock", "name": "m"}
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", CANARY)
    assert LLMConfigs(bedrock).wire()[0]["apiKey"] == CANARY
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "abcdefgh")
    sent = LLMConfigs(bedrock).wire()[0]
    assert (sent["apiKey"], sent["awsSecretAccessKey"]) == (None, "abcdefgh")


def test_models_are_copied_and_not_pickled():
    models = LLMConfigs({**MODEL, "apiKey": CANARY})
    assert copy.deepcopy(models).wire() == models.wire()
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(models)


_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"provider": st.sampled_from(sorted(PROVIDERS)), "name": st.text("abc/-", min_size=1)},
        optional={
            "apiKey": st.just(CANARY), "targetAgents": st.lists(st.sampled_from(AGENTS)),
            "baseUrl": st.just("http://localhost:1/v1"), "skipValidation": st.booleans(),
            "modelSettings": st.fixed_dictionaries(
                {"top_p": st.floats(0, 1)},
                optional={"api_key": st.just(CANARY), "extra_body": st.just({"x": CANARY})},
            ),
        },
    ),
    max_size=3,
)  # fmt: skip


@given(_ENTRIES)
def test_a_description_reads_as_itself_and_holds_no_secret(entries):
    models = LLMConfigs(entries)
    assert len(models) == len(entries)
    described = models.describe()
    assert CANARY not in json.dumps(described)
    assert LLMConfigs(described).describe() == described
