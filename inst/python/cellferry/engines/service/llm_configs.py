"""``llm_configs``: the models that somebody asks for, checked here, their keys kept apart.

The one reader of that list, with the field names of the CyteType protocol. A key comes from
the entry itself or from the environment variable of its provider, lives in a
:class:`~cellferry.engines.service.secrets.Secret`, and is put back only into the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import CredentialsRequiredError, InvalidOptionError, listing, nearest
from .addresses import check_base_url, host_of, is_loopback
from .providers import AWS_VARIABLES, PROVIDERS, find_provider, variables_for
from .secrets import Secret, redacted, secret_of_environment, secrets_in, withheld

AGENTS = ("contextualizer", "annotator", "reviewer", "summarizer", "clinician", "chat")
FIELDS: dict[str, object] = {
    "provider": None, "name": None, "apiKey": None, "baseUrl": None, "awsAccessKeyId": None,
    "awsSecretAccessKey": None, "awsDefaultRegion": None, "modelSettings": None,
    "targetAgents": [], "skipValidation": False, "allowFallback": False,
}  # fmt: skip
"""Field -> what is sent where an entry has none."""

SECRET_FIELDS = ("apiKey", "awsAccessKeyId", "awsSecretAccessKey")
OPTION = "llm_configs"


@dataclass(frozen=True)
class LLMConfig:
    """One model that is asked for.

    Attributes
    ----------
    plain
        Its fields but for the secrets, those that were given. ``modelSettings`` may contain
        secrets too: see :meth:`describe`.
    secrets
        Field -> secret, where one was given.
    in_settings
        Those in ``modelSettings``.
    """

    plain: Mapping[str, object] = field(repr=False)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    in_settings: tuple[Secret, ...] = ()

    @property
    def label(self) -> str:
        """Provider and model, for messages."""
        return f"{self.provider}/{self.plain.get('name')}"

    @property
    def provider(self) -> str:
        """Name of the provider, in lower case."""
        return str(self.plain["provider"])

    @property
    def base_url(self) -> str | None:
        """Address to use instead of the provider's."""
        found = self.plain.get("baseUrl")
        return None if found is None else str(found)

    @property
    def settings(self) -> Mapping[str, object]:
        """Its ``modelSettings``."""
        found = self.plain.get("modelSettings")
        return found if isinstance(found, Mapping) else {}

    def describe(self) -> Mapping[str, object]:
        """Return what may be stored, from which the same can be read again but for secrets."""
        return redacted(self.plain)

    def wire(self) -> dict[str, object]:
        """Return the entry as it is sent, all fields and the key included.

        Raises
        ------
        CredentialsRequiredError
            A key is needed and neither given nor in the environment.
        InvalidOptionError
            It was made from a description that left secrets of ``modelSettings`` out.
        """
        check_withheld(self.plain, OPTION)
        sent = {**FIELDS, **self.plain, **{k: s.reveal() for k, s in self.secrets.items()}}
        if sent["apiKey"] or all(sent[f] for f in AWS_VARIABLES):
            return sent
        provider = self.provider
        variables = variables_for(provider, self.base_url)
        if self.base_url is not None and is_loopback(host_of(self.base_url)):
            # Runs of 0.1.0 rely on the provider's variable for a server on this machine.
            variables = tuple(dict.fromkeys((*variables, *PROVIDERS[provider].variables)))
        ways = [" or ".join(variables)] if variables else []
        if provider == "bedrock":
            aws = {f: secret_of_environment([v]) for f, v in AWS_VARIABLES.items()}
            if all(aws.values()):
                return {**sent, **{f: s.reveal() for f, s in aws.items() if s is not None}}
            ways.append(" and ".join(AWS_VARIABLES.values()))
        if (key := secret_of_environment(variables)) is not None:
            return {**sent, "apiKey": key.reveal()}
        message = f'The model "{sent["name"]}" of {provider} needs a key, which is never stored.'
        hint = "Give `apiKey` in llm_configs" + (f", or set {', or '.join(ways)}." if ways else ".")
        raise CredentialsRequiredError(message, hint, option=OPTION)


class LLMConfigs:
    """A checked list of models.

    Parameters
    ----------
    given
        One entry or a list of them. A secret field may be missing: then it is looked for when
        it is needed. What R sends for nothing, an empty list, is taken for nothing.
    fields
        The fields that an entry may have.
    providers
        The providers to choose from.
    needs_name
        Whether the model must be named.

    Raises
    ------
    InvalidOptionError
        Names the first field that is not valid; values are not repeated.

    Examples
    --------
    >>> models = LLMConfigs({"provider": "openai", "name": "gpt-4o-mini", "apiKey": "sk-1234"})
    >>> models, models.describe()
    (<LLMConfigs "openai/gpt-4o-mini">, [{'provider': 'openai', 'name': 'gpt-4o-mini'}])
    """

    def __init__(
        self,
        given: Mapping[str, object] | Sequence[Mapping[str, object]] | None,
        *,
        fields: Sequence[str] = tuple(FIELDS),
        providers: Sequence[str] = tuple(PROVIDERS),
        needs_name: bool = True,
    ) -> None:
        if given is not None and not isinstance(given, Mapping | Sequence):
            message = f"`{OPTION}` must be a list of models, not {_kind(given)}."
            raise InvalidOptionError(message, option=OPTION)
        entries = [given] if isinstance(given, Mapping | str) else list(given or ())
        self._fields, self._providers = fields, providers
        self._entries = [self._checked(e, f"{OPTION}[{i}]") for i, e in enumerate(entries)]
        for i, entry in enumerate(self._entries):
            if needs_name and not entry.plain.get("name"):
                message = f"`{OPTION}[{i}]` must have a `name`: that of the model."
                raise InvalidOptionError(message, option=OPTION)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LLMConfig]:
        return iter(self._entries)

    def __repr__(self) -> str:
        # Also of one whose entries were refused, as a traceback shows it.
        entries = getattr(self, "_entries", ())
        return f"<LLMConfigs {listing([entry.label for entry in entries])}>"

    def describe(self) -> list[Mapping[str, object]] | None:
        """Return what may be stored; None when there is no entry."""
        return [entry.describe() for entry in self] or None

    def wire(self) -> list[dict[str, object]] | None:
        """Return what a request contains, keys included; None when there is no entry.

        Raises
        ------
        CredentialsRequiredError, InvalidOptionError
            As :meth:`LLMConfig.wire` does.
        """
        return [entry.wire() for entry in self] or None

    def _checked(self, config: object, where: str) -> LLMConfig:
        if not isinstance(config, Mapping):
            kind = _kind(config)
            message = f"`{where}` must be a dict, a record with provider and name, not {kind}."
            raise InvalidOptionError(message, option=OPTION)
        for name in config:
            if name not in self._fields:
                guess = nearest(str(name), list(self._fields))
                message = f"`{where}` has no field `{name}`. Valid: {', '.join(self._fields)}."
                hint = f"Did you mean `{guess}`?" if guess else ""
                raise InvalidOptionError(message, hint, option=OPTION)
        secrets: dict[str, Secret] = {}
        plain: dict[str, object] = {}
        for name, value in config.items():
            if value is None or (name in SECRET_FIELDS and value == ""):
                continue
            if name in SECRET_FIELDS:
                given = isinstance(value, Secret)
                secrets[name] = value if given else Secret(value, f"{where}.{name}")
            else:
                plain[name] = _field(name, value, f"{where}.{name}")
        if "provider" not in plain:
            message = f"`{where}` must have a `provider`."
            raise InvalidOptionError(message, option=OPTION)
        base_url = None if "baseUrl" not in plain else str(plain["baseUrl"])
        provider, base_url = find_provider(
            plain["provider"], base_url,
            valid=self._providers, where=f"{where}.provider", option=OPTION,
        )  # fmt: skip
        plain["provider"] = provider
        if base_url is not None:
            plain["baseUrl"] = base_url
        aws = set(AWS_VARIABLES)
        if secrets.keys() & aws and not {*secrets, *plain} >= aws:
            names = ", ".join(AWS_VARIABLES)
            message = f"`{where}` must have all of {names} if it has one of them."
            raise InvalidOptionError(message, option=OPTION)
        inside = secrets_in(plain.get("modelSettings"), f"{where}.modelSettings")
        return LLMConfig(plain, secrets, inside)


def check_withheld(settings: object, option: str) -> None:
    """Raise :class:`InvalidOptionError` for settings whose secrets were left out of a record."""
    if missing := withheld(settings):
        message = f"`{option}` contains what no run stores: {listing(missing)}."
        hint = f"Give `{option}` again, with these values."
        raise InvalidOptionError(message, hint, option=option)


def _field(name: str, value: object, where: str) -> object:
    if name == "provider":
        return value
    if name == "targetAgents":
        agents: Sequence[object] = (value,)
        if isinstance(value, Sequence) and not isinstance(value, str):
            agents = value
        for agent in agents:
            if agent not in AGENTS:
                message = f'`{where}` has "{agent}". Valid: {listing(AGENTS)}.'
                raise InvalidOptionError(message, option=OPTION)
        return list(agents)
    if name in {"skipValidation", "allowFallback"}:
        if isinstance(value, bool):
            return value
    elif name == "modelSettings":
        # R sends an empty list for one without members.
        if value == []:
            return {}
        if isinstance(value, Mapping):
            return dict(value)
    elif isinstance(value, str) and value.strip():
        text = value.strip()
        return check_base_url(text, where, OPTION) if name == "baseUrl" else text
    message = f"`{where}` must not be {_kind(value)}."
    raise InvalidOptionError(message, option=OPTION)


def _kind(value: object) -> str:
    """Name a value that is not valid without showing it: it may be a key in the wrong place."""
    return f"empty {type(value).__name__}" if value in ("", [], {}) else type(value).__name__
