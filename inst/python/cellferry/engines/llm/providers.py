"""Providers: a pydantic-ai model for each endpoint, all on one connection pool.

Everything of ``pydantic_ai`` and of the providers' packages is imported here and in
``client``, and only when a run begins.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ...errors import CredentialsRequiredError, DependencyError, InvalidOptionError
from ..service.addresses import host_of, is_own_network
from ..service.client import trusted
from ..service.providers import PROVIDERS
from ..service.secrets import redact

if TYPE_CHECKING:
    import httpx
    import httpx2
    from pydantic_ai.models import Model

    from ..service.secrets import Secret
    from .endpoints import Endpoint

REQUIREMENT = "pydantic-ai-slim[anthropic,bedrock,google,groq,mistral,openai,openrouter]>=2.60,<3"

NO_KEY = "not-needed"
"""What is sent where a server of one's own asks for no key; the packages want some text."""


def check_packages(provider: str) -> None:
    """Raise :class:`DependencyError` with the line that installs what is missing."""
    needed = ("pydantic_ai", PROVIDERS[provider].package)
    missing = [name for name in needed if name is not None and not _found(name)]
    if missing:
        message = f'The engine "llm" needs the Python package {missing[0]}.'
        raise DependencyError(message, f'Run: "{sys.executable}" -m pip install "{REQUIREMENT}"')


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


class Pool:
    """One client of each of the two HTTP libraries that the providers' packages use.

    Both pass on answers as :func:`~cellferry.engines.llm.replies.wire.mend` reads them.
    """

    def __init__(self, *, connections: int, timeout: float, environment: bool) -> None:
        self._timeout, self._environment = timeout, environment
        self._connections = connections
        self._clients: list[httpx.AsyncClient | httpx2.AsyncClient] = []

    @functools.cached_property
    def httpx(self) -> httpx.AsyncClient:
        """The client of ``httpx``."""
        import httpx

        class Client(httpx.AsyncClient):
            async def send(self, request: httpx.Request, **given: Any) -> httpx.Response:
                response = await super().send(request, **given)
                new = None if given.get("stream") else _mended(response, request.url.path)
                return response if new is None else httpx.Response(**new, request=request)

        limits = httpx.Limits(
            max_connections=self._connections, max_keepalive_connections=self._connections
        )
        client = Client(
            limits=limits, timeout=self._timeout, trust_env=self._environment, verify=trusted()
        )
        self._clients.append(client)
        return client

    @functools.cached_property
    def httpx2(self) -> httpx2.AsyncClient:
        """The client of ``httpx2``."""
        import httpx2

        class Client(httpx2.AsyncClient):
            async def send(self, request: httpx2.Request, **given: Any) -> httpx2.Response:
                response = await super().send(request, **given)
                new = None if given.get("stream") else _mended(response, request.url.path)
                return response if new is None else httpx2.Response(**new, request=request)

        limits = httpx2.Limits(
            max_connections=self._connections, max_keepalive_connections=self._connections
        )
        client = Client(
            limits=limits, timeout=self._timeout, trust_env=self._environment, verify=trusted()
        )
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()


def _mended(response: httpx.Response | httpx2.Response, path: str) -> dict[str, Any] | None:
    """Return what makes the response to read instead, None where it is to be read as it is."""
    from .replies.wire import mend

    if not response.is_success:
        return None
    kind = response.headers.get("content-type", "").lower()
    if (found := mend(path, kind, response.content)) is None:
        return None
    drop = {"content-type", "content-length", "content-encoding", "transfer-encoding"}
    headers = {k: v for k, v in response.headers.items() if k.lower() not in drop}
    headers["content-type"] = "application/json"
    return {"status_code": found.status, "headers": headers, "content": json.dumps(found.body)}


@asynccontextmanager
async def open_pool(endpoints: list[Endpoint], workers: int, timeout: float) -> AsyncIterator[Pool]:
    """Yield the connection pool of a run and close it afterwards."""
    # A proxy of the environment must not see calls to one's own network.
    local = all(e.base_url is not None and is_own_network(host_of(e.base_url)) for e in endpoints)
    pool = Pool(connections=workers, timeout=timeout, environment=not local)
    try:
        yield pool
    finally:
        await pool.close()


def open_model(endpoint: Endpoint, key: Secret | None, pool: Pool, timeout: float) -> Model:
    """Return the model of an endpoint; its package never tries again by itself."""
    from pydantic_ai.exceptions import UserError

    secret = NO_KEY if key is None else key.reveal()
    try:
        return _MAKERS[endpoint.provider](endpoint, secret, pool, timeout)
    except UserError as error:
        message = f'The model "{endpoint.model}" of {endpoint.provider} cannot be used.'
        raise InvalidOptionError(message, redact(str(error))) from None


def _base_url(endpoint: Endpoint) -> str:
    return endpoint.base_url or PROVIDERS[endpoint.provider].base_urls[0]


def _openai(endpoint: Endpoint, key: str, pool: Pool, timeout: float) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    client = AsyncOpenAI(
        base_url=_base_url(endpoint),
        api_key=key, http_client=pool.httpx2, max_retries=0, timeout=timeout,
    )  # fmt: skip
    if endpoint.base_url is None:
        return OpenAIChatModel(endpoint.model, provider=OpenAIProvider(openai_client=client))
    provider = OpenAICompatibleProvider("custom", openai_client=client)
    return OpenAIChatModel(endpoint.model, provider=provider)


def _openrouter(endpoint: Endpoint, key: str, pool: Pool, timeout: float) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openrouter import OpenRouterModel
    from pydantic_ai.providers.openrouter import OpenRouterProvider

    client = AsyncOpenAI(
        base_url=_base_url(endpoint),
        api_key=key, http_client=pool.httpx2, max_retries=0, timeout=timeout,
    )  # fmt: skip
    return OpenRouterModel(endpoint.model, provider=OpenRouterProvider(openai_client=client))


def _anthropic(endpoint: Endpoint, key: str, pool: Pool, timeout: float) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(
        base_url=_base_url(endpoint),
        api_key=key, http_client=pool.httpx2, max_retries=0, timeout=timeout,
    )  # fmt: skip
    return AnthropicModel(endpoint.model, provider=AnthropicProvider(anthropic_client=client))


def _groq(endpoint: Endpoint, key: str, pool: Pool, timeout: float) -> Model:
    from groq import AsyncGroq
    from pydantic_ai.models.groq import GroqModel
    from pydantic_ai.providers.groq import GroqProvider

    client = AsyncGroq(
        base_url=endpoint.base_url, api_key=key, http_client=pool.httpx,
        max_retries=0, timeout=timeout,
    )  # fmt: skip
    return GroqModel(endpoint.model, provider=GroqProvider(groq_client=client))


def _mistral(endpoint: Endpoint, key: str, pool: Pool, _timeout: float) -> Model:
    from pydantic_ai.models.mistral import MistralModel
    from pydantic_ai.providers.mistral import MistralProvider

    provider = MistralProvider(api_key=key, base_url=endpoint.base_url, http_client=pool.httpx2)
    return MistralModel(endpoint.model, provider=provider)


def _google(endpoint: Endpoint, key: str, pool: Pool, _timeout: float) -> Model:
    from google.genai.types import HttpRetryOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(
        api_key=key, base_url=endpoint.base_url, http_client=pool.httpx2,
        retry_options=HttpRetryOptions(attempts=1),
    )  # fmt: skip
    return GoogleModel(endpoint.model, provider=provider)


def _bedrock(endpoint: Endpoint, key: str, _pool: Pool, timeout: float) -> Model:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider, _BearerTokenSession

    settings: dict[str, object] = {"read_timeout": timeout, "retries": {"total_max_attempts": 1}}
    try:
        if key == NO_KEY:
            session = boto3.Session()
        else:
            session = boto3.Session(botocore_session=_BearerTokenSession(key))
            settings["signature_version"] = "bearer"
        client = session.client(
            "bedrock-runtime", config=Config(**settings), endpoint_url=endpoint.base_url
        )
    except BotoCoreError as error:
        message = f"Bedrock cannot be used: {type(error).__name__}."
        hint = "Set AWS_DEFAULT_REGION, and AWS_BEARER_TOKEN_BEDROCK or your AWS credentials."
        raise CredentialsRequiredError(message, hint) from error
    provider = BedrockProvider(bedrock_client=client)
    return BedrockConverseModel(endpoint.model, provider=provider)


_MAKERS: dict[str, Callable[[Endpoint, str, Pool, float], Model]] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "google": _google,
    "groq": _groq,
    "mistral": _mistral,
    "openai": _openai,
    "openrouter": _openrouter,
}
