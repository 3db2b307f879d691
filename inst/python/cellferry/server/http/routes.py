"""The addresses of the server: uploads, jobs, reports.

The addresses of the Cell Atlas API have a module of their own, ``cells``; guards, bodies and
failures are shared.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from ..._version import __version__
from ...annotations.report import policy as report_policy
from ..bodies import filled, read
from ..comparing import Comparison
from ..failures import Failure, fail
from ..jobs.decisions import Decided
from ..jobs.llm_configs import Credentials, allowed
from ..settings import MIB
from ..store import now
from ..uploads.signed import MOST_SIGNED, SIGNED_PATH, etag
from . import bodies
from .cells import EMBEDDING_PATH, MARKERS_PATH, PATH
from .guards import COOKIE, check_may_write, refused
from .memory import BodyMemory
from .openapi import document
from .pages import by_id, page_decisions, report_page, waiting_page
from .queue import Queue
from .requests import check_content_type, declared_length, pieces, read_json, whole

if TYPE_CHECKING:
    from starlette.requests import Request

    from ..jobs.records import Job
    from ..service import Server
    from ..uploads.uploads import Upload

MOST_CHUNKS = 10**9
KEY = "[!-~]{1,200}"
BODIES_BYTES = 128 * MIB
"""Bytes of all bodies in memory at once, however many are sent."""
QUERIES_AT_ONCE = 2
WAITING_QUERIES = 30


class Routes:
    """The functions behind the addresses, over one :class:`~..service.Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._memory = BodyMemory(BODIES_BYTES)
        # Threads for what may take long: nothing else waits for them. Of large bodies one is
        # parsed at a time, because a parsed job is many times its text.
        self._parsing = anyio.CapacityLimiter(1)
        self._accepting = anyio.CapacityLimiter(2)
        self._completing = anyio.CapacityLimiter(2)
        self._rendering = anyio.CapacityLimiter(2)
        self._deciding = anyio.CapacityLimiter(1)
        self._queries = Queue(QUERIES_AT_ONCE, WAITING_QUERIES)

    def routes(self) -> list[Route]:
        """Return the table of addresses."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            Route("/upload/{file_kind}/initiate", self.initiate, methods=["POST"]),
            Route("/upload/{upload_id}/chunk/{idx}", self.chunk, methods=["PUT"]),
            Route(SIGNED_PATH + "{upload_id}/{idx}", self.part, methods=["PUT"]),
            Route("/upload/{upload_id}/complete", self.complete, methods=["POST"]),
            Route("/upload/{upload_id}", self.upload, methods=["GET"]),
            Route("/annotate", self.annotate, methods=["POST"]),
            Route(PATH, self.cells, methods=["POST"]),
            Route(MARKERS_PATH, self.markers, methods=["POST"]),
            Route(EMBEDDING_PATH, self.embedding, methods=["POST"]),
            Route("/reannotate", self.reannotate, methods=["POST"]),
            Route("/status/{job_id}", self.status, methods=["GET"]),
            Route("/results/{job_id}", self.results, methods=["GET"]),
            Route("/report/{job_id}", self.report, methods=["GET"]),
            Route("/jobs/{job_id}/credentials", self.credentials, methods=["POST"]),
            Route("/jobs/{job_id}/decisions", self.decisions, methods=["GET"]),
            Route("/jobs/{job_id}/decisions", self.decide, methods=["POST"]),
            Route("/data/{job_id}/page/decisions", self.page_decisions, methods=["GET"]),
            Route("/data/{job_id}/page/decisions", self.page_decide, methods=["POST"]),
            Route("/data/{job_id}/page/compare", self.page_compare, methods=["POST"]),
            Route("/data/{job_id}/page/{kind}", self.page_block, methods=["GET"]),
            Route("/data/{job_id}/page/{kind}/{number}", self.page_block, methods=["GET"]),
            Route("/data/{job_id}/expression", self.expression, methods=["GET"]),
            Route("/data/{job_id}/counts", self.counts, methods=["POST"]),
        ]

    async def health(self, _request: Request) -> Response:
        """Say that the server is there, and which it is."""
        answer = bodies.Health(status="ok", server="cellferry", version=__version__)
        return JSONResponse(answer)

    async def openapi(self, _request: Request) -> Response:
        """Return the description of all addresses."""
        return JSONResponse(document())

    async def initiate(self, request: Request) -> Response:
        """Begin an upload."""
        sent = read(bodies.Initiate, filled(await read_json(request, optional=True)))
        kind = request.path_params["file_kind"]
        upload = await run_sync(self._server.uploads.initiate, kind, sent.file_size_bytes)
        answer = bodies.Initiated(
            upload_id=upload.id,
            chunk_size_bytes=upload.chunk_bytes,
            max_size_bytes=self._server.settings.largest(kind),
            expires_at=upload.expires_at,
        )
        if addresses := self._signed(request, upload):
            answer["r2_upload_id"] = upload.id
            answer["presigned_urls"] = addresses
        return JSONResponse(answer)

    def _signed(self, request: Request, upload: Upload) -> list[str]:
        """Return the signed addresses of an upload where this server gives them."""
        settings = self._server.settings
        n = None if upload.size is None else -(-upload.size // upload.chunk_bytes)
        if not settings.signed_parts or not n or n > MOST_SIGNED:
            return []
        base = settings.public_url or f"{request.url.scheme}://{request.headers['host']}"
        expires = int(now() + 3600 * settings.signed_hours)
        return [base + self._server.signer.path(upload.id, i, expires) for i in range(n)]

    async def chunk(self, request: Request) -> Response:
        """Take one chunk."""
        upload, position, size = await self._take_chunk(request)
        answer = bodies.Chunk(upload_id=upload.id, chunk=position, size_bytes=size)
        return JSONResponse(answer)

    async def part(self, request: Request) -> Response:
        """Take one chunk at a signed address; its ETag confirms the content."""
        which, position_text = request.path_params["upload_id"], request.path_params["idx"]
        self._server.signer.check(which, position_text, request.query_params)
        upload, position, _ = await self._take_chunk(request)
        confirmed = await run_sync(self._server.uploads.hash_of, upload.id, position)
        return Response(headers={"ETag": etag(confirmed or "")})

    async def _take_chunk(self, request: Request) -> tuple[Upload, int, int]:
        check_content_type(request, "application/octet-stream", optional=True)
        upload = await run_sync(self._server.uploads.find, request.path_params["upload_id"])
        position = whole(request.path_params["idx"], "idx", 0, MOST_CHUNKS)
        size = await self._server.uploads.write_chunk(
            upload, position, declared_length(request), pieces(request)
        )
        return upload, position, size

    async def complete(self, request: Request) -> Response:
        """Check a whole file and keep it."""
        sent = read(bodies.Complete, filled(await read_json(request, optional=True)))
        parts = [(part.number, part.etag) for part in sent.parts or ()]
        upload = await run_sync(self._server.uploads.find, request.path_params["upload_id"])
        if upload.state != "complete":
            upload = await run_sync(
                self._server.complete_upload, upload, parts, limiter=self._completing
            )
        answer = bodies.Uploaded(
            upload_id=upload.id,
            file_kind=upload.kind,
            file_name=upload.file_name,
            size_bytes=upload.size or 0,
            expires_at=upload.expires_at,
        )
        return JSONResponse(answer)

    async def upload(self, request: Request) -> Response:
        """Say what has arrived of an upload, for a client that goes on after a crash."""

        def read() -> tuple[Upload, dict[int, int]]:
            found = self._server.uploads.find(request.path_params["upload_id"])
            return found, self._server.uploads.received(found)

        upload, chunks = await run_sync(read)
        answer = bodies.Upload(
            upload_id=upload.id,
            file_kind=upload.kind,
            state=upload.state,
            size_bytes=upload.size,
            chunk_size_bytes=upload.chunk_bytes,
            received_chunks=list(chunks),
            expires_at=upload.expires_at,
        )
        return JSONResponse(answer)

    async def annotate(self, request: Request) -> Response:
        """Accept a job. Its body may contain keys and is never written to disk."""
        check_content_type(request, "application/json")
        key = request.headers.get("idempotency-key")
        if key is not None and re.fullmatch(KEY, key) is None:
            fail(f"`Idempotency-Key` must match {KEY}.")
        settings = self._server.settings

        async with self._memory.reading(request, settings.body_bytes) as body:
            job = await run_sync(self._server.parser.submission, body, limiter=self._parsing)
        job_id = await run_sync(self._server.jobs.submit, job, key, limiter=self._accepting)
        return JSONResponse(bodies.Job(job_id=job_id))

    async def cells(self, request: Request) -> Response:
        """Answer cells at once."""
        return await self._of_cells(request, "cells")

    async def markers(self, request: Request) -> Response:
        """Return the marker genes of labels."""
        return await self._of_cells(request, "markers")

    async def embedding(self, request: Request) -> Response:
        """Return the embedding of cells."""
        return await self._of_cells(request, "embedding")

    async def _of_cells(self, request: Request, what: str) -> Response:
        """Answer one request about cells at a time, because a parsed one is large."""
        check_content_type(request, "application/json")
        async with self._memory.reading(request, self._server.settings.body_bytes) as body:
            found = await run_sync(self._server.parser.cells, body, what, limiter=self._parsing)
        return Response(found, media_type="application/json")

    async def status(self, request: Request) -> Response:
        """Say how far a job is."""
        # Not in a thread: these are two short queries, and all threads may be busy.
        return JSONResponse(self._server.jobs.status(self._job(request)))

    async def results(self, request: Request) -> Response:
        """Return the results of a completed job."""
        job = self._job(request)
        path = self._server.jobs.results_path(job)
        body = await run_sync(self._server.jobs.decided_results, job, limiter=self._rendering)
        if body is not None:
            return Response(body, media_type="application/json")
        return FileResponse(path, media_type="application/json")

    async def report(self, request: Request) -> Response:
        """Return the report as a page."""
        if "token" in request.query_params and self._server.settings.token is not None:
            return self._without_token_in_url(request)
        job = self._job(request)
        if job.state != "completed":
            return HTMLResponse(waiting_page(self._server.jobs.status(job)))
        writable = self._may_write(request)
        page, is_live = await run_sync(
            lambda: report_page(self._server, job, writable=writable), limiter=self._rendering
        )
        policy = report_policy(live=is_live) + "; frame-ancestors 'none'"
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    async def reannotate(self, request: Request) -> Response:
        """Ask about one cluster again, with a person's feedback."""
        content = filled(await read_json(request, optional=True))
        asked = {name: request.query_params.get(name, "") for name in bodies.REANNOTATE}
        job = self._found(asked["job_id"], may_read=request.scope["state"]["may_read"])
        sent = read(Credentials, content).llm_configs if content else []
        configs = allowed(sent, self._server.settings)
        await run_sync(
            self._server.jobs.reannotate, job, asked["cluster_id"], asked["feedback"], configs
        )
        return JSONResponse(bodies.Job(job_id=job.id))

    async def credentials(self, request: Request) -> Response:
        """Give keys to a job that lost them in a restart."""
        content = await read_json(request)
        job = self._job(request)
        configs = allowed(read(Credentials, content).llm_configs, self._server.settings)
        await run_sync(self._server.jobs.give_keys, job, configs)
        return JSONResponse(bodies.Job(job_id=job.id))

    async def decisions(self, request: Request) -> Response:
        """Return what persons decided about a job, the oldest first."""
        job = self._job(request)
        found = await run_sync(self._server.jobs.decisions, job, limiter=self._rendering)
        return JSONResponse(found)

    async def decide(self, request: Request) -> Response:
        """Add what a person decided about clusters of a job; nothing is ever taken away."""
        check_may_write(request, self._server.settings)
        sent = read(Decided, await read_json(request)).decisions
        job = self._job(request)
        found = await run_sync(self._server.jobs.decide, job, sent, limiter=self._deciding)
        return JSONResponse(found)

    def _may_write(self, request: Request) -> bool:
        try:
            check_may_write(request, self._server.settings)
        except Failure:
            return False
        return bool(request.scope["state"]["may_read"])

    async def page_block(self, request: Request) -> Response:
        """Return a block of the page of a job: raw numbers."""
        job, path = self._job(request), request.path_params
        name = "/".join(path[part] for part in ("kind", "number") if part in path)
        found = await self._queries.run(self._server.page_block, job, name)
        return Response(found, media_type="application/octet-stream")

    async def page_compare(self, request: Request) -> Response:
        """Return the genes by which two sets of cells of a job differ most, tested."""
        job = self._job(request)
        asked = read(Comparison, await read_json(request))
        return JSONResponse(await self._queries.run(self._server.page_compare, job, asked))

    async def page_decisions(self, request: Request) -> Response:
        """Return what persons decided about a job, as its page has it."""
        job = self._job(request)

        def read_all() -> dict[str, object]:
            return page_decisions(self._server.jobs.annotations(job), self._server.jobs.input(job))

        return JSONResponse(await run_sync(read_all, limiter=self._rendering))

    async def page_decide(self, request: Request) -> Response:
        """Add what a person decided on the page of a job."""
        job = self._job(request)
        if not request.scope["state"]["may_read"]:
            raise refused(None)
        check_may_write(request, self._server.settings)
        content = await read_json(request)
        named = await run_sync(by_id, content, self._server.jobs.input(job))
        sent = read(Decided, named).decisions
        await run_sync(self._server.jobs.decide, job, sent, limiter=self._deciding)
        return await self.page_decisions(request)

    async def expression(self, request: Request) -> Response:
        """Return a gene's expression over the embedding."""
        job = self._job(request)
        gene = request.query_params.get("gene", "")
        if not gene:
            fail("`gene` must name a gene.")
        most = whole(request.query_params.get("max_cells", "20000"), "max_cells", 1, 200_000)
        found = await self._queries.run(self._server.expression, job, gene, most)
        return JSONResponse(found)

    async def counts(self, request: Request) -> Response:
        """Return how many cells pass a filter of the metadata."""
        content = await read_json(request)
        job = self._job(request)
        found = await self._queries.run(self._server.counts, job, content)
        return JSONResponse(found)

    def _job(self, request: Request) -> Job:
        """Return the job of the address if this client may see it."""
        may_read = request.scope["state"]["may_read"]
        return self._found(request.path_params["job_id"], may_read=may_read)

    def _found(self, identifier: str, *, may_read: bool) -> Job:
        try:
            job = self._server.jobs.records.find(identifier)
        except Failure:
            if may_read:
                raise
            raise refused(None) from None
        if not may_read and job.visibility != "public":
            raise refused(None)
        return job

    def _without_token_in_url(self, request: Request) -> Response:
        """Move the token from the address, which browsers remember, into a cookie."""
        if not request.scope["state"]["may_read"]:
            raise refused(request.query_params["token"])
        response = RedirectResponse(request.url.path, status_code=303)
        response.set_cookie(
            COOKIE,
            request.query_params["token"],
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path="/",
        )
        return response
