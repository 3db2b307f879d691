"""The Cell Atlas engine in a process that is killed or interrupted, and what is left of it."""

import collections
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from atlas_server import AtlasServer, label_of
from cell_data import GENES, cells
from cellferry import annotate_cells
from cellferry.runs.run import Run, list_runs
from paths import SUPPORT

pytestmark = [
    pytest.mark.process,
    *[
        pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning"),
        pytest.mark.filterwarnings("ignore::cellferry.errors.CellsDiagnosisWarning"),
    ],
]

CODE = """
import sys
from cell_data import cells
from cellferry import annotate_cells
from cellferry.engines.cellatlas import CellAtlas

engine = CellAtlas(api_url=sys.argv[1], min_counts=0, chunk_size=5, parallel=int(sys.argv[2]))
annotate_cells(cells(40), engine=engine, progress=False)
"""


def started(server, parallel):
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    return subprocess.Popen(
        [sys.executable, "-c", CODE, server.url, str(parallel)], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def first_cells(server):
    """How often each chunk was answered, by the counts of its first cell."""
    requests = [r["body"]["matrix"] for r in server.requests if "body" in r]
    return collections.Counter(json.dumps(m["data"][: m["indptr"][1]]) for m in requests)


@pytest.mark.parametrize("number", [1, 3, 6])
@pytest.mark.parametrize("parallel", [1, 3])
def test_a_killed_process_loses_only_what_was_under_way(number, parallel):
    server = AtlasServer()
    server.faults = dict.fromkeys(range(99), 0.05)
    with server.running():
        child = started(server, parallel)
        wait_for(lambda: len(server.answered) >= number)
        child.kill()
        child.communicate()
        (run,) = list_runs()
        assert run.content["status"] == "unfinished"
        known = len(run.finished())
        server.faults = {}
        adata = cells(40)
        annotate_cells(adata, resume=run.id, progress=False)
    expected = [label_of(GENES, row) for row in adata.layers["counts"].toarray()]
    assert adata.obs["cell_type_cell"].tolist() == expected
    times = first_cells(server)
    assert len(times) == 8
    assert sum(n - 1 for n in times.values()) <= parallel + 1
    assert known >= number - parallel
    assert Run.open(run.id).content["status"] == "finished"


def test_a_journal_that_was_cut_in_a_line_costs_that_chunk_alone():
    with AtlasServer().running() as server:
        adata = cells(40)
        options = {"api_url": server.url, "min_counts": 0, "chunk_size": 5}
        found = annotate_cells(adata, engine="cellatlas", progress=False, **options)
        run = Run.open(found.provenance["run"])
        journal = run.folder / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:-20])
        run.update(status="unfinished")
        before = len(server.requests)
        again = annotate_cells(cells(40), resume=run.id, progress=False)
    assert len(server.requests) == before + 1
    assert again.to_frame().equals(found.to_frame())


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupt_ends_a_run_at_once_and_names_it():
    server = AtlasServer()
    server.faults = dict.fromkeys(range(2, 99), 30.0)
    with server.running():
        child = started(server, 1)
        wait_for(lambda: len(server.requests) >= 3)
        begun = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)
        assert time.monotonic() - begun < 10
    (run,) = list_runs()
    assert run.content["status"] == "interrupted"
    assert len(run.finished()) == 2
    assert run.id in said.decode()
