"""The body of /annotate: what published clients send is read, what makes no sense is refused."""

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellferry.server.failures import Code, Failure
from cellferry.server.jobs.payload import JobInput, read_submission
from cellferry.server.settings import Settings
from server_process import MARKERS, submission


@pytest.fixture
def server_settings(tmp_path):
    return Settings(tmp_path)


def read(body, server_settings):
    return read_submission(orjson.dumps(body), server_settings)


def test_a_body_of_the_python_client(server_settings):
    found = read(
        submission(
            visualizationData={"coordinates": [[0.5, 1], [2, 3]], "clusters": ["1", "0"]},
            expressionData={"CD3D": {"0": 1.25, "1": 99}, "": {"0": 1}},
            clusterMetadata={"0": {"donor": {"d1": 62}}, "gone": {"donor": {}}},
            clientInfo={"clientType": "anndata", "clientVersion": "0.21.0"},
            visibility="public",
        ),
        server_settings,
    )
    job = found.job
    assert job.labels == {name: f"cluster {name}" for name in MARKERS}
    assert job.markers == MARKERS
    assert job.genes == ("CD3D", "")
    np.testing.assert_array_equal(job.percentages[0], np.float32([1.25, 99, np.nan]))
    assert job.points.tolist() == [1, 0]
    assert job.metadata == {"0": {"donor": {"d1": 62}}}
    assert job.client == "anndata 0.21.0"
    assert found.visibility == "public"


def test_a_body_of_the_r_client(server_settings):
    found = read(
        submission(
            clusterMetadata={"0": [], "1": {"donor": []}},
            infoTags=[],
            visualizationData=None,
            expressionData={"CD3D": {"0": "NaN", "1": "NA"}},
            markerGenes={"0": "CD79A", "1": ["CD3D"]},
        ),
        server_settings,
    )
    assert np.isnan(found.job.percentages).all()
    assert found.job.markers["0"] == ["CD79A"]


def test_a_body_of_0_12_has_fewer_fields(server_settings):
    found = read(
        {"input_data": {"markerGenes": {"10": ["A"], "2": ["B"]}, "clusterLabels": {"3": "x"}}},
        server_settings,
    )
    assert list(found.job.labels.items()) == [("2", "2"), ("3", "x"), ("10", "10")]
    assert (found.visibility, found.llm_configs, found.uploads) == ("private", (), {})


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"markerGenes": {}}, "markerGenes"),
        ({"markerGenes": {"0": []}}, "markerGenes"),
        ({"markerGenes": {"0": [1]}}, "markerGenes"),
        ({"markerGenes": {"": ["A"]}}, "empty id"),
        ({"markerGenes": ["A"]}, "markerGenes"),
        ({"clusterLabels": {"0": None}}, "clusterLabels"),
        ({"clusterLabels": {"x" * 1001: "a"}}, "1000 characters"),
        ({"infoTags": {"n": 1}}, "infoTags"),
        ({"nParallelClusters": 0}, "1 to 50"),
        ({"nParallelClusters": 51}, "1 to 50"),
        ({"nParallelClusters": True}, "1 to 50"),
        ({"nParallelClusters": "2"}, "1 to 50"),
        ({"expressionData": {"A": {"0": 101}}}, "0 to 100"),
        ({"expressionData": {"A": {"0": "many"}}}, "0 to 100"),
        ({"visualizationData": {"coordinates": [[1, 2]], "clusters": []}}, "as many"),
        ({"visualizationData": {"coordinates": [[1]], "clusters": ["0"]}}, "pairs"),
        ({"visualizationData": {"coordinates": [["a", 1]], "clusters": ["0"]}}, "pairs"),
        ({"visualizationData": {"coordinates": False, "clusters": []}}, "as many"),
        ({"studyInfo": False}, "studyInfo"),
        ({"visibility": "secret"}, "visibility"),
        ({"uploaded_files": {"vars_h5": "../../etc/passwd"}}, "no id"),
        ({"uploaded_files": {"other": "x"}}, "uploaded_files"),
    ],
)
def test_what_makes_no_sense_is_named(parts, what, server_settings):
    with pytest.raises(Failure, match=what):
        read(submission(**parts), server_settings)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"input_data": []}', b"{}", b'{"input_data": {"a": NaN}}']
)
def test_bodies_that_are_no_job(body, server_settings):
    with pytest.raises(Failure):
        read_submission(body, server_settings)


def test_deep_json_is_refused_without_a_crash(server_settings):
    for deep in (b"[" * 10**6, b'{"a":' * 10**6):
        with pytest.raises(Failure) as caught:
            read_submission(deep, server_settings)
        assert caught.value.code is Code.BAD_REQUEST


def test_deep_values_are_refused_as_what_they_are(server_settings):
    for field in ("markerGenes", "infoTags", "visualizationData", "studyInfo"):
        deep = b"[" * 1010 + b"]" * 1010
        body = b'{"input_data": {"markerGenes": {"0": ["A"]}, "%s": %s}}' % (field.encode(), deep)
        with pytest.raises(Failure, match="nested too deep") as caught:
            read_submission(body, server_settings)
        assert caught.value.code is Code.VALIDATION_ERROR


def test_too_many_clusters_are_too_large(tmp_path):
    few = Settings(tmp_path, clusters=2)
    with pytest.raises(Failure) as caught:
        read(submission(), few)
    assert caught.value.code is Code.PAYLOAD_TOO_LARGE


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.text(max_size=5)), min_size=1),
    st.dictionaries(st.text(max_size=5), st.floats(0, 100, width=32), max_size=4),
)
def test_a_job_is_the_same_after_a_restart(tmp_path, server_settings, markers, percentages):
    if not any(gene.strip() for genes in markers.values() for gene in genes):
        markers["x"] = ["CD3D"]
    body = submission(
        markers,
        expressionData={gene: {next(iter(markers)): p} for gene, p in percentages.items()},
        visualizationData={"coordinates": [[1.5, None]], "clusters": [next(iter(markers))]},
    )
    try:
        job = read(body, server_settings).job
    except TypeError:  # lone surrogates are no JSON
        return
    job.save(tmp_path)
    found = JobInput.load(tmp_path)
    for name in ("labels", "markers", "genes", "tags", "parallel", "metadata"):
        assert getattr(found, name) == getattr(job, name)
    np.testing.assert_array_equal(found.percentages, job.percentages)
    np.testing.assert_array_equal(found.coordinates, job.coordinates)
    np.testing.assert_array_equal(found.points, job.points)


def test_keys_are_in_no_repr_and_no_file(tmp_path, server_settings):
    config = {"provider": "openai", "name": "m", "apiKey": "canary-4711"}
    found = read(submission(llm_configs=[config]), server_settings)
    found.job.save(tmp_path)
    assert "canary" not in repr(found)
    assert not [p for p in tmp_path.iterdir() if b"canary" in p.read_bytes()]
