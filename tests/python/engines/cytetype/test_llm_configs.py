import json

import pytest

from cellferry.engines.service.llm_configs import LLMConfigs
from cellferry.engines.service.providers import PROVIDERS, key_variables
from cellferry.errors import CredentialsRequiredError, InvalidOptionError

CANARY = "canary-7f3a91-secret"
MODEL = {"provider": "openai", "name": "gpt-4o-mini", "apiKey": CANARY}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in key_variables():
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "provider", ["anthropic", "bedrock", "google", "groq", "mistral", "openai", "openrouter"]
)
def test_the_providers_of_the_specification_are_known(provider):
    assert provider in PROVIDERS
    (sent,) = LLMConfigs({**MODEL, "provider": provider}).wire()
    assert (sent["provider"], sent["apiKey"]) == (provider, CANARY)


def test_all_fields_are_sent_and_the_rest_has_its_default():
    given = {
        **MODEL, "baseUrl": "https://api.openai.com/v1", "targetAgents": "annotator",
        "modelSettings": {"temperature": 0.0, "max_tokens": 4096},
    }  # fmt: skip
    (sent,) = LLMConfigs([given]).wire()
    assert sent == {
        "provider": "openai", "name": "gpt-4o-mini", "apiKey": CANARY,
        "baseUrl": "https://api.openai.com/v1", "awsAccessKeyId": None,
        "awsSecretAccessKey": None, "awsDefaultRegion": None,
        "modelSettings": {"temperature": 0.0, "max_tokens": 4096}, "targetAgents": ["annotator"],
        "skipValidation": False, "allowFallback": False,
    }  # fmt: skip


def test_without_models_nothing_is_sent():
    assert LLMConfigs(None).wire() is None
    assert LLMConfigs([]).wire() is None


def test_the_key_is_neither_in_the_plain_fields_nor_shown():
    aws = {"awsAccessKeyId": CANARY, "awsSecretAccessKey": CANARY, "awsDefaultRegion": "eu"}
    configs = LLMConfigs([MODEL, {"provider": "bedrock", "name": "m", **aws}])
    assert CANARY not in repr(configs) + json.dumps(configs.describe())
    assert configs.wire()[1]["awsSecretAccessKey"] == CANARY


def test_a_missing_key_comes_from_the_environment_of_its_provider(monkeypatch):
    configs = LLMConfigs({"provider": "google", "name": "gemini"})
    with pytest.raises(CredentialsRequiredError, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        configs.wire()
    monkeypatch.setenv("GOOGLE_API_KEY", CANARY)
    assert configs.wire()[0]["apiKey"] == CANARY
    bedrock = LLMConfigs({"provider": "bedrock", "name": "m"})
    with pytest.raises(CredentialsRequiredError, match="AWS_SECRET_ACCESS_KEY"):
        bedrock.wire()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "x" * 8)
    assert bedrock.wire()[0]["awsDefaultRegion"] == "x" * 8


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("gpt", "record"),
        ({"provider": "openai"}, "name"),
        ({"name": "m"}, "provider"),
        ({**MODEL, "provider": "opnai"}, 'Did you mean "openai"'),
        ({**MODEL, "api_key": "x"}, "Did you mean `apiKey`"),
        ({**MODEL, "targetAgents": ["cook"]}, "cook"),
        ({**MODEL, "modelSettings": "hot"}, "modelSettings"),
        ({**MODEL, "skipValidation": "yes"}, "skipValidation"),
        ({**MODEL, "baseUrl": "localhost:11434"}, "11434/v1"),
        ({**MODEL, "apiKey": 7}, "apiKey"),
        ({"provider": "bedrock", "name": "m", "awsAccessKeyId": "x" * 9}, "all of"),
    ],
)
def test_a_model_that_is_not_valid_is_refused_without_showing_its_key(config, words):
    with pytest.raises(InvalidOptionError, match=words) as caught:
        LLMConfigs([config])
    assert CANARY not in str(caught.value)


def test_a_key_in_the_wrong_field_is_not_shown():
    with pytest.raises(InvalidOptionError) as caught:
        LLMConfigs([{"provider": "openai", "name": "m", "modelSettings": CANARY}])
    assert CANARY not in str(caught.value)


def test_local_models_of_ollama():
    """The address of the models may be of this machine, over http."""
    given = {"provider": "openai", "name": "llama3.1", "apiKey": "ollama",
             "baseUrl": "http://127.0.0.1:11434/v1"}  # fmt: skip
    assert LLMConfigs(given).wire()[0]["baseUrl"] == "http://127.0.0.1:11434/v1"
