"""Which key goes where."""

import pickle

import pytest

from cellferry import errors
from cellferry.engines.llm.endpoints import MODELS_OF, endpoint
from cellferry.engines.service.providers import PROVIDERS, key_variables
from cellferry.engines.service.secrets import Secret


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in key_variables():
        monkeypatch.delenv(name, raising=False)


def find_key(provider, api_key=None, variable=None, base_url=None):
    return endpoint(
        provider=provider, model="a/m", base_url=base_url, api_key=api_key, api_key_env=variable
    ).key()


def test_a_key_is_not_shown_stored_or_sent_to_another_process():
    found = endpoint(provider="openai", model="m", api_key="sk-canary")
    assert "canary" not in f"{found} {found!r} {found.api_key} {[found]!r}"
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(found)
    assert found.key().reveal() == "sk-canary"


@pytest.mark.parametrize("key", [5, ["sk-canary"], "", " "])
def test_a_key_that_is_no_text_is_refused_at_once(key):
    with pytest.raises(errors.InvalidOptionError, match="api_key"):
        endpoint(provider="openai", model="m", api_key=key)


@pytest.mark.parametrize(
    ("key", "what"),
    [("sk-schl\u00fcssel", r"U\+00FC .* number 8 of 12"), ("sk\n1", r"U\+000A .* number 3 of 4"),
     ("sk-\u200b1", "U\\+200B .zero width space."),
     ("sk\u20111", "U\\+2011 .non-breaking hyphen.")],
)  # fmt: skip
def test_a_character_that_no_key_has_is_named_with_its_place(key, what, monkeypatch):
    with pytest.raises(errors.CredentialsRequiredError, match=f"api_key .*{what}") as caught:
        endpoint(provider="openai", model="m", api_key=key)
    assert key not in str(caught.value)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(errors.CredentialsRequiredError, match=f"OPENAI_API_KEY .*{what}"):
        find_key("openai")


def test_a_line_break_at_the_end_of_a_key_does_not_count():
    assert find_key("openai", "sk-1\r\n").reveal() == "sk-1"


@pytest.mark.parametrize("provider", [p for p in MODELS_OF if p != "bedrock"])
def test_the_usual_variable_is_read_and_named_when_it_is_missing(provider, monkeypatch):
    with pytest.raises(errors.CredentialsRequiredError) as caught:
        find_key(provider)
    variable = PROVIDERS[provider].variables[0]
    assert variable in caught.value.hint
    monkeypatch.setenv(variable, "sk-1")
    assert find_key(provider).reveal() == "sk-1"
    assert find_key(provider, Secret("sk-2", "api_key")).reveal() == "sk-2"


def test_the_providers_key_is_never_sent_to_another_address(monkeypatch):
    other = "https://example.org/v1"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with pytest.raises(errors.CredentialsRequiredError, match=r"example\.org"):
        find_key("openai", base_url=other)
    assert find_key("openai", variable="OPENAI_API_KEY", base_url=other).reveal() == "sk-1"
    monkeypatch.setenv("CELLFERRY_LLM_API_KEY", "sk-3")
    assert find_key("openai", base_url=other).reveal() == "sk-3"


def test_the_address_of_the_provider_itself_is_no_other_address(monkeypatch):
    own = "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert find_key("openai", base_url=own).reveal() == "sk-1"
    for url in ("http://api.openai.com/v1", "https://api.openai.com.evil.org/v1",
                "https://api.openai.com:8443/v1"):  # fmt: skip
        with pytest.raises(errors.CredentialsRequiredError):
            find_key("openai", base_url=url)
    monkeypatch.setenv("CELLFERRY_LLM_API_KEY", "sk-3")
    assert find_key("openai", base_url=own).reveal() == "sk-3"


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "192.168.1.4", "10.1.2.3", "host.docker.internal",
     "gpu-node", "0.0.0.0", "my.localhost", "172.20.0.2", "[fd00::1]"],
)  # fmt: skip
def test_local_and_private_addresses_need_no_key(host):
    assert find_key("openai", base_url=f"http://{host}:8000/v1") is None


def test_a_named_variable_that_is_empty_is_an_error_even_at_home(monkeypatch):
    monkeypatch.setenv("MY_KEY", " ")
    with pytest.raises(errors.CredentialsRequiredError) as caught:
        find_key("openai", variable="MY_KEY", base_url="http://localhost/v1")
    assert "MY_KEY" in caught.value.hint
