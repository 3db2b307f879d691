"""What a client receives when a request cannot be served: one body, one table of codes.

The body is the protocol's ``{"detail": {"error_code": ..., "message": ...}}``: published
clients treat any other as a broken network and go on for hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, NoReturn


class Meaning(NamedTuple):
    """The HTTP status of an error code, and what it says."""

    status: int
    text: str


class Code(StrEnum):
    """The error codes."""

    BAD_REQUEST = "BAD_REQUEST"
    AUTHENTICATION_REQUIRED = "AUTHENTICATION_REQUIRED"
    INVALID_TOKEN = "INVALID_TOKEN"
    ACCESS_DENIED = "ACCESS_DENIED"
    NOT_FOUND = "NOT_FOUND"
    JOB_NOT_FOUND = "JOB_NOT_FOUND"
    UPLOAD_NOT_FOUND = "UPLOAD_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    JOB_NOT_COMPLETED = "JOB_NOT_COMPLETED"
    JOB_FAILED = "JOB_FAILED"
    JOB_CONFLICT = "JOB_CONFLICT"
    UPLOAD_INCOMPLETE = "UPLOAD_INCOMPLETE"
    CHUNK_CONFLICT = "CHUNK_CONFLICT"
    UPLOAD_EXPIRED = "UPLOAD_EXPIRED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    INVALID_ARTIFACT = "INVALID_ARTIFACT"
    LLM_VALIDATION_FAILED = "LLM_VALIDATION_FAILED"
    NO_EXPRESSION = "NO_EXPRESSION"
    CLIENT_DISCONNECTED = "CLIENT_DISCONNECTED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    SERVER_BUSY = "SERVER_BUSY"
    INSUFFICIENT_STORAGE = "INSUFFICIENT_STORAGE"


CODES: dict[Code, Meaning] = {
    Code.BAD_REQUEST: Meaning(400, "The request is not what this address expects."),
    Code.AUTHENTICATION_REQUIRED: Meaning(401, "This server wants a token and none was sent."),
    Code.INVALID_TOKEN: Meaning(401, "The token is not the one of this server."),
    Code.ACCESS_DENIED: Meaning(403, "The request came from another site or for another host."),
    Code.NOT_FOUND: Meaning(404, "There is nothing at this address."),
    Code.JOB_NOT_FOUND: Meaning(404, "No job of that id."),
    Code.UPLOAD_NOT_FOUND: Meaning(404, "No upload of that id."),
    Code.METHOD_NOT_ALLOWED: Meaning(405, "The address does not take this method."),
    Code.REQUEST_TIMEOUT: Meaning(408, "The client stopped sending in mid-request."),
    Code.JOB_NOT_COMPLETED: Meaning(409, "The job has no results yet; ask for its status."),
    Code.JOB_FAILED: Meaning(409, "The job failed; the message says why."),
    Code.JOB_CONFLICT: Meaning(409, "The idempotency key belongs to another job."),
    Code.UPLOAD_INCOMPLETE: Meaning(409, "Chunks are missing."),
    Code.CHUNK_CONFLICT: Meaning(409, "This chunk was received before, with other content."),
    Code.UPLOAD_EXPIRED: Meaning(410, "The upload has expired: begin again."),
    Code.PAYLOAD_TOO_LARGE: Meaning(413, "The file or body is larger than this server takes."),
    Code.UNSUPPORTED_MEDIA_TYPE: Meaning(415, "The Content-Type or Content-Encoding is not taken."),
    Code.VALIDATION_ERROR: Meaning(422, "A value is not valid; the message names it."),
    Code.INVALID_ARTIFACT: Meaning(
        422, "The uploaded file is damaged, or contains what it should not."
    ),
    Code.LLM_VALIDATION_FAILED: Meaning(422, "An entry of llm_configs cannot be used here."),
    Code.NO_EXPRESSION: Meaning(422, "The job was submitted without the file that this needs."),
    Code.CLIENT_DISCONNECTED: Meaning(499, "The client went away."),
    Code.INTERNAL_ERROR: Meaning(500, "A fault of the server; its log has the details."),
    Code.SERVER_BUSY: Meaning(503, "Too much is waiting; try again later."),
    Code.INSUFFICIENT_STORAGE: Meaning(507, "The disk of the server is full."),
}


class Failure(Exception):  # noqa: N818
    """A request that ends with an error code.

    Parameters
    ----------
    code
        One of :class:`Code`.
    message
        What was wrong and what is valid, for people. Never a secret.
    headers
        Beside the usual ones, for example ``Retry-After``.
    """

    def __init__(self, code: Code, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code].status

    def body(self) -> dict[str, dict[str, str]]:
        """Return the body of the answer.

        Examples
        --------
        >>> Failure(Code.NOT_FOUND, "Nothing here.").body()
        {'detail': {'error_code': 'NOT_FOUND', 'message': 'Nothing here.'}}
        """
        return {"detail": {"error_code": self.code.value, "message": self.message}}


def fail(message: str, cause: Exception | None = None) -> NoReturn:
    """Raise the :class:`Failure` of a value that is not valid."""
    raise Failure(Code.VALIDATION_ERROR, message) from cause


DEEPEST = 100
"""Lists within lists that a message shows."""
TOO_DEEP = "what is nested too deep"


def shown(value: object, most: int = 60) -> str:
    """Return a value as it may stand in a message or a log line: short, on one line.

    Examples
    --------
    >>> shown("a\\nb")
    "'a\\\\nb'"
    """
    try:
        text = TOO_DEEP if _is_deep(value) else repr(value)
    except RecursionError:
        # JSON may be nested deeper than Python writes; how deep that is depends on its version.
        text = TOO_DEEP
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _is_deep(value: object) -> bool:
    """Whether the first item of the first item, and so on, goes deeper than a reader follows."""
    for _ in range(DEEPEST):
        if not isinstance(value, dict | list) or not value:
            return False
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return True
