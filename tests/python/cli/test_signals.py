"""Signals: the run is kept, nothing temporary is left, and the exit code says which it was."""

import os
import signal
import stat
import time
from pathlib import Path

import psutil
import pytest

from cellferry.cli import exits
from cellferry.runs.run import Run
from command import MARKERS, command, ended, start

pytestmark = pytest.mark.process

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture
def work(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    (folder / "tmp").mkdir(parents=True)
    (folder / "markers.csv").write_text(MARKERS, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def until(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def asking(server, work, *more):
    """A run that waits for its model."""
    # Long enough to be stopped meanwhile; the end of the server waits for it.
    server.delay = 1.5
    process = start(
        "annotate", "markers.csv", "--engine", "llm", "--provider", server.url, "--model", "m",
        "--species", "human", "--out", "x", *more, cwd=work,
    )  # fmt: skip
    until(lambda: server.log, process)
    return process


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=str)
def test_a_stopped_run_says_how_to_go_on(work, llm_server, number, code):
    process = asking(llm_server, work, "--json")
    process.send_signal(number)
    done = ended(process)
    assert done.code == done.json["exit_code"] == code
    run = Run.open(work / "x_run")
    assert run.content["status"] == "interrupted"
    error = done.json["error"]
    assert (error["code"], error["data"]["run"]) == ("interrupted", run.id)
    assert error["hint"] == f"Resume with: cellferry runs resume {run.id}"
    by = {130: "Interrupted.", 143: "Stopped by SIGTERM.", 129: "Stopped by SIGHUP."}[code]
    assert f"Error: {by}\n  {error['hint']}\n" in done.err
    assert "Traceback" not in done.err


@pytest.fixture
def endless_rscript(work):
    """An Rscript that never answers, and starts a process of its own."""
    path = work / "bin" / "Rscript"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nsleep 600 &\necho $! > children\nexec sleep 600\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (work / "x.rds").write_bytes(b"X\n\0\0\0\3\0\4\2\0")
    return f"{path.parent}{os.pathsep}{os.environ['PATH']}"


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("line", ["annotate x.rds", "artifacts build x.rds"])
@pytest.mark.parametrize(("number", "code"), SIGNALS[1:], ids=str)
def test_no_temporary_folder_and_no_child_is_left(work, endless_rscript, number, code, line):
    process = start(*line.split(), cwd=work, PATH=endless_rscript, TMPDIR=str(work / "tmp"))
    children = work / "children"
    until(lambda: children.exists() and children.read_text().strip(), process)
    assert [p.name[:14] for p in (work / "tmp").iterdir()] == ["cellferry-rds-"]
    process.send_signal(number)
    done = ended(process)
    assert done.code == code, done.err
    assert list((work / "tmp").iterdir()) == []
    for _ in range(500):
        if gone(int(children.read_text())):
            break
        time.sleep(0.01)
    else:
        pytest.fail("What the child started is still there.")
    # Nor an empty folder of a run.
    assert not (work / "x_run").exists()


def test_what_nohup_switched_off_stays_off(work, llm_server):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = asking(llm_server, work)
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert ended(process).code == 143


def test_a_second_command_of_the_same_name_is_refused_and_told_who_has_it(work, llm_server):
    process = asking(llm_server, work)
    # It neither goes on nor ends.
    process.send_signal(signal.SIGSTOP)
    try:
        refused = command("annotate", "markers.csv", "--out", "x", "--json")
        assert refused.code == 1
        assert str(process.pid) in refused.json["error"]["message"]
        assert "another name with --out" in refused.json["error"]["hint"]
        assert not list(work.glob("x_*.csv"))
        # Also by a run that is kept elsewhere.
        assert command("annotate", "markers.csv", "--out", "y", "-q").code == 0
        assert command("runs", "resume", "y_run", "--out", "x", "-q").code == 1
        # Another name is free.
        assert command("annotate", "markers.csv", "--out", "z", "-q").code == 0
    finally:
        process.kill()
        process.communicate()
    # The lock ends with its process, however it ended.
    assert command("annotate", "markers.csv", "--out", "x", "-q").code == 0
    assert {p.name for p in Path().glob("x_*.csv")} == {"x_annotations.csv"}


class _SignalsWhenCollected:
    """Python loses what is raised in a finaliser."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=str)
def test_a_signal_is_not_lost_where_exceptions_are(number, code):
    def collect():
        collected = _SignalsWhenCollected(number)
        del collected
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt) as caught, exits.stopped_by_signals():
        collect()
    assert exits.exit_code_of_interrupt(caught.value) == code
