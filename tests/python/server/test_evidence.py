"""Expression behind an answer: from the artifacts, else from the request."""

import numpy as np
import pytest

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.server.jobs.evidence import Evidence
from cellferry.server.jobs.payload import JobInput
from cellferry.server.lookup.process import Readers
from server_files import GENES, N_CELLS, matrix, write_obs_duckdb, write_vars_h5

FOUND = Annotations(
    (
        Annotation("0", "ok", label="B", supporting=("CD79A", "NOT THERE")),
        Annotation("1", "failed", error="no"),
        Annotation("2", "ok", label="M", conflicting=("LYZ",)),
    )
)


def job(**parts):
    labels = {str(i): f"cluster {i}" for i in range(3)}
    return JobInput("", {}, parts.pop("labels", labels), {"0": ["CD3D"], "2": ["LYZ"]}, **parts)


@pytest.fixture(scope="module")
def readers():
    found = Readers()
    yield found
    found.close()


@pytest.fixture
def files(tmp_path):
    return {
        "vars_h5": write_vars_h5(tmp_path / "vars.h5"),
        "obs_duckdb": write_obs_duckdb(tmp_path / "obs.duckdb"),
    }


def nothing():
    return None


def test_measured_in_the_artifacts(readers, files):
    evidence = Evidence(readers, files, job())
    assert evidence.sizes == {"0": 30, "1": 30, "2": 30}
    expressions = evidence.of(FOUND, 2, nothing)
    assert set(expressions) == {"0", "2"}
    assert expressions["0"]["source"] == "vars.h5"
    assert [g["gene"] for g in expressions["0"]["genes"]] == ["CD79A", "CD3D"]
    values = matrix().toarray()[:, GENES.index("CD79A")]
    inside = np.arange(N_CELLS) % 3 == 0
    first = expressions["0"]["genes"][0]
    assert first["percent"] == pytest.approx(100 * (values[inside] > 0).mean(), abs=0.01)
    assert first["percentElsewhere"] == pytest.approx(100 * (values[~inside] > 0).mean(), abs=0.01)
    assert first["mean"] == pytest.approx(values[inside].mean(), abs=0.01)
    assert first["meanElsewhere"] == pytest.approx(values[~inside].mean(), abs=0.01)
    assert evidence.notes == []


def test_other_clusters_than_the_metadata_have_are_noted(readers, files):
    percentages = np.array([[80, 1, np.nan]], dtype=np.float32)
    other = job(labels={"0": "a", "1": "b", "2": "c"}, genes=("CD79A",), percentages=percentages)
    evidence = Evidence(readers, files, other)
    assert evidence.sizes is None
    assert "No column" in evidence.notes[0]
    assert evidence.of(FOUND, 1, nothing)["0"] == {
        "source": "expressionData",
        "genes": [{"gene": "CD79A", "percent": 80.0, "percentElsewhere": 1.0}],
    }


def test_a_broken_file_is_noted_once_and_costs_no_answer(readers, files):
    files["vars_h5"].write_bytes(b"broken")
    evidence = Evidence(readers, files, job())
    assert evidence.of(FOUND, 2, nothing) == {}
    assert len(evidence.notes) == 1


def test_without_anything_there_is_nothing(readers):
    evidence = Evidence(readers, {}, job())
    assert (evidence.sizes, evidence.of(FOUND, 1, nothing), evidence.notes) == (None, {}, [])


def test_it_stops_when_it_is_told_to(readers, files):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Evidence(readers, files, job()).of(FOUND, 2, stop)
