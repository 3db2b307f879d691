"""Keys: where they come from, and the one object that holds one.

A key lives in memory only. What is stored of it is at most the name of the environment
variable it came from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from ...errors import CredentialsRequiredError
from ..service.addresses import host_of, is_own_network

HIDDEN = "<hidden>"

KEY_VARIABLES: dict[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
}
"""Provider -> environment variables that are asked for its key, in this order."""

CUSTOM_VARIABLES = ("CELLFERRY_LLM_API_KEY", "CUSTOMIZED_API_KEY")
"""Variables for a base URL of the user's own. The key of a provider is never sent elsewhere."""

OTHER_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


class Secret:
    """A key that shows itself to nobody who does not ask for :meth:`reveal`.

    Examples
    --------
    >>> Secret("sk-1")
    <hidden>
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> str:
        message = "A key cannot be stored or copied to another process."
        raise TypeError(message)

    def reveal(self) -> str:
        """Return the key itself."""
        return self._value


def key_variables() -> list[str]:
    """Return every environment variable that is looked at; R hands these on."""
    own = [name for names in KEY_VARIABLES.values() for name in names]
    return [*own, *CUSTOM_VARIABLES, *OTHER_VARIABLES]


def find_key(
    provider: str, given: Secret | None, variable: str | None, base_url: str | None
) -> Secret | None:
    """Return the key to use, or None where none is needed.

    Parameters
    ----------
    provider
        One of :data:`KEY_VARIABLES`, or ``"custom"``.
    given
        The key of the argument; it wins.
    variable
        Name of an environment variable that holds the key.
    base_url
        Where calls go, if not to the provider's own address.

    Raises
    ------
    CredentialsRequiredError
        One is needed and there is none; the message names the variables.
    """
    if given is not None:
        return given
    own = CUSTOM_VARIABLES if base_url is not None else KEY_VARIABLES[provider]
    names = own if variable is None else (variable,)
    for name in names:
        if value := os.environ.get(name, "").strip():
            return Secret(value)
    if variable is None and (
        provider == "bedrock" or (base_url and is_own_network(host_of(base_url)))
    ):
        # Bedrock finds its own credentials; a server of one's own asks for none.
        return None
    where = f'"{host_of(base_url)}"' if base_url else f'the provider "{provider}"'
    message = f"A key for {where} is needed and none was found."
    hint = f"Set the environment variable {' or '.join(names)}, or pass `api_key`."
    raise CredentialsRequiredError(message, hint, provider=provider, variables=list(names))


def redact(text: str, secrets: Iterable[Secret | None]) -> str:
    """Return a text in which no key is left.

    Examples
    --------
    >>> redact("bad key sk-1", [Secret("sk-1"), None])
    'bad key <hidden>'
    """
    for secret in secrets:
        if secret is not None and secret.reveal():
            text = text.replace(secret.reveal(), HIDDEN)
    return text
