import pickle

import pytest

from cellferry import errors
from cellferry.engines.llm.keys import (
    CUSTOM_VARIABLES,
    KEY_VARIABLES,
    Secret,
    find_key,
    redact,
)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for names in (*KEY_VARIABLES.values(), CUSTOM_VARIABLES):
        for name in names:
            monkeypatch.delenv(name, raising=False)


def test_a_key_is_not_shown_stored_or_sent_to_another_process():
    secret = Secret("sk-canary")
    assert "canary" not in f"{secret} {secret!r} {[secret]!r}"
    with pytest.raises(TypeError, match="cannot be stored"):
        pickle.dumps(secret)
    assert secret.reveal() == "sk-canary"


@pytest.mark.parametrize("provider", [p for p in KEY_VARIABLES if p != "bedrock"])
def test_the_usual_variable_is_read_and_named_when_it_is_missing(provider, monkeypatch):
    with pytest.raises(errors.CredentialsRequiredError) as caught:
        find_key(provider, None, None, None)
    assert KEY_VARIABLES[provider][0] in caught.value.hint
    monkeypatch.setenv(KEY_VARIABLES[provider][0], "sk-1")
    assert find_key(provider, None, None, None).reveal() == "sk-1"
    assert find_key(provider, Secret("sk-2"), None, None).reveal() == "sk-2"


def test_the_providers_key_is_never_sent_to_another_address(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with pytest.raises(errors.CredentialsRequiredError, match=r"example\.org"):
        find_key("openai", None, None, "https://example.org/v1")
    assert find_key("openai", None, "OPENAI_API_KEY", "https://example.org/v1").reveal() == "sk-1"
    monkeypatch.setenv("CELLFERRY_LLM_API_KEY", "sk-3")
    assert find_key("openai", None, None, "https://example.org/v1").reveal() == "sk-3"


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "192.168.1.4", "10.1.2.3", "host.docker.internal",
     "gpu-node", "0.0.0.0", "my.localhost", "172.20.0.2", "[fd00::1]"],
)  # fmt: skip
def test_local_and_private_addresses_need_no_key(host):
    assert find_key("openai", None, None, f"http://{host}:8000/v1") is None


def test_a_named_variable_that_is_empty_is_an_error_even_at_home(monkeypatch):
    monkeypatch.setenv("MY_KEY", " ")
    with pytest.raises(errors.CredentialsRequiredError) as caught:
        find_key("openai", None, "MY_KEY", "http://localhost/v1")
    assert "MY_KEY" in caught.value.hint


def test_redaction_takes_every_key_out():
    assert (
        redact("a sk-1 b sk-2", [Secret("sk-1"), None, Secret("sk-2")]) == "a <hidden> b <hidden>"
    )
