"""One job of the service: submit, follow, fetch; each step can be done again.

The id of the job is in ``run.json`` as soon as the service has given it. A request to submit
that may have arrived is sent again under the same ``Idempotency-Key``.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ...errors import (
    ISSUE_URL,
    CellferryError,
    CredentialsRequiredError,
    ServiceAnswerError,
    ServiceCredentialsError,
    ServiceError,
    ServiceFailedError,
    ServiceForbiddenError,
    ServiceJobError,
    ServiceLimitError,
    ServiceNotFoundError,
    ServiceRejectedError,
    ServiceTimeoutError,
    ServiceUnreachableError,
    ServiceWordsWarning,
)
from ...files import Json
from ..service.answers import object_of
from ..service.secrets import redact
from .keyed import by_id, record_of
from .uploads import safe_id

if TYPE_CHECKING:
    from ...runs.run import Run
    from ...runs.worker import Events
    from ..service.client import Service
    from ..service.llm_configs import LLMConfigs
    from .options import Options
    from .prepare import Prepared
    from .uploads import Uploader

SUBMIT_SECONDS = 180.0
FIRST_POLL_SECONDS = 0.5
POLL_GROWTH = 1.6
NOT_KNOWN_YET_SECONDS = 60.0
"""So long a service may not know the job that it has just accepted."""
SILENCE_SECONDS = 900.0
"""So long a service may be away while a job is under way."""

UNKNOWN_SECONDS = 120.0
"""So long a job may be in a state that nobody knows before the wait ends."""

FINISHED = frozenset({"completed", "failed"})
_WORDS: dict[str, tuple[str, ...]] = {
    "completed": ("complete", "done", "finished", "succeeded", "success", "successful", "ok"),
    "failed": (
        "failure", "error", "errored", "cancelled", "canceled", "aborted", "expired", "rejected",
        "timeout", "timedout", "terminated", "killed", "deleted", "stopped",
    ),
    "processing": (
        "pending", "queued", "running", "submitted", "started", "starting", "inprogress",
        "created", "waiting", "accepted", "scheduled", "initializing", "retrying", "annotating",
        "reviewing", "active", "paused", "uploading", "preparing", "finalizing", "summarizing",
        "working", "new", "partial",
    ),
    "credentials_required": ("credentialsrequired",),
}  # fmt: skip
STATES = {
    re.sub("[^a-z]", "", word): state for state, words in _WORDS.items() for word in (state, *words)
}
"""What services call the states of a job or cluster, without case or separators -> ours."""


def state_of(word: object) -> str | None:
    """Return the state that a word of a service means, None if nobody knows.

    Examples
    --------
    >>> state_of("COMPLETED"), state_of("Cancelled"), state_of("in-progress"), state_of("odd")
    ('completed', 'failed', 'processing', None)
    """
    plain = re.sub("[^a-z]", "", word.casefold()) if isinstance(word, str) else ""
    return STATES.get(plain)


class Job:
    """The job of one run.

    Parameters
    ----------
    poll_seconds
        Longest pause between two looks.
    timeout_seconds
        Longest wait for the job, from when it is submitted or the run is resumed.
    """

    def __init__(
        self,
        service: Service,
        run: Run,
        events: Events,
        *,
        poll_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._service, self._run, self._events = service, run, events
        self._poll_seconds, self._timeout_seconds = poll_seconds, timeout_seconds
        self._gave_up = False

    @property
    def id(self) -> str | None:
        """The id that the service gave, or None before."""
        found = self._run.content["remote_job_id"]
        return None if found is None else str(found)

    @property
    def report_url(self) -> str:
        """Where the service shows the report of the job."""
        return f"{self._service.address}/report/{self.id}"

    def submit(
        self, envelope: Callable[[bool], dict[str, object]], key: str, *, may_reuse: bool
    ) -> bool:
        """Submit the job, or take up the one that was submitted for the same question.

        Returns whether it was taken up.

        Parameters
        ----------
        envelope
            Makes the request, given whether earlier uploads may be named again.
        key
            Hash of what is asked.
        may_reuse
            Whether an earlier upload is named: if the service then refuses, everything is
            uploaded and asked once more.
        """
        once = self._once(key)
        kept = self._run.finished().get(self._kept(key)) or {}
        if kept.get("job_id"):
            # Of an earlier record of the same folder: the same command was given again.
            self._submitted(str(kept["job_id"]), key)
            return True
        try:
            answer = self._post(envelope(may_reuse), once)
        except (ServiceNotFoundError, ServiceRejectedError):
            if not may_reuse:
                raise
            answer = self._post(envelope(False), once)
        host = self._service.host
        accepted = object_of(answer, host)
        # Written before anything else happens: from here on the job can be found again.
        identifier = safe_id(_identifier(accepted, host), host)
        payload: dict[str, Json] = {"once": once, "job_id": identifier}
        self._run.record("job", self._kept(key), payload)
        self._submitted(identifier, key)
        return False

    def _submitted(self, identifier: str, key: str) -> None:
        self._run.update(remote_job_id=identifier, asked=key)
        self._run.update(remote={"api_url": self._service.address, "report_url": self.report_url})

    def _kept(self, key: str) -> str:
        """Return the key under which the journal has the job of a question to this service."""
        return hashlib.sha256(f"job\x1f{self._service.address}\x1f{key}".encode()).hexdigest()

    def let_go(self) -> None:
        """Have the same command ask anew; this run keeps its job."""
        if asked := self._run.content.get("asked"):
            self._run.record("job let go", self._kept(asked), {"once": None, "job_id": None})

    def forget(self) -> None:
        """Take up the job no more: the next time it is submitted anew."""
        self.let_go()
        attempt = int(self._run.content.get("attempt", 0)) + 1
        self._run.update(attempt=attempt, remote_job_id=None)

    def renew(self, models: Callable[[], list[dict[str, object]] | None]) -> None:
        """Give the service the keys of the models again, for the same job.

        Parameters
        ----------
        models
            Returns them with their keys, as in the request that submitted the job.
        """
        self._service.post(f"/jobs/{self.id}/credentials", {"llm_configs": models()})

    def ask_again(
        self, cluster: str, feedback: str, models: list[dict[str, object]] | None
    ) -> None:
        """Have one cluster of the finished job asked again.

        Parameters
        ----------
        cluster
            Its id.
        feedback
            What a person says of its answer.
        models
            With their keys, which a service forgets when a job is finished; None sends none.
        """
        query = urlencode({"job_id": str(self.id), "cluster_id": cluster, "feedback": feedback})
        body = None if models is None else {"llm_configs": models}
        self._service.post(f"/reannotate?{query}", body, seconds=SUBMIT_SECONDS)

    def _once(self, key: str) -> str:
        """Return what makes the request one that is taken once, however often it arrives.

        It is in the journal before the request leaves: the same command, given again after a
        kill, sends the same.
        """
        kept = self._run.finished().get(self._kept(key)) or {}
        if kept.get("once"):
            return str(kept["once"])
        attempt = int(self._run.content.get("attempt", 0))
        text = f"{self._run.id}\x1f{key}\x1f{attempt}\x1f{secrets.token_hex(8)}"
        once = hashlib.sha256(text.encode()).hexdigest()
        self._run.record("job to be submitted", self._kept(key), {"once": once, "job_id": None})
        return once

    def _post(self, envelope: Mapping[str, object], key: str) -> Json:
        return self._service.post("/annotate", envelope, key=key, seconds=SUBMIT_SECONDS)

    def follow(self, labels: Mapping[str, str], renew: Callable[[], None]) -> dict[str, str]:
        """Wait until the job is finished, and return the state of each cluster by id.

        Parameters
        ----------
        labels
            The names of the clusters by id, for the events.
        renew
            Gives the service the keys of the models again, should it have lost them.

        Raises
        ------
        ServiceTimeoutError
            It takes longer than allowed; the job goes on and the run can be resumed.
        ServiceJobError
            The service gave up.
        CredentialsRequiredError
            The service lost the keys of the models, which it keeps in memory only.
        ServiceError
        """
        begun = time.monotonic()
        pause = min(FIRST_POLL_SECONDS, self._poll_seconds)
        heard = begun
        unknown = _UnknownWords()
        seen = False
        renewed = False
        trouble: ServiceError | None = None
        reported: set[str] = set()
        self._events.emit("started", 0, len(labels), "job", "Annotating clusters")
        while True:
            left = self._timeout_seconds - (time.monotonic() - begun)
            if left <= 0:
                raise trouble or self._late()
            try:
                status = self._status()
            except (ServiceUnreachableError, ServiceFailedError, ServiceTimeoutError) as error:
                if time.monotonic() - heard > min(SILENCE_SECONDS, self._timeout_seconds):
                    raise
                trouble = error
                self._wait(error, pause, left)
            except ServiceLimitError as error:
                trouble = error
                self._wait(error, self._poll_seconds, left)
            except ServiceNotFoundError:
                # A service that was restarted may need a moment to find its jobs again.
                if time.monotonic() - heard > (0 if not seen else 5) + NOT_KNOWN_YET_SECONDS:
                    raise
                self._events.wait(min(pause, left))
            else:
                heard, seen, trouble = time.monotonic(), True, None
                clusters = _states(status, labels)
                self._report(clusters, labels, reported)
                word = status["jobStatus"]
                state = state_of(word)
                if state is None:
                    unknown.seen(word, clusters, self._service.host, self.id)
                    # Whatever it is called: nothing is left to be done.
                    over = labels and all(clusters.get(c) in FINISHED for c in labels)
                    state = "completed" if over else "processing"
                else:
                    unknown.forget()
                if state == "credentials_required" and not renewed:
                    renewed = True
                    renew()
                    continue
                if self._is_over(state, clusters, _explanation(status)):
                    return clusters
                self._events.wait(min(pause, left))
            pause = min(pause * POLL_GROWTH, self._poll_seconds)

    def _status(self) -> Mapping[str, Any]:
        answer = object_of(self._service.get(f"/status/{self.id}"), self._service.host)
        if answer.get("jobStatus", "") is not None:
            object_of(answer, self._service.host, jobStatus=str)
        return answer

    def _is_over(self, state: str, clusters: Mapping[str, str], explanation: str) -> bool:
        if state == "credentials_required":
            message = (
                f"{self._service.host} was restarted and no longer has the keys of the models."
            )
            raise CredentialsRequiredError(message, "Resume with the keys in the environment.")
        self._gave_up = state == "failed"
        if self._gave_up and "completed" not in clusters.values():
            raise self._lost([c for c, s in clusters.items() if s == "failed"], explanation)
        return state in FINISHED

    def _lost(self, failed: list[str], explanation: str) -> ServiceJobError:
        """Return the error of a job that failed, after which resuming submits it anew."""
        message = f"{self._service.host} gave up on the job {self.id}"
        hint = "Resume the run to submit it again, or ask the operator of the service."
        self.forget()
        return ServiceJobError(
            f"{message}: {explanation}" if explanation else f"{message}.", hint, clusters=failed
        )

    def _report(
        self, clusters: Mapping[str, str], labels: Mapping[str, str], reported: set[str]
    ) -> None:
        over = {c for c, state in clusters.items() if state in FINISHED and c in labels}
        for cluster in sorted(over - reported):
            reported.add(cluster)
            text = clusters[cluster]
            self._events.emit("progress", len(reported), len(labels), labels[cluster], text)

    def _wait(self, error: ServiceError, pause: float, left: float) -> None:
        asked = error.retry_after or 0.0
        if asked > left:
            raise error
        self._events.wait(min(max(pause, asked), max(left, 0.0)))

    def _late(self) -> ServiceTimeoutError:
        message = f"The job {self.id} was not finished in {self._timeout_seconds:g} seconds."
        hint = "It goes on at the service: resume the run to wait again."
        return ServiceTimeoutError(message, hint, job=self.id)

    def keep(self, results: Mapping[str, Json]) -> None:
        """Keep what the service answered in the run; secrets were taken out."""
        self._run.store("results.json", results)

    def results(self) -> Mapping[str, Json]:
        """Return the results of the finished job, as the service gives them."""
        try:
            answer = self._service.get(f"/results/{self.id}", seconds=SUBMIT_SECONDS)
        except ServiceError as error:
            if self._gave_up:
                raise self._lost([], error.message) from error
            raise
        found = object_of(answer, self._service.host)
        annotations = record_of(found.get("annotations"))
        if annotations is None:
            object_of({"annotations": None}, self._service.host, annotations=dict)
        return {**found, "annotations": annotations}


class _UnknownWords:
    """Words for states that nobody knows: each is warned of once, and the wait for one ends."""

    def __init__(self) -> None:
        self._warned: set[str] = set()
        self._since: float | None = None
        self._clusters: Mapping[str, str] = {}

    def forget(self) -> None:
        """Note that the service used a word that is known."""
        self._since = None

    def seen(self, word: object, clusters: Mapping[str, str], host: str, job: str | None) -> None:
        """Note such a word; raises :class:`ServiceAnswerError` after :data:`UNKNOWN_SECONDS`."""
        shown = redact(" ".join(str(word).split()))[:60]
        if shown not in self._warned:
            self._warned.add(shown)
            message = f'{host} says that the job is "{shown}", which is no state that is known.'
            hint = f"It is looked at for {UNKNOWN_SECONDS:g} seconds more, while nothing changes."
            warnings.warn(ServiceWordsWarning(message, hint), stacklevel=4)
        if self._since is None or clusters != self._clusters:
            self._since, self._clusters = time.monotonic(), dict(clusters)
        elif time.monotonic() - self._since > UNKNOWN_SECONDS:
            message = (
                f'{host} says of the job {job} only that it is "{shown}", and nothing changes.'
            )
            hint = "Resume the run to look again, or ask the operator of the service."
            raise ServiceAnswerError(message, hint, job=job)


def _identifier(accepted: Mapping[str, Any], host: str) -> str:
    """Return the id of a job, which some services have as a number."""
    given = accepted.get("job_id")
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    return str(object_of(accepted, host, job_id=str)["job_id"])


def _explanation(status: Mapping[str, Any]) -> str:
    """Return why a job is as it is, in the words of the service."""
    for name in ("message", "error", "detail"):
        if isinstance(words := status.get(name), str) and words.strip():
            return redact(words)
    word = str(status["jobStatus"])
    return "" if word.casefold() == "failed" else redact(f'it is "{word}".')


def _states(status: Mapping[str, object], labels: Mapping[str, str]) -> dict[str, str]:
    given = status.get("clusterStatus")
    if given is None:
        return {}
    found = record_of(given)
    if found is None:
        message = "The state of the clusters is not a record."
        raise ServiceAnswerError(message, "The service speaks another protocol.")
    states = {}
    for cluster, said in by_id(found, labels).items():
        word = said
        if isinstance(said, Mapping):
            word = next((said[n] for n in ("status", "state") if n in said), None)
        states[cluster] = state_of(word) or str(word)
    return states


logger = logging.getLogger("cellferry")


class Submission:
    """Makes the request; keys are put in at the last moment and kept nowhere."""

    def __init__(
        self, prepared: Prepared, uploader: Uploader, options: Options, models: LLMConfigs
    ) -> None:
        self._prepared, self._uploader = prepared, uploader
        self._options, self._models = options, models

    def envelope(self, reuse: bool) -> dict[str, object]:
        """Return the request, once the artifacts are with the service.

        Parameters
        ----------
        reuse
            Whether a complete upload of the same content may be named again.

        Raises
        ------
        ServiceError, OutputError
            An upload failed, and ``require_artifacts`` asks for it; the hint ends with the
            link for reporting an issue.
        """
        uploads = self._uploads(reuse)
        request: dict[str, object] = {
            "input_data": self._prepared.payload,
            "llm_configs": self._models.wire(),
        }
        if uploads:
            request["uploaded_files"] = uploads
        if self._options.visibility is not None:
            request["visibility"] = self._options.visibility
        return request

    def _uploads(self, reuse: bool) -> dict[str, str]:
        uploads: dict[str, str] = {}
        for kind, path in self._prepared.artifacts.items():
            if not reuse:
                self._uploader.forget(kind, path)
            try:
                uploads[kind] = self._uploader.upload(kind, path, reuse=reuse)
            except CellferryError as error:
                # A refused token is refused for the job too.
                stays = isinstance(error, ServiceCredentialsError | ServiceForbiddenError)
                if self._options.require_artifacts or stays:
                    error.add_to_hint(
                        f"If it stays so, report it at {ISSUE_URL}, or go on without artifacts: "
                        "`require_artifacts=False`."
                    )
                    raise
                logger.warning("%s was not uploaded: %s", path.name, error.message)
        return uploads
