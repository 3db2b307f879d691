import json
import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.service.secrets import HIDDEN, Secret, find_secret, redact, redacted
from cellferry.errors import CredentialsRequiredError, InvalidOptionError

CANARY = "canary-7f3a91-secret"


def test_a_secret_is_shown_nowhere(caplog):
    secret = Secret(CANARY, "auth_token")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr([secret])]
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("token %s", secret)
    assert not any(CANARY in text for text in [*shown, caplog.text])
    assert secret.reveal() == CANARY
    assert not hasattr(secret, "__dict__")


def test_a_secret_is_not_written():
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(Secret(CANARY, "auth_token"))
    with pytest.raises(TypeError):
        json.dumps({"x": Secret(CANARY, "auth_token")})


@pytest.mark.parametrize("value", ["", "  ", "two\nlines", "tök", 7])
def test_what_cannot_be_a_secret_is_refused_without_showing_it(value):
    with pytest.raises(InvalidOptionError) as caught:
        Secret(value, "auth_token")
    assert str(value).strip() == "" or str(value) not in str(caught.value)


def test_a_secret_comes_from_the_argument_then_from_the_environment(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "of-environment")
    assert find_secret("given", "auth_token", "SOME_TOKEN").reveal() == "given"
    assert find_secret(None, "auth_token", "SOME_TOKEN").reveal() == "of-environment"
    assert find_secret("", "auth_token", "SOME_TOKEN").source == "SOME_TOKEN"
    monkeypatch.delenv("SOME_TOKEN")
    assert find_secret(None, "auth_token", "SOME_TOKEN") is None
    with pytest.raises(CredentialsRequiredError, match="Set the environment variable SOME_TOKEN"):
        find_secret(None, "auth_token", "SOME_TOKEN", required_for="This run")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        '{{"apiKey": "{}"}}',
        "{{'api_key': '{}'}}",
        "auth_token={}",
        "https://u:{}@example.org/x",
        "https://example.org/p?a=1&X-Amz-Signature={}",
        "awsSecretAccessKey: {}",
    ],
)
def test_what_looks_like_a_secret_is_hidden_even_when_it_is_unknown(text):
    found = redact(text.format("abcdef0123456789"))
    assert "abcdef0123456789" not in found
    assert HIDDEN in found


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_living_secret_is_hidden_in_any_text_and_structure(before, after):
    secret = Secret(CANARY, "test")
    assert CANARY not in redact(before + CANARY + after)
    nested = redacted({before + CANARY: [after, {"x": (CANARY, 1, None)}]})
    assert CANARY not in json.dumps(nested)
    assert secret.reveal() == CANARY


@given(st.text(alphabet=st.characters(categories=["L", "Nd", "Zs"]), max_size=60))
def test_ordinary_text_is_left_alone(text):
    if "bearer" not in text.lower():
        assert redact(text) == text
