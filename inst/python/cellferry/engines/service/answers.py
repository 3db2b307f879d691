"""What an HTTP answer means: data, or one classed error and whether to try again.

The one place that knows status codes, error bodies and HTML pages.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...errors import (
    ServiceAnswerError,
    ServiceCredentialsError,
    ServiceError,
    ServiceFailedError,
    ServiceForbiddenError,
    ServiceLimitError,
    ServiceNotFoundError,
    ServicePageError,
    ServiceRedirectError,
    ServiceRejectedError,
    ServiceTimeoutError,
    ServiceTooLargeError,
    ServiceUnreachableError,
)
from .secrets import redact

if TYPE_CHECKING:
    import httpx

TRANSIENT = frozenset(
    {408, 409, 425, 429, 499, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 529}
)
"""Status codes after which the same request may succeed, of services and of models."""

FINAL_CODES = frozenset({"QUOTA_EXCEEDED", "LICENSE_EXPIRED", "LLM_VALIDATION_FAILED"})
"""Error codes of a service that another try does not change, whatever the status."""

_LONGEST_TEXT = 500

_BY_STATUS: dict[int, tuple[type[ServiceError], str]] = {
    401: (ServiceCredentialsError, "Give a valid token; tokens are never stored in a run."),
    403: (ServiceForbiddenError, "Ask the operator of the service what this token may do."),
    404: (ServiceNotFoundError, "Check the address of the service."),
    408: (ServiceTimeoutError, "Try again later."),
    499: (ServiceUnreachableError, "Try again: the connection broke on the way."),
    410: (ServiceNotFoundError, "It is gone; annotate again."),
    413: (
        ServiceTooLargeError,
        "Send less, or ask the operator for a higher limit.",
    ),
    429: (ServiceLimitError, "Wait and resume, or use a model of your own."),
}


def error_of(response: httpx.Response, content: bytes) -> ServiceError:
    """Return the error of an answer that is not a success.

    ``data`` holds ``status``, ``host``, and where known ``error_code`` (the service's own)
    and ``retry_after`` (seconds).
    """
    status, host = response.status_code, response.request.url.host
    data: dict[str, Any] = {"status": status, "host": host}
    if 300 <= status < 400:
        target = urlsplit(response.headers.get("location", ""))
        where = f"{target.scheme}://{target.hostname}" if target.hostname else "another address"
        message = f"{host} points to {where}, and redirects are not followed (HTTP {status})."
        hint = "Use the address of the service itself, with https."
        return ServiceRedirectError(message, hint, **data)
    code, told = explained(response, content)
    if code:
        data["error_code"] = code
    if (seconds := retry_after(response.headers)) is not None:
        data["retry_after"] = seconds
    cls, hint = _class_of(status, code)
    what = f"{host} refused the request" if status < 500 else f"{host} has a fault of its own"
    detail = f": {told}" if told else "."
    return cls(f"{what} (HTTP {status}{', ' + code if code else ''}){detail}", hint, **data)


def _class_of(status: int, code: str) -> tuple[type[ServiceError], str]:
    if code in {"INVALID_TOKEN", "TOKEN_INACTIVE", "AUTHENTICATION_REQUIRED"}:
        return _BY_STATUS[401]
    if code in {"ACCESS_DENIED", "LICENSE_EXPIRED", "VPN_BLOCKED"}:
        return _BY_STATUS[403]
    if code in {"RATE_LIMIT_EXCEEDED", "QUOTA_EXCEEDED"}:
        return _BY_STATUS[429]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServiceFailedError, "Try again later: the run keeps what is done."
    return ServiceRejectedError, "Correct what the message names and try again."


def explained(response: httpx.Response, content: bytes) -> tuple[str, str]:
    """Return the service's own error code and words, as far as the body has them.

    Reads ``{"error_code", "message"}``, the same under ``detail``, a plain ``detail``, and
    the list of problems that FastAPI sends with 422. Secrets in it are hidden.
    """
    if is_page(response, content):
        return "", "it answered with a web page, perhaps of a proxy."
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return "", _short(content.decode("utf-8", "replace"))
    detail = body.get("detail", body) if isinstance(body, dict) else body
    if isinstance(detail, dict):
        code, told = detail.get("error_code"), detail.get("message")
        if isinstance(code, str) or isinstance(told, str):
            return _short(str(code or "")), _short(str(told or ""))
    if isinstance(detail, str):
        return "", _short(detail)
    if isinstance(detail, list) and all(isinstance(d, dict) and "msg" in d for d in detail):
        problems = [f"{'.'.join(map(str, d.get('loc', ())))}: {d['msg']}" for d in detail]
        return "", _short("; ".join(problems))
    return "", _short(json.dumps(body))


def _short(text: str) -> str:
    plain = " ".join(redact(text).split())
    return plain if len(plain) <= _LONGEST_TEXT else plain[:_LONGEST_TEXT] + " ..."


def is_page(response: httpx.Response, content: bytes) -> bool:
    """Say whether the body is a web page."""
    kind = response.headers.get("content-type", "").lower()
    start = content[:256].lstrip().lower()
    return "text/html" in kind or start.startswith((b"<!doctype html", b"<html"))


def json_of(response: httpx.Response, content: bytes) -> Any:
    """Return the data of a successful answer; NaN and infinity in it become None.

    Raises
    ------
    ServicePageError, ServiceAnswerError
    """
    host, status = response.request.url.host, response.status_code
    data = {"status": status, "host": host}
    if is_page(response, content):
        message = f"{host} answered with a web page where data were expected."
        hint = "Check the address; a proxy or a sign-in page may stand before the service."
        raise ServicePageError(message, hint, **data)
    try:
        return json.loads(content, parse_constant=lambda _: None, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        message = f"The answer of {host} is not valid JSON ({len(content)} bytes)."
        raise ServiceAnswerError(message, "Try again; then report it.", **data) from error


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def object_of(content: Any, host: str, **kinds: type) -> Mapping[str, Any]:
    """Return the answer if it is an object that has these members of these kinds.

    Raises
    ------
    ServiceAnswerError
        With the name of the first member that is missing or of another kind.
    """
    if not isinstance(content, dict):
        message = f"The answer of {host} is not an object but {type(content).__name__}."
        raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
    for name, kind in kinds.items():
        value = content.get(name)
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            message = f"The answer of {host} has no valid `{name}`."
            raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
    return content


def is_transient(error: ServiceError) -> bool:
    """Say whether the same request may succeed when it is sent again."""
    code = error.data.get("error_code")
    if code in FINAL_CODES:
        return False
    if error.data.get("status") == 409 and code:
        # Without a name a conflict is one with another request that is under way, as object
        # stores mean it. One that is named stays, unless the service says when to come back.
        return error.retry_after is not None
    return error.data.get("status") in TRANSIENT or bool(error.data.get("transient"))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a service asks for before the next try; None if it does not say.

    Parameters
    ----------
    headers
        With names in lower case, or found in any case: ``retry-after-ms`` (milliseconds),
        else ``Retry-After`` (seconds, or a date).
    """
    try:
        seconds = float(headers["retry-after-ms"]) / 1000
    except (KeyError, ValueError):
        seconds = _seconds_of(headers.get("retry-after", "").strip())
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_of(given: str) -> float:
    try:
        return float(given)
    except ValueError:
        pass
    try:
        when = email.utils.parsedate_to_datetime(given)
    except (ValueError, OverflowError):
        return math.nan
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return (when - datetime.datetime.now(datetime.UTC)).total_seconds()
