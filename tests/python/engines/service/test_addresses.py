import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.service.addresses import check_address, is_loopback
from cellferry.errors import InvalidOptionError


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:9", "https://example.org/base"],
)
def test_an_address_comes_back_without_its_last_slash(url):
    assert check_address(url) == check_address(url + "/") == check_address(f" {url} ") == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "http or https"),
        (None, "http or https"),
        ("example.org", "http or https"),
        ("ftp://example.org", "http or https"),
        ("http://127.0.0.1:99999", "http or https"),
        ("http://example.org", "must use https"),
        ("http://10.0.0.1", "must use https"),
        ("http://127.0.0.1.example.org", "must use https"),
        ("https://me:pass@example.org", "no user"),
        ("https://example.org?token=x", "no user"),
        ("https://example.org#x", "no user"),
    ],
)
def test_an_address_that_is_none_or_not_safe_is_refused(url, words):
    with pytest.raises(InvalidOptionError, match=words) as caught:
        check_address(url)
    assert "pass" not in str(caught.value).replace("password", "")


@given(st.ip_addresses())
def test_loopback_is_what_the_standard_says(address):
    assert is_loopback(str(address)) == address.is_loopback


@pytest.mark.parametrize("host", [None, "", "example.org", "localhost.example.org", "127.1x"])
def test_other_hosts_are_not_this_machine(host):
    assert not is_loopback(host)
