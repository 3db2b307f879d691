"""Addresses: numbers or names, and the origin of a URL as browsers understand it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address from its text (brackets allowed), or None if it is a name.

    Examples
    --------
    >>> ip_address("[::1]"), ip_address("localhost")
    (IPv6Address('::1'), None)
    """
    try:
        return ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can be meant by a host, without asking a name server.

    Examples
    --------
    >>> is_loopback("127.0.0.2"), is_loopback("127.0.0.1.nip.io")
    (True, False)
    """
    address = ip_address(host)
    return host == "localhost" if address is None else address.is_loopback


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
