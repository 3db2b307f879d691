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
QUIET_SECONDS = 20.0
"""How long nothing may come of such a body: a Content-Length that is too large ends here."""


async def pieces(request: Request, quiet: float | None = None) -> AsyncIterator[bytes]:
    """Yield the body as it comes.

    Parameters
    ----------
    request
        Its body was not read before.
    quiet
        Seconds in which nothing may come; None leaves that to the guards.

    Raises
    ------
    Failure
        The client goes away or is silent.
    """
    try:
        stream = aiter(request.stream())
        while True:
            try:
                with anyio.fail_after(quiet):
                    piece = await anext(stream)
            except StopAsyncIteration:
                return
            yield piece
    except TimeoutError as error:
        message = f"Nothing came for {quiet:g} seconds, and the body is not whole."
        raise Failure(Code.REQUEST_TIMEOUT, message, {"Connection": "close"}) from error
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
        It is larger, it takes longer than :data:`BODY_SECONDS`, the client is silent for
        :data:`QUIET_SECONDS`, or goes away.
    """
    check_length(request, most)
    body = bytearray()
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for piece in pieces(request, QUIET_SECONDS):
                body += piece
                if len(body) > most:
                    raise too_large(len(body), most)
    except TimeoutError as error:
        message = f"The body took longer than {BODY_SECONDS:g} seconds."
        raise Failure(Code.REQUEST_TIMEOUT, message) from error
    return bytes(body)


def check_length(request: Request, most: int) -> None:
    """Raise :class:`Failure` if the Content-Length is more than is taken."""
    declared = declared_length(request)
    if declared is not None and declared > most:
        raise too_large(declared, most)


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


def too_large(size: int, most: int) -> Failure:
    """Return the failure of a body that has too many bytes."""
    return Failure(Code.PAYLOAD_TOO_LARGE, f"The body has {size} bytes or more; {most} are taken.")
