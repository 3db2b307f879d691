"""Secrets: tokens and keys that live in memory and are shown nowhere.

A :class:`Secret` comes from an argument or from the environment. It has no text in ``repr``,
``str``, ``format``, pickles and JSON; only :meth:`Secret.reveal` gives it away, and only the
code that sends a request calls that. :func:`redact` hides the value of every secret that is
alive, and whatever looks like one, in text that comes from elsewhere.
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Mapping
from typing import Any, NoReturn

from ...errors import CredentialsRequiredError, InvalidOptionError

HIDDEN = "<hidden>"

_SHORTEST = 4
"""Shorter values are not searched for: they would hide ordinary words."""

_alive: weakref.WeakSet[Secret] = weakref.WeakSet()

_LOOKS_SECRET = (
    re.compile(r"(?i)(\bbearer\s+)[^\s\"',;<>]+"),
    re.compile(
        r"(?i)([\"']?(?:api_?key|auth_?token|access_?key(?:_?id)?|secret_?access_?key|password)"
        r"[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&<>}]+"
    ),
    re.compile(r"(?i)([?&](?:x-amz-signature|x-amz-credential|signature|token|key)=)[^&\s\"']+"),
    re.compile(r"(//)[^/@\s:]+:[^/@\s]+(?=@)"),
)


class Secret:
    """A token or key, and where it came from.

    Parameters
    ----------
    value
        The text itself.
    source
        Where it came from, for messages: an option or an environment variable.

    Examples
    --------
    >>> token = Secret("cyt_12345", "auth_token")
    >>> token
    <secret from auth_token>
    >>> token.reveal()
    'cyt_12345'
    """

    __slots__ = ("__weakref__", "_value", "source")

    def __init__(self, value: str, source: str) -> None:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            message = f"The secret from {source} must be a line of text that is not empty."
            raise InvalidOptionError(message)
        if not value.isascii():
            # It goes into an HTTP header.
            message = f"The secret from {source} has characters that are not ASCII."
            raise InvalidOptionError(message, "Copy it again, without quotes or spaces.")
        self._value = value.strip()
        self.source = source
        _alive.add(self)

    def reveal(self) -> str:
        """Return the value. For the request that sends it, nothing else."""
        return self._value

    def __repr__(self) -> str:
        return f"<secret from {self.source}>"

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return id(self)

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        message = f"The secret from {self.source} is not written to files or other processes."
        raise TypeError(message)


def find_secret(
    value: str | Secret | None,
    option: str,
    variable: str,
    *,
    required_for: str | None = None,
    host: str | None = None,
) -> Secret | None:
    """Return the secret given as an argument, else that of the environment, else None.

    Parameters
    ----------
    value
        What the option was given.
    option, variable
        Name of the option and of the environment variable.
    required_for
        What cannot go on without it; None: it is not required.
    host
        Whose secret it is, for front ends that ask for it.

    Raises
    ------
    CredentialsRequiredError
        There is none and it is required.
    InvalidOptionError
        It is not text.
    """
    if isinstance(value, Secret):
        return value
    if value is not None and value != "":
        return Secret(value, option)
    given = os.environ.get(variable, "").strip()
    if given:
        return Secret(given, variable)
    if required_for is None:
        return None
    message = f"{required_for} needs the secret `{option}`, which is never stored."
    hint = f"Set the environment variable {variable} and try again."
    raise CredentialsRequiredError(message, hint, option=option, variable=variable, provider=host)


def redact(text: str) -> str:
    """Return text without the value of any living secret, and without what looks like one.

    Examples
    --------
    >>> redact("Authorization: Bearer abc.def")
    'Authorization: Bearer <hidden>'
    """
    for secret in sorted(_alive, key=lambda s: -len(s.reveal())):
        value = secret.reveal()
        if len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    for pattern in _LOOKS_SECRET:
        text = pattern.sub(lambda found: found.group(1) + HIDDEN, text)
    return text


def redacted(content: Any) -> Any:
    """Return plain data in which every text, keys of mappings too, went through :func:`redact`."""
    if isinstance(content, str):
        return redact(content)
    if isinstance(content, Mapping):
        return {redact(str(k)): redacted(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [redacted(v) for v in content]
    return content
