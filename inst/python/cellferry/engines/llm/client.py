"""One call of a model: its slot, the budget, tries again in transit, the mode of the answer.

What goes wrong on the way is tried again here by tenacity. What a model answers badly is
not: that is the conversation's affair. What was learned of an endpoint is in :class:`Known`.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from pydantic import BaseModel
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
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

from ...errors import (
    CredentialsRequiredError,
    ServiceError,
    ServiceForbiddenError,
    ServiceLimitError,
    ServiceNotFoundError,
)
from ..service.answers import TRANSIENT, retry_after
from ..service.secrets import redact
from .endpoints import cost
from .evidence import TOOL, AnswerOrRequest, EvidenceRequest, request_in
from .limits import LONGEST_PAUSE, Budget, RateLimiter, Reservation
from .planning import CHARACTERS_PER_TOKEN, Usage, expected_usage
from .questions import fill
from .refusals import Kind, kind_of, refused_setting, words_of
from .replies import UnreadableReplyError, read_answer

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .endpoints import Endpoint

MODES = ("tool", "schema", "prompted")
"""Ways to get an answer in a form, in the order in which they are tried."""

_Schema = TypeVar("_Schema", bound=BaseModel)
_Answer_co = TypeVar("_Answer_co", bound=BaseModel, covariant=True)
Address = tuple[str, str | None, str]
"""Provider, base URL and model."""


class CallFailedError(Exception):
    """A call came to nothing, for a reason that concerns this cluster only.

    ``usage`` is what was paid for it all the same.
    """

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage or Usage()


class RefusedError(CallFailedError):
    """The model, or a filter before it, refused to answer."""


class _NoReplyError(Exception):
    """An answer of status 200 is no reply that the package of the provider can read."""

    def __init__(self, message: str, mode: str) -> None:
        super().__init__(message)
        self.mode = mode


@dataclass
class Known:
    """What was learned of an endpoint in a run; all calls to it share it.

    Attributes
    ----------
    mode
        In which answers are asked for.
    proven
        Modes in which an answer was read: after that, chance does not change the mode.
    dropped
        Settings that the service refused and that are no longer sent.
    limit_names
        Names for the limit of output tokens that it may know, the first is sent.
    """

    mode: str = MODES[0]
    proven: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    limit_names: list[str] = field(default_factory=list)

    def answered(self, mode: str) -> None:
        """Take note of a mode in which an answer was read."""
        if mode != self.mode and self.mode not in self.proven:
            self.mode = mode
        self.proven.add(mode)


@dataclass(frozen=True)
class Reply(Generic[_Answer_co]):
    """What came back: the answer if it could be read, the text, and what it took.

    Attributes
    ----------
    in_words
        Whether it is a text where a tool call was asked for, or none in the form.
    cut_off
        Whether it ended at the limit of output tokens.
    wanted
        What it asks to have looked up before it answers.
    """

    answer: _Answer_co | None
    text: str
    problem: str | None
    in_words: bool
    cut_off: bool
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
    known
        What was learned of the endpoint; shared, so that it is found out once.
    notify
        Where it is said to people that a call waits, and for what.
    base_wait
        Seconds before the second try in transit; doubled each time.
    """

    endpoint: Endpoint
    model: Model
    limiter: RateLimiter
    budget: Budget
    output_mode: str
    prices: Mapping[str, float] | None
    known: Known
    notify: Callable[[str], None] = lambda _text: None
    base_wait: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        if self.endpoint.provider == "openai" and not self.known.limit_names:
            # What is only compatible mostly knows the older name, and ignores the newer one.
            names = ["max_completion_tokens", "max_tokens"]
            own = self.endpoint.base_url is not None
            self.known.limit_names = names[::-1] if own else names

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
        # What the service refuses costs nothing; only its price is not known where no price is.
        usage = Usage(cost_usd=expected.cost_usd and 0.0)
        started = time.monotonic()
        try:
            response, mode = await self._request_in_some_mode(
                system, user, schema, mode, evidence=evidence
            )
            usage = self._usage_of(response, expected)
        except _NoReplyError as error:
            # It was answered, so it was paid for.
            usage = expected
            problem = f"The reply could not be read: {error}"
            seconds = time.monotonic() - started
            name = self.endpoint.model
            return Reply(None, "", problem, False, False, error.mode, name, usage, seconds)
        finally:
            self.budget.settle(set_aside, usage.tokens, usage.cost_usd)
        seconds = time.monotonic() - started
        await self.limiter.went_well()
        said = text_of(response)
        details = response.provider_details or {}
        if "content_filter" in {response.finish_reason, details.get("finish_reason")}:
            refusal = details.get("refusal") or said
            message = f"The model refused to answer: {redact(refusal)[:300] or 'no reason given'}"
            raise RefusedError(message, usage)
        calls = arguments_of(response)
        text = "\n".join(calls) or said
        cut_off = response.finish_reason == "length"
        answer: _Schema | None = None
        wanted: EvidenceRequest | None = None
        problem = ""
        if cut_off:
            problem = "The reply was cut off at the limit of output tokens, so it is no answer."
        else:
            try:
                if evidence:
                    wanted = request_in(names_of(response), calls, text)
                if wanted is None:
                    answer = read_answer(calls or [text], schema)
                if self.output_mode == "auto":
                    self.known.answered(mode)
            except UnreadableReplyError as error:
                problem = str(error)
                if response.finish_reason == "error":
                    problem += " The provider says that the model made no valid call."
                elif said.strip() and not calls and "{" not in said:
                    problem += f" It said: {' '.join(redact(said).split())[:200]}"
        in_words = not calls and bool(said.strip())
        return Reply(
            answer, redact(text, guess=False), problem or None, in_words, cut_off, mode,
            response.model_name or self.endpoint.model, usage, seconds, wanted,
        )  # fmt: skip

    def _usage_of(self, response: ModelResponse, expected: Usage) -> Usage:
        """Return what a reply took; reckoned from its length where the service does not say."""
        into, out = response.usage.input_tokens, response.usage.output_tokens
        written = len(text_of(response)) + sum(map(len, arguments_of(response)))
        if not into and (written or response.finish_reason != "content_filter"):
            into = expected.input_tokens
            out = out or written // CHARACTERS_PER_TOKEN
        return Usage(into, out, cost(self.endpoint, self.prices, into, out))

    def expected(self, characters: int) -> Usage:
        """Return what to set aside for a call of so many characters."""
        return expected_usage(self.endpoint, self.prices, characters)

    @property
    def mode(self) -> str:
        """The mode in which answers are asked for now."""
        return self.known.mode if self.output_mode == "auto" else self.output_mode

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
            sent = self._settings()
            limit = self.known.limit_names[0] if self.known.limit_names else None
            try:
                return await self._request(
                    system, user, schema, mode, sent, evidence=evidence
                ), mode
            except ModelHTTPError as error:
                if self._drop_setting(error, sent, limit):
                    continue
                first = first or error
                following = self.other_mode(mode)
                if self._kind(error) not in {"form", "unclear"} or following == mode:
                    # Why the first mode was refused says more than why the last one was.
                    blame = first if self._kind(error) in {"form", "unclear"} else error
                    raise self._failure(blame) from None
                mode = following
            except ContentFilterError as error:
                message = f"The model refused to answer: {redact(str(error))[:300]}"
                raise RefusedError(message) from None
            except ModelAPIError as error:
                if error.__cause__ is not None and isinstance(error.__cause__, ValueError):
                    raise _NoReplyError(redact(str(error))[:300], mode) from None
                raise self._failure(error) from None
            except UserError as error:
                if (following := self.other_mode(mode)) != mode:
                    # The package knows that this model cannot do it.
                    mode = following
                    continue
                message = f'The model "{self.endpoint.model}" cannot be asked like this.'
                raise ServiceError(message, redact(str(error))) from None
            except ServiceError:
                raise
            except Exception as error:
                if type(error).__module__.startswith("botocore"):
                    # It was not sent: no credentials, or an address that they may not go to.
                    raise _not_sent(error) from None
                # Whatever a package stumbles over in one reply must not end the others.
                words = redact(f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0])
                raise _NoReplyError(words[:300], mode) from error

    def _settings(self) -> dict[str, object]:
        """Return the settings to send now."""
        return {k: v for k, v in self.endpoint.settings.items() if k not in self.known.dropped}

    def _drop_setting(
        self, error: ModelHTTPError, sent: Mapping[str, object], limit: str | None
    ) -> bool:
        """Leave a setting out that this request was refused for; whether there was one.

        Other requests may have been refused it too, at the same time: each is sent again.
        """
        candidates = {k: v for k, v in sent.items() if k not in {"extra_body", "extra_headers"}}
        name = refused_setting(error.status_code, error.body, candidates)
        if name is None:
            return False
        if name == "max_tokens" and limit is not None:
            if limit == self.known.limit_names[0] and len(self.known.limit_names) > 1:
                del self.known.limit_names[0]
            if limit != self.known.limit_names[0]:
                return True
        if name not in self.known.dropped:
            self.known.dropped.add(name)
            where = self.endpoint.host or self.endpoint.base_url
            self.notify(f"{where} does not take `{name}`, so it is left out.")
        return True

    async def _request(
        self,
        system: str,
        user: str,
        schema: type[BaseModel],
        mode: str,
        sent: Mapping[str, object],
        *,
        evidence: bool,
    ) -> ModelResponse:
        form, system = parameters(schema, mode, system, evidence=evidence)
        messages = [ModelRequest(parts=[SystemPromptPart(system), UserPromptPart(user)])]
        settings = self._as_sent(sent)
        attempts = AsyncRetrying(
            retry=retry_if_exception(lambda error: self._may_pass(error, sent)),
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
                        self._check_pause(error)
                        if error.status_code == 429:
                            self.limiter.slow_down(pause_of(error))
                        raise
        raise AssertionError  # pragma: no cover - tenacity returns or raises

    def _as_sent(self, sent: Mapping[str, object]) -> dict[str, object]:
        """Return settings by the names that the provider's package has for them."""
        settings = dict(sent)
        if effort := settings.pop("reasoning", None):
            settings["thinking"] = effort
            if self.endpoint.provider == "openai" and self.endpoint.base_url is not None:
                # Nothing is known of the model there, so the effort is sent as it was given.
                settings["openai_reasoning_effort"] = effort
        if self.known.limit_names[:1] == ["max_tokens"] and "max_tokens" in settings:
            body = settings.get("extra_body")
            more = body if isinstance(body, Mapping) else {}
            settings["extra_body"] = {"max_tokens": settings.pop("max_tokens"), **more}
        return settings

    def _may_pass(self, error: BaseException, sent: Mapping[str, object]) -> bool:
        """Whether the same call may succeed a moment later; not what is about its form."""
        if not is_transient(error):
            return False
        if not isinstance(error, ModelHTTPError):
            return True
        refused = refused_setting(error.status_code, error.body, sent)
        return refused is None and self._kind(error) not in {"form", "credit", "stream"}

    def _kind(self, error: ModelHTTPError) -> Kind:
        own = self.endpoint.base_url is not None
        return kind_of(error.status_code, error.body, own_address=own)

    def _check_pause(self, error: ModelHTTPError) -> None:
        """Raise :class:`ServiceLimitError` for a pause that is longer than a run waits."""
        seconds = pause_of(error)
        if isinstance(error, ModelQuotaExceededError) or seconds is None:
            return
        if error.status_code not in TRANSIENT or seconds <= LONGEST_PAUSE:
            return
        where, until = self.endpoint.host or self.endpoint.base_url, _clock(seconds)
        message = f"{where} asks to wait {_duration(seconds)}, until {until}: {said_by(error)}"
        hint = f"Resume the run after {until}: what is answered is kept and not paid again."
        raise ServiceLimitError(message, hint, retry_after=seconds, status=error.status_code)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = pause_of(error)
        backoff = min(self.base_wait * 2.0 ** (state.attempt_number - 1), 30.0)
        seconds = backoff if asked is None else asked
        if seconds >= SAID_FROM and self.limiter.announces(seconds):
            where = self.endpoint.host or self.endpoint.base_url
            what = redact(said_by(error)) if isinstance(error, ModelAPIError) else "busy"
            pause = f"{_duration(seconds)}, until {_clock(seconds)}"
            self.notify(f"Waiting {pause}, for {where}: {what}")
        return seconds

    def _failure(self, error: ModelAPIError) -> Exception:
        said = redact(said_by(error))
        where = self.endpoint.host or self.endpoint.base_url
        model, url = self.endpoint.model, self.endpoint.base_url
        kind: Kind = "fault"
        if isinstance(error, ModelHTTPError):
            kind = self._kind(error)
        if isinstance(error, ModelQuotaExceededError):
            kind = "credit"
        elif isinstance(error, ModelAuthenticationError) and kind not in {"region", "moderation"}:
            kind = "key"
        match kind:
            case "key":
                message = f"{where} refused the key: {said}"
                hint = "Check the key and what it may be used for."
                return CredentialsRequiredError(message, hint)
            case "credit":
                message = f"The account at {where} has no credit left: {said}"
                hint = "Add credit, then resume the run: nothing is paid twice."
                return ServiceError(message, hint)
            case "region":
                message = f"{where} does not serve this country or region: {said}"
                hint = "Use another provider, or a server that may be reached from here."
                return ServiceForbiddenError(message, hint)
            case "address":
                message = f"There is no API of a language model at {url}: {said}"
                return ServiceNotFoundError(message, self._right_address())
            case "model":
                message = f'{where} does not know the model "{model}", or not any more: {said}'
                return ServiceError(message, "Check `model` and `base_url`.")
            case "stream":
                message = f"{where} sends streams of events, which cannot be read here: {said}"
                hint = "Turn streaming off at the server or gateway."
                return ServiceError(message, hint)
            case "moderation":
                return RefusedError(f"The model refused to answer: a filter of {where}: {said}")
            case "too_long":
                hint = "Send fewer genes (`n_genes`) or use a model with a longer context."
                return CallFailedError(f"The question is too long for {model}: {said}. {hint}")
            case "limit":
                return CallFailedError(f"{where} says that it is asked too often: {said}")
            case "slow":
                return CallFailedError(f"{where} took too long to answer: {said}")
            case "overloaded":
                return CallFailedError(f"{where} is overloaded: {said}")
            case "form" | "unclear" | "refused":
                return CallFailedError(f"{where} refused the request: {said}")
            case _:
                return CallFailedError(f"{where} could not answer: {said}")

    def _right_address(self) -> str:
        url = (self.endpoint.base_url or "").rstrip("/")
        if self.endpoint.provider == "anthropic":
            return f'Try base_url="{url.removesuffix("/v1")}": its package adds /v1 itself.'
        if url.endswith("/chat/completions"):
            return f'Try base_url="{url.removesuffix("/chat/completions")}".'
        if "/v1" in url:
            return "Check `base_url`: the path before /chat/completions."
        return f'Most servers want the address with /v1: base_url="{url}/v1".'


TRANSPORT_ATTEMPTS = 6
BUSY_ATTEMPTS = 20
"""Attempts where the service only says that it is busy (429): it will answer in the end."""
PATIENCE = 900.0
"""Seconds that one call waits in all."""
SAID_FROM = 5.0
"""Seconds from which on it is said that a call waits."""


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


def names_of(response: ModelResponse) -> list[str]:
    """Return the name of each tool that a reply calls."""
    return [part.tool_name for part in response.parts if isinstance(part, ToolCallPart)]


def arguments_of(response: ModelResponse) -> list[str]:
    """Return the arguments of the calls of a reply, as they were written."""
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    return [c.args if isinstance(c.args, str) else c.args_as_json_str() for c in calls]


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
    most = BUSY_ATTEMPTS if busy else TRANSPORT_ATTEMPTS
    return state.attempt_number >= most or state.idle_for >= PATIENCE


def said_by(error: ModelAPIError) -> str:
    """Return what a service said, short."""
    if isinstance(error, ModelHTTPError):
        words = words_of(error.body)
        return f"status {error.status_code}, {words}" if words else f"status {error.status_code}"
    return str(error)[:300]


def _not_sent(error: Exception) -> Exception:
    """Return the error for a request that the package of Bedrock did not send."""
    name, words = type(error).__name__, redact(str(error))[:300]
    if "Credential" in name or "Token" in name or "Profile" in name:
        hint = "Set AWS_BEARER_TOKEN_BEDROCK or your AWS credentials."
        return CredentialsRequiredError(f"Bedrock cannot be asked: {words}", hint)
    return ServiceError(f"Bedrock cannot be asked: {words}", "Check `base_url` and the region.")


def _clock(seconds: float) -> str:
    """Return the time of day in so many seconds, where the user is."""
    then = datetime.datetime.now().astimezone() + datetime.timedelta(seconds=seconds)
    return then.strftime("%H:%M:%S" if seconds < 86_400 else "%Y-%m-%d %H:%M")


def _duration(seconds: float) -> str:
    """Return seconds in words.

    Examples
    --------
    >>> _duration(45), _duration(1500), _duration(7300)
    ('45 s', '25 min', '2 h 1 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
