import json

import pytest
from click.testing import CliRunner

from cellferry import annotate_clusters, errors
from cellferry.cli import group
from cellferry.runs.run import Run


def invoke(*arguments):
    return CliRunner().invoke(group, ["runs", *arguments], catch_exceptions=False)


@pytest.fixture
def run():
    found = annotate_clusters({"0": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]}, progress=False)
    return Run.open(found.provenance["run"])


def test_no_runs_is_said():
    assert invoke("list").output == "There are no runs yet.\n"


def test_a_run_is_listed_shown_and_its_results_printed(run):
    assert run.id in invoke("list").output
    assert json.loads(invoke("show", run.id).output)["status"] == "finished"
    assert "B cell" in invoke("results", run.id).output
    assert json.loads(invoke("results", run.id, "--json").output)["rows"][0]["label"] == "B cell"


def test_an_interrupted_run_is_finished(run):
    (run.folder / "annotations.json").unlink()
    run.update(status="interrupted")
    assert "B cell" in invoke("resume", run.id).output
    assert "finished" in invoke("list").output


def test_an_unknown_run_is_an_error():
    with pytest.raises(errors.RunNotFoundError):
        invoke("show", "nothing")
