"""Jobs: accepted on disk, worked on by a few threads, resumed after any kind of end."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ...annotations.clusters import Annotations
from ...errors import CellferryError
from ...runs.worker import CancelledWork, Event
from ..failures import Code, Failure, fail, shown
from ..folder import own_folders, set_aside
from ..settings import Settings
from ..store import Store, new_id, now
from . import decisions
from .engines import engine_of
from .isolated import Isolation, Task, work_on
from .payload import JobInput, JobRequest
from .records import Job, JobRecords, Status
from .recovery import RECORD, is_accepted, journalled, write_record
from .remarks import LONGEST, add_remark, remarks_of
from .study import check_job

if TYPE_CHECKING:
    from ..lookup.process import Readers
    from .decisions import Decisions, OneDecision
    from .llm_configs import LLMConfig

MOST_ENDS_OF_SERVER = 3
"""How often the server may end while it works on a job, before it is worked on in a process of its
own: whose fault it was is not known of a server that ended."""

logger = logging.getLogger("cellferry.server")


class Jobs:
    """The jobs of a server.

    Keys of language models are in the memory of this object only.
    """

    def __init__(self, settings: Settings, store: Store, readers: Readers) -> None:
        self.records = JobRecords(store)
        self._settings = settings
        self._store = store
        self._readers = readers
        self._isolation = Isolation()
        self._keys: dict[str, Sequence[LLMConfig]] = {}
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take up what an earlier server left, and begin to work."""
        self._sweep()
        for job in self.records.waiting():
            self._catch_up(job)
            if job.needs_keys:
                self.records.set_state(job.id, "credentials_required")
            else:
                self.records.set_state(job.id, "pending")
                self._queue.put(job.id)
        for i in range(self._settings.concurrent_jobs):
            thread = threading.Thread(target=self._serve, name=f"cellferry-job-{i}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _sweep(self) -> None:
        """Remove what was being submitted when the server ended, and nothing else."""
        known = self.records.known()
        for folder in own_folders(self._store.folder / "jobs"):
            if folder.name in known:
                continue
            if is_accepted(folder):
                where = set_aside(folder, self._store.folder)
                logger.warning("The database knows no job %s; it is in %s.", folder.name, where)
            else:
                shutil.rmtree(folder)

    def _catch_up(self, job: Job) -> None:
        """Say of each cluster what is so: an answer may be on disk before the database has it."""
        folder = self._store.job_folder(job.id)
        answered = journalled(folder)
        states = {
            c: "completed" if c in answered else "pending"
            for c, s in self._states(job).items()
            if s != "completed"
        }
        self.records.set_clusters(job.id, states)
        if not (folder / RECORD).exists():
            self._remember(job.id)

    def _remember(self, identifier: str) -> None:
        """Write what the database knows of a job into its folder, in case it is lost."""
        folder = self._store.job_folder(identifier)
        with contextlib.suppress(OSError):
            write_record(folder, **self.records.row(identifier))

    def stop(self) -> None:
        """Stop working; unfinished jobs stay unfinished."""
        self._stopping.set()
        self._isolation.close()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=5)

    def expire(self) -> None:
        """Delete jobs that are older than they are kept."""
        if self._settings.keep_days is None:
            return
        for identifier in self.records.expire(now() - 86_400 * self._settings.keep_days):
            self._keys.pop(identifier, None)
            shutil.rmtree(self._store.job_folder(identifier), ignore_errors=True)

    def submit(self, submission: JobRequest, request_key: str | None = None) -> str:
        """Accept a job and return its id; the same request key gives the same job.

        Parameters
        ----------
        submission
            A checked body.
        request_key
            The client's ``Idempotency-Key``, or None.

        Raises
        ------
        Failure
            No engine can answer the job, too many wait, an upload is missing, the disk is full,
            or the request key belongs to another job.
        """
        job, configs = submission.job, submission.llm_configs
        engine = engine_of(configs, self._parallel(job))
        check_job(job, engine)
        request_hash = _hash(job, submission)
        if request_key is not None and (known := self.records.of_request(request_key)):
            return self._again(known, request_hash, configs)
        identifier = new_id()
        folder = self._store.job_folder(identifier)
        self._store.check_space(0)
        folder.mkdir()
        try:
            job.save(folder)
            _flush(folder)
            self.records.insert(
                identifier,
                job.labels,
                submission.uploads,
                visibility=submission.visibility,
                needs_keys=bool(configs),
                request_key=request_key,
                request_hash=request_hash,
                most_waiting=self._settings.waiting_jobs,
            )
        except sqlite3.IntegrityError as error:
            # The same request came twice at the same moment; the other one was faster.
            shutil.rmtree(folder)
            known = None if request_key is None else self.records.of_request(request_key)
            if known is None:
                message = "The idempotency key was used at the same moment; ask again."
                raise Failure(Code.JOB_CONFLICT, message, {"Retry-After": "1"}) from error
            return self._again(known, request_hash, configs)
        except BaseException:
            shutil.rmtree(folder)
            raise
        self._remember(identifier)
        if configs:
            self._keys[identifier] = configs
        self._queue.put(identifier)
        return identifier

    def _again(self, known: Job, request_hash: str, configs: Sequence[LLMConfig]) -> str:
        if known.request_hash != request_hash:
            message = "The idempotency key was used for another job."
            raise Failure(Code.JOB_CONFLICT, message)
        if known.state == "credentials_required" and configs:
            self.give_keys(known, configs)
        return known.id

    def give_keys(self, job: Job, configs: Sequence[LLMConfig]) -> None:
        """Let a job go on that lost its keys; raises :class:`Failure`."""
        if job.state != "credentials_required":
            message = f"The job is {job.state} and wants no keys."
            raise Failure(Code.JOB_CONFLICT, message)
        if not configs:
            raise Failure(Code.LLM_VALIDATION_FAILED, "`llm_configs` must have an entry.")
        engine_of(configs, 1)
        self._keys[job.id] = configs
        self.records.set_state(job.id, "pending")
        self._queue.put(job.id)

    def reannotate(
        self, job: Job, cluster: str, feedback: str, configs: Sequence[LLMConfig] = ()
    ) -> None:
        """Ask about one cluster of a completed job again; raises :class:`Failure`.

        Parameters
        ----------
        job
            Its other clusters keep their answers, and this one its own until there is another.
        cluster
            Its id.
        feedback
            What a person says about the answer.
        configs
            Models with keys: those of the job were forgotten when it was completed.
        """
        if job.state != "completed":
            raise Failure(Code.JOB_CONFLICT, f"The job is {job.state}: wait until it is completed.")
        if not feedback.strip() or len(feedback) > LONGEST:
            fail(f"`feedback` must be a text of at most {LONGEST} characters.")
        if cluster not in self._states(job):
            fail(f"`cluster_id`: the job has no cluster {shown(cluster)}.")
        if not job.needs_keys:
            fail("The embedded engine answered this job, and it reads no feedback.")
        if not configs:
            message = (
                "The keys of a completed job are not kept: send `llm_configs` in the body, as for "
                "/annotate."
            )
            raise Failure(Code.LLM_VALIDATION_FAILED, message)
        engine_of(configs, 1)
        add_remark(self._store.job_folder(job.id), cluster, feedback)
        self._keys[job.id] = configs
        if not self.records.begin_again(job.id, cluster):
            raise Failure(Code.JOB_CONFLICT, "The job is asked again already: wait for it.")
        self._queue.put(job.id)

    def status(self, job: Job) -> Status:
        """Return the body of ``/status``."""
        found = Status(jobStatus=job.state, clusterStatus=self._states(job))
        if job.error:
            found["message"] = job.error
        elif job.state == "credentials_required":
            found["message"] = (
                "The server was restarted and keys are never stored. Send llm_configs to "
                f"/jobs/{job.id}/credentials; finished clusters are kept."
            )
        return found

    def results_path(self, job: Job) -> Path:
        """Return the file with the body of ``/results``; raises :class:`Failure`."""
        if job.state == "failed":
            raise Failure(Code.JOB_FAILED, job.error or "The job failed.")
        if job.state != "completed":
            raise Failure(Code.JOB_NOT_COMPLETED, f"The job is {job.state}.")
        return self._store.job_folder(job.id) / "results.json"

    def annotations(self, job: Job) -> Annotations:
        """Return the annotations of a completed job; raises :class:`Failure`."""
        path = self.results_path(job).with_name("annotations.json")
        found = Annotations.from_json(path.read_text(encoding="utf-8"))
        return decisions.in_force(found, path.parent)

    def decided_results(self, job: Job) -> bytes | None:
        """Return the body of ``/results`` with what persons decided; None where nobody did."""
        path = self.results_path(job)
        if not decisions.has_decisions(path.parent):
            return None
        content = orjson.loads(path.read_bytes())
        return orjson.dumps(decisions.results_in_force(content, self.annotations(job)))

    def decisions(self, job: Job) -> Decisions:
        """Return the decisions of a completed job; raises :class:`Failure`."""
        return decisions.rows_of(job.id, self.annotations(job))

    def decide(self, job: Job, sent: Sequence[OneDecision]) -> Decisions:
        """Add decisions to those of a completed job, all or none; raises :class:`Failure`.

        Parameters
        ----------
        job
            The job.
        sent
            What was sent.
        """
        folder = self.results_path(job).parent
        made = decisions.decide(self.annotations(job), folder, sent)
        return decisions.rows_of(job.id, made)

    def input(self, job: Job) -> JobInput:
        """Return what a job is about."""
        return JobInput.load(self._store.job_folder(job.id))

    def artifacts(self, job: Job) -> dict[str, Path]:
        """Return kind -> file of the artifacts of a job."""
        uploads = self.records.uploads(job.id)
        return {kind: self._store.upload_path(upload) for kind, upload in uploads.items()}

    def _states(self, job: Job) -> dict[str, str]:
        return self.records.clusters(job.id)

    def _parallel(self, job: JobInput) -> int:
        return min(job.parallel, self._settings.parallel_clusters)

    def _serve(self) -> None:
        while (identifier := self._queue.get()) is not None and not self._stopping.is_set():
            try:
                self._work(self.records.find(identifier))
            except CancelledWork:
                # The server ends; the job goes on at its next start.
                continue
            except Exception as error:
                expected = isinstance(error, CellferryError | Failure)
                logger.log(
                    logging.WARNING if expected else logging.ERROR,
                    "Job %s failed: %s.",
                    identifier,
                    type(error).__name__,
                    exc_info=None if expected else error,
                )
                reason = getattr(error, "message", "An internal error; the server's log has it.")
                self._fail(identifier, str(reason))

    def _fail(self, identifier: str, reason: str) -> None:
        folder = self._store.job_folder(identifier)
        if remarks_of(folder):
            # What was answered before a cluster was asked again is not lost by it.
            answered = orjson.loads((folder / "results.json").read_bytes())["annotations"]
            known = self.records.clusters(identifier)
            self.records.set_clusters(
                identifier, {c: "completed" if c in answered else "failed" for c in known}
            )
            self.records.set_state(identifier, "completed", reason)
            self._keys.pop(identifier, None)
            return
        states = self.records.clusters(identifier).items()
        self.records.set_clusters(identifier, {c: "failed" for c, s in states if s != "completed"})
        self.records.set_state(identifier, "failed", reason)
        self._keys.pop(identifier, None)

    def _work(self, record: Job) -> None:
        states = self._states(record)
        suspected = self.records.begin(record.id) > MOST_ENDS_OF_SERVER
        self.records.set_clusters(
            record.id, {c: "processing" for c, s in states.items() if s == "pending"}
        )
        task = Task(
            self._store.job_folder(record.id),
            self.artifacts(record),
            self._parallel(self.input(record)),
            self._keys.get(record.id, ()),
        )
        on_event = self._on_event(record.id)
        if suspected:
            found = self._isolation.work_on(task, on_event)
        else:
            found = work_on(task, self._readers, on_event)
        self.records.set_clusters(record.id, found.states)
        if "completed" not in found.states.values():
            message = f"No cluster was answered. {' '.join(found.reasons[:3])}"
            raise Failure(Code.JOB_FAILED, message)
        self.records.set_state(record.id, "completed")
        self._keys.pop(record.id, None)

    def _on_event(self, identifier: str) -> Callable[[Event], None]:
        def on_event(event: Event) -> None:
            if self._stopping.is_set():
                raise CancelledWork
            if event.kind == "progress" and event.unit:
                self.records.set_clusters(identifier, {event.unit: "completed"})

        return on_event


def _hash(job: JobInput, submission: JobRequest) -> str:
    """Hash what a job is about; never a key."""
    digest = hashlib.sha256()
    plain = {"labels": job.labels, "markers": job.markers, "tags": job.tags}
    digest.update(orjson.dumps([plain, job.study_info, job.genes, submission.uploads]))
    digest.update(job.percentages.tobytes())
    if job.coordinates is not None:
        digest.update(job.coordinates.tobytes())
    return digest.hexdigest()


def _flush(folder: Path) -> None:
    folders = (folder, folder.parent) if os.name == "posix" else ()
    for path in (*folder.iterdir(), *folders):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
