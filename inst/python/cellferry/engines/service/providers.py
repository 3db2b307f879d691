"""The providers of language models: names, environment variables, addresses. Plain data.

The one table for the engines that ask models themselves, for those that name models to a
service, for the server, and for R, which hands the variables on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import InvalidOptionError, listing, nearest
from .addresses import check_base_url, host_of, origin


@dataclass(frozen=True)
class Provider:
    """One provider.

    Attributes
    ----------
    variables
        Environment variables that are asked for its key, in this order.
    base_urls
        Where its models are, the usual address first; none where it depends on the account.
    package
        The Python package that the engine ``"llm"`` needs for it; None: not offered there.
    default_model
        What is asked where no model is named; None: one must be.
    host
        Where calls go, for people; that of the address unless it depends on the account.
    price_name
        What the price list calls it.
    """

    variables: tuple[str, ...] = ()
    base_urls: tuple[str, ...] = ()
    package: str | None = None
    default_model: str | None = None
    host: str = ""
    price_name: str | None = None

    def __post_init__(self) -> None:
        if not self.host and self.base_urls:
            object.__setattr__(self, "host", host_of(self.base_urls[0]))


PROVIDERS: dict[str, Provider] = {
    "anthropic": Provider(
        ("ANTHROPIC_API_KEY",), ("https://api.anthropic.com",), "anthropic", "claude-sonnet-4-6"
    ),
    "bedrock": Provider(
        ("AWS_BEARER_TOKEN_BEDROCK",), package="boto3", price_name="aws",
        host="bedrock-runtime.amazonaws.com",
    ),
    "deepseek": Provider(("DEEPSEEK_API_KEY",), ("https://api.deepseek.com",)),
    "fireworks": Provider(("FIREWORKS_API_KEY",), ("https://api.fireworks.ai",)),
    # Google's own SDK and pydantic-ai ask in this order; the second is the older name.
    "google": Provider(
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"), ("https://generativelanguage.googleapis.com",),
        "google.genai",
    ),
    "groq": Provider(("GROQ_API_KEY",), ("https://api.groq.com",), "groq"),
    "huggingface": Provider(
        ("HF_TOKEN",),
        ("https://router.huggingface.co", "https://api-inference.huggingface.co"),
    ),
    "mistral": Provider(("MISTRAL_API_KEY",), ("https://api.mistral.ai",), "mistralai"),
    "nebius": Provider(
        ("NEBIUS_API_KEY",),
        ("https://api.studio.nebius.com", "https://api.tokenfactory.nebius.com"),
    ),
    "openai": Provider(("OPENAI_API_KEY",), ("https://api.openai.com/v1",), "openai"),
    "openrouter": Provider(
        ("OPENROUTER_API_KEY",), ("https://openrouter.ai/api/v1",), "openai",
        "anthropic/claude-sonnet-4.5",
    ),
    "together": Provider(("TOGETHER_API_KEY",), ("https://api.together.xyz",)),
    "vertex": Provider(),
    "xai": Provider(("XAI_API_KEY",), ("https://api.x.ai",)),
}  # fmt: skip
"""The providers of the CyteType protocol 0.21; older services know fewer and say so."""

CUSTOM_VARIABLES = ("CELLFERRY_LLM_API_KEY", "CUSTOMIZED_API_KEY")
"""Variables for a base URL of the user's own. The key of a provider is never sent elsewhere."""

AWS_VARIABLES: dict[str, str] = {
    "awsAccessKeyId": "AWS_ACCESS_KEY_ID",
    "awsSecretAccessKey": "AWS_SECRET_ACCESS_KEY",
    "awsDefaultRegion": "AWS_DEFAULT_REGION",
}
"""Field of ``llm_configs`` -> variable; all three together stand for a key of bedrock."""

_OF_BOTO = ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN")


def key_variables() -> tuple[str, ...]:
    """Return every variable that is looked at for the key of a model; R hands these on."""
    own = (name for provider in PROVIDERS.values() for name in provider.variables)
    return (*own, *CUSTOM_VARIABLES, *AWS_VARIABLES.values(), *_OF_BOTO)


def variables_for(provider: str, base_url: str | None) -> tuple[str, ...]:
    """Return the variables that are asked for a key, in this order.

    The key of a provider goes to its own addresses only.

    Examples
    --------
    >>> variables_for("google", None)
    ('GOOGLE_API_KEY', 'GEMINI_API_KEY')
    >>> variables_for("openai", "https://example.org/v1")
    ('CELLFERRY_LLM_API_KEY', 'CUSTOMIZED_API_KEY')
    """
    known = PROVIDERS[provider]
    if base_url is None:
        return known.variables
    own = origin(base_url) in {origin(url) for url in known.base_urls}
    return CUSTOM_VARIABLES + (known.variables if own else ())


def find_provider(
    given: object,
    base_url: str | None = None,
    *,
    valid: Iterable[str] = PROVIDERS,
    where: str = "provider",
    option: str = "provider",
) -> tuple[str, str | None]:
    """Return the name of a provider and the base URL; a URL may stand for the name.

    Parameters
    ----------
    given
        A name, in any letter case, or the base URL of an OpenAI-compatible server.
    base_url
        That beside it, if any.
    valid
        The providers to choose from.
    where, option
        What messages call it, and the option it is part of.

    Raises
    ------
    InvalidOptionError

    Examples
    --------
    >>> find_provider("OpenAI"), find_provider("http://localhost:11434/v1")
    (('openai', None), ('openai', 'http://localhost:11434/v1'))
    """
    if not isinstance(given, str) or not given.strip():
        message = f"`{where}` must be text, not {'empty' if given == '' else type(given).__name__}."
        raise InvalidOptionError(message, option=option)
    given = given.strip()
    name = given.lower()
    if name.startswith(("http://", "https://")):
        if base_url is not None:
            other = "base_url" if option == "provider" else "baseUrl"
            message = f"`{where}` is itself a base URL, so `{other}` cannot be given beside it."
            raise InvalidOptionError(message, option=option)
        return "openai", check_base_url(given, where, option)
    valid = tuple(valid)
    if name not in valid:
        guess = nearest(name, valid)
        message = f'`{where}` is "{given}". Valid: {listing(valid, 20)}, or a base URL.'
        hint = f'Did you mean "{guess}"?' if guess else "For a server of your own give its address."
        raise InvalidOptionError(message, hint, option=option)
    return name, base_url
