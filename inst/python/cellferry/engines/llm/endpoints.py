"""What may be said to the engine, checked once; both specified spellings end here.

``provider=/model=/reasoning=/temperature=`` are those of CASSIA's batch processing,
``llm_configs`` is CyteType's. Each becomes an :class:`Endpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import CredentialsRequiredError, InvalidOptionError
from ...study.options import number, one_of, text
from ..service.addresses import check_base_url, host_of, is_loopback, is_own_network
from ..service.llm_configs import LLMConfigs, check_withheld
from ..service.providers import PROVIDERS, find_provider, variables_for
from ..service.secrets import Secret, secret_of_environment, secrets_in

MODELS_OF: tuple[str, ...] = tuple(name for name, p in PROVIDERS.items() if p.package)
"""The providers that this engine has models of."""

EFFORTS = ("low", "medium", "high")
OUTPUT_MODES = ("auto", "tool", "schema", "prompted")

ANTHROPIC_MAX_TOKENS = 16_000
"""Room for reasoning and an answer. Above about 21 000 the package must stream its replies."""

_CONFIG_FIELDS = ("provider", "name", "apiKey", "baseUrl", "modelSettings")


@dataclass(frozen=True)
class Endpoint:
    """One model at one place, and how it is asked.

    ``settings`` are model settings (temperature, max_tokens, ...) as they are sent, and
    ``secrets`` those in them.
    """

    provider: str
    model: str
    base_url: str | None = None
    api_key: Secret | None = field(default=None, repr=False)
    api_key_env: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)
    secrets: tuple[Secret, ...] = ()

    @property
    def host(self) -> str | None:
        """Where calls go; None if they stay on this machine."""
        if self.base_url is None:
            return PROVIDERS[self.provider].host
        host = host_of(self.base_url)
        return None if is_loopback(host) else host

    @property
    def address(self) -> tuple[str, str | None, str]:
        """What makes endpoints different ones."""
        return self.provider, self.base_url, self.model

    def determining(self) -> dict[str, object]:
        """Return all that an answer depends on. To be hashed only: settings may contain secrets."""
        return {
            "provider": self.provider,
            "model": self.model,
            "base_url": self.base_url,
            "settings": dict(self.settings),
        }

    def key(self) -> Secret | None:
        """Return the key to use, or None where none is needed; the one that was given wins.

        Raises
        ------
        CredentialsRequiredError
            One is needed and there is none; the message names the variables.
        InvalidOptionError
            A secret of the settings was left out of the record that this was made from.
        """
        check_withheld(self.settings, "model_settings")
        if self.api_key is not None:
            return self.api_key
        named = self.api_key_env
        names = variables_for(self.provider, self.base_url) if named is None else (named,)
        if (found := secret_of_environment(names)) is not None:
            return found
        own = self.base_url is not None and is_own_network(host_of(self.base_url))
        if named is None and (self.provider == "bedrock" or own):
            # Bedrock finds its own credentials; a server of one's own asks for none.
            return None
        where = f'the provider "{self.provider}"'
        if self.base_url is not None:
            where = f'"{host_of(self.base_url)}"'
        message = f"A key for {where} is needed and none was found."
        hint = f"Set the environment variable {' or '.join(names)}, or pass `api_key`."
        raise CredentialsRequiredError(message, hint, provider=self.provider, variables=list(names))


def endpoint(
    *,
    provider: object,
    model: object = None,
    base_url: object = None,
    api_key: object = None,
    api_key_env: object = None,
    settings: Mapping[str, object] | None = None,
) -> Endpoint:
    """Return the endpoint of CASSIA's arguments.

    Parameters
    ----------
    provider
        Name of a provider, or a base URL.
    model
        Name of the model; None is the provider's default, if it has one.
    base_url
        Address to use instead of the provider's.
    api_key, api_key_env
        The key, or the name of the environment variable that has it.
    settings
        Model settings as they are sent.

    Raises
    ------
    InvalidOptionError
    """
    if base_url is not None:
        base_url = check_base_url(text("base_url", base_url).strip())
    name, base_url = find_provider(provider, base_url, valid=MODELS_OF)
    if model is None and base_url is None:
        model = PROVIDERS[name].default_model
    if model is None:
        message = f'`model` must be given for the provider "{name}".'
        raise InvalidOptionError(message, "It has no default model.", option="model")
    model = text("model", model).strip()
    settings = dict(settings or {})
    if name == "anthropic":
        settings.setdefault("max_tokens", ANTHROPIC_MAX_TOKENS)
    if name == "openrouter" and "/" not in model:
        message = f'`model` of openrouter must name the maker too, and "{model}" does not.'
        raise InvalidOptionError(message, f'For example "openai/{model}".', option="model")
    return Endpoint(
        name,
        model,
        base_url,
        api_key if isinstance(api_key, Secret | None) else Secret(api_key, "api_key"),
        None if api_key_env is None else text("api_key_env", api_key_env).strip(),
        settings,
        secrets_in(settings, "model_settings"),
    )


def models_of(configs: object) -> LLMConfigs:
    """Return the annotator, and the validator if there is one, of CyteType's ``llm_configs``.

    The first entry annotates. The second, if there is one, validates: another model makes
    other mistakes.

    Raises
    ------
    InvalidOptionError
    """
    entries = [configs] if isinstance(configs, Mapping) else configs
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not 1 <= len(entries) <= 2:
        message = "`llm_configs` must be a list of one or two models: annotator and validator."
        raise InvalidOptionError(message, option="llm_configs")
    return LLMConfigs(entries, fields=_CONFIG_FIELDS, providers=MODELS_OF, needs_name=False)


def endpoints_from_configs(
    configs: LLMConfigs, settings: Mapping[str, object]
) -> tuple[Endpoint, ...]:
    """Return the endpoints of the models; what an entry sets itself wins over ``settings``."""
    return tuple(
        endpoint(
            provider=config.provider,
            model=config.plain.get("name"),
            base_url=config.base_url,
            api_key=config.secrets.get("apiKey"),
            settings={**settings, **config.settings},
        )
        for config in configs
    )


def settings_of(temperature: object, reasoning: object, extra: object) -> dict[str, object]:
    """Return the model settings of three options.

    Parameters
    ----------
    temperature
        A number of at least 0, or None.
    reasoning
        One of :data:`EFFORTS`, a mapping with it as ``effort``, or None.
    extra
        ``model_settings``; they win.

    Raises
    ------
    InvalidOptionError
    """
    settings: dict[str, object] = {}
    if temperature is not None:
        settings["temperature"] = number("temperature", temperature, 0)
    if reasoning is not None:
        effort = reasoning.get("effort") if isinstance(reasoning, Mapping) else reasoning
        settings["reasoning"] = one_of("reasoning", effort, EFFORTS, none=True)
    if extra is not None:
        if not isinstance(extra, Mapping):
            message = "`model_settings` must be a dict, for example {'max_tokens': 4096}."
            raise InvalidOptionError(message, option="model_settings")
        settings.update(extra)
    return settings


def prices_option(prices: object) -> dict[str, float] | None:
    """Return prices in USD per million tokens, ``{"input": 3, "output": 15}``, or None."""
    if prices is None:
        return None
    if not isinstance(prices, Mapping) or set(prices) != {"input", "output"}:
        message = "`prices` must have `input` and `output`, in USD per million tokens."
        raise InvalidOptionError(message, option="prices")
    return {name: number("prices", prices[name], 0) for name in ("input", "output")}


_PER = 1_000_000


def cost(
    endpoint: Endpoint,
    prices: Mapping[str, float] | None,
    input_tokens: int,
    output_tokens: int,
) -> float | None:
    """Return USD, or None where no price is known.

    Parameters
    ----------
    prices
        The user's own, in USD per million tokens; they win.
    """
    if prices is not None:
        return (input_tokens * prices["input"] + output_tokens * prices["output"]) / _PER
    if endpoint.base_url is not None:
        # Somebody else's server has somebody else's prices.
        return None
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    provider = PROVIDERS[endpoint.provider].price_name or endpoint.provider
    try:
        return float(calc_price(usage, endpoint.model, provider_id=provider).total_price)
    except LookupError:
        return None
