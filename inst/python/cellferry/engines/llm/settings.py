"""All options of the engine, checked, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import InvalidOptionError
from ...study.markers.select import check_selection
from ...study.options import flag, number, one_of, or_none, text, whole_number
from ..service.llm_configs import LLMConfigs
from ..service.secrets import redacted
from .endpoints import (
    OUTPUT_MODES,
    Endpoint,
    cost,
    endpoint,
    endpoints_from_configs,
    models_of,
    prices_option,
    settings_of,
)


@dataclass(frozen=True)
class Settings:
    """The options of :class:`cellferry.engines.llm.LLM`; see there."""

    endpoints: tuple[Endpoint, ...]
    configs: LLMConfigs | None
    model_settings: Mapping[str, object] = field(repr=False)
    output_name: str | None
    overwrite_files: bool
    n_genes: int
    ranking_method: str
    ascending: bool | None
    additional_info: str | None
    validator_involvement: str
    max_workers: int
    max_retries: int
    max_cost_usd: float | None
    max_tokens: int | None
    prices: dict[str, float] | None
    output_mode: str
    other_clusters: bool
    evidence_rounds: int
    evidence_columns: tuple[str, ...]
    remarks: dict[str, tuple[str, ...]]
    timeout: float

    @property
    def annotator(self) -> Endpoint:
        """Who annotates."""
        return self.endpoints[0]

    @property
    def validator(self) -> Endpoint:
        """Who validates; the annotator unless there is a second model."""
        return self.endpoints[-1]

    @property
    def strict(self) -> bool:
        """Whether the validator also annotates blind."""
        return self.validator_involvement == "v0"

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> Settings:
        """Return the settings of the arguments; raises :class:`InvalidOptionError`."""
        configs = None
        if given["llm_configs"] is not None:
            configs = models_of(given["llm_configs"])
        said = {k: given[k] for k in ("temperature", "reasoning", "model_settings")}
        n_genes = check_selection(given["ranking_method"], given["ascending"], given["n_genes"])
        return cls(
            endpoints=_endpoints(given, configs, settings_of(*said.values())),
            configs=configs,
            model_settings=said,
            output_name=_optional_text(given, "output_name"),
            overwrite_files=flag("overwrite_files", given["overwrite_files"]),
            n_genes=n_genes,
            ranking_method=given["ranking_method"],
            ascending=given["ascending"],
            additional_info=_optional_text(given, "additional_info"),
            validator_involvement=one_of(
                "validator_involvement", given["validator_involvement"], ("v1", "v0")
            ),
            max_workers=whole_number("max_workers", given["max_workers"], 1),
            max_retries=whole_number("max_retries", given["max_retries"], 0),
            max_cost_usd=or_none(number, "max_cost_usd", given["max_cost_usd"], 0),
            max_tokens=or_none(whole_number, "max_tokens", given["max_tokens"], 1),
            prices=prices_option(given["prices"]),
            output_mode=one_of("output_mode", given["output_mode"], OUTPUT_MODES),
            other_clusters=flag("other_clusters", given["other_clusters"]),
            evidence_rounds=whole_number("evidence_rounds", given["evidence_rounds"], 0, 10),
            evidence_columns=_columns(given["evidence_columns"]),
            remarks=_remarks(given["remarks"]),
            timeout=number("timeout", given["timeout"], 0.001),
        )

    def check_prices(self) -> None:
        """Raise :class:`InvalidOptionError` for a cost budget where a price is unknown."""
        if self.max_cost_usd is None:
            return
        for found in self.endpoints:
            if cost(found, self.prices, 1, 1) is None:
                message = f'`max_cost_usd` needs a price, and none is known for "{found.model}".'
                hint = "Give `prices` in USD per million tokens, or limit `max_tokens` instead."
                raise InvalidOptionError(message, hint, option="max_cost_usd")

    def describe(self) -> dict[str, object]:
        """Return the options but for secrets, from which the same engine can be made again."""
        plain = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in {"endpoints", "configs", "model_settings"}
        }
        plain["evidence_columns"] = list(self.evidence_columns)
        plain["remarks"] = {cluster: list(said) for cluster, said in self.remarks.items()}
        e = self.annotator
        settings = redacted(self.model_settings)
        if self.configs is None:
            whom = {"provider": e.provider, "model": e.model, "base_url": e.base_url}
            return {**whom, "api_key_env": e.api_key_env, **settings, **plain}
        return {"llm_configs": self.configs.describe(), **settings, **plain}


def _endpoints(
    given: Mapping[str, object], configs: LLMConfigs | None, settings: Mapping[str, object]
) -> tuple[Endpoint, ...]:
    if configs is None:
        whom = {k: given[k] for k in ("provider", "model", "base_url", "api_key", "api_key_env")}
        return (endpoint(**whom, settings=settings),)
    for option in ("model", "base_url", "api_key", "api_key_env"):
        if given[option] is not None:
            message = f"`{option}` cannot be given beside `llm_configs`."
            raise InvalidOptionError(message, option=option)
    return endpoints_from_configs(configs, settings)


def _remarks(given: object) -> dict[str, tuple[str, ...]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        message = "`remarks` must be a record of clusters and texts, or None."
        raise InvalidOptionError(message, option="remarks")
    found: dict[str, tuple[str, ...]] = {}
    for cluster, said in given.items():
        texts = [said] if isinstance(said, str) else said
        if not isinstance(texts, Sequence) or not all(isinstance(t, str) for t in texts):
            message = f"`remarks[{cluster!r}]` must be a text or several."
            raise InvalidOptionError(message, option="remarks")
        if kept := tuple(t.strip() for t in texts if t.strip()):
            found[str(cluster)] = kept
    return found


def _columns(given: object) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else ([] if given is None else given)
    if not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
        message = "`evidence_columns` must be names of metadata columns, or None."
        raise InvalidOptionError(message, option="evidence_columns")
    return tuple(names)


def _optional_text(given: Mapping[str, object], option: str) -> str | None:
    value = given[option]
    empty = value is None or (isinstance(value, str) and not value.strip())
    return None if empty else text(option, value).strip()
