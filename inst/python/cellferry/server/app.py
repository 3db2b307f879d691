"""The server: its parts, put together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.types import ASGIApp

from .counts_request import read_counts
from .failures import Code, Failure
from .guards import Guards
from .job_records import Job
from .jobs import Jobs
from .readers import Readers
from .routes import Routes
from .settings import Settings
from .signed import Signer, check_parts
from .store import Store
from .uploads import Upload, Uploads

EXPIRY_SECONDS = 600.0


class Server:
    """One data folder and everything that works on it.

    Raises
    ------
    DataInUseError, OutputError
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.data, settings.free_bytes)
        self.readers = Readers()
        self.uploads = Uploads(settings, self.store)
        self.signer = Signer.of(settings.data)
        self.jobs = Jobs(settings, self.store, self.readers)

    def start(self) -> None:
        """Delete what has expired and take up unfinished jobs."""
        self.expire()
        self.jobs.start()

    def expire(self) -> None:
        """Delete old jobs, and uploads that nobody needs any more."""
        self.jobs.expire()
        self.uploads.expire()

    def close(self) -> None:
        """Stop working and let go of the folder."""
        self.jobs.stop()
        self.readers.close()
        self.store.close()

    def complete_upload(self, upload: Upload, parts: Sequence[tuple[int, str]] = ()) -> Upload:
        """Check a whole file and keep it; raises :class:`Failure`.

        Parameters
        ----------
        parts
            Number and ETag of each, where the client lists them (after signed addresses).
        """
        size = self.uploads.check_complete(upload)
        if parts:
            check_parts(parts, self.uploads.hashes(upload))
        try:
            if size == 0:
                raise Failure(Code.INVALID_ARTIFACT, f"The file of {upload.kind} is empty.")
            self.readers.call(f"inspect_{upload.kind}", path=str(self.store.upload_path(upload.id)))
        except Failure:
            self.uploads.refuse(upload)
            raise
        return self.uploads.complete(upload, size)

    def expression(self, job: Job, gene: str, most: int) -> Any:
        """Return a gene over the embedding; raises :class:`Failure`."""
        files = self._files(job, "vars_h5")
        obs = files.get("obs_duckdb")
        return self.readers.call(
            "expression",
            vars_path=files["vars_h5"],
            obs_path=obs,
            gene=gene,
            max_cells=most,
        )

    def counts(self, job: Job, content: Any) -> Any:
        """Return how many cells pass a filter; raises :class:`Failure`."""
        filters, group_by = read_counts(content)
        files = self._files(job, "obs_duckdb")
        return self.readers.call(
            "counts", path=files["obs_duckdb"], filters=filters, group_by=group_by
        )

    def _files(self, job: Job, needed: str) -> dict[str, str]:
        files = {kind: str(path) for kind, path in self.jobs.artifacts(job).items()}
        if needed not in files:
            message = f"The job was submitted without {needed}."
            raise Failure(Code.NO_EXPRESSION, message)
        return files


def create_app(settings: Settings) -> ASGIApp:
    """Return the server as an ASGI application.

    It takes hold of the data folder when it is made, and works while its lifespan lasts.
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
