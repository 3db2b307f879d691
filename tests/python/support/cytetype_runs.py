"""Runs of the CyteType engine against the fault server, for the tests."""

import json
import os
import subprocess
import sys
import textwrap
import time

from cellferry.annotate.request import build_study
from cellferry.annotate.verb import annotate
from cellferry.engines.cytetype import CyteType
from cellferry.engines.service.client import Retries
from cellferry.runs.run import list_runs
from cytetype_objects import plain
from fault_server import label_of

QUICK = Retries(attempts=5, first=0.01, longest=0.05, patience=3.0)
OPTIONS = {"poll_interval_seconds": 0.05, "timeout_seconds": 30, "upload_timeout_seconds": 2}
CANARY = "canary-7f3a91-secret"


def engine(server, **options):
    made = CyteType(api_url=server.url, **{**OPTIONS, **options})
    made.retries = QUICK
    return made


def study_for(made, adata=None):
    adata = plain() if adata is None else adata
    return build_study(adata, group_key="cluster", reading=made.capabilities.reading)


def run_engine(server, adata=None, on_event=None, provenance=None, **options):
    made = engine(server, **options)
    return annotate(study_for(made, adata), made, on_event=on_event, provenance=provenance)


def markers_sent(server):
    """Cluster -> markers of the newest job, as the server received them."""
    (*_, job) = server.jobs.values()
    sent = job["sent"]["input_data"]
    return {label: sent["markerGenes"][i] for i, label in sent["clusterLabels"].items()}


def assert_labels_are_right(server, found):
    """Every cluster has the label that the server gave to exactly this cluster."""
    markers = markers_sent(server)
    assert set(found.labels()) == {"0", "1", "10", "2"}
    for row in found:
        if row.status != "failed":
            assert row.label == label_of(markers[row.cluster])


def newest_run():
    return list_runs()[0]


def python_process(code, **environment):
    """Start another Python with this one's path; ``code`` may use ``OPTIONS`` and ``engine``."""
    head = "from cytetype_runs import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def everything_written(folder):
    """All bytes under a folder, to search for what must not be there."""
    return b"\n".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def outcome(done):
    """What another process printed as its last line, as data."""
    out, error = done.communicate(timeout=60)
    assert done.returncode == 0, error
    return json.loads(out.strip().splitlines()[-1])
