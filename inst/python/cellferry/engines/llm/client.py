"""One call of a model: its slot, the budget, tries again in transit, the mode of the answer.

What goes wrong on the way is tried again here by tenacity. What a model answers badly is
not: that is the conversation's affair.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

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
from .evidence import TOOL, AnswerOrRequest, EvidenceRequest, request_in
from .limits import LONGEST_PAUSE, Budget, RateLimiter, Reservation
from .planning import Usage, expected_usage
from .questions import fill
from .replies import UnreadableReplyError, read_answer

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .endpoints import Endpoint

MODES = ("tool", "schema", "prompted")
"""Ways to get an answer in a form, in the order in which they are tried."""

MODE_REFUSED = {400, 404, 405, 415, 422, 501}

_Schema = TypeVar("_Schema", bound=BaseModel)
_Answer_co = TypeVar("_Answer_co", bound=BaseModel, covariant=True)
Address = tuple[str, str | None, str]
"""Provider, base URL and model."""


class CallFailedError(Exception):
    """A call came to nothing, for a reason that concerns this cluster only."""


class RefusedError(CallFailedError):
    """The model refused to answer."""


@dataclass(frozen=True)
class Reply(Generic[_Answer_co]):
    """What came back: the answer if it could be read, the text, and what it took.

    ``called`` is whether the model made a tool call, ``wanted`` what it asks to have looked up
    before it answers.
    """

    answer: _Answer_co | None
    text: str
    problem: str | None
    called: bool
    mode: str
    model: str
    usage: Usage
    seconds: float
    wanted: EvidenceRequest | None = None


@dataclass
class Client:
    """The way to one endpoint.

    Attributes
    ----------
    modes
        Endpoint -> mode that it answers in; shared, so that it is found out once.
    dropped
        Settings that the service refused and that are no longer sent.
    base_wait
        Seconds before the second try in transit; doubled each time.
    """

    endpoint: Endpoint
    model: Model
    limiter: RateLimiter
    budget: Budget
    output_mode: str
    prices: Mapping[str, float] | None
    modes: dict[Address, str]
    dropped: set[str] = field(default_factory=set)
    base_wait: float = 0.5

    async def ask(
        self,
        system: str,
        user: str,
        schema: type[_Schema],
        mode: str | None = None,
        reservation: Reservation | None = None,
        *,
        evidence: bool = False,
    ) -> Reply[_Schema]:
        """Make one call and read its reply.

        Parameters
        ----------
        system, user
            The system prompt, and what is asked.
        schema
            Of the answer.
        mode
            Another mode than the one that is known for the endpoint.
        reservation
            What was set aside for the cluster.
        evidence
            Whether the model may ask for evidence instead of answering.

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
        expected = self.expected(len(system) + len(user))
        set_aside = (expected.tokens, expected.cost_usd)
        (self.budget.reserve if reservation is None else reservation.consume)(*set_aside)
        # What fails costs nothing; only its price is not known where no price is.
        usage = Usage(cost_usd=expected.cost_usd and 0.0)
        started = time.monotonic()
        try:
            response, mode = await self._request_in_some_mode(
                system, user, schema, mode, evidence=evidence
            )
            tokens = response.usage.input_tokens, response.usage.output_tokens
            usage = Usage(*tokens, cost(self.endpoint, self.prices, *tokens))
        finally:
            self.budget.settle(set_aside, usage.tokens, usage.cost_usd)
        seconds = time.monotonic() - started
        await self.limiter.went_well()
        if response.finish_reason == "content_filter":
            refusal = (response.provider_details or {}).get("refusal") or text_of(response)
            message = f"The model refused to answer: {redact(refusal)[:300] or 'no reason'}"
            raise RefusedError(message)
        calls = [p.args_as_json_str() for p in response.parts if isinstance(p, ToolCallPart)]
        text = "\n".join(calls) or text_of(response)
        answer, problem, wanted = None, None, None
        if evidence:
            named = [p.tool_name for p in response.parts if isinstance(p, ToolCallPart)]
            wanted = request_in(list(zip(named, calls, strict=True)), text)
        try:
            if wanted is None:
                answer = read_answer(calls or [text], schema)
            if mode != self.mode and self.output_mode == "auto":
                self.modes[self.endpoint.address] = mode
        except UnreadableReplyError as error:
            problem = str(error)
            if response.finish_reason == "length":
                problem += " It was cut off at the limit of output tokens."
        return Reply(
            answer, redact(text, guess=False), problem, bool(calls), mode,
            response.model_name or self.endpoint.model, usage, seconds, wanted,
        )  # fmt: skip

    def expected(self, characters: int) -> Usage:
        """Return what to set aside for a call of so many characters."""
        return expected_usage(self.endpoint, self.prices, characters)

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
        self, system: str, user: str, schema: type[BaseModel], mode: str, *, evidence: bool
    ) -> tuple[ModelResponse, str]:
        """Ask in this mode, and in the next where the service does not know it."""
        first: ModelHTTPError | None = None
        while True:
            try:
                return await self._request(system, user, schema, mode, evidence=evidence), mode
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
        """Leave a setting out that the service refused; whether there was one."""
        body = str(error.body).lower()
        for name in ("temperature", "reasoning"):
            if name in body and name in self.endpoint.settings and name not in self.dropped:
                self.dropped.add(name)
                return True
        return False

    async def _request(
        self, system: str, user: str, schema: type[BaseModel], mode: str, *, evidence: bool
    ) -> ModelResponse:
        form, system = parameters(schema, mode, system, evidence=evidence)
        messages = [ModelRequest(parts=[SystemPromptPart(system), UserPromptPart(user)])]
        settings = {k: v for k, v in self.endpoint.settings.items() if k not in self.dropped}
        if effort := settings.pop("reasoning", None):
            settings["thinking"] = effort
            if self.endpoint.provider == "openai" and self.endpoint.base_url is not None:
                # Nothing is known of the model there, so the effort is sent as it was given.
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
                async with self.limiter.slot():
                    try:
                        return await model_request(
                            self.model,
                            messages,
                            model_settings=settings,  # type: ignore[arg-type]
                            model_request_parameters=form,
                        )
                    except ModelHTTPError as error:
                        if error.status_code == 429:
                            self.limiter.slow_down(pause_of(error))
                        raise
        raise AssertionError  # pragma: no cover - tenacity returns or raises

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if (seconds := pause_of(error)) is not None:
            return seconds
        return min(self.base_wait * 2.0 ** (state.attempt_number - 1), 30.0)

    def _failure(self, error: ModelAPIError) -> Exception:
        said = redact(said_by(error))
        where = self.endpoint.host or self.endpoint.base_url
        status = getattr(error, "status_code", None)
        if isinstance(error, ModelAuthenticationError) or status in {401, 403}:
            message = f"{where} refused the key: {said}"
            return CredentialsRequiredError(message, "Check the key and what it may be used for.")
        if isinstance(error, ModelQuotaExceededError) or status == 402:
            message = f"The account at {where} has no credit left: {said}"
            return ServiceError(message, "Add credit, then resume the run: nothing is paid twice.")
        if status == 404:
            message = f'{where} does not know the model "{self.endpoint.model}": {said}'
            return ServiceError(message, "Check `model` and `base_url`.")
        return CallFailedError(f"{where} could not answer: {said}")


TRANSPORT_ATTEMPTS = 6
BUSY_ATTEMPTS = 20
"""Attempts where the service only says that it is busy (429): it will answer in the end."""


def parameters(
    schema: type[BaseModel], mode: str, system: str, *, evidence: bool = False
) -> tuple[ModelRequestParameters, str]:
    """Return what asks for an answer in a form, and the system prompt for it.

    Parameters
    ----------
    schema
        Of the answer.
    mode
        One of :data:`MODES`.
    system
        The system prompt.
    evidence
        Whether evidence may be asked for instead: by a tool of its own, or a field of the form.
    """
    form = (AnswerOrRequest if evidence and mode != "tool" else schema).model_json_schema()
    name, what = schema.__name__.lower(), (schema.__doc__ or "").strip()
    if mode == "tool":
        tool = _tool(name, schema)
        return ModelRequestParameters(
            output_mode="tool",
            output_tools=[tool, _tool(TOOL, EvidenceRequest)] if evidence else [tool],
            allow_text_output=False,
        ), system
    if mode == "schema":
        form_there = OutputObjectDefinition(
            json_schema=form, name=name, description=what, strict=True
        )
        return ModelRequestParameters(output_mode="native", output_object=form_there), system
    wanted = fill("prompted", schema=json.dumps(form, ensure_ascii=False))
    return ModelRequestParameters(), f"{system.rstrip()}\n\n{wanted}"


def _tool(name: str, schema: type[BaseModel]) -> ToolDefinition:
    return ToolDefinition(
        name=name,
        parameters_json_schema=schema.model_json_schema(),
        description=(schema.__doc__ or "").strip(),
        kind="output",
    )


def text_of(response: ModelResponse) -> str:
    """Return the plain text of a reply."""
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    if isinstance(error, ModelQuotaExceededError):
        return False
    if isinstance(error, ModelHTTPError):
        seconds = pause_of(error)
        return error.status_code in TRANSIENT and (seconds is None or seconds <= LONGEST_PAUSE)
    return isinstance(error, ModelConnectionError)


def pause_of(error: BaseException | None) -> float | None:
    """Return the seconds that a service asks us to wait; None if it does not say."""
    if not isinstance(error, ModelHTTPError):
        return None
    seconds = retry_after(error.headers or {})
    # Google says it in the body, which the package reads.
    return error.retry_after if seconds is None else seconds


def enough(state: RetryCallState) -> bool:
    """Whether a call was tried often enough."""
    error = state.outcome.exception() if state.outcome else None
    busy = getattr(error, "status_code", None) == 429
    return state.attempt_number >= (BUSY_ATTEMPTS if busy else TRANSPORT_ATTEMPTS)


def said_by(error: ModelAPIError) -> str:
    """Return what a service said, short."""
    if isinstance(error, ModelHTTPError):
        body: object = error.body
        if isinstance(body, Mapping):
            inner = body.get("error")
            body = inner if isinstance(inner, Mapping) else body
            body = body.get("message", body) if isinstance(body, Mapping) else body
        return f"status {error.status_code}, {str(body)[:300]}"
    return str(error)[:300]
