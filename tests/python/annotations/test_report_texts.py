"""Texts of the report: short, exact, and without secrets."""

from __future__ import annotations

import pytest

from cellferry.annotations.report.texts import (
    moment,
    number,
    ontology_url,
    parameters,
    plain_text,
    web_address,
    whole,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.34567, "2.35"),
        (-1, "-1.00"),
        (0.0, "0"),
        (0.005, "0.005"),
        (1234.5, "1.23e+03"),
        (1e-45, "1.0e-45"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        ("3.5", "3.50"),
        ("roc", "roc"),
    ],
)
def test_statistics_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("created", "text"),
    [
        ("2025-03-01T12:30:59.123456+00:00", "2025-03-01 12:30 UTC"),
        ("2025-03-01T00:30:00+02:00", "2025-02-28 22:30 UTC"),
        ("2025-03-01T12:30:59", "2025-03-01 12:30"),
        ("last week", "last week"),
        (None, None),
        ("", None),
    ],
)
def test_times_are_told_in_utc(created, text):
    assert moment(created) == text


@pytest.mark.parametrize(
    "identifier", ["CL:12", "cl:0000236", "CL:0000236\n", "UBERON:0000178", None]
)
def test_only_terms_of_the_cell_ontology_have_a_page(identifier):
    assert ontology_url(identifier) is None


@pytest.mark.parametrize(("n", "text"), [(0, "0"), (999, "999"), (1234567, "1\u202f234\u202f567")])
def test_thousands_are_set_apart(n, text):
    assert whole(n) == text


@pytest.mark.parametrize(
    "name",
    ["api_key", "apiKey", "API-KEY", "auth_token", "accessToken", "password", "client_secret",
     "Authorization", "aws_secret_access_key", "credentials", "Cookie"],
)  # fmt: skip
def test_what_is_named_like_a_secret_is_not_shown(name):
    expected = [(f"a.{name}", "not shown")]
    assert list(parameters({"a": {name: "s3cret"}})) == expected
    assert list(parameters({"a": {name: {"nested": "s3cret"}}})) == expected
    assert list(parameters({"a": {name: None}})) == []


@pytest.mark.parametrize("name", ["key", "group_key", "max_tokens", "input_tokens", "tokens"])
def test_ordinary_names_are_shown(name):
    assert list(parameters({name: "x"})) == [(name, "x")]


def test_parameters_are_flat_and_without_the_empty_ones():
    given = {
        "a": 0,
        "b": False,
        "c": None,
        "d": [],
        "e": {},
        "f": "",
        "g": ["x", 1],
        "h": [{"i": 1}, {}],
    }
    assert list(parameters(given)) == [("a", "0"), ("b", "False"), ("g", "x, 1"), ("h.1.i", "1")]


def test_users_in_addresses_are_removed():
    assert plain_text("http://me:s3cret@host:80/v1?a=b@c") == "http://host:80/v1?a=b@c"
    assert plain_text(["https://t0ken@host"]) == "https://host"
    assert plain_text("me@host.org") == "me@host.org"


@pytest.mark.parametrize("text", ["https://example.org", "http://a.b/c?d=e&f#g", " https://x.y "])
def test_web_addresses_become_links(text):
    assert web_address(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://user:secret@example.org",
        'https://x.y/" onclick="z',
        "https://x.y/<script>",
        "see https://x.y",
        "https://",
        "//x.y",
        "",
        None,
    ],
)
def test_other_texts_become_none(text):
    assert web_address(text) is None
