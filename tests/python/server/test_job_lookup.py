"""What an engine looks up in the artifacts of a job, and that a user's job uses it."""

import numpy as np
import pytest

import cellferry
import llm_server as llm_server_module
from cell_data import GENES as OBJECT_GENES
from cell_data import MARKERS, cells
from cellferry.server.jobs.evidence import Evidence
from cellferry.server.jobs.payload import JobInput
from cellferry.server.lookup.process import Readers
from cellferry.study.build import study_from_anndata
from cellferry.study.lookup import ObjectLookup
from server_files import GENES, N_CELLS, matrix, write_obs_duckdb, write_vars_h5
from server_process import ServerProcess, submit, upload

TABLE = {str(i): genes for i, genes in enumerate(MARKERS.values())}


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


def job(**parts):
    labels = {str(i): f"cluster {i}" for i in range(3)}
    return JobInput("", {}, labels, {"0": ["CD3D"], "2": ["LYZ"]}, **parts)


def test_figures_of_the_artifacts_are_those_of_the_matrix(readers, files, monkeypatch):
    monkeypatch.setattr("cellferry.server.jobs.lookup.AT_ONCE", 2)
    lookup = Evidence(readers, files, job()).lookup
    found = lookup.figures([*GENES, "NOT THERE"])
    assert (found.genes, found.clusters) == (tuple(GENES), ("0", "1", "2"))
    values = matrix().toarray()
    for i in range(3):
        inside = np.arange(N_CELLS) % 3 == i
        assert found.share[:, i] == pytest.approx((values[inside] > 0).mean(axis=0))
        assert found.mean[:, i] == pytest.approx(values[inside].mean(axis=0), abs=1e-4)


def test_composition_is_by_cluster_id_and_only_of_columns_that_there_are(readers, files):
    lookup = Evidence(readers, files, job()).lookup
    found = lookup.composition("donor")
    assert set(found.values) == {"d0", "d1"}
    assert found.counts.sum() == N_CELLS - 9
    assert lookup.composition("nothing") is None
    assert lookup.composition('donor" FROM obs; --') is None


def test_only_columns_whose_shares_the_client_sent_may_be_asked_for(readers, files):
    metadata = {"0": {"donor": {"d0": 50.0}, "leiden": {"cluster 0": 100.0}}}
    assert Evidence(readers, files, job(metadata=metadata)).columns == ("donor",)
    assert Evidence(readers, files, job()).columns == ()


def test_without_artifacts_or_with_broken_ones_nothing_can_be_looked_up(readers, files):
    assert Evidence(readers, {}, job()).lookup is None
    files["vars_h5"].write_bytes(b"broken")
    evidence = Evidence(readers, files, job())
    assert evidence.lookup.figures(["LYZ"]) is None
    assert len(evidence.notes) == 1


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    adata = cells(300)
    adata.obs["donor"] = ["d1", "d2"] * 150
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(300, 2))
    paths = {"vars_h5": folder / "vars.h5", "obs_duckdb": folder / "obs.duckdb"}
    cellferry.build_artifacts(
        adata, group_key="leiden",
        vars_h5_path=paths["vars_h5"], obs_duckdb_path=paths["obs_duckdb"],
    )  # fmt: skip
    return adata, paths


def test_artifacts_and_the_object_have_the_same_figures(readers, built):
    adata, paths = built
    labels = {name: name for name in TABLE}
    here = ObjectLookup(study_from_anndata(adata, TABLE, group_key="leiden"))
    there = Evidence(readers, paths, JobInput("", {}, labels, TABLE)).lookup
    one, two = here.figures(OBJECT_GENES), there.figures(OBJECT_GENES)
    assert one.genes == two.genes
    assert one.expressed.tolist() == two.expressed.tolist()
    np.testing.assert_allclose(one.sums, two.sums, rtol=1e-5, atol=1e-4)
    assert there.composition("donor").counts.sum() == 300


def sent(server, paths):
    return {kind: upload(server, kind, path.read_bytes()) for kind, path in paths.items()}


@pytest.fixture(scope="module")
def running(tmp_path_factory, built):
    folder = tmp_path_factory.mktemp("lookup")
    with (
        llm_server_module.Server() as model,
        ServerProcess(folder / "data", "--allow-base-url", model.url) as server,
    ):
        yield server, model, sent(server, built[1])


@pytest.mark.process
def test_the_embedded_engine_on_serve_reads_prevalence_as_it_does_in_process(built, running):
    adata, _ = built
    server, _, uploads = running
    here = cellferry.annotate_clusters(
        adata.copy(), TABLE, group_key="leiden", tissue="blood", species="human", progress=False
    )
    parts = {
        "clusterLabels": {name: name for name in TABLE},
        "infoTags": {"tissue": "blood", "species": "human"},
        # Clients send all genes, which says what was measured.
        "expressionData": {gene: {"0": 50.0} for gene in OBJECT_GENES},
    }
    job_id = submit(server, TABLE, uploaded_files=uploads, **parts)
    server.wait_for(job_id)
    found = server.client.get(f"/results/{job_id}").json()["annotations"]
    for row in here:
        latest = found[row.cluster]["latest"]
        assert latest["annotation"]["annotation"] == row.label
        assert latest["review"]["confidenceValue"] == pytest.approx(row.confidence)
    # It is the prevalence that makes the difference.
    table = cellferry.annotate_clusters(TABLE, tissue="blood", species="human", progress=False)
    assert any(a.confidence != b.confidence for a, b in zip(table, here, strict=True))


@pytest.mark.process
def test_a_model_on_serve_asks_for_evidence_twice_at_most(built, running):
    adata, _ = built
    server, model, uploads = running
    model.script = {("B cell", "annotator"): ["ask:LYZ|donor", "ask:CD3D|secret", "ask:CD2"]}
    config = {
        "provider": "openai",
        "name": "m",
        "apiKey": "sk-x",
        "baseUrl": f"{model.url}/v1",
    }
    parts = {
        "clusterLabels": {name: name for name in TABLE},
        "clusterMetadata": {"0": {"donor": {"d1": 50, "d2": 50}}},
        "llm_configs": [config],
    }
    job_id = submit(server, TABLE, uploaded_files=uploads, **parts)
    server.wait_for(job_id)
    found = server.client.get(f"/results/{job_id}").json()["annotations"]["0"]["latest"]
    report = server.client.get(f"/report/{job_id}").text
    asked = [r["user"] for r in model.log if (r["label"], r["stage"]) == ("B cell", "annotator")]
    assert ["`evidence`" in text for text in asked] == [True, True, False]
    inside = np.asarray(adata[adata.obs.leiden == "0", "LYZ"].X.todense()).ravel()
    figures = f"LYZ\t{100 * np.mean(inside > 0):.0f}\t{inside.mean():.2f}\t"
    assert figures in asked[1]
    assert "d1\t50\t50" in asked[1]
    assert 'no column "secret"' in asked[2]
    assert found["annotation"]["annotation"] == "B cell"
    lookups = found["annotation"]["fullOutput"]["cellType"]["evidence"]["lookups"]
    assert [entry["genes"] for entry in lookups] == [["LYZ"], ["CD3D"]]
    assert "Looked up for the annotator" in report
