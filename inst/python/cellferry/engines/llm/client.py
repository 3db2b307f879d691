"""One call of a model: the gate, the budget, tries again in transit, the mode of the answer.

What goes wrong on the way is tried again here by tenacity. What a model answers badly is
not: that is the conversation's affair.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    UnexpectedModelBehavior,
    UserError,
)
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from ...errors import CredentialsRequiredError, ServiceError
from ..service.answers import TRANSIENT, retry_after
from ..service.secrets import redact
from .endpoints import cost
from .limits import LONGEST_PAUSE, Budget, Gate, Hold
from .questions import fill
from .replies import UnreadableReplyError, read_answer

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .endpoints import Endpoint

MODES = ("tool", "schema", "prompted")
"""Ways to get an answer in a form, in the order in which they are tried."""

MODE_REFUSED = {400, 404, 405, 415, 422, 501}
CHARACTERS_PER_TOKEN = 3
"""Cautious, for what is set aside of a budget and for plans; gene names are short tokens."""
ANSWER_TOKENS = 600

_Schema = TypeVar("_Schema", bound=BaseModel)


class CallFailedError(Exception):
    """A call came to nothing, for a reason that concerns this cluster only."""


class RefusedError(CallFailedError):
    """The model refused to answer."""


@dataclass(frozen=True)
class Reply(Generic[_Schema]):
    """What came back: the answer if it could be read, the text, and what it took.

    ``called`` is whether the model made a tool call.
    """

    answer: _Schema | None
    text: str
    problem: str | None
    called: bool
    mode: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    seconds: float


@dataclass
class Client:
    """The way to one endpoint.

    Attributes
    ----------
    modes
        Endpoint -> mode that it answers in; shared, so that it is found out once.
    """

    endpoint: Endpoint
    model: Model
    gate: Gate
    budget: Budget
    output_mode: str
    prices: Mapping[str, float] | None
    modes: dict[Any, str]
    dropped: set[str] = field(default_factory=set)
    base_wait: float = 0.5

    async def ask(
        self,
        system: str,
        user: str,
        schema: type[_Schema],
        mode: str | None = None,
        hold: Hold | None = None,
    ) -> Reply[_Schema]:
        """Make one call and read its reply.

        Parameters
        ----------
        mode
            Another mode than the one that is known for the endpoint.
        hold
            What was set aside for the cluster.

        Raises
        ------
        CallFailedError
            This call failed and others need not.
        BudgetReachedError
            It was not made.
        CredentialsRequiredError, ServiceError
            No other call can succeed either.
        """
        mode = mode or self.mode
        expected, price = self.expected(len(system) + len(user))
        (self.budget.reserve if hold is None else hold.draw)(expected, price)
        tokens, paid = 0, price and 0.0
        started = time.monotonic()
        try:
            response, mode = await self._request_in_some_mode(system, user, schema, mode)
            usage = response.usage
            tokens = usage.input_tokens + usage.output_tokens
            paid = cost(self.endpoint, self.prices, usage.input_tokens, usage.output_tokens)
        finally:
            self.budget.settle((expected, price), tokens, paid)
        seconds = time.monotonic() - started
        await self.gate.went_well()
        if response.finish_reason == "content_filter":
            refusal = (response.provider_details or {}).get("refusal") or text_of(response)
            message = f"The model refused to answer: {redact(refusal)[:300] or 'no reason'}"
            raise RefusedError(message)
        calls = [p.args_as_json_str() for p in response.parts if isinstance(p, ToolCallPart)]
        text = "\n".join(calls) or text_of(response)
        answer, problem = None, None
        try:
            answer = read_answer(calls or [text], schema)
            if mode != self.mode and self.output_mode == "auto":
                self.modes[self.endpoint.address] = mode
        except UnreadableReplyError as error:
            problem = str(error)
            if response.finish_reason == "length":
                problem += " It was cut off at the limit of output tokens."
        return Reply(
            answer, redact(text, guess=False), problem, bool(calls), mode,
            response.model_name or self.endpoint.model, usage.input_tokens,
            usage.output_tokens, paid, seconds,
        )  # fmt: skip

    def expected(self, characters: int) -> tuple[int, float | None]:
        """Return the tokens and the cost to set aside for a call of so many characters."""
        told = characters // CHARACTERS_PER_TOKEN + ANSWER_TOKENS
        return told + ANSWER_TOKENS, cost(self.endpoint, self.prices, told, ANSWER_TOKENS)

    @property
    def mode(self) -> str:
        """The mode in which answers are asked for now."""
        if self.output_mode != "auto":
            return self.output_mode
        return self.modes.get(self.endpoint.address, MODES[0])

    def other_mode(self, mode: str) -> str:
        """Return what to try after a reply in this mode could not be read."""
        if self.output_mode != "auto":
            return mode
        return MODES[min(MODES.index(mode) + 1, len(MODES) - 1)]

    async def _request_in_some_mode(
        self, system: str, user: str, schema: type[BaseModel], mode: str
    ) -> tuple[ModelResponse, str]:
        """Ask in this mode, and in the next where the service does not know it."""
        first: ModelHTTPError | None = None
        while True:
            try:
                return await self._request(system, user, schema, mode), mode
            except ModelHTTPError as error:
                first = first or error
                if error.status_code == 400 and self._drop_setting(error):
                    continue
                following = self.other_mode(mode)
                if error.status_code not in MODE_REFUSED or following == mode:
                    raise self._failure(first) from None
                mode = following
            except ContentFilterError as error:
                message = f"The model refused to answer: {redact(str(error))[:300]}"
                raise RefusedError(message) from None
            except ModelAPIError as error:
                raise self._failure(error) from None
            except UserError as error:
                if (following := self.other_mode(mode)) != mode:
                    # The package knows that this model cannot do it.
                    mode = following
                    continue
                message = f'The model "{self.endpoint.model}" cannot be asked like this.'
                raise ServiceError(message, redact(str(error))) from None
            except UnexpectedModelBehavior as error:
                message = f"The reply could not be read: {redact(str(error))[:300]}"
                raise CallFailedError(message) from None

    def _drop_setting(self, error: ModelHTTPError) -> bool:
        """Whether the service refused a setting that can be left out, and was told to."""
        told = str(error.body).lower()
        for name in ("temperature", "reasoning"):
            if name in told and name in self.endpoint.settings and name not in self.dropped:
                self.dropped.add(name)
                return True
        return False

    async def _request(
        self, system: str, user: str, schema: type[BaseModel], mode: str
    ) -> ModelResponse:
        form, system = parameters(schema, mode, system)
        messages = [ModelRequest(parts=[SystemPromptPart(system), UserPromptPart(user)])]
        settings = {k: v for k, v in self.endpoint.settings.items() if k not in self.dropped}
        if effort := settings.pop("reasoning", None):
            settings["thinking"] = effort
            if self.endpoint.provider == "openai" and self.endpoint.base_url is not None:
                # Nothing is known of the model there, so what was asked for is sent as it is.
                settings["openai_reasoning_effort"] = effort
        attempts = AsyncRetrying(
            retry=retry_if_exception(is_transient),
            stop=enough,
            wait=self._wait,
            sleep=asyncio.sleep,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                async with self.gate.slot():
                    try:
                        return await model_request(
                            self.model,
                            messages,
                            model_settings=settings,  # type: ignore[arg-type]
                            model_request_parameters=form,
                        )
                    except ModelHTTPError as error:
                        if error.status_code == 429:
                            self.gate.slow_down(pause_of(error))
                        raise
        raise AssertionError  # pragma: no cover - tenacity returns or raises

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if (asked := pause_of(error)) is not None:
            return asked
        return min(self.base_wait * 2.0 ** (state.attempt_number - 1), 30.0)

    def _failure(self, error: ModelAPIError) -> Exception:
        told = redact(told_by(error))
        where = self.endpoint.host or self.endpoint.base_url
        status = getattr(error, "status_code", None)
        if isinstance(error, ModelAuthenticationError) or status in {401, 403}:
            message = f"{where} refused the key: {told}"
            return CredentialsRequiredError(message, "Check the key and what it may be used for.")
        if isinstance(error, ModelQuotaExceededError) or status == 402:
            message = f"The account at {where} has no credit left: {told}"
            return ServiceError(message, "Add credit, then resume the run: nothing is paid twice.")
        if status == 404:
            message = f'{where} does not know the model "{self.endpoint.model}": {told}'
            return ServiceError(message, "Check `model` and `base_url`.")
        return CallFailedError(f"{where} could not answer: {told}")


TRANSPORT_ATTEMPTS = 6
BUSY_ATTEMPTS = 20
"""Attempts where the service only says that it is busy (429): it will answer in the end."""


def parameters(
    schema: type[BaseModel], mode: str, system: str
) -> tuple[ModelRequestParameters, str]:
    """Return what asks for an answer of the schema in a mode, and the system prompt for it."""
    form = schema.model_json_schema()
    name, what = schema.__name__.lower(), (schema.__doc__ or "").strip()
    if mode == "tool":
        tool = ToolDefinition(
            name=name, parameters_json_schema=form, description=what, kind="output"
        )
        return ModelRequestParameters(
            output_mode="tool", output_tools=[tool], allow_text_output=False
        ), system
    if mode == "schema":
        form_there = OutputObjectDefinition(
            json_schema=form, name=name, description=what, strict=True
        )
        return ModelRequestParameters(output_mode="native", output_object=form_there), system
    asked = fill("prompted", schema=json.dumps(form, ensure_ascii=False))
    return ModelRequestParameters(), f"{system.rstrip()}\n\n{asked}"


def text_of(response: ModelResponse) -> str:
    """Return the plain text of a reply."""
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    if isinstance(error, ModelQuotaExceededError):
        return False
    if isinstance(error, ModelHTTPError):
        asked = pause_of(error)
        return error.status_code in TRANSIENT and (asked is None or asked <= LONGEST_PAUSE)
    return isinstance(error, ModelConnectionError)


def pause_of(error: BaseException | None) -> float | None:
    """Return the seconds that a service asks us to wait; None if it does not say."""
    if not isinstance(error, ModelHTTPError):
        return None
    asked = retry_after(error.headers or {})
    # Google says it in the body, which the package reads.
    return error.retry_after if asked is None else asked


def enough(state: RetryCallState) -> bool:
    """Whether a call was tried often enough."""
    error = state.outcome.exception() if state.outcome else None
    busy = getattr(error, "status_code", None) == 429
    return state.attempt_number >= (BUSY_ATTEMPTS if busy else TRANSPORT_ATTEMPTS)


def told_by(error: ModelAPIError) -> str:
    """Return what a service said, short."""
    if isinstance(error, ModelHTTPError):
        body: Any = error.body
        if isinstance(body, Mapping):
            inner = body.get("error")
            body = inner if isinstance(inner, Mapping) else body
            body = body.get("message", body) if isinstance(body, Mapping) else body
        return f"status {error.status_code}, {str(body)[:300]}"
    return str(error)[:300]
