"""The models that a service is asked to use: checked here, their keys kept apart.

A key comes from the configuration itself or from the environment variable of its provider,
lives in a :class:`~cellferry.engines.service.secrets.Secret`, and is put back only into the
request.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import CredentialsRequiredError, InvalidOptionError, listing, nearest
from ..service.secrets import Secret

PROVIDERS = (
    "anthropic", "bedrock", "deepseek", "fireworks", "google", "groq", "huggingface", "mistral",
    "nebius", "openai", "openrouter", "together", "vertex", "xai",
)  # fmt: skip
"""The providers of protocol 0.21; older services know fewer and say so."""

AGENTS = ("contextualizer", "annotator", "reviewer", "summarizer", "clinician", "chat")

VARIABLES: dict[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks": ("FIREWORKS_API_KEY",),
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "huggingface": ("HF_TOKEN",),
    "mistral": ("MISTRAL_API_KEY",),
    "nebius": ("NEBIUS_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "together": ("TOGETHER_API_KEY",),
    "xai": ("XAI_API_KEY",),
}
"""Where the key of a provider is looked for when the configuration has none."""

SECRET_FIELDS = ("apiKey", "awsAccessKeyId", "awsSecretAccessKey")
_AWS = ("awsAccessKeyId", "awsSecretAccessKey", "awsDefaultRegion")
_AWS_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
_FIELDS: dict[str, Any] = {
    "provider": None, "name": None, "apiKey": None, "baseUrl": None, "awsAccessKeyId": None,
    "awsSecretAccessKey": None, "awsDefaultRegion": None, "modelSettings": None,
    "targetAgents": [], "skipValidation": False, "allowFallback": False,
}  # fmt: skip


class LLMConfigs:
    """A checked list of configurations; their secrets are apart from their plain fields.

    Parameters
    ----------
    given
        One configuration or a list of them, with the field names of the protocol. A secret
        field may be missing: then it is looked for when it is needed.

    Raises
    ------
    InvalidOptionError
        Names the first field that is not valid.
    """

    def __init__(self, given: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> None:
        configs = [given] if isinstance(given, Mapping) else list(given or ())
        self.plain: list[dict[str, Any]] = []
        self._secrets: list[dict[str, Secret]] = []
        for i, config in enumerate(configs):
            plain, secrets = _checked(config, f"llm_configs[{i}]")
            self.plain.append(plain)
            self._secrets.append(secrets)

    def __len__(self) -> int:
        return len(self.plain)

    def __repr__(self) -> str:
        models = [f"{c['provider']}/{c['name']}" for c in self.plain]
        return f"<LLMConfigs {listing(models)}>"

    def wire(self) -> list[dict[str, Any]] | None:
        """Return what the request holds, keys included; None when there is no configuration.

        Raises
        ------
        CredentialsRequiredError
            A key is needed and neither given nor in the environment.
        """
        if not self.plain:
            return None
        return [self._with_keys(i) for i in range(len(self.plain))]

    def _with_keys(self, i: int) -> dict[str, Any]:
        config = {**_FIELDS, **self.plain[i]}
        config.update({k: s.reveal() for k, s in self._secrets[i].items()})
        if config["apiKey"] or all(config[f] for f in _AWS):
            return config
        provider = str(config["provider"])
        for variable in VARIABLES.get(provider, ()):
            if value := os.environ.get(variable, "").strip():
                return {**config, "apiKey": Secret(value, variable).reveal()}
        if provider == "bedrock" and all(os.environ.get(v) for v in _AWS_VARIABLES):
            found = zip(_AWS, _AWS_VARIABLES, strict=True)
            aws = {field: Secret(os.environ[v], v).reveal() for field, v in found}
            return {**config, **aws}
        variables = _AWS_VARIABLES if provider == "bedrock" else VARIABLES.get(provider, ())
        message = f'The model "{config["name"]}" of {provider} needs a key, which is never stored.'
        hint = "Give `apiKey` in llm_configs" + (
            f", or set {' and '.join(variables)}." if variables else "."
        )
        raise CredentialsRequiredError(message, hint, option="llm_configs")


def _checked(config: Any, where: str) -> tuple[dict[str, Any], dict[str, Secret]]:
    if not isinstance(config, Mapping):
        message = f"`{where}` must be a record with provider and name, not {_kind(config)}."
        raise InvalidOptionError(message, option="llm_configs")
    secrets: dict[str, Secret] = {}
    plain: dict[str, Any] = {}
    for field, value in config.items():
        if field not in _FIELDS:
            guess = nearest(str(field), list(_FIELDS))
            message = f"`{where}` has no field `{field}`. Valid: {', '.join(_FIELDS)}."
            hint = f"Did you mean `{guess}`?" if guess else ""
            raise InvalidOptionError(message, hint, option="llm_configs")
        if value is None or (field in SECRET_FIELDS and value == ""):
            continue
        if field in SECRET_FIELDS:
            secret = value if isinstance(value, Secret) else Secret(value, f"{where}.{field}")
            secrets[field] = secret
        else:
            plain[field] = _field(field, value, where)
    for field in ("provider", "name"):
        if not plain.get(field):
            message = f"`{where}` must have a `{field}`."
            raise InvalidOptionError(message, option="llm_configs")
    if secrets.keys() & set(_AWS) and not {*secrets, *plain} >= set(_AWS):
        message = f"`{where}` must have all of {', '.join(_AWS)} if it has one of them."
        raise InvalidOptionError(message, option="llm_configs")
    return plain, secrets


def _field(field: str, value: Any, where: str) -> Any:
    if field == "provider" and value not in PROVIDERS:
        guess = nearest(str(value), PROVIDERS)
        message = f'`{where}.provider` is "{value}". Valid: {listing(PROVIDERS, 20)}.'
        hint = f'Did you mean "{guess}"?' if guess else ""
        raise InvalidOptionError(message, hint, option="llm_configs")
    if field == "targetAgents":
        agents = [value] if isinstance(value, str) else list(value)
        for agent in agents:
            if agent not in AGENTS:
                message = f'`{where}.targetAgents` has "{agent}". Valid: {listing(AGENTS)}.'
                raise InvalidOptionError(message, option="llm_configs")
        return agents
    if field in {"skipValidation", "allowFallback"}:
        valid = isinstance(value, bool)
    elif field == "modelSettings":
        valid = isinstance(value, Mapping)
        value = dict(value) if valid else value
    else:
        valid = isinstance(value, str) and bool(value.strip())
    if not valid:
        message = f"`{where}.{field}` must not be {_kind(value)}."
        raise InvalidOptionError(message, option="llm_configs")
    if field == "baseUrl" and not value.startswith(("http://", "https://")):
        message = f"`{where}.baseUrl` must be an http or https address."
        hint = 'For Ollama: "http://127.0.0.1:11434/v1".'
        raise InvalidOptionError(message, hint, option="llm_configs")
    return value


def _kind(value: Any) -> str:
    """Name a value that is not valid without showing it: it may be a key in the wrong place."""
    return f"empty {type(value).__name__}" if value in ("", [], {}) else type(value).__name__
