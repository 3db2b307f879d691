"""One judge of what a secret is, and the one object that has one."""

import copy
import dataclasses
import json
import logging
import os
import pickle
import threading
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.service.secrets import (
    HIDDEN,
    Secret,
    find_secret,
    names_secret,
    redact,
    redacted,
    secrets_in,
    withheld,
)
from cellferry.errors import CellferryError, CredentialsRequiredError, InvalidOptionError

CANARY = "canary-7f3a91-secret"


def test_a_secret_is_shown_nowhere(caplog):
    secret = Secret(CANARY, "auth_token")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr([secret])]
    shown += ["%s %r" % (secret, secret), "{0!s:.9}".format(secret), ascii(secret)]  # noqa: UP030, UP031, UP032
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("token %s", secret)
    assert not any(CANARY in text for text in [*shown, caplog.text])
    assert secret.reveal() == CANARY
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_written(protocol):
    secret = Secret(CANARY, "auth_token")
    for content in (secret, {"x": [secret]}):
        with pytest.raises(TypeError, match="not written"):
            pickle.dumps(content, protocol)
    for write in (json.dumps, orjson.dumps):
        with pytest.raises(TypeError):
            write({"x": secret})
    with pytest.raises(TypeError, match="not written"):
        secret.__getstate__()


def test_a_copy_is_the_secret_itself():
    secret = Secret(CANARY, "auth_token")
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"x": [secret]})["x"][0] is secret

    @dataclasses.dataclass
    class Holder:
        key: Secret

    assert dataclasses.asdict(Holder(secret)) == {"key": secret}
    assert CANARY not in repr(Holder(secret))


def test_equal_secrets_have_equal_hashes_and_are_all_hidden():
    one, two = Secret(CANARY, "a"), Secret(CANARY, "b")
    assert one == two
    assert len({one, two}) == 1
    del one
    assert CANARY not in redact(f"x {CANARY}")
    assert two != CANARY


@pytest.mark.parametrize("value", ["", "  ", "two\nlines", "tök", 7])
def test_what_cannot_be_a_secret_is_refused_without_showing_it(value):
    with pytest.raises((InvalidOptionError, CredentialsRequiredError)) as caught:
        Secret(value, "auth_token")
    is_text = isinstance(value, str) and bool(value.strip())
    assert isinstance(caught.value, CredentialsRequiredError) is is_text
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
        "x-api-key: {}",
        "https://u:{}@example.org/x",
        "https://example.org/p?a=1&X-Amz-Signature={}",
        "awsSecretAccessKey: {}",
    ],
)
def test_what_looks_like_a_secret_is_hidden_even_when_it_is_unknown(text):
    found = redact(text.format("abcdef0123456789"))
    assert "abcdef0123456789" not in found
    assert HIDDEN in found


def test_words_of_a_model_lose_living_secrets_only():
    secret = Secret(CANARY, "api_key")
    said = f"A bearer cell, key: {CANARY}; api_key: none"
    assert redact(said, guess=False) == f"A bearer cell, key: {HIDDEN}; api_key: none"
    assert secret.reveal() == CANARY


@pytest.mark.parametrize("value", ["sk/a+b=c&d", 'sk"quoted"', "sk\\back"])
def test_a_secret_is_hidden_as_it_stands_in_urls_and_json_too(value):
    secret = Secret(value, "test")
    forms = [json.dumps({"x": value}), f"https://h/?q={quote(value, safe='')}"]
    for text in [value, *forms]:
        assert HIDDEN in redact(text, guess=False)
    assert secret.reveal() == value


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


def test_secrets_may_be_made_while_others_are_hidden():
    stop = threading.Event()
    keys = []

    def make():
        while not stop.is_set():
            keys.append(Secret(f"sk-{len(keys):06d}", "test"))

    thread = threading.Thread(target=make)
    thread.start()
    try:
        for _ in range(300):
            redact("nothing")
            del keys[:-5]
    finally:
        stop.set()
        thread.join()


SECRET_NAMES = [
    "api_key", "apiKey", "API-KEY", "x-api-key", "apikey", "auth_token", "authToken", "password",
    "awsSecretAccessKey", "awsAccessKeyId", "aws_session_token", "client_secret", "Authorization",
    "Proxy-Authorization", "Cookie", "private_key", "credentials", "subscription-key",
]  # fmt: skip
PERHAPS = ["key", "gateway_key", "sig", "signature", "X-Amz-Signature"]
PLAIN_NAMES = [
    "group_key", "rank_key", "coordinates_key", "cache_key", "prompt_cache_key", "key_markers",
    "max_tokens", "input_tokens", "tokens", "top_k", "temperature", "keys", "secretory", "monkey",
    "cluster", "", "author",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name):
    assert names_secret(name)
    assert names_secret(name, sure=True)


@pytest.mark.parametrize("name", PERHAPS)
def test_names_that_may_be_of_a_secret(name):
    """Refused in an address; in data of others hiding them would be a loss."""
    assert names_secret(name)
    assert not names_secret(name, sure=True)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_names_of_no_secret(name):
    assert not names_secret(name)
    assert not names_secret(name, sure=True)


@pytest.mark.parametrize("extra", ["extra_headers", "extra_body", "extra_query"])
def test_of_the_extras_of_a_request_only_the_names_are_kept(extra):
    given = {"temperature": 0.5, extra: {"X-Lab": CANARY, "n": 3, "deep": {"y": [CANARY]}}}
    kept = redacted(given)
    assert kept == {"temperature": 0.5, extra: {"X-Lab": HIDDEN, "n": HIDDEN, "deep": HIDDEN}}
    assert withheld(kept) == [f"{extra}.X-Lab", f"{extra}.n", f"{extra}.deep"]
    assert withheld(given) == []
    assert redacted({extra: CANARY}) == {extra: HIDDEN}
    assert redacted({extra: None}) == {extra: None}
    assert redacted({extra: {}}) == {extra: {}}


def test_values_under_the_name_of_a_secret_are_hidden_wherever_they_are():
    given = {"a": [{"apiKey": "x", "n": 1}], "password": 5, "api_key": None, "s": Secret("x", "y")}
    assert redacted(given) == {
        "a": [{"apiKey": HIDDEN, "n": 1}], "password": HIDDEN, "api_key": None, "s": HIDDEN,
    }  # fmt: skip
    assert withheld(redacted(given)) == ["a.0.apiKey", "password", "s"]


def test_secrets_in_settings_are_known_to_redaction():
    settings = {
        "top_p": 1, "api_key": "abcd-1", "signature": "T cell signature",
        "extra_headers": {"Authorization": "Bearer abcd-2", "X-Lab-Key": "abcd-3", "X-T": "B cell"},
        "extra_body": {"deep": {"password": ["abcd-4", None, 5, "", HIDDEN, "t\u00f6k"]}},
    }  # fmt: skip
    found = secrets_in(settings, "model_settings")
    text = "abcd-1 Bearer abcd-2; abcd-2, abcd-3 abcd-4 B cell, T cell signature"
    shown = redact(text, guess=False)
    assert "abcd" not in shown
    assert shown.endswith("B cell, T cell signature")
    assert found[0].source == "model_settings.api_key"
    assert secrets_in(None, "x") == secrets_in({}, "x") == ()


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ABxy 1"),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "label", "k"]), inner),
    max_leaves=20,
)


@given(_PLAIN)
def test_data_without_secrets_come_back_as_they_are(content):
    assert redacted(content) == content
    assert withheld(content) == []


def test_of_the_settings_of_a_model_only_what_cannot_be_a_secret_is_kept():
    given = {
        "temperature": 0.2,
        "seed": 7,
        "openai_reasoning_effort": "low",
        "anthropic_thinking": {"type": "enabled", "budget_tokens": 1024},
        "logit_bias": {"50256": -100},
        "stop_sequences": ["END"],
        "parallel_tool_calls": False,
        "openai_user": CANARY,
        "custom": {"deep": [{"er": CANARY}], "n": 1},
        "extra_body": {"x": CANARY},
    }
    for name in ("model_settings", "modelSettings"):
        (kept,) = redacted({name: given}).values()
        assert CANARY not in json.dumps(kept)
        hidden = {"openai_user": HIDDEN, "custom": {"deep": [{"er": HIDDEN}], "n": 1}}
        assert kept == {**given, **hidden, "extra_body": {"x": HIDDEN}}
    assert "openai_user" in " ".join(withheld(redacted({"model_settings": given})))


def test_no_frame_of_ours_shows_a_key_in_a_traceback_with_locals():
    import traceback

    from cellferry import annotate_clusters
    from cellferry.engines.service.client import Service
    from cytetype_runs import QUICK

    def asked(**options):
        return lambda: annotate_clusters({"0": ["CD79A"]}, progress=False, **options)

    nobody = "http://127.0.0.1:9"
    model = {"provider": "openai", "name": "m", "apiKey": CANARY, "baseUrl": "no address"}
    attempts = [
        asked(engine="llm", provider="openai", model="m", api_key=CANARY, max_retries=-1),
        asked(engine="llm", provider="openai", api_key=CANARY),
        asked(engine="llm", llm_configs=[model]),
        asked(engine="cytetype", auth_token=CANARY, n_top_genes=-1),
        asked(engine="cytetype", auth_token=CANARY, api_url=nobody),
        lambda: Service(nobody, token=Secret(CANARY, "t"), retries=QUICK).post("/x", {}),
    ]
    for attempt in attempts:
        with pytest.raises(CellferryError) as caught:
            attempt()
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [f for f in told.stack if f"{os.sep}cellferry{os.sep}" in f.filename]
        assert ours
        assert [f.name for f in ours if CANARY in str(f.locals)] == []
