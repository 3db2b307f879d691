"""One judge of hosts and addresses: this machine, one's own network, origins, base URLs."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.llm.endpoints import endpoint
from cellferry.engines.service.addresses import (
    check_address,
    check_base_url,
    host_of,
    ip_address,
    is_loopback,
    is_own_network,
    origin,
)
from cellferry.errors import InvalidOptionError
from cellferry.server.settings import Settings

THIS_MACHINE = [
    "localhost", "LOCALHOST", "LocalHost", "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1",
    "[::1]", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "[::ffff:7f00:1]",
]  # fmt: skip

NOT_THIS_MACHINE = {
    "": "nothing",
    "localhost.": "the final dot makes resolvers skip /etc/hosts: a name server answers",
    "LOCALHOST.": "the same",
    "127.0.0.1.": "a name, not a number",
    "foo.localhost": "RFC 6761 says loopback, but resolvers may ask a name server",
    "localhost.localdomain": "a name like any other",
    "localhost.example.org": "a name like any other",
    "127.0.0.1.nip.io": "a name like any other",
    "127.0.0.1.example.org": "a name like any other",
    "127.1": "short forms are read differently by systems",
    "127.0.1": "the same",
    "127.1x": "a name",
    "2130706433": "integer forms are read differently by systems",
    "0x7f000001": "the same",
    "0x7f.0.0.1": "the same",
    "0177.0.0.1": "octal here, 177.0.0.1 elsewhere",
    "127.00.00.01": "leading zeros are octal for some",
    "0.0.0.0": "every address of the machine: others reach it",
    "::": "the same",
    "[::]": "the same",
    "0": "the same",
    "::1%lo": "an interface is named: no plain address",
    "::1%25lo": "the same",
    "fe80::1%eth0": "of the network that it names",
    "::127.0.0.1": "the old compatible form is no loopback",
    "64:ff9b::7f00:1": "translated by the network",
    "10.0.0.1": "a private network",
    "192.168.0.1": "a private network",
    "169.254.169.254": "link-local",
    "[127.0.0.1]": "brackets are for IPv6",
    "[localhost]": "brackets are for IPv6",
    "::1]": "half a bracket",
    "localhost:8000": "a host and a port is no host",
    "127.0.0.1:80": "the same",
    "me@localhost": "a user and a host is no host",
    "127.0.0.1@example.org": "the same",
    "http://localhost": "a URL is no host",
    " localhost": "blanks",
    "localhost\n": "blanks",
    "localhost\x00.example.org": "control characters",
    "127.0.0.1\\.example.org": "not a host",
    "127.0.0.1%2eexample.org": "not a host",
    "LOCALHO\u017fT": "folds to localhost for some IDN readers and not for others",
    "\u24dbocalhost": "the same",
    "１２７.0.0.1": "the same",
    "xn--localhost": "another name",
    "example.org": "another machine",
}


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_this_machine(host):
    assert is_loopback(host)
    assert is_own_network(host)


@pytest.mark.parametrize("host", [None, *NOT_THIS_MACHINE])
def test_what_may_be_another_machine_is_never_called_this_one(host):
    assert not is_loopback(host)


@given(st.ip_addresses())
def test_loopback_is_what_the_standard_says(address):
    plain = getattr(address, "ipv4_mapped", None) or address
    assert is_loopback(str(address)) == plain.is_loopback


@given(st.integers(0, 2**24 - 1))
def test_a_mapped_address_is_judged_as_the_one_in_it_on_every_python(rest):
    inside = ipaddress.IPv4Address(127 << 24 | rest)
    assert is_loopback(f"::ffff:{inside}")
    assert not is_loopback(f"::ffff:{ipaddress.IPv4Address(126 << 24 | rest)}")


@given(st.text(max_size=12), st.sampled_from(["localhost", "127.0.0.1", "::1"]))
def test_nothing_written_around_a_loopback_host_is_loopback(text, host):
    for around in (text + host, host + text):
        try:
            known = ipaddress.ip_address(around)
        except ValueError:
            assert is_loopback(around) == (around.lower() == "localhost" and around.isascii())
        else:
            scope = getattr(known, "scope_id", None)
            assert is_loopback(around) == (known.is_loopback and scope is None)


@pytest.mark.parametrize(
    ("host", "own"),
    [("localhost", True), ("my.localhost", True), ("10.0.0.7", True), ("192.168.1.4", True),
     ("172.20.0.2", True), ("fd00::1", True), ("0.0.0.0", True), ("gpu-node", True),
     ("host.docker.internal", True), ("printer.local", True), ("169.254.1.1", True),
     ("::ffff:10.0.0.7", True), ("example.org", False), ("8.8.8.8", False),
     ("::ffff:8.8.8.8", False), ("134744072", False), ("0x08080808", False),
     ("localhost.example.org", False), ("", False)],
)  # fmt: skip
def test_own_network(host, own):
    assert is_own_network(host) is own


@pytest.mark.parametrize("host", [h for h in NOT_THIS_MACHINE if h == h.strip() and h.isalnum()])
def test_all_who_ask_get_the_same_answer(host):
    """Consent, proxies and the server's own guards ask one function."""
    made = endpoint(provider="openai", model="m", base_url=f"http://{host}:1/v1")
    assert made.host == host.lower()
    with pytest.raises(InvalidOptionError, match="needs a token"):
        Settings("x", host=host)
    with pytest.raises(InvalidOptionError, match="must use https"):
        check_address(f"http://{host}:1")


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://api.Example.org:8443/v1", "api.example.org"), ("http://[::1]:9", "::1"),
     ("http://me:x@127.0.0.1@evil.org/", "evil.org"), ("http://127.0.0.1:80@evil.org/", "evil.org"),
     ("http://evil.org#@127.0.0.1", "evil.org"), ("http://evil.org?@127.0.0.1", "evil.org"),
     ("http://127.0.0.1?@evil.org", "127.0.0.1"), ("http://localhost./", "localhost."),
     ("nothing", "")],
)  # fmt: skip
def test_the_host_of_an_address(url, host):
    assert host_of(url) == host


def test_ip_address():
    assert str(ip_address("[::1]")) == "::1"
    assert ip_address("example.org") is None
    assert ip_address("[127.0.0.1]") is None


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


@pytest.mark.parametrize(
    "url",
    ["https://me:sk-canary@host/v1", "https://host/v1?api_key=sk-canary",
     "https://host/v1?access-token=sk-canary", "https://host/v1?key=sk-canary",
     "https://host/v1?X-Amz-Signature=canary", "https://host/v1?sig=canary", "ftp://host",
     "host:80/v1", "http://", "http://[x"],
)  # fmt: skip
def test_an_address_that_holds_a_key_or_is_none_is_refused(url):
    with pytest.raises(InvalidOptionError) as caught:
        check_base_url(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://Host:8/Some/Path/V1", "https://h/openai?api-version=2024-10-21", "http://[::1]/v1/"],
)
def test_an_address_is_kept_exactly_as_given(url):
    assert check_base_url(url) == url


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
