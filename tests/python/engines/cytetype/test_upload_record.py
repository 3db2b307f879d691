import datetime
import os

import pytest

from cellferry.engines.cytetype import uploads as upload_record
from cellferry.engines.cytetype.uploads import Known, UploadRecord

NOW = datetime.datetime.now(datetime.UTC)


def known(hours=3.0, kind="vars_h5", sha256="abc", upload="u1"):
    return Known(kind, sha256, upload, (NOW + datetime.timedelta(hours=hours)).isoformat())


def test_it_finds_what_is_valid_of_this_address_kind_and_content():
    record = UploadRecord("https://example.org")
    record.add(known())
    assert record.find("vars_h5", "abc") == "u1"
    assert record.find("obs_duckdb", "abc") is None
    assert record.find("vars_h5", "abd") is None
    assert UploadRecord("https://example.com").find("vars_h5", "abc") is None
    record.forget("vars_h5", "abc")
    assert record.find("vars_h5", "abc") is None


@pytest.mark.parametrize(
    "until",
    ["", "soon", "2001-01-01T00:00:00Z", (NOW + datetime.timedelta(minutes=5)).isoformat()],
    ids=["empty", "no-time", "expired", "expires-soon"],
)
def test_what_has_expired_or_expires_soon_or_at_an_unknown_time_is_not_found(until):
    record = UploadRecord("https://example.org")
    record.add(Known("vars_h5", "abc", "u1", until))
    assert record.find("vars_h5", "abc") is None


@pytest.mark.parametrize("until", ["2999-01-01T00:00:00Z", "2999-01-01T00:00:00"])
def test_times_with_and_without_a_zone_are_read(until):
    assert Known("vars_h5", "abc", "u1", until).is_valid(NOW)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": [{"b": 1}]}', "null"])
def test_a_damaged_record_is_an_empty_one(content):
    record = UploadRecord("https://example.org")
    record.path.parent.mkdir(parents=True, exist_ok=True)
    record.path.write_text(content)
    assert record.find("vars_h5", "abc") is None
    record.add(known())
    assert record.find("vars_h5", "abc") == "u1"


def test_what_cannot_be_written_stops_nothing(monkeypatch):
    monkeypatch.setenv("CELLFERRY_HOME", "/proc/none")
    UploadRecord("https://example.org").add(known())


def test_signed_addresses_come_back_and_go(tmp_path):
    assert upload_record.load_signed(tmp_path, "u") is None
    upload_record.store_signed(tmp_path, "u", ["https://a", "https://b"])
    assert upload_record.load_signed(tmp_path, "u") == ("https://a", "https://b")
    upload_record.forget_signed(tmp_path, "u")
    upload_record.forget_signed(tmp_path, "u")
    assert os.listdir(tmp_path) == []  # noqa: PTH208
