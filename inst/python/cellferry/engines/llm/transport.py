"""What is sent for each mode, and what is tried again in transit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
)
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition
from tenacity import RetryCallState

from .gate import LONGEST_PAUSE
from .questions import fill

TRANSPORT_ATTEMPTS = 6
BUSY_ATTEMPTS = 20
"""Attempts where the service only says that it is busy (429): it will answer in the end."""
TRANSIENT = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}


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
        asked = error.retry_after
        return error.status_code in TRANSIENT and (asked is None or asked <= LONGEST_PAUSE)
    return isinstance(error, ModelConnectionError)


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
