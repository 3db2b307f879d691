import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.errors import OutputError, RunDamagedError, RunNotFoundError
from cellferry.runs.run import Run, list_runs

payloads = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.dictionaries(st.text(min_size=1, max_size=6), payloads, max_size=8))
def test_the_journal_brings_back_every_unit(tmp_path, units):
    run = Run.create("local")
    for key, payload in units.items():
        run.record(f"unit {key}", key, payload)
    assert Run.open(run.id).finished() == units


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_a_half_written_line_is_ignored_and_overwritten(cut):
    run = Run.create("local")
    run.record("a", "1", {"label": "B cell"})
    journal = run.folder / "journal.jsonl"
    line = json.dumps({"unit": "b", "key": "2", "payload": {"label": "T"}})
    with journal.open("a", encoding="utf-8") as end:
        end.write(line[:cut])
    assert run.finished() == {"1": {"label": "B cell"}}
    run.record("c", "3", {"label": "NK cell"})
    assert run.finished() == {"1": {"label": "B cell"}, "3": {"label": "NK cell"}}


def test_a_killed_process_loses_no_finished_unit(tmp_path, own_home):
    script = textwrap.dedent(
        """
        import os, signal
        from cellferry.runs.run import Run
        run = Run.create("local")
        for i in range(20):
            run.record(f"cluster {i}", str(i), {"i": i})
        print(run.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    source = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": source, "CELLFERRY_HOME": str(own_home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    run = Run.open(done.stdout.strip())
    assert len(run.finished()) == 20
    assert run.content["status"] == "unfinished"


def test_runs_are_listed_newest_first_wherever_they_are(tmp_path):
    first = Run.create("local")
    second = Run.create("local", folder=tmp_path / "beside_run")
    assert [run.id for run in list_runs()] == [second.id, first.id]
    assert Run.open(tmp_path / "beside_run").id == second.id


def test_an_unknown_run_is_named_with_the_nearest(tmp_path):
    run = Run.create("local")
    with pytest.raises(RunNotFoundError) as caught:
        Run.open(run.id[:-1] + "?")
    assert run.id in caught.value.hint


def test_damaged_and_newer_records_are_told_apart_from_missing_ones():
    run = Run.create("local")
    (run.folder / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunDamagedError, match="cannot be read"):
        Run.open(run.id)
    (run.folder / "run.json").write_text('{"schema": "cellferry.run/9"}', encoding="utf-8")
    with pytest.raises(RunDamagedError, match=r"cellferry\.run/9"):
        Run.open(run.id)
    assert list_runs() == []


def test_results_of_an_unfinished_run_say_how_to_get_them():
    run = Run.create("local")
    with pytest.raises(RunNotFoundError, match="unfinished and has no results"):
        run.results()
    run.store("annotations.json", Annotations((Annotation("0", "ok", label="B"),)).to_dict())
    assert run.results().labels() == {"0": "B"}


def test_a_run_replaces_its_own_output_and_never_a_foreign_or_edited_one(tmp_path):
    run = Run.create("local", folder=tmp_path / "x_run")
    mine = tmp_path / "x.csv"
    run.claim(mine)
    mine.write_text("labels")
    run.wrote(mine)
    Run.open(tmp_path / "x_run").claim(mine)
    mine.write_text("labels, corrected by hand")
    with pytest.raises(OutputError, match="was changed"):
        run.claim(mine)
    run.claim(mine, overwrite=True)
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("other")
    with pytest.raises(OutputError):
        run.claim(foreign)


def test_a_folder_that_cannot_be_made_is_an_error_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        Run.create("local", folder=tmp_path / "file" / "run")
