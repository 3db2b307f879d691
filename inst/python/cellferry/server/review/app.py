"""The addresses of a live page, and who may use them.

The address has a secret in its path, so that no other user or web page of this machine can guess
it; it is the only one that is answered. No cookie is set, and all addresses of the page are
relative: it works in a frame, and behind a proxy that puts a path before it.
"""

from __future__ import annotations

import hmac
import logging
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ...annotations.report import policy
from ...engines.service.addresses import is_loopback
from ...errors import CellferryError
from ...files import PRIVATE, write_json
from ..bodies import parsed, read
from ..comparing import Comparison
from ..failures import Code, Failure, shown
from ..http.guards import failure_of, with_headers
from ..http.requests import check_content_type, read_body
from .compare import compare
from .decide import Wishes, decide
from .lists import GeneLists

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .page import ReviewPage

logger = logging.getLogger("cellferry.server")

MOST_BODY = 64 * 1024**2
FRAMES = "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
"""Who may show the page in a frame: RStudio's viewer, and notebooks on this machine."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": f"default-src 'none'; {FRAMES}",
}
READERS = 4
"""Blocks that are made at once."""


class ReviewApp:
    """The application: guards around a few routes.

    Parameters
    ----------
    page
        What is served.
    token
        The secret of the path.
    state
        What ``health`` says.
    """

    def __init__(self, page: ReviewPage, token: str, state: dict[str, object]) -> None:
        self._page, self._token, self._state = page, token, state
        self.last_used = time.monotonic()
        self._reading = anyio.CapacityLimiter(READERS)
        self._comparing = anyio.CapacityLimiter(1)
        self._deciding = anyio.CapacityLimiter(1)
        own = f"/{token}"
        self._app: ASGIApp = Starlette(
            routes=[
                Route(own, self._moved, methods=["GET"]),
                Route(f"{own}/", self._html, methods=["GET"]),
                Route(f"{own}/health", self._health, methods=["GET"]),
                Route(f"{own}/data/decisions", self._decisions, methods=["GET"]),
                Route(f"{own}/data/decisions", self._decide, methods=["POST"]),
                Route(f"{own}/data/compare", self._compare, methods=["POST"]),
                Route(f"{own}/data/lists", self._keep_lists, methods=["POST"]),
                Route(f"{own}/data/done", self._done, methods=["POST"]),
                Route(f"{own}/data/{{name:path}}", self._block, methods=["GET"]),
            ]
        ).router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check and answer one request."""
        if scope["type"] != "http":
            return
        sent: list[int] = []
        sending = with_headers(send, HEADERS, sent)
        try:
            self._check(scope)
            self.last_used = time.monotonic()
            await self._app(scope, receive, sending)
        except Exception as error:
            failure = _failure(error)
            if failure.code is Code.INTERNAL_ERROR:
                logger.exception("A request failed.")
            if not sent:
                body = {"message": failure.message, **failure.body()}
                await JSONResponse(body, failure.status, failure.headers)(scope, receive, sending)

    def _check(self, scope: Scope) -> None:
        host = Headers(scope=scope).get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        # Another site's name may have been given this machine's number.
        if not is_loopback(name):
            message = f"This page does not answer to the host {shown(host)}."
            raise Failure(Code.ACCESS_DENIED, message)
        given = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode()):
            raise Failure(Code.NOT_FOUND, "There is nothing at this address.")
        if scope["method"] not in {"GET", "HEAD", "POST"}:
            raise Failure(Code.METHOD_NOT_ALLOWED, "The method is not taken here.")

    async def _moved(self, _request: Request) -> Response:
        return RedirectResponse(f"{self._token}/", status_code=307)

    async def _html(self, _request: Request) -> Response:
        content = await run_sync(self._page.html, limiter=self._reading)
        headers = {"Content-Security-Policy": f"{policy(live=True)}; {FRAMES}"}
        return HTMLResponse(content.encode("utf-8", "replace"), headers=headers)

    async def _health(self, _request: Request) -> Response:
        done = self._page.folder.done.exists()
        return JSONResponse({"status": "ok", **self._state, "done": done})

    async def _block(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = await run_sync(self._page.block, name, limiter=self._reading)
        return Response(content, media_type="application/octet-stream")

    async def _decisions(self, _request: Request) -> Response:
        found = await run_sync(self._page.decisions, limiter=self._reading)
        return JSONResponse({"decisions": found})

    async def _decide(self, request: Request) -> Response:
        wishes = read(Wishes, await _sent(request)).decisions
        found = await run_sync(decide, self._page, wishes, limiter=self._deciding)
        return JSONResponse({"decisions": found})

    async def _compare(self, request: Request) -> Response:
        asked = read(Comparison, await _sent(request))
        found = await run_sync(compare, self._page, asked, limiter=self._comparing)
        return JSONResponse(found)

    async def _keep_lists(self, request: Request) -> Response:
        kept = read(GeneLists, await _sent(request)).model_dump()
        path = self._page.folder.lists
        await run_sync(lambda: write_json(path, kept, mode=PRIVATE), limiter=self._deciding)
        return JSONResponse(kept)

    async def _done(self, request: Request) -> Response:
        await _sent(request)
        path = self._page.folder.done
        await run_sync(lambda: write_json(path, {"done": True}, mode=PRIVATE))
        return JSONResponse({"done": True})


async def _sent(request: Request) -> object:
    """Return the JSON of a body.

    A page of another site can't send this type without being asked for it by the browser first,
    and it would have to know the address.
    """
    check_content_type(request, "application/json")
    return parsed(await read_body(request, MOST_BODY))


def _failure(error: Exception) -> Failure:
    if isinstance(error, CellferryError):
        return Failure(Code.INTERNAL_ERROR, f"{error.message} {error.hint}".strip())
    return failure_of(error)
