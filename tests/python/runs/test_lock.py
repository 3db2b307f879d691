import os
import threading

import pytest

from cellferry import annotate_clusters, resume
from cellferry.annotate.verb import execute
from cellferry.errors import OutputError, RunLockedError
from cellferry.runs import lock
from cellferry.runs.lock import HOLDER, LOCK, held, holder_of
from cellferry.runs.run import Run
from cellferry.runs.worker import CancelledWork
from cellferry.study.clusters import Clusters
from cellferry.study.study import Study
from other_process import other_process

HOLDS = """
import sys
from contextlib import ExitStack
from pathlib import Path
from cellferry.runs.lock import held
stack = ExitStack()
stack.enter_context(held(Path(sys.argv[1])))
"""
B = {"0": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]}


def test_nothing_is_left_beside_a_run_that_nobody_works_on(tmp_path):
    with held(tmp_path / "x_run"), held(tmp_path / "x_run"):
        assert holder_of(tmp_path / "x_run").pid == os.getpid()
    assert list((tmp_path / "x_run").iterdir()) == []


@pytest.mark.process
def test_another_process_is_refused_and_told_who_until_that_one_is_killed(tmp_path):
    found = annotate_clusters(B, progress=False)
    run = Run.open(found.provenance["run"])
    run.update(status="unfinished")
    with other_process(HOLDS, str(run.folder)) as process:
        with pytest.raises(RunLockedError) as caught:
            resume(run.id, progress=False)
        assert caught.value.data["pid"] == process.pid
        assert f"number {process.pid} on " in caught.value.message
        assert ", since 20" in caught.value.message
        assert "is kept" in caught.value.hint
        assert Run.open(run.id).state() == "running"
    # Killed, it leaves its note and its file, which block nobody.
    assert (run.folder / LOCK).exists()
    assert (run.folder / HOLDER).exists()
    assert Run.open(run.id).state() == "unfinished"
    assert resume(run.id, progress=False)["0"].label == "B cell"
    assert not (run.folder / LOCK).exists()


def test_another_thread_is_refused(tmp_path):
    errors = []

    def other():
        try:
            with held(tmp_path):
                pass
        except RunLockedError as error:
            errors.append(error.message)

    with held(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "another thread of this process" in errors[0]


class Stuck:
    """An engine that waits for a socket, and would then write."""

    name = "stuck"

    def __init__(self):
        self.begun, self.go, self.ended = (threading.Event() for _ in range(3))
        self.error = None

    def run(self, _study, run, _events):
        self.begun.set()
        self.go.wait(30)
        try:
            run.record("late", "late", {"label": "x"})
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.set()


def test_what_an_interrupted_call_left_at_work_can_write_no_more(monkeypatch):
    monkeypatch.setattr(lock, "GRACE_SECONDS", 0.05)
    run, engine = Run.create("local"), Stuck()

    def interrupt(_event=None):
        raise KeyboardInterrupt

    def watched():
        engine.begun.wait(10)
        interrupt()

    from cellferry.runs.worker import Caller

    monkeypatch.setattr(Caller.here(), "watch", watched)
    with pytest.raises(KeyboardInterrupt):
        execute(run, Study(Clusters(("a",))), engine, None)
    monkeypatch.setattr(Caller.here(), "watch", None)
    assert (run.folder / LOCK).exists()
    with held(run.folder):
        engine.go.set()
        assert engine.ended.wait(10)
        assert isinstance(engine.error, CancelledWork)
    assert run.finished() == {}
    assert not (run.folder / LOCK).exists()


def test_a_folder_that_cannot_be_made_is_an_error_of_its_class(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), held(tmp_path / "file" / "run"):
        pass
