"""Secrets: tokens and keys that live in memory and are shown nowhere.

A :class:`Secret` comes from an argument or from the environment. It has no text in ``repr``,
``str``, ``format``, pickles and JSON; only :meth:`Secret.reveal` gives it away, and only the
code that sends a request calls that. :func:`redact` hides the value of every secret that is
alive, and whatever looks like one, in text that comes from elsewhere; :func:`redacted` does so
in nested data, by the names of members too.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
import weakref
from collections.abc import Iterable, Mapping
from typing import NoReturn, Self, overload
from urllib.parse import quote

from ...errors import CredentialsRequiredError, InvalidOptionError
from ...files import Json

HIDDEN = "<hidden>"

EXTRAS = frozenset({"extra_headers", "extra_body", "extra_query"})
"""Settings of a model that are sent as they are: any value in them may be a secret."""

SETTINGS = frozenset({"model_settings", "modelSettings"})
"""Members that are the settings of a model: text in them may be a secret unless it is known."""

_PLAIN = frozenset({
    "category", "detail", "display", "effort", "format", "level", "mode", "quality", "reasoning",
    "reasoning_effort", "reasoning_summary", "response_format", "role", "service_tier", "stop",
    "stop_sequences", "summary", "text_verbosity", "thinking", "thinking_level", "threshold",
    "tier", "tool_choice", "truncation", "type", "verbosity",
})  # fmt: skip
"""Settings whose text is one of a few known words, whatever provider's name is before them."""

_SHORTEST = 4
"""Shorter values are not searched for: they would hide ordinary words."""

_LOOKS_SECRET = (
    re.compile(r"(?i)(\bbearer\s+)[^\s\"',;<>]+"),
    re.compile(
        r"(?i)([\"']?(?:api[-_]?key|auth[-_]?token|access[-_]?key(?:[-_]?id)?|password"
        r"|secret[-_]?access[-_]?key)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&<>}]+"
    ),
    re.compile(r"(?i)([?&](?:x-amz-signature|x-amz-credential|signature|token|key)=)[^&\s\"']+"),
    re.compile(r"(//)[^/@\s:]+:[^/@\s]+(?=@)"),
)

_ALWAYS = {
    "apikey", "authorization", "cookie", "credential", "credentials", "password", "secret",
    "token",
}  # fmt: skip
_PERHAPS = {"key", "sig", "signature"}
_OF_A_KEY = {
    "access", "api", "auth", "client", "encryption", "private", "secret", "signing",
    "subscription",
}  # fmt: skip
_OF_NO_KEY = {"cache", "coordinates", "group", "rank"}


class Secret:
    """A token or key, and where it came from.

    Parameters
    ----------
    value
        The text itself.
    source
        Where it came from, for messages: an option or an environment variable.

    Raises
    ------
    InvalidOptionError
        It is no text, or empty.
    CredentialsRequiredError
        It has a character that no key has; which one and where is said, and nothing else of it.

    Examples
    --------
    >>> token = Secret("cyt_12345", "auth_token")
    >>> token
    <secret from auth_token>
    >>> token.reveal()
    'cyt_12345'
    """

    __slots__ = ("__weakref__", "_value", "source")

    def __init__(self, value: object, source: str) -> None:
        if not isinstance(value, str) or not value.strip():
            message = f"The secret from {source} must be a line of text that is not empty."
            raise InvalidOptionError(message)
        value = value.strip()
        for position, character in enumerate(value, 1):
            # It goes into an HTTP header, and no key has others.
            if not character.isascii() or not character.isprintable():
                message = (
                    f"The secret from {source} has a character that no key has: "
                    f"U+{ord(character):04X} ({_name_of(character)}), number {position} of "
                    f"{len(value)}."
                )
                hint = "Copy the key again, without quotes, spaces or line breaks."
                raise CredentialsRequiredError(message, hint)
        self._value = value
        self.source = source
        _alive[id(self)] = self

    def reveal(self) -> str:
        """Return the value. For the request that sends it, nothing else."""
        return self._value

    def __repr__(self) -> str:
        return f"<secret from {self.source}>"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        message = f"The secret from {self.source} is not written to files or other processes."
        raise TypeError(message)

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(0)


def _name_of(character: str) -> str:
    return unicodedata.name(character, "no printable character").lower()


# By identity: equal secrets from two places live and die apart.
_alive: weakref.WeakValueDictionary[int, Secret] = weakref.WeakValueDictionary()


def secret_of_environment(variables: Iterable[str]) -> Secret | None:
    """Return the secret of the first of these environment variables that is not empty."""
    for name in variables:
        if value := os.environ.get(name, "").strip():
            return Secret(value, name)
    return None


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
    found = secret_of_environment([variable])
    if found is not None or required_for is None:
        return found
    message = f"{required_for} needs the secret `{option}`, which is never stored."
    hint = f"Set the environment variable {variable} and try again."
    raise CredentialsRequiredError(message, hint, option=option, variable=variable, provider=host)


def wrapped(options: Mapping[str, object]) -> dict[str, object]:
    """Return options with every key in a :class:`Secret`, which no traceback shows.

    Parameters
    ----------
    options
        Those of an engine, as they were given; ``llm_configs`` may have keys within.

    Raises
    ------
    InvalidOptionError
        A key cannot be one; what was given is not repeated.

    Examples
    --------
    >>> wrapped({"api_key": "sk-1234", "model": "m"})
    {'api_key': <secret from api_key>, 'model': 'm'}
    """
    return {name: _wrapped(name, value, name) for name, value in options.items()}


def _wrapped(name: str, value: object, where: str) -> object:
    if isinstance(value, str):
        return Secret(value, where) if value.strip() and names_secret(name, sure=True) else value
    if name in {"llm_configs", "llmConfigs"} and isinstance(value, list | tuple):
        return [_wrapped(name, entry, f"{where}[{i}]") for i, entry in enumerate(value)]
    if name in {"llm_configs", "llmConfigs"} and isinstance(value, Mapping):
        return {k: _wrapped(str(k), v, f"{where}.{k}") for k, v in value.items()}
    return value


def names_secret(name: str, *, sure: bool = False) -> bool:
    """Say whether a member, header or parameter of that name has a secret for its value.

    Parameters
    ----------
    sure
        Only what hardly ever is anything else. Without it any key and signature is meant,
        which is right where a secret is refused, and wrong where data would be lost.

    Examples
    --------
    >>> [names_secret(name) for name in ("awsAccessKeyId", "X-Api-Key", "max_tokens", "rank_key")]
    [True, True, False, False]
    >>> names_secret("signature"), names_secret("signature", sure=True)
    (True, False)
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    words = [word for word in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if word]
    if words[-1:] == ["id"]:
        words.pop()
    *before, last = words or [""]
    if last in _ALWAYS:
        return True
    if last not in _PERHAPS:
        return False
    of = before[-1] if before else ""
    return of in _OF_A_KEY if sure else of not in _OF_NO_KEY


def redact(text: str, *, guess: bool = True) -> str:
    """Return text without the value of any living secret, and without what looks like one.

    Parameters
    ----------
    guess
        Whether to hide what looks like a secret. False for what a model says of cells,
        where such words may mean something else.

    Examples
    --------
    >>> redact("Authorization: Bearer abc.def")
    'Authorization: Bearer <hidden>'
    """
    values = {secret.reveal() for ref in _alive.valuerefs() if (secret := ref()) is not None}
    forms = {form for v in values for form in (v, quote(v, safe=""), json.dumps(v)[1:-1])}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _SHORTEST:
            text = text.replace(form, HIDDEN)
    for pattern in _LOOKS_SECRET if guess else ():
        text = pattern.sub(lambda found: found.group(1) + HIDDEN, text)
    return text


@overload
def redacted(content: Mapping[str, Json]) -> Mapping[str, Json]: ...
@overload
def redacted(content: Mapping[str, object]) -> Mapping[str, object]: ...
@overload
def redacted(content: object) -> object: ...
def redacted(content: object) -> object:
    """Return plain data without secrets: what may be described, stored and shown.

    Every text, keys of mappings too, went through :func:`redact`. The value of a member whose
    name is that of a secret is hidden. Of :data:`EXTRAS` only the names are left, and of
    :data:`SETTINGS` numbers, flags, and the text of settings that are known.

    Examples
    --------
    >>> redacted({"temperature": 0, "extra_headers": {"X-Lab": "a1"}, "apiKey": "sk-1"})
    {'temperature': 0, 'extra_headers': {'X-Lab': '<hidden>'}, 'apiKey': '<hidden>'}
    """
    if isinstance(content, str):
        return redact(content)
    if isinstance(content, Secret):
        return HIDDEN
    if isinstance(content, Mapping):
        return {redact(str(name)): _member(str(name), v) for name, v in content.items()}
    if isinstance(content, list | tuple):
        return [redacted(v) for v in content]
    return content


def _setting(name: str, value: object) -> object:
    """Return a setting of a model as it may be stored: of text only what cannot be a secret."""
    if isinstance(value, Mapping) and name not in EXTRAS:
        return {redact(str(inner)): _setting(str(inner), v) for inner, v in value.items()}
    if isinstance(value, list | tuple):
        return [_setting(name, v) for v in value]
    plain = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    if isinstance(value, str) and not any(
        plain == known or plain.endswith(f"_{known}") for known in _PLAIN
    ):
        return HIDDEN
    return _member(name, value)


def _member(name: str, value: object) -> object:
    if name in SETTINGS and isinstance(value, Mapping):
        return {redact(str(inner)): _setting(str(inner), v) for inner, v in value.items()}
    if name in EXTRAS and isinstance(value, Mapping):
        return {redact(str(inner)): HIDDEN for inner in value}
    if name in EXTRAS or (names_secret(name, sure=True) and not isinstance(value, Mapping | list)):
        return None if value is None else HIDDEN
    return redacted(value)


def secrets_in(settings: object, source: str, *, extras: bool = False) -> tuple[Secret, ...]:
    """Return the secrets of settings, by the names of members, so that :func:`redact` knows them.

    Parameters
    ----------
    source
        Where the settings come from.
    extras
        Whether they are within :data:`EXTRAS`, where any key is one.

    Examples
    --------
    >>> secrets_in({"extra_headers": {"X-Lab-Key": "a1b2", "X-Title": "lab"}}, "model_settings")
    (<secret from model_settings.extra_headers.X-Lab-Key>,)
    """
    if not isinstance(settings, Mapping):
        return ()
    found: list[Secret] = []
    for name, value in settings.items():
        where = f"{source}.{name}"
        if names_secret(str(name), sure=not extras):
            texts = value if isinstance(value, list) else [value]
            for text in (v.strip() for v in texts if isinstance(v, str)):
                # "Bearer abc" is echoed as "abc" too.
                parts = dict.fromkeys([text, *text.split()[-1:]])
                usable = (p for p in parts if p not in {"", HIDDEN} and p.isascii())
                found += [Secret(part, where) for part in usable if part.isprintable()]
        found += secrets_in(value, where, extras=extras or name in EXTRAS)
    return tuple(found)


def withheld(content: object, where: str = "") -> list[str]:
    """Return where in stored data a secret was, as ``extra_headers.X-Lab``.

    Examples
    --------
    >>> withheld({"top_p": 1, "extra_headers": {"X-Lab": "<hidden>"}})
    ['extra_headers.X-Lab']
    """
    if isinstance(content, str):
        return [where] if HIDDEN in content else []
    if isinstance(content, Mapping):
        members: Iterable[tuple[object, object]] = content.items()
    elif isinstance(content, list | tuple):
        members = enumerate(content)
    else:
        return []
    return [at for name, v in members for at in withheld(v, f"{where}.{name}".lstrip("."))]
