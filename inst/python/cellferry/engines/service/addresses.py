"""Addresses: which are valid, which are this machine, and what their origin is."""

from __future__ import annotations

import ipaddress
from urllib.parse import parse_qsl, urlsplit

from ...errors import InvalidOptionError
from .secrets import names_secret


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is (IPv6 may be in brackets), or None if it is a name.

    Examples
    --------
    >>> ip_address("[::1]"), ip_address("localhost")
    (IPv6Address('::1'), None)
    """
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        found = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return None
    return None if bracketed and found.version == 4 else found


def is_loopback(host: str | None) -> bool:
    """Say whether a host can only be this machine, without asking a name server.

    The one judge for consent, proxies, keys and the guards of the server. It never calls
    another machine this one, so what systems read differently is not this machine:
    ``localhost.`` and ``x.localhost`` (resolvers pass them on to a name server, although RFC
    6761 says that they should not), ``127.1``, ``2130706433`` and ``0177.0.0.1`` (not read
    alike), anything with a zone, and ``0.0.0.0`` and ``::``, where others are answered too.
    An IPv4 address inside an IPv6 one is judged as the IPv4 address, on every Python.

    Examples
    --------
    >>> [is_loopback(host) for host in ("LOCALHOST", "127.0.0.9", "::1", "::ffff:127.0.0.1")]
    [True, True, True, True]
    >>> [is_loopback(host) for host in ("localhost.", "127.0.0.1.nip.io", "0.0.0.0", None)]
    [False, False, False, False]
    """
    if not host or not host.isascii():
        return False
    address = _unmapped(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _unmapped(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    address = ip_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address


def is_own_network(host: str) -> bool:
    """Say whether a host is this machine or of a private network: a server of one's own.

    Such a server often asks for no key, and no proxy is used for it. That is less than
    :func:`is_loopback`: names are believed, and consent is still asked for.

    Examples
    --------
    >>> [is_own_network(h) for h in ("localhost", "10.0.0.7", "gpu-node", "example.org")]
    [True, True, True, False]
    """
    name = host.lower()
    address = _unmapped(name)
    if address is not None:
        return address.is_loopback or address.is_private or address.is_link_local
    if name.endswith((".localhost", ".local", ".internal")):
        return True
    # A name without a dot is of the local network; a number without one may be any address.
    return bool(name) and "." not in name and not name[0].isdigit()


def host_of(url: str) -> str:
    """Return the host of an address in lower case, ``""`` if it has none.

    Examples
    --------
    >>> host_of("https://api.Example.org:8443/v1")
    'api.example.org'
    """
    return urlsplit(url).hostname or ""


def origin(url: str) -> str | None:
    """Return scheme, host and port of a URL; None where it has none or hides a user in it.

    Examples
    --------
    >>> origin("HTTPS://API.openai.com:443/v1"), origin("https://a@b/")
    ('https://api.openai.com', None)
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    # What parsers disagree about is refused, not interpreted.
    if not parts.netloc.isascii() or any(c in url for c in "\\\t\r\n "):
        return None
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")


def check_address(url: str, option: str = "api_url") -> str:
    """Return the address of a service without its last slash.

    Raises
    ------
    InvalidOptionError
        It is no http(s) address, contains a password or a query, or is not encrypted and not
        of this machine.
    """
    given = url.strip() if isinstance(url, str) else ""
    if not _is_http(given):
        message = f"`{option}` must be the http or https address of a service."
        raise InvalidOptionError(message, "For example http://127.0.0.1:8000.", option=option)
    parts = urlsplit(given)
    if parts.username or parts.password or parts.query or parts.fragment:
        message = f"`{option}` must be an address alone: no user, password, query or fragment."
        raise InvalidOptionError(message, "Give a token by its own option.", option=option)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        message = f"`{option}` must use https: {parts.hostname} is not this machine."
        hint = "Put TLS before the service, or reach it through a tunnel to 127.0.0.1."
        raise InvalidOptionError(message, hint, option=option)
    return given.rstrip("/")


def check_base_url(url: str, where: str = "base_url", option: str = "base_url") -> str:
    """Return the base URL of a language model exactly as given.

    Parameters
    ----------
    where
        What the message calls it.
    option
        Which option it belongs to.

    Raises
    ------
    InvalidOptionError
        It is no http(s) address, or carries a key: URLs are stored and shown.
    """
    if not _is_http(url):
        message = f"`{where}` must be an address that begins with http:// or https://."
        raise InvalidOptionError(message, 'For example "http://localhost:11434/v1".', option=option)
    parts = urlsplit(url)
    if parts.username or parts.password or any(names_secret(n) for n, _ in parse_qsl(parts.query)):
        message = f"`{where}` contains a name, password or key, which would be stored with the run."
        raise InvalidOptionError(message, "Pass the key as `api_key`.", option=option)
    return url


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
