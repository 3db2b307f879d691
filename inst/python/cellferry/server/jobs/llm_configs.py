"""Language models that a client asks for: checked, held in memory, never written.

The server would call whatever address ``baseUrl`` names, with the client's words in the
body. Only listed origins are called, so that nobody reaches the private network through
us, whatever a name resolves to at which moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ...engines.service.addresses import origin
from ...engines.service.llm_configs import AGENTS
from ...engines.service.providers import PROVIDERS
from ..failures import Code, Failure, shown
from ..settings import Settings

PUBLIC_ORIGINS: frozenset[str | None] = frozenset(
    origin(url) for provider in PROVIDERS.values() for url in provider.base_urls
)
"""Where the known providers are; others must be allowed when the server is started."""

MOST_CONFIGS = 50


@dataclass(frozen=True)
class LLMConfig:
    """One entry of ``llm_configs``; its repr shows no secret."""

    provider: str
    name: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    aws: Mapping[str, str] = field(default_factory=dict, repr=False)
    model_settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    target_agents: tuple[str, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        """Return the entry as the client sent it, secrets and all; for the engine only."""
        found = {
            "provider": self.provider,
            "name": self.name,
            "apiKey": self.api_key,
            "baseUrl": self.base_url,
            "modelSettings": dict(self.model_settings),
            **self.aws,
        }
        return {name: value for name, value in found.items() if value}


def read_llm_configs(value: Any, settings: Settings) -> tuple[LLMConfig, ...]:
    """Check ``llm_configs``; raises :class:`Failure` without repeating a secret."""
    if value is None or value == []:
        return ()
    # R sends a single config without the list around it.
    entries = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list) or len(entries) > MOST_CONFIGS:
        _fail("`llm_configs` must be a list of objects.")
    return tuple(_read(entry, i, settings) for i, entry in enumerate(entries))


def _read(entry: Any, i: int, settings: Settings) -> LLMConfig:
    where = f"llm_configs[{i}]"
    if not isinstance(entry, dict):
        _fail(f"`{where}` must be an object.")
    provider = entry.get("provider")
    if provider not in tuple(PROVIDERS):
        message = f"`{where}.provider` must be one of {', '.join(PROVIDERS)}, not "
        _fail(f"{message}{shown(provider)}.")
    texts: dict[str, str | None] = {}
    for name in ("name", "apiKey", "baseUrl", *_AWS):
        text = entry.get(name)
        if text is not None and (not isinstance(text, str) or len(text) > 10_000):
            _fail(f"`{where}.{name}` must be text.")
        texts[name] = text or None
    if texts["name"] is None:
        _fail(f"`{where}.name` must name a model.")
    aws = {name: value for name in _AWS if (value := texts[name])}
    if texts["apiKey"] is None and not aws:
        _fail(f"`{where}`: either apiKey or all AWS credentials must be provided.")
    if texts["apiKey"] is None and len(aws) < len(_AWS):
        _fail(f"`{where}`: all AWS credentials must be provided if any of them are.")
    options = entry.get("modelSettings")
    if options is not None and options != [] and not isinstance(options, dict):
        _fail(f"`{where}.modelSettings` must be an object.")
    if texts["baseUrl"] is not None:
        check_base_url(texts["baseUrl"], settings, f"{where}.baseUrl")
    for flag in ("skipValidation", "allowFallback"):
        if entry.get(flag) not in (None, True, False):
            _fail(f"`{where}.{flag}` must be true or false.")
    return LLMConfig(
        provider=provider,
        name=texts["name"],
        api_key=texts["apiKey"],
        base_url=texts["baseUrl"],
        aws=aws,
        model_settings=dict(options or {}),
        target_agents=_agents(entry.get("targetAgents"), where),
    )


_AWS = ("awsAccessKeyId", "awsSecretAccessKey", "awsDefaultRegion")


def _agents(value: Any, where: str) -> tuple[str, ...]:
    # R sends one agent as bare text.
    agents = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(agents, list) or any(agent not in AGENTS for agent in agents):
        _fail(f"`{where}.targetAgents` may hold {', '.join(AGENTS)}.")
    return tuple(agents)


def check_base_url(url: str, settings: Settings, where: str = "baseUrl") -> None:
    """Raise :class:`Failure` unless the origin of a URL is one that may be called."""
    found = origin(url)
    if found is None:
        _fail(f"`{where}` must be an http or https address without a user name.")
    if found in PUBLIC_ORIGINS | {origin(u) for u in settings.base_urls}:
        return
    message = (
        f"`{where}` points to {found}, which this server may not call. "
        "Whoever runs it can allow it: cellferry serve --allow-base-url ORIGIN."
    )
    _fail(message)


def _fail(message: str) -> NoReturn:
    raise Failure(Code.LLM_VALIDATION_FAILED, message)
