"""Reading requests: bodies with limits, parameters with messages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import anyio
from starlette.requests import ClientDisconnect, Request

from ..bodies import parsed
from ..failures import Code, Failure, fail, shown

SMALL_BODY = 1024**2
BODY_SECONDS = 300.0
"""How long a body that is kept in memory may take altogether."""


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes; raises :class:`Failure` when the client goes away."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect as error:
        message = "The client went away in mid-request."
        raise Failure(Code.CLIENT_DISCONNECTED, message) from error


async def read_body(request: Request, most: int) -> bytes:
    """Return the whole body.

    Parameters
    ----------
    most
        Bytes that it may have.

    Raises
    ------
    Failure
        It is larger, it takes longer than :data:`BODY_SECONDS`, or the client goes away.
    """
    declared = declared_length(request)
    if declared is not None and declared > most:
        raise _too_large(declared, most)
    body = bytearray()
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for piece in pieces(request):
                body += piece
                if len(body) > most:
                    raise _too_large(len(body), most)
    except TimeoutError as error:
        message = f"The body took longer than {BODY_SECONDS:g} seconds."
        raise Failure(Code.REQUEST_TIMEOUT, message) from error
    return bytes(body)


async def read_json(request: Request, *, optional: bool = False) -> object:
    """Return the JSON of a body of at most :data:`SMALL_BODY` bytes.

    Parameters
    ----------
    optional
        Take an empty body as None.

    Raises
    ------
    Failure
        It is too large, no JSON, or not declared as ``application/json``.
    """
    body = await read_body(request, SMALL_BODY)
    if optional and not body:
        return None
    check_content_type(request, "application/json")
    return parsed(body)


def check_content_type(request: Request, wanted: str, *, optional: bool = False) -> None:
    """Raise :class:`Failure` unless the body is declared as what it must be.

    Browsers send other types to other sites without asking; this one they would ask for.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != wanted and not (optional and not sent):
        message = f"The Content-Type must be {wanted}, not {shown(sent)}."
        raise Failure(Code.UNSUPPORTED_MEDIA_TYPE, message)


def declared_length(request: Request) -> int | None:
    """Return the Content-Length; None where the body is chunked."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def whole(text: str, what: str, least: int, most: int) -> int:
    """Return a whole number of a path or query.

    Parameters
    ----------
    text
        What was sent.
    what
        The name of the parameter, for the message.
    least, most
        Bounds, both valid.

    Raises
    ------
    Failure
        It is no number, or out of bounds.

    Examples
    --------
    >>> whole("12", "idx", 0, 99)
    12
    """
    if re.fullmatch(r"[0-9]{1,12}", text) is None or not least <= int(text) <= most:
        fail(f"`{what}` must be a whole number from {least} to {most}, not {shown(text)}.")
    return int(text)


def _too_large(size: int, most: int) -> Failure:
    return Failure(Code.PAYLOAD_TOO_LARGE, f"The body has {size} bytes or more; {most} are taken.")
