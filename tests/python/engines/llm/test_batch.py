"""Many clusters: every fault, no neighbour's label, nothing paid for twice."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from cellferry import errors, resume
from cellferry.annotate.verb import annotate
from cellferry.runs.run import Run
from cellferry.study.build import study_from_markers
from llm_cases import LABELS, LISTS, TWO, ask, engine, many
from llm_server import TYPES, Server
from paths import SUPPORT

FAULTS = [
    "slow:0.3", "429:1", "500", "drop", "truncated", "truncated_text", "fenced", "wrong_token",
    "invented", "empty", "null", "plain", "prose", "two", "refusal", "no_tools", "prompted_only",
    "ontology:CL:0000084",
]  # fmt: skip


def right_or_explained(found, labels):
    """Every cluster has its own label, or none and a reason."""
    assert [row.cluster for row in found] == list(labels)
    for row in found:
        if row.status == "ok":
            assert row.label == labels[row.cluster]
        else:
            assert row.label in {None, "Unknown"}
            assert row.error


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("fault", FAULTS)
def test_after_one_fault_all_labels_are_right(llm_server, fault, dialect):
    llm_server.script = {("B cell", "annotator"): [fault], ("T cell", "validator"): [fault]}
    url = llm_server.url + ("/v1" if dialect == "openai" else "")
    found = ask(llm_server, provider=dialect, base_url=url)
    right_or_explained(found, LABELS)
    if fault == "refusal":
        assert [row.status for row in found] == ["failed", "failed", "ok", "ok", "ok"]
        assert "refused" in found["0"].error
    else:
        assert {row.status for row in found} == {"ok"}


@pytest.mark.parametrize("fault", ["truncated", "wrong_token", "invented", "empty", "prose", "two"])
def test_a_fault_that_never_ends_is_an_explained_row_and_touches_no_other(llm_server, fault):
    llm_server.script = {("B cell", "annotator"): [fault, "..."]}
    found = ask(llm_server)
    right_or_explained(found, LABELS)
    assert [row.status == "ok" for row in found] == [False, True, True, True, True]


def test_a_neighbours_token_never_brings_a_neighbours_label(llm_server):
    ask(llm_server, TWO)
    token = next(r["token"] for r in llm_server.log if r["label"] == "T cell")
    llm_server.script = {("B cell", "annotator"): [f"wrong_token:{token}", "..."]}
    found = ask(llm_server, TWO)
    assert (found["0"].status, found["1"].label) == ("unknown", "T cell")


def test_clusters_run_at_the_same_time_and_never_more_than_asked(llm_server):
    llm_server.delay = 0.1
    ask(llm_server, many(24), max_workers=6)
    assert llm_server.most_at_once == 6


def test_a_second_run_asks_only_for_what_is_missing_or_changed(llm_server, tmp_path):
    options = {"output_name": str(tmp_path / "x")}
    ask(llm_server, **options)
    llm_server.log.clear()
    again = ask(llm_server, **options)
    assert llm_server.log == []
    assert again.labels() == LABELS
    changed = ask(llm_server, {**LISTS, "1": ["CD3D", "CD3G"], "5": ["COL1A1", "DCN"]}, **options)
    assert sorted(llm_server.annotated()) == ["Fibroblast", "T cell"]
    assert changed["5"].label == "Fibroblast"
    llm_server.log.clear()
    ask(llm_server, tissue="blood", **options)
    assert len(llm_server.annotated()) == 5


def test_a_failed_cluster_is_asked_again_and_an_unknown_one_is_not(llm_server, tmp_path):
    llm_server.script = {
        ("B cell", "annotator"): ["refusal"],
        ("T cell", "validator"): ["reject:No."] * 3,
    }
    options = {"output_name": str(tmp_path / "x")}
    found = ask(llm_server, **options)
    assert [row.status for row in found][:2] == ["failed", "unknown"]
    llm_server.log.clear()
    assert ask(llm_server, **options)["0"].label == "B cell"
    assert llm_server.annotated() == ["B cell"]


def test_a_run_with_failed_clusters_can_be_resumed_by_its_id(llm_server):
    llm_server.script = {("B cell", "annotator"): ["refusal"]}
    run = ask(llm_server).provenance["run"]
    assert Run.open(run).content["status"] == "unfinished"
    llm_server.log.clear()
    found = resume(run)
    assert found.labels() == LABELS
    assert llm_server.annotated() == ["B cell"]
    assert Run.open(run).content["status"] == "finished"


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from llm_cases import engine, many
import cellferry
class At: url = sys.argv[2]
found = cellferry.annotate_clusters(
    many(14), species="human", progress=False,
    engine=engine(At, output_name=sys.argv[3], max_workers=3))
print(found.labels())
"""


@pytest.mark.slow
def test_after_kill_9_no_finished_cluster_is_asked_again(tmp_path):
    log = tmp_path / "log.jsonl"
    with Server(delay=0.25, log_file=log) as server:
        command = [sys.executable, "-c", SCRIPT, SUPPORT, server.url, tmp_path / "x"]
        victim = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        journal = tmp_path / "x_run" / "journal.jsonl"
        deadline = time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
            assert time.monotonic() < deadline
            assert victim.poll() is None
            time.sleep(0.02)
        os.kill(victim.pid, signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        time.sleep(0.5)
        entries = [json.loads(line) for line in journal.read_text().splitlines()]
        kept = {e["payload"]["evidence"]["token"] for e in entries}
        assert 4 <= len(kept) < 14
        before = len(server.log)
        found = resume(str(tmp_path / "x_run"))
        requested = {r["token"] for r in server.log[before:]}
        assert not requested & kept
        assert len(requested) == 14 - len(kept)
    first = [label for label, _, _ in TYPES.values()]
    assert found.labels() == {f"c{i}": first[i % len(first)] for i in range(14)}
    assert len(log.read_text().splitlines()) == len(server.log)
    table = (tmp_path / "x_summary.csv").read_text(encoding="utf-8")
    assert table.count("\n") == 15


def test_an_interrupt_stops_within_a_second_and_keeps_what_is_known(tmp_path):
    # Of another test one may still wait for its server.
    before = set(threading.enumerate())
    with Server(delay=20) as server:
        server.script = {("B cell", "*"): ["slow:0", "..."]}
        found = []

        def press(event):
            if event.done == 1:
                found.append(time.monotonic())
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            annotate(study_from_markers(LISTS), engine(server), on_event=press)
        assert time.monotonic() - found[0] < 1
        run = Run.open(caught.value.run)
        assert run.content["status"] == "interrupted"
        assert [p["annotation"]["label"] for p in run.finished().values()] == ["B cell"]
        for thread in set(threading.enumerate()) - before:
            if not thread.name.startswith("cellferry"):
                continue
            thread.join(1)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("budget", "reason"),
    [({"max_tokens": 9000}, "the budget of 9000 tokens was reached"),
     ({"max_cost_usd": 0.03, "prices": {"input": 3, "output": 15}}, r"budget of \$0.03")],
)  # fmt: skip
def test_a_budget_stops_cleanly_and_resuming_goes_on(llm_server, budget, reason):
    found = ask(llm_server, many(10), max_workers=2, **budget)
    left = [row for row in found if row.status == "skipped"]
    answered = [row for row in found if row.status == "ok"]
    assert left
    assert answered
    assert len(left) + len(answered) == 10
    assert all(re.search(reason, row.error) for row in left)
    spent = sum(row.input_tokens + row.output_tokens for row in answered)
    assert spent <= budget.get("max_tokens", 10**9)
    # No cluster was begun that could not be finished.
    assert sorted(llm_server.annotated()) == sorted(llm_server.annotated("validator"))
    calls = len(llm_server.log)
    assert calls * 1100 <= budget.get("max_tokens", 10**9)
    again = resume(found.provenance["run"])
    assert sum(row.status == "ok" for row in again) > len(answered)


def test_it_works_inside_a_running_event_loop(llm_server):
    import asyncio

    async def notebook():
        return ask(llm_server, TWO)

    assert asyncio.run(notebook()).labels() == {"0": "B cell", "1": "T cell"}


def test_a_service_that_answers_nothing_is_given_up_early(llm_server):
    llm_server.script = {("*", "*"): ["422", "..."]}
    with pytest.raises(errors.ServiceError, match="The first 5 clusters failed"):
        ask(llm_server, many(40), max_workers=2)


@pytest.mark.slow
def test_nobody_at_the_address_is_reported_with_the_address(monkeypatch):
    from cellferry.engines.llm.client import Client

    monkeypatch.setattr(Client, "base_wait", 0.01)

    class Nobody:
        url = "http://127.0.0.1:9/v1"

    with pytest.raises(errors.ServiceError, match=r"127\.0\.0\.1"):
        ask(Nobody, many(9))


def test_progress_is_reported_for_every_cluster(llm_server):
    events = []
    annotate(study_from_markers(LISTS), engine(llm_server), on_event=events.append)
    assert [e.done for e in events] == [0, 1, 2, 3, 4, 5]
    assert {e.total for e in events} == {5}
