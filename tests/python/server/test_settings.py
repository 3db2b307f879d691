"""Settings: safe by default, refused when they cannot be meant."""

from pathlib import Path

import pytest

from cellferry.errors import InvalidOptionError
from cellferry.server.settings import Settings


def test_loopback_needs_no_token_and_other_addresses_do():
    assert Settings(Path("x")).is_loopback
    with pytest.raises(InvalidOptionError, match="needs a token"):
        Settings(Path("x"), host="0.0.0.0")
    assert not Settings(Path("x"), host="0.0.0.0", token="t").is_loopback


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": ""},
        {"token": "a b"},
        {"token": "ä"},
        {"port": 70_000},
        {"chunk_bytes": 0},
        {"chunk_bytes": 2**31},
        {"concurrent_jobs": 0},
        {"upload_hours": float("nan")},
        {"base_urls": ("localhost:11434",)},
        {"keep_days": -1},
        {"signed_hours": float("nan")},
        {"trusted_proxies": ("proxy.example.org",)},
        {"public_url": "cells.example.org"},
        {"public_url": "https://cells.example.org/path"},
    ],
)
def test_values_that_are_not_valid(wrong):
    with pytest.raises(InvalidOptionError):
        Settings(Path("x"), **wrong)


def test_the_token_is_in_no_repr():
    assert "canary" not in repr(Settings(Path("x"), token="canary"))


def test_largest():
    settings = Settings(Path("x"), vars_h5_bytes=5, obs_duckdb_bytes=3)
    assert (settings.largest("vars_h5"), settings.largest("obs_duckdb")) == (5, 3)
