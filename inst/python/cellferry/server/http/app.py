"""The server as an ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.types import ASGIApp

from ..service import Server
from ..settings import Settings
from .guards import Guards
from .routes import Routes

EXPIRY_SECONDS = 600.0


def create_app(settings: Settings) -> ASGIApp:
    """Return the server as an ASGI application.

    It locks the data folder when it is made, and works while its lifespan lasts.

    Raises
    ------
    DataInUseError, OutputError
        The data folder is used by another server, or cannot be written.
    """
    server = Server(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await run_sync(server.start)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_expire, server)
            yield
            tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await run_sync(server.close)

    app = Starlette(routes=Routes(server).routes(), lifespan=lifespan)
    app.router.redirect_slashes = False
    return Guards(app, settings)


async def _expire(server: Server) -> None:
    while True:
        await anyio.sleep(EXPIRY_SECONDS)
        await run_sync(server.expire)
