"""What every request passes: who may use this server, and what every answer carries.

A web page that a user has open must not be able to use a server on that user's machine.
So the Host must be a name of this server (against DNS rebinding) and a request that a
browser sends for another site is refused (against cross-site requests).
"""

from __future__ import annotations

import hmac
import logging
import socket
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ...engines.service.addresses import ip_address, is_loopback
from ..failures import Code, Failure, shown
from ..settings import Settings
from ..uploads.signed import SIGNED_PATH

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("cellferry.server")

COOKIE = "cellferry_token"
OPEN_PATHS: frozenset[str] = frozenset({"/health", "/openapi.json"})
READ_PATHS: tuple[str, ...] = ("/status/", "/results/", "/report/", "/data/", "/jobs/")
"""What may be read without a token where the job is public; the route decides."""

DRAIN_SECONDS = 5.0

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What pages may do: nothing but look as they do. The report adds its own script's hash."""

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
}


class Guards:
    """The one middleware around the routes.

    It calls the router itself and not Starlette's own middleware, which would report errors in
    another form of body.
    """

    def __init__(self, app: Starlette, settings: Settings) -> None:
        self._starlette = app
        self._app: ASGIApp = app.router
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, serve, and log one request."""
        scope["app"] = self._starlette
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        sent: list[int] = []
        body = _Body(receive, self._settings.idle_seconds)

        sending = with_headers(send, HEADERS, sent)
        try:
            self._check(scope)
            scope["scheme"] = scheme_of(scope, self._settings)
            await self._app(scope, body.receive, sending)
        except Exception as error:
            failure = failure_of(error)
            if failure.code is Code.INTERNAL_ERROR:
                logger.exception("%s %s failed.", scope["method"], logged_path(scope))
            if not sent:
                # Who still sends would see a broken connection instead of the answer.
                await body.drain(self._settings.chunk_bytes)
                response = JSONResponse(failure.body(), failure.status, failure.headers)
                await response(scope, body.receive, sending)
        finally:
            logger.info(
                "%s %s %s %.0f ms",
                scope["method"],
                logged_path(scope),
                sent[0] if sent else 500,
                1000 * (time.perf_counter() - begun),
            )

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_our_name(host):
            message = f"This server does not answer to the host {shown(host)}."
            raise Failure(Code.ACCESS_DENIED, message)
        sent_from = headers.get("origin")
        if sent_from is not None and urlsplit(sent_from).netloc.lower() != host.lower():
            raise Failure(Code.ACCESS_DENIED, "Requests from other sites are refused.")
        is_page = scope["method"] in {"GET", "HEAD"} and scope["path"].startswith("/report/")
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"} and not is_page:
            raise Failure(Code.ACCESS_DENIED, "Requests from other sites are refused.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Failure(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body without a Content-Encoding.")
        scope.setdefault("state", {})["may_read"] = self._authorize(scope, headers)

    def _is_our_name(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if is_loopback(name):
            return True
        name = name.rstrip(".")
        if name in {h.lower() for h in self._settings.allowed_hosts}:
            return True
        if self._settings.is_loopback:
            return False
        # A number cannot be rebound to another machine, a name can.
        own = {self._settings.host.lower(), socket.gethostname().lower()}
        return ip_address(name) is not None or name in own

    def _authorize(self, scope: Scope, headers: Headers) -> bool:
        """Return whether the request may read private jobs; raises unless it may go on."""
        wanted = self._settings.token
        if wanted is None or scope["path"] in OPEN_PATHS:
            return True
        if scope["method"] == "PUT" and scope["path"].startswith(SIGNED_PATH):
            return False  # the address is signed; the route checks that
        reads = scope["method"] in {"GET", "HEAD"} and scope["path"].startswith(READ_PATHS)
        is_query = scope["path"].startswith("/data/") and scope["method"] == "POST"
        sent = sent_token(scope, headers, browser=reads or is_query)
        if sent is not None and hmac.compare_digest(sent.encode(), wanted.encode()):
            return True
        if reads or is_query:
            return False
        raise refused(sent)


def with_headers(send: Send, headers: Mapping[str, str], sent: list[int]) -> Send:
    """Return a `send` that adds headers which an answer has not.

    Parameters
    ----------
    send
        Of the request.
    headers
        Name -> value.
    sent
        Gets the status of the answer once that has begun.
    """

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent.append(message["status"])
            own = MutableHeaders(scope=message)
            for name, value in headers.items():
                own.setdefault(name, value)
        await send(message)

    return sending


def check_may_write(request: Request, settings: Settings) -> None:
    """Refuse to keep what a person says where nobody has to say who he is.

    With a token the guards want it of everybody who writes, also of public jobs. Without one only
    this machine may write, under a name of its own: a proxy would speak for others.

    Parameters
    ----------
    request
        What is asked.
    settings
        Of the server.

    Raises
    ------
    Failure
    """
    if settings.token is not None:
        return
    sender = request.client.host if request.client is not None else ""
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not (is_loopback(sender) and is_loopback(name)):
        message = "Without a token only this machine may write: start the server with --token."
        raise Failure(Code.ACCESS_DENIED, message)


def scheme_of(scope: Scope, settings: Settings) -> str:
    """Return the scheme that the client used, also where a proxy ends its TLS.

    A proxy says so by ``X-Forwarded-Proto``, or by the name that is in ``public_url``. Only
    one on this machine or among ``trusted_proxies`` is believed.
    """
    if scope["scheme"] == "https":
        return "https"
    headers = Headers(scope=scope)
    public = urlsplit(settings.public_url or "")
    if public.scheme == "https" and headers.get("host", "").lower() == public.netloc.lower():
        return "https"
    sender = (scope.get("client") or ("",))[0]
    if is_loopback(sender) or ip_address(sender) in map(ip_address, settings.trusted_proxies):
        said = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if said in {"http", "https"}:
            return said
    return "http"


def refused(sent: str | None) -> Failure:
    """Return the failure of a request without the right token."""
    challenge = {"WWW-Authenticate": "Bearer"}
    if sent is None:
        message = "This server wants a token: Authorization: Bearer <token>."
        return Failure(Code.AUTHENTICATION_REQUIRED, message, challenge)
    return Failure(Code.INVALID_TOKEN, "The token is not the one of this server.", challenge)


def sent_token(scope: Scope, headers: Headers, *, browser: bool) -> str | None:
    """Return the token of a request; browsers may bring it as a cookie or, once, in the URL."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    if not browser:
        return None
    query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
    if scope["path"].startswith("/report/") and "token" in query:
        return str(query["token"][0])
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if cookie is None else str(cookie.value)


def logged_path(scope: Scope) -> str:
    """Return the path for a log line: no query (tokens travel there), no control characters.

    Examples
    --------
    >>> logged_path({"path": "/report/a b\\n", "query_string": b"token=x"})
    '/report/a%20b%0A'
    """
    return quote(scope["path"][:200], safe="/:@!$&'()*+,;=-._~")


def failure_of(error: Exception) -> Failure:
    """Return how an error is reported to the client."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, HTTPException):
        codes = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}
        message = {404: "There is nothing at this address.", 405: "The method is not taken here."}
        code = codes.get(error.status_code, Code.BAD_REQUEST)
        return Failure(code, message.get(error.status_code, "Bad request."), error.headers)
    return Failure(Code.INTERNAL_ERROR, "An internal error; the server's log has the details.")


class _Body:
    """The body of a request, with a limit on how long nothing may come."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._ended = False

    async def receive(self) -> Message:
        if self._ended:
            # What comes after the body is the news that the client is gone; that may take.
            return await self._receive()
        try:
            with anyio.fail_after(self._seconds):
                message = await self._receive()
        except TimeoutError as error:
            self._ended = True
            message_text = f"Nothing came for {self._seconds:g} seconds."
            raise Failure(Code.REQUEST_TIMEOUT, message_text, {"Connection": "close"}) from error
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._ended = True
        return message

    async def drain(self, most: int) -> None:
        """Read and forget what still comes, up to a size, and not for long."""
        size = 0
        with anyio.move_on_after(DRAIN_SECONDS):
            while not self._ended and size <= most:
                try:
                    size += len((await self.receive()).get("body", b""))
                except Failure:
                    return
