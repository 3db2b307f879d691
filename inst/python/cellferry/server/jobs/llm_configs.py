"""Language models that a client asks for: checked, kept in memory, never written.

The server would call whatever address ``baseUrl`` names, with the client's words in the
body. Only listed origins are called, so that nobody reaches the private network through
us, whatever a name resolves to at which moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field, GetPydanticSchema, Strict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import core_schema

from ...engines.service.addresses import origin
from ...engines.service.llm_configs import AGENTS
from ...engines.service.providers import PROVIDERS
from ...engines.service.secrets import Secret
from ...errors import CredentialsRequiredError, InvalidOptionError
from ..bodies import FIRST_ERROR, ONE_OR_MORE, Body, Map, one_of, refuse
from ..failures import Code, Failure
from ..settings import Settings

PUBLIC_ORIGINS: frozenset[str | None] = frozenset(
    origin(url) for provider in PROVIDERS.values() for url in provider.base_urls
)
"""Where the known providers are; others must be allowed when the server is started."""

MOST_CONFIGS = 50
LONGEST = 10_000


def _secret(text: str) -> Secret:
    try:
        found = Secret(text, "llm_configs")
    except (InvalidOptionError, CredentialsRequiredError):
        refuse("must be one line of ASCII text")
    return found


Option = Annotated[str, Field(max_length=LONGEST)]
Key = Annotated[
    Secret,
    GetPydanticSchema(
        lambda _kind, _handler: core_schema.no_info_after_validator_function(
            _secret, core_schema.str_schema(max_length=LONGEST)
        )
    ),
]
Agent = Annotated[str, one_of(AGENTS)]
_AWS = ("aws_access_key_id", "aws_secret_access_key", "aws_default_region")
_OURS = ("target_agents", "skip_validation", "allow_fallback")


class LLMConfig(Body):
    """A language model and the key for it: ``apiKey``, or all three of AWS."""

    model_config = ConfigDict(alias_generator=to_camel)

    provider: Annotated[str, one_of(tuple(PROVIDERS))]
    name: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    api_key: Key | None = Field(None, repr=False)
    base_url: Option | None = None
    aws_access_key_id: Key | None = Field(None, repr=False)
    aws_secret_access_key: Key | None = Field(None, repr=False)
    aws_default_region: Option | None = None
    model_settings: Map[str, object] = Field(default_factory=dict, repr=False)
    target_agents: Annotated[tuple[Agent, ...], Strict(False), ONE_OR_MORE] = Field((), repr=False)
    skip_validation: bool | None = None
    allow_fallback: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty_text(cls, given: object) -> object:
        return {k: v for k, v in given.items() if v != ""} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _has_a_key(self) -> LLMConfig:
        aws = [getattr(self, name) is not None for name in _AWS]
        if self.api_key is None and not any(aws):
            refuse("must have either `apiKey` or all AWS credentials")
        if self.api_key is None and not all(aws):
            refuse("must have all AWS credentials if it has any of them")
        return self

    def to_wire(self) -> dict[str, object]:
        """Return the entry as the client sent it, secrets and all; for the engine only."""
        return {
            to_camel(name): value.reveal() if isinstance(value, Secret) else value
            for name, value in self
            if value and name not in _OURS
        }


LLMConfigs = Annotated[list[LLMConfig], Field(max_length=MOST_CONFIGS), FIRST_ERROR, ONE_OR_MORE]


class Credentials(Body):
    """Keys for a job that lost them; at least one entry is needed."""

    llm_configs: LLMConfigs = Field(repr=False)


def allowed(configs: Sequence[LLMConfig], settings: Settings) -> tuple[LLMConfig, ...]:
    """Return configs whose addresses this server may call; raises :class:`Failure`."""
    for i, config in enumerate(configs):
        if config.base_url is not None:
            check_base_url(config.base_url, settings, f"llm_configs[{i}].baseUrl")
    return tuple(configs)


def check_base_url(url: str, settings: Settings, where: str = "baseUrl") -> None:
    """Raise :class:`Failure` unless the origin of a URL is one that may be called.

    Parameters
    ----------
    settings
        Has the origins that are allowed beside :data:`PUBLIC_ORIGINS`.
    where
        The field of the body, for the message.
    """
    found = origin(url)
    if found is None:
        message = f"`{where}` must be an http or https address without a user name."
        raise Failure(Code.LLM_VALIDATION_FAILED, message)
    if found not in PUBLIC_ORIGINS | {origin(u) for u in settings.base_urls}:
        message = (
            f"`{where}` points to {found}, which this server may not call. "
            "Whoever runs it can allow it: cellferry serve --allow-base-url ORIGIN."
        )
        raise Failure(Code.LLM_VALIDATION_FAILED, message)
