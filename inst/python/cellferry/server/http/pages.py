"""The pages of the server: the report of a job, and a page to wait on."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ...annotations.report import Embedding, render
from ...study.clusters import Clusters
from ..jobs.study import named

if TYPE_CHECKING:
    from ..jobs.payload import JobInput
    from ..jobs.queue import Jobs
    from ..jobs.records import Job, Status

WAITING_SECONDS = 5


def report_page(jobs: Jobs, record: Job) -> str:
    """Return the report of a completed job; everything that clients sent is escaped."""
    job = jobs.input(record)
    found = named(jobs.annotations(record), job)
    title = next((text for name, text in job.tags.items() if name.lower() == "title"), None)
    title = title or "Cell types"
    return render(found, title=title, embedding=_embedding(job), tags=job.tags)


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
