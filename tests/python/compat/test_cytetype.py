import gzip
import inspect
import json
import pickle

import anndata
import numpy as np
import pytest

import paths
from cellferry import errors
from cellferry.compat.cytetype import CyteType
from cytetype_objects import plain
from cytetype_runs import CANARY
from fault_server import FaultServer, label_of

QUICK = {"poll_interval_seconds": 0.05, "show_progress": False}
RECORDED = paths.RECORDED / "cytetype_payloads_0_19_4.json.gz"
with gzip.open(RECORDED) as stored:
    PUBLISHED = json.load(stored)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The drop-in class writes where the process runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CYTETYPE_AUTH_TOKEN", raising=False)
    return tmp_path


@pytest.fixture
def server():
    with FaultServer(chunk_size=200_000, polls=1) as running:
        yield running


def test_the_call_of_the_specification(server, here):
    """As printed there, with the address of the server of the test."""
    adata = plain()
    annotator = CyteType(
        adata,
        group_key="cluster",
        rank_key="rank_genes_groups",
        gene_symbols_column=None,
        n_top_genes=50,
        aggregate_metadata=True,
        min_percentage=10,
        pcent_batch_size=2000,
        coordinates_key="X_umap",
        max_cells_per_group=1000,
    )
    returned = annotator.run(
        study_context="Human PBMC from COVID-19 patients",
        metadata={"experiment_name": "PBMC_COVID", "run_label": "v1"},
        save_query=True,
        query_filename="query.json",
        show_progress=False,
        llm_configs=[
            {"provider": "openai", "name": "gpt-4o-mini", "apiKey": CANARY,
             "baseUrl": "https://api.openai.com/v1",
             "modelSettings": {"temperature": 0.0, "max_tokens": 4096}},
        ],
        auth_token=CANARY,
        vars_h5_path="vars.h5",
        obs_duckdb_path="obs.duckdb",
        upload_timeout_seconds=3600,
        cleanup_artifacts=False,
        require_artifacts=True,
        poll_interval_seconds=0.1,
        timeout_seconds=7200,
        api_url=server.url,
    )  # fmt: skip
    assert returned is adata
    for name in ("vars.h5", "obs.duckdb", "query.json"):
        assert (here / name).exists()
    assert CANARY not in (here / "query.json").read_text()
    (job,) = server.jobs.values()
    assert job["sent"]["input_data"]["infoTags"]["run_label"] == "v1"
    assert server.requests[0]["headers"]["Authorization"] == f"Bearer {CANARY}"
    markers = job["sent"]["input_data"]["markerGenes"]
    wanted = [label_of(markers[c]) for c in adata.obs["cluster"]]
    assert list(adata.obs["cytetype_annotation_cluster"]) == wanted


def test_the_newer_call(server, here):
    adata = plain()
    annotator = CyteType(
        adata, "cluster", vars_h5_path="v.h5", obs_duckdb_path="o.duckdb", api_url=server.url
    )
    annotator.run("a study", visibility="private", **QUICK)
    assert (here / "v.h5").exists()
    assert adata.uns["cytetype_jobDetails"]["visibility"] == "private"
    annotator.cleanup()
    annotator.cleanup()
    assert not (here / "v.h5").exists()
    assert (here / "query.json").exists()


def test_what_is_left_in_the_anndata_is_what_the_published_client_leaves(server):
    adata, theirs = plain(), PUBLISHED["delivered"]["plain/plain"]
    before = set(adata.obs)
    CyteType(adata, "cluster", api_url=server.url).run("a study", metadata={"run": "v1"}, **QUICK)
    ours = {c: adata.obs[c].astype(str).tolist() for c in adata.obs if c not in before}
    # 0.21.0 added the column of the reviewer's confidence.
    assert set(ours.pop("cytetype_reviewerConfidence_cluster")) == {"High"}
    identifiers = "cytetype_cellOntologyTermID_cluster"
    assert set(ours.pop(identifiers)) == {"CL:0000084"}
    assert set(theirs["obs"].pop(identifiers)) == {"CL_0000084"}
    assert ours == theirs["obs"]
    assert sorted(adata.uns["cytetype_jobDetails"]) == theirs["jobDetails"]
    found = json.loads(adata.uns["cytetype_results"]["result"])
    assert set(found) == set(theirs["results"])
    assert found["raw_annotations"] == theirs["results"]["raw_annotations"]
    assert found["clusterCategories"] == theirs["results"]["clusterCategories"]
    by_id = {a["clusterId"]: a for a in found["annotations"]}
    for expected in theirs["results"]["annotations"]:
        same = set(expected) - {"ontologyTermID", "unexpectedExpression"}
        assert {k: by_id[expected["clusterId"]][k] for k in same} == {k: expected[k] for k in same}


def test_results_survive_a_file(server, here):
    adata = plain()
    CyteType(adata, "cluster", api_url=server.url).run("", results_prefix="mine", **QUICK)
    adata.write_h5ad(here / "x.h5ad")
    back = anndata.read_h5ad(here / "x.h5ad")
    again = CyteType(back, "cluster")
    assert again.get_results("mine")["annotations"][0]["annotation"].endswith("cell")
    assert again.get_job_details("mine")["job_id"] in server.jobs
    assert again.get_results() is None
    assert "mine_annotation_cluster" in back.obs


def test_earlier_results_are_replaced_unless_that_is_refused(server, here, caplog):
    (here / "query.json").write_text("foreign")
    (here / "vars.h5").write_text("foreign")
    annotator = CyteType(plain(), "cluster", api_url=server.url)
    annotator.run("", **QUICK)
    assert (here / "query.json").read_text() != "foreign"
    with pytest.raises(errors.ColumnExistsError, match="earlier job"):
        annotator.run("", override_existing_results=False, **QUICK)
    caplog.set_level("INFO", "cellferry")
    annotator.run("again", **QUICK)
    assert 'earlier job under "cytetype" are replaced' in caplog.text
    assert annotator.get_results()["studyContext"].startswith("again")
    caplog.clear()
    annotator.run("", override_existing_results=True, **QUICK)
    assert "replaced" not in caplog.text
    assert len(server.jobs) == 3


def test_the_snippets_of_the_specification_run_one_after_another_on_one_object(server, here):
    """As printed there; the address of the server of the test, and shorter pauses, are added."""
    adata = plain()
    assert "gene_symbols" not in adata.var
    annotator = CyteType(
        adata, group_key="cluster", rank_key="rank_genes_groups",
        gene_symbols_column="gene_symbols", n_top_genes=50, aggregate_metadata=True,
        min_percentage=10, pcent_batch_size=2000, coordinates_key="X_umap",
        max_cells_per_group=1000,
    )  # fmt: skip
    again = {"api_url": server.url, "poll_interval_seconds": 0.05}
    adata = annotator.run(
        study_context="Human PBMC from COVID-19 patients",
        metadata={"experiment_name": "PBMC_COVID", "run_label": None},
        save_query=True, query_filename="query.json", show_progress=True, **again,
    )  # fmt: skip
    config = {"provider": "openai", "name": "gpt-4o-mini", "apiKey": "your-api-key",
              "baseUrl": "https://api.openai.com/v1",
              "modelSettings": {"temperature": 0.0, "max_tokens": 4096}}  # fmt: skip
    adata = annotator.run(study_context="Human PBMC", llm_configs=[config], **again)
    adata = annotator.run(study_context="...", auth_token="your-auth-token", **again)
    adata = annotator.run(
        study_context="...", vars_h5_path="vars.h5", obs_duckdb_path="obs.duckdb",
        upload_timeout_seconds=3600, cleanup_artifacts=False, require_artifacts=True, **again,
    )  # fmt: skip
    assert len(server.jobs) == 4
    first, *_ = server.jobs.values()
    assert first["sent"]["input_data"]["infoTags"] == {"experiment_name": "PBMC_COVID"}
    markers = first["sent"]["input_data"]["markerGenes"]
    wanted = [label_of(markers[c]) for c in adata.obs["cluster"]]
    assert list(adata.obs["cytetype_annotation_cluster"]) == wanted


def test_a_column_of_symbols_that_is_named_must_be_there_unless_it_is_the_documented_one(server):
    adata = plain()
    with pytest.raises(errors.CellferryError, match="my_symbols"):
        CyteType(adata, "cluster", gene_symbols_column="my_symbols")
    adata.var["gene_symbols"] = [f"S{i}" for i in range(adata.n_vars)]
    made = CyteType(adata, "cluster")
    assert all(gene.startswith("S") for genes in made.marker_genes.values() for gene in genes)


def test_giving_the_address_or_the_token_is_consent_and_the_default_address_is_not(monkeypatch):
    monkeypatch.delenv("CYTETYPE_API_URL", raising=False)
    with pytest.raises(errors.UploadNotAllowedError, match=r"cytetype\.nygen\.io"):
        CyteType(plain(), "cluster").run("", **QUICK)


def test_cells_without_a_cluster_are_a_cluster_of_their_own_if_requested(server):
    adata = plain()
    adata.obs["cluster"] = adata.obs["cluster"].where(np.arange(adata.n_obs) > 9)
    annotator = CyteType(adata, "cluster", api_url=server.url, label_na=True)
    with pytest.warns(errors.ClustersWithoutMarkersWarning, match="Unknown"):
        annotator.run("", **QUICK)
    (job,) = server.jobs.values()
    assert list(job["sent"]["input_data"]["clusterLabels"].values())[-1] == "Unknown"
    assert list(adata.obs["cytetype_annotation_cluster"][:10]) == ["Unknown"] * 10
    assert adata.obs["cluster"].isna().sum() == 10
    with pytest.warns(errors.CellsWithoutClusterWarning):
        CyteType(adata, "cluster", api_url=server.url).run(
            "", override_existing_results=True, **QUICK
        )
    assert adata.obs["cytetype_annotation_cluster"].isna().sum() == 10


def test_a_failed_cluster_is_unknown_and_its_reason_is_in_the_results(server):
    server.failed_clusters = {"2"}
    adata = plain()
    annotator = CyteType(adata, "cluster", api_url=server.url)
    annotator.run("", **QUICK)
    labels = adata.obs["cytetype_annotation_cluster"][adata.obs["cluster"] == "2"]
    assert set(labels) == {"Unknown"}
    failed = [a for a in annotator.get_results()["annotations"] if a["clusterId"] == "2"]
    assert "could not annotate" in failed[0]["error"]


def test_what_the_package_computes_when_it_is_made_is_there():
    annotator = CyteType(plain(), "cluster")
    theirs = PUBLISHED["payloads"]["plain/plain"]
    assert annotator.cluster_map == {"0": "0", "1": "1", "2": "2", "10": "10"}
    assert annotator.clusters[:2] == list(plain().obs["cluster"][:2])
    assert annotator.expression_percentages == theirs["expressionData"]
    assert annotator.marker_genes == theirs["markerGenes"]
    assert annotator.group_metadata == theirs["clusterMetadata"]
    assert annotator.visualization_data == theirs["visualizationData"]


def test_a_missing_column_is_an_error_when_the_object_is_made():
    with pytest.raises(errors.GroupMissingError):
        CyteType(plain(), "leiden")
    with pytest.raises(errors.InvalidOptionError, match="n_top_genes"):
        CyteType(plain(), "cluster", n_top_genes=0)
    with pytest.raises(errors.InvalidOptionError, match="study_context"):
        CyteType(plain(), "cluster").run(7)


def test_the_token_is_not_shown_and_not_pickled(server):
    annotator = CyteType(plain(), "cluster", api_url=server.url, auth_token=CANARY)
    assert CANARY not in repr(annotator) + str(vars(annotator))
    assert CANARY.encode() not in pickle.dumps(annotator)


def test_positions_of_arguments_are_the_published_ones():
    made = list(inspect.signature(CyteType).parameters)
    assert made == [
        "adata", "group_key", "rank_key", "gene_symbols_column", "n_top_genes",
        "aggregate_metadata", "min_percentage", "pcent_batch_size", "coordinates_key",
        "max_cells_per_group", "vars_h5_path", "obs_duckdb_path", "max_metadata_categories",
        "api_url", "auth_token", "label_na",
    ]  # fmt: skip
    run = list(inspect.signature(CyteType.run).parameters)[1:18]
    assert run == [
        "study_context", "llm_configs", "metadata", "n_parallel_clusters", "results_prefix",
        "poll_interval_seconds", "timeout_seconds", "api_url", "auth_token", "save_query",
        "query_filename", "upload_timeout_seconds", "upload_max_workers", "require_artifacts",
        "show_progress", "override_existing_results", "visibility",
    ]  # fmt: skip
