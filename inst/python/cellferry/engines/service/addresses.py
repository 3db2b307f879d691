"""Addresses of services: which are valid, and which are this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ...errors import InvalidOptionError


def is_loopback(host: str | None) -> bool:
    """Say whether a host is this machine.

    Examples
    --------
    >>> is_loopback("localhost"), is_loopback("127.0.0.9"), is_loopback("example.org")
    (True, True, False)
    """
    name = (host or "").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def check_address(url: str, option: str = "api_url") -> str:
    """Return the address of a service without its last slash.

    Raises
    ------
    InvalidOptionError
        It is no http(s) address, holds a password or a query, or is not encrypted and not
        of this machine.
    """
    given = url.strip() if isinstance(url, str) else ""
    try:
        parts = urlsplit(given)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        message = f"`{option}` must be the http or https address of a service."
        raise InvalidOptionError(message, "For example http://127.0.0.1:8000.", option=option)
    if parts.username or parts.password or parts.query or parts.fragment:
        message = f"`{option}` must be an address alone: no user, password, query or fragment."
        raise InvalidOptionError(message, "Give a token by its own option.", option=option)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        message = f"`{option}` must use https: {parts.hostname} is not this machine."
        hint = "Put TLS before the service, or reach it through a tunnel to 127.0.0.1."
        raise InvalidOptionError(message, hint, option=option)
    return given.rstrip("/")
