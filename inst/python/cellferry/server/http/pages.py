"""The pages of the server: the report of a job, and a page to wait on."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ...annotations.report import Embedding, Live, render
from ...annotations.report.content import decisions_of
from ...study.clusters import Clusters
from ..failures import Failure
from ..jobs.study import named

if TYPE_CHECKING:
    from ...annotations.clusters import Annotations
    from ..jobs.payload import JobInput
    from ..jobs.records import Job, Status
    from ..service import Server

WAITING_SECONDS = 5


def report_page(server: Server, record: Job, *, writable: bool) -> tuple[str, bool]:
    """Return the report of a completed job, and whether it asks for data.

    Everything that clients sent is escaped.

    Parameters
    ----------
    server
        Whose job it is.
    record
        The job. With obs.duckdb the page is live; without, it is as in a file.
    writable
        Whether whoever asks may decide.
    """
    jobs = server.jobs
    job = jobs.input(record)
    found = named(jobs.annotations(record), job)
    title = next((text for name, text in job.tags.items() if name.lower() == "title"), None)
    given: Any = {"title": title or "Cell types", "embedding": _embedding(job), "tags": job.tags}
    files = server.page_files(record)
    if files is None:
        return render(found, **given), False
    base = f"../data/{record.id}/page/"
    compare = files.vars_path is not None
    live = Live(base, f"{base}decisions", writable=writable, cells=False, compare=compare)
    try:
        index = server.pages.index(found, files, live)
    except Failure:
        # What is wrong with the files is no reason to have no report.
        return render(found, **given), False
    return render(found, **given, live=live, index=index), True


def page_decisions(found: Annotations, job: JobInput) -> dict[str, Any]:
    """Return the history of a job's decisions, under the names that its page has."""
    names = _names(job)
    rows = decisions_of(found)
    return {"decisions": [{**r, "cluster": names.get(r["cluster"], r["cluster"])} for r in rows]}


def by_id(content: object, job: JobInput) -> object:
    """Return a body with decisions under the ids of the clusters, in place of their names."""
    if not isinstance(content, dict) or not isinstance(content.get("decisions"), list):
        return content
    ids = {name: identifier for identifier, name in _names(job).items()}

    def one(sent: object) -> object:
        if not isinstance(sent, dict) or not isinstance(sent.get("cluster"), str):
            return sent
        return {**sent, "cluster": ids.get(sent["cluster"], sent["cluster"])}

    return {**content, "decisions": [one(sent) for sent in content["decisions"]]}


def _names(job: JobInput) -> dict[str, str]:
    unique = len(set(job.labels.values())) == len(job.labels)
    return dict(job.labels) if unique else {}


def _embedding(job: JobInput) -> Embedding | None:
    if job.coordinates is None or job.points is None:
        return None
    unique = len(set(job.labels.values())) == len(job.labels)
    names = tuple(job.labels.values() if unique else job.labels)
    clusters = Clusters(names, codes=job.points)
    return Embedding("Embedding", job.coordinates.astype(np.float64), clusters)


def waiting_page(status: Status) -> str:
    """Return a page that says how far a job is, and looks again until it is done."""
    states = list(status["clusterStatus"].values())
    done = sum(state == "completed" for state in states)
    text = f"{done} of {len(states)} clusters are done; the job is {status['jobStatus']}."
    ended = status["jobStatus"] == "failed"
    again = "" if ended else f'<meta http-equiv="refresh" content="{WAITING_SECONDS}">'
    reason = f"<p>{escape(status['message'])}</p>" if status.get("message") else ""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{again}'
        f"<title>cellferry</title></head><body><h1>cellferry</h1><p>{escape(text)}</p>{reason}"
        "</body></html>\n"
    )
