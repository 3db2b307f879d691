"""Addresses: loopback without a name server, origins as browsers understand them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.server.addresses import ip_address, is_loopback, origin


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "127.0.0.1.nip.io", "localhost.evil.org", "10.0.0.1", "", "::"]
)
def test_not_loopback(host):
    assert not is_loopback(host)


def test_ip_address():
    assert str(ip_address("[::1]")) == "::1"
    assert ip_address("example.org") is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com"),
        ("http://localhost:11434/v1", "http://localhost:11434"),
        ("https://API.OpenAI.com:443", "https://api.openai.com"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("https://api.openai.com@evil.org/", None),
        ("https://api.openai.com\\@evil.org/", None),
        ("ftp://api.openai.com", None),
        ("file:///etc/passwd", None),
        ("https://api.openai.com:x/", None),
        ("https://аpi.openai.com/", None),
        ("", None),
    ],
)
def test_origin(url, expected):
    assert origin(url) == expected


@given(st.text())
def test_origin_never_raises_and_holds_no_user(text):
    found = origin(f"https://{text}")
    assert found is None or ("@" not in found and found.startswith("https://"))
