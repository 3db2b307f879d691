"""One data folder and everything that works on it."""

from __future__ import annotations

from collections.abc import Sequence

from ..files import Json
from .comparing import Comparison
from .failures import Code, Failure
from .jobs.page import JobFiles, JobPages
from .jobs.queue import Jobs
from .jobs.records import Job
from .jobs.recovery import recover
from .lookup.counts import read_counts
from .lookup.process import Readers
from .parsing.parser import Parser
from .settings import Settings
from .store import Store
from .uploads.signed import Signer, check_parts
from .uploads.uploads import Upload, Uploads


class Server:
    """One data folder and everything that works on it.

    Raises
    ------
    DataInUseError, OutputError
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.data, settings.free_bytes, recover)
        # Queries have helpers of their own: however many there are, jobs go on.
        self.readers, self._queries = Readers(), Readers()
        self.parser = Parser(settings)
        self.uploads = Uploads(settings, self.store)
        self.signer = Signer.of(settings.data)
        self.jobs = Jobs(settings, self.store, self.readers)
        self.pages = JobPages(self._queries)

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
        for helpers in (self.readers, self._queries, self.parser):
            helpers.close()
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

    def expression(self, job: Job, gene: str, most: int) -> Json:
        """Return a gene over the embedding; raises :class:`Failure`.

        Parameters
        ----------
        gene
            Symbol or identifier.
        most
            Cells that are returned at most.
        """
        files = self._files(job, "vars_h5")
        obs = files.get("obs_duckdb")
        found: Json = self._queries.call(
            "expression", vars_path=files["vars_h5"], obs_path=obs, gene=gene, max_cells=most
        )
        return found

    def counts(self, job: Job, content: object) -> Json:
        """Return how many cells pass a filter; raises :class:`Failure`.

        Parameters
        ----------
        content
            The JSON of the body: :class:`~.lookup.counts.CountsRequest`.
        """
        filters, group_by = read_counts(content)
        files = self._files(job, "obs_duckdb")
        found: Json = self._queries.call(
            "counts", path=files["obs_duckdb"], filters=filters, group_by=group_by
        )
        return found

    def page_files(self, job: Job) -> JobFiles | None:
        """Return what the page of a job reads; None where its artifacts have no page of cells."""
        paths = {kind: str(path) for kind, path in self.jobs.artifacts(job).items()}
        return self.pages.files(self.jobs.input(job), paths)

    def page_block(self, job: Job, name: str) -> bytes:
        """Return a block of the page of a job; raises :class:`Failure`.

        Parameters
        ----------
        name
            As the page asks for it.
        """
        return self.pages.block(self._page_files(job), name)

    def page_compare(self, job: Job, asked: Comparison) -> Json:
        """Return how two sets of cells of a job differ; raises :class:`Failure`."""
        return self.pages.compare(self._page_files(job), asked)

    def _page_files(self, job: Job) -> JobFiles:
        files = self.page_files(job)
        if files is None:
            message = "The job was submitted without what this needs."
            raise Failure(Code.NO_EXPRESSION, message)
        return files

    def _files(self, job: Job, needed: str) -> dict[str, str]:
        files = {kind: str(path) for kind, path in self.jobs.artifacts(job).items()}
        if needed not in files:
            message = f"The job was submitted without {needed}."
            raise Failure(Code.NO_EXPRESSION, message)
        return files
