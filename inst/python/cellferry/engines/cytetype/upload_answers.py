"""What an upload reads and sends: pieces of the file, ids, signed addresses, confirmations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...addresses import is_loopback
from ...errors import OutputError, ServiceAnswerError
from ...http_answers import is_page

if TYPE_CHECKING:
    from ...http import Reply

PIECE = 1 << 20
"""Bytes of a part that are in memory at once, for each worker."""


def pieces_of(
    path: Path, start: int, length: int, check: Callable[[], None]
) -> Callable[[], Iterator[bytes]]:
    """Return what yields one part of a file, anew for each attempt."""

    def pieces() -> Iterator[bytes]:
        left = length
        with path.open("rb") as content:
            content.seek(start, os.SEEK_SET)
            while left > 0:
                check()
                piece = content.read(min(PIECE, left))
                if not piece:
                    message = f'The file "{path}" became shorter while it was uploaded.'
                    raise OutputError(message, "Annotate again.")
                left -= len(piece)
                yield piece

    return pieces


def etag_of(reply: Reply) -> str:
    """Return the confirmation of a part; raises :class:`ServiceAnswerError` if there is none."""
    tag = reply.headers.get("etag", "")
    if not tag:
        host = reply.response.request.url.host
        message = f"{host} stored a part and did not confirm it (no ETag)."
        raise ServiceAnswerError(message, "Resume the run; the part is sent again.", host=host)
    return tag


def no_etag(reply: Reply) -> str:
    """Return nothing: a part sent to the service itself is confirmed by its status.

    Raises
    ------
    ServicePageError
        Something before the service answered, and the part never arrived.
    """
    if is_page(reply.response, reply.content):
        reply.json()
    return ""


def safe_id(identifier: str, host: str) -> str:
    """Return an id if it can be part of a path; it comes from outside and goes into one."""
    valid = 0 < len(identifier) <= 200 and all(c.isalnum() or c in "-_.~" for c in identifier)
    if not valid or set(identifier) == {"."}:
        message = f"{host} gave an id that cannot be one."
        raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
    return identifier


def signed_urls(given: Any, n_parts: int, host: str) -> tuple[str, ...]:
    """Return the signed address of each part: https, or this machine if the service is it."""
    if not isinstance(given, list) or len(given) < n_parts:
        n = len(given) if isinstance(given, list) else 0
        message = f"{host} gave {n} addresses for {n_parts} parts."
        raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
    for url in given[:n_parts]:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
        if not (safe and parts.hostname):
            message = f"{host} wants a part to be sent to an address that is not encrypted."
            raise ServiceAnswerError(message, "Nothing was sent there.", host=host)
    return tuple(given[:n_parts])
