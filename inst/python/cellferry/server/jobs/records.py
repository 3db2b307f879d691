"""What the database knows of jobs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, NotRequired

from typing_extensions import TypedDict

from ...files import Json
from ..bodies import one_of
from ..failures import Code, Failure, fail, shown
from ..store import Store, is_id, now

JOB_STATES: tuple[str, ...] = (
    "pending",
    "processing",
    "completed",
    "failed",
    "credentials_required",
)
UNFINISHED: tuple[str, ...] = ("pending", "processing")
CLUSTER_STATES: tuple[str, ...] = ("pending", "processing", "completed", "failed")


@dataclass(frozen=True)
class Job:
    """One job; ``number`` counts them in the order of arrival."""

    number: int
    id: str
    state: str
    visibility: str
    needs_keys: int
    request_hash: str
    error: str | None
    created: float


class Status(TypedDict):
    """How far a job is."""

    jobStatus: Annotated[str, one_of(JOB_STATES)]
    clusterStatus: dict[str, Annotated[str, one_of(CLUSTER_STATES)]]
    message: NotRequired[str]


class JobRecords:
    """The jobs of a data folder."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, identifier: str) -> Job:
        """Return a job; raises :class:`Failure`."""
        found = self._where("id = ?", identifier) if is_id(identifier) else []
        if not found:
            raise Failure(Code.JOB_NOT_FOUND, f"There is no job {shown(identifier)}.")
        return found[0]

    def of_request(self, request_key: str) -> Job | None:
        """Return the job that was submitted with an idempotency key."""
        found = self._where("request_key = ?", request_key)
        return found[0] if found else None

    def waiting(self) -> list[Job]:
        """Return unfinished jobs in the order of arrival."""
        return self._where("state IN ('pending', 'processing')")

    def _where(self, condition: str, *values: str) -> list[Job]:
        with self._store.reading() as sql:
            rows = sql.execute(
                "SELECT number, id, state, visibility, needs_keys, request_hash, error, created "
                f"FROM jobs WHERE {condition} ORDER BY number",
                values,
            ).fetchall()
        return [Job(*row) for row in rows]

    def insert(
        self,
        identifier: str,
        clusters: Iterable[str],
        uploads: Mapping[str, str],
        *,
        visibility: str,
        needs_keys: bool,
        request_key: str | None,
        request_hash: str,
        most_waiting: int,
    ) -> None:
        """Accept a job: when this returns, it is on disk.

        Parameters
        ----------
        identifier
            Id of the new job.
        clusters
            Ids of its clusters, in the order in which they are shown.
        uploads
            Kind -> id of its uploads.
        visibility
            One of :data:`~.payload.VISIBILITIES`.
        needs_keys
            Whether it cannot go on after a restart without keys.
        request_key, request_hash
            The client's ``Idempotency-Key`` or None, and the hash of what the job is about.
        most_waiting
            Unfinished jobs that this server takes.

        Raises
        ------
        Failure
            Too many wait, or an upload is not there, not complete, or of another kind.
        sqlite3.IntegrityError
            The idempotency key was used in the meantime.
        """
        with self._store.transaction() as sql:
            (waiting,) = sql.execute(
                "SELECT count(*) FROM jobs WHERE state IN ('pending', 'processing')"
            ).fetchone()
            if waiting >= most_waiting:
                message = f"{waiting} jobs are waiting; try again later."
                raise Failure(Code.SERVER_BUSY, message, {"Retry-After": "30"})
            sql.execute(
                "INSERT INTO jobs (id, state, visibility, needs_keys, request_key, request_hash, "
                "created) VALUES (?, 'pending', ?, ?, ?, ?, ?)",
                (identifier, visibility, int(needs_keys), request_key, request_hash, now()),
            )
            sql.executemany(
                "INSERT INTO clusters VALUES (?, ?, ?, 'pending')",
                [(identifier, i, cluster) for i, cluster in enumerate(clusters)],
            )
            for kind, upload in uploads.items():
                _check_upload(sql, kind, upload)
                sql.execute("INSERT INTO job_uploads VALUES (?, ?, ?)", (identifier, kind, upload))

    def set_state(self, identifier: str, state: str, error: str | None = None) -> None:
        """Change the state of a job."""
        finished = now() if state in {"completed", "failed"} else None
        with self._store.transaction() as sql:
            sql.execute(
                "UPDATE jobs SET state = ?, error = ?, finished = ? WHERE id = ?",
                (state, error, finished, identifier),
            )

    def begin(self, identifier: str) -> int:
        """Mark a job as being worked on; returns how often that was begun."""
        with self._store.transaction() as sql:
            (attempts,) = sql.execute(
                "UPDATE jobs SET state = 'processing', attempts = attempts + 1 WHERE id = ? "
                "RETURNING attempts",
                (identifier,),
            ).fetchone()
        return int(attempts)

    def begin_again(self, identifier: str, cluster: str) -> bool:
        """Let a completed job be worked on for one cluster; whether it was completed."""
        with self._store.transaction() as sql:
            sql.execute(
                "UPDATE jobs SET state = 'pending', attempts = 0, error = NULL, finished = NULL "
                "WHERE id = ? AND state = 'completed'",
                (identifier,),
            )
            if not sql.rowcount:
                return False
            sql.execute(
                "UPDATE clusters SET state = 'pending' WHERE job = ? AND cluster = ?",
                (identifier, cluster),
            )
        return True

    def clusters(self, identifier: str) -> dict[str, str]:
        """Return cluster -> state, in the job's order."""
        with self._store.reading() as sql:
            rows = sql.execute(
                "SELECT cluster, state FROM clusters WHERE job = ? ORDER BY position", (identifier,)
            )
            return dict(rows.fetchall())

    def set_clusters(self, identifier: str, states: Mapping[str, str]) -> None:
        """Change the states of some clusters."""
        with self._store.transaction() as sql:
            sql.executemany(
                "UPDATE clusters SET state = ? WHERE job = ? AND cluster = ?",
                [(state, identifier, cluster) for cluster, state in states.items()],
            )

    def uploads(self, identifier: str) -> dict[str, str]:
        """Return kind -> id of the uploads of a job."""
        with self._store.reading() as sql:
            rows = sql.execute("SELECT kind, upload FROM job_uploads WHERE job = ?", (identifier,))
            return dict(rows.fetchall())

    def expire(self, before: float) -> list[str]:
        """Delete what ended before a time, or waits for keys since; returns the ids."""
        with self._store.transaction() as sql:
            rows = sql.execute(
                "DELETE FROM jobs WHERE finished < ? "
                "OR (state = 'credentials_required' AND created < ?) RETURNING id",
                (before, before),
            )
            return [row[0] for row in rows.fetchall()]

    def row(self, identifier: str) -> dict[str, Json]:
        """Return what a job was accepted with: the record beside its input."""
        columns = ("visibility", "needs_keys", "request_key", "request_hash", "created")
        with self._store.reading() as sql:
            row = sql.execute(
                f"SELECT {', '.join(columns)} FROM jobs WHERE id = ?", (identifier,)
            ).fetchone()
        return {**dict(zip(columns, row, strict=True)), "uploads": self.uploads(identifier)}

    def known(self) -> set[str]:
        """Return the ids of all jobs."""
        with self._store.reading() as sql:
            return {row[0] for row in sql.execute("SELECT id FROM jobs")}


def _check_upload(sql: sqlite3.Cursor, kind: str, upload: str) -> None:
    row = sql.execute("SELECT kind, state FROM uploads WHERE id = ?", (upload,)).fetchone()
    if row is None:
        message = f"`uploaded_files.{kind}`: there is no upload {upload}, or it has expired."
        fail(message)
    if row != (kind, "complete"):
        message = f"`uploaded_files.{kind}`: the upload {upload} is of {row[0]} and {row[1]}."
        fail(message)
