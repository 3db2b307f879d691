import logging
import threading
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy

from cellferry import annotate_clusters, errors, read_annotations, resume
from cellferry.annotate.request import build_study
from cellferry.annotate.verb import annotate, plan
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.biology.gene_tables import symbols_by_number
from cellferry.engines import create_engine
from cellferry.engines.base import Capabilities, Plan
from cellferry.runs.run import Run, list_runs
from cellferry.study.study import Clusters, Study

T, B = ["CD3E", "CD3D", "TRAC", "IL7R", "LTB"], ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]


def snapshot(adata):
    return adata.obs.copy(), set(adata.uns), adata.X.copy()


def unchanged(adata, before):
    obs, uns, x = before
    pd.testing.assert_frame_equal(adata.obs, obs)
    assert set(adata.uns) == uns
    np.testing.assert_array_equal(adata.X, x)


@pytest.mark.slow
def test_an_anndata_is_labelled_in_place_and_every_cell_has_its_clusters_label(blood):
    found = annotate_clusters(blood, group_key="louvain", tissue="blood", progress=False)
    labels = found.labels()
    clusters = list(blood.obs["louvain"].cat.categories)
    assert list(labels) == clusters
    assert list(blood.obs["cell_type"].astype(object)) == [labels[c] for c in blood.obs["louvain"]]
    for suffix in ("_detail", "_confidence", "_ontology_id", "_status"):
        assert "cell_type" + suffix in blood.obs
    assert found.column("n_cells") == list(blood.obs["louvain"].value_counts()[clusters])
    assert found.provenance["group_key"] == "louvain"
    assert found.provenance["species"] == "human"


def test_labels_and_record_survive_a_file_and_a_subset(blood, tmp_path):
    found = annotate_clusters(blood, group_key="louvain", progress=False)
    blood.write_h5ad(tmp_path / "x.h5ad")
    back = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert read_annotations(back) == read_annotations(blood)
    assert read_annotations(back).rows == found.rows
    assert list(back.obs["cell_type"].astype(object)) == list(blood.obs["cell_type"].astype(object))
    assert isinstance(back.obs["cell_type"].dtype, pd.CategoricalDtype)
    some = back[back.obs["louvain"].isin(["0", "3"])].copy()
    counted = read_annotations(some)
    assert counted["0"].n_cells == int((blood.obs["louvain"] == "0").sum())
    assert counted["1"].n_cells == 0
    assert counted["1"].label == found["1"].label


def test_a_second_run_replaces_its_own_columns_and_says_so(blood, caplog):
    annotate_clusters(blood, group_key="louvain", progress=False)
    with caplog.at_level(logging.INFO, "cellferry"):
        annotate_clusters(blood, group_key="louvain", progress=False)
    assert "Replacing the columns cell_type" in caplog.text


def test_a_foreign_column_is_never_replaced_unasked(blood):
    blood.obs["cell_type_status"] = "mine"
    before = snapshot(blood)
    with pytest.raises(errors.ColumnExistsError):
        annotate_clusters(blood, group_key="louvain", progress=False)
    unchanged(blood, before)
    annotate_clusters(blood, group_key="louvain", overwrite=True, progress=False)
    assert set(blood.obs["cell_type_status"]) <= {"ok", "unknown"}


def marker_error(**changes):
    return {"group_key": "louvain", "progress": False, **changes}


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"group_key": "leidn"}, errors.GroupMissingError, 'no column "leidn"'),
        ({"engine": "lokal"}, errors.UnknownEngineError, 'Did you mean "local"'),
        ({"n_gene": 5}, errors.UnknownOptionError, "Did you mean `n_genes`"),
        ({"key": "my key"}, errors.InvalidKeyError, "not a valid column name"),
        ({"key": "n_genes"}, errors.ColumnExistsError, '"n_genes"'),
        ({"markers": "absent.csv"}, errors.MarkersUnreadableError, "absent.csv"),
        ({"markers": {"x": T, "y": B}}, errors.MarkersClustersError, '"x", "y"'),
        ({"markers": pd.DataFrame()}, errors.MarkersEmptyError, "no rows"),
        ({"markers": 7}, errors.InputError, "int"),
        ({"engine": 7}, errors.InvalidOptionError, "not int"),
    ],
)
def test_bad_input_is_a_clear_error_and_the_object_is_untouched(blood, arguments, error, words):
    before = snapshot(blood)
    with pytest.raises(error, match=words) as caught:
        annotate_clusters(blood, **marker_error(**arguments))
    unchanged(blood, before)
    assert str(caught.value)
    assert list_runs() == []


def test_markers_of_another_clustering_are_refused(blood):
    import scanpy

    table = scanpy.get.rank_genes_groups_df(blood, group=None)
    table = table.rename(columns={"pct_nz_group": "pct.1", "pct_nz_reference": "pct.2"})
    names = list(blood.obs["louvain"].cat.categories)
    moved = dict(zip(names, names[1:] + names[:1], strict=True))
    blood.obs["other"] = blood.obs["louvain"].map(moved).astype("category")
    with pytest.raises(errors.MarkersMismatchError):
        annotate_clusters(blood, table, group_key="other", progress=False)
    assert "cell_type" not in blood.obs


def test_cells_without_a_cluster_get_no_label(blood):
    labels = blood.obs["louvain"].astype(object)
    labels.iloc[[0, 5]] = None
    blood.obs["louvain"] = pd.Categorical(labels)
    with pytest.warns(errors.CellsWithoutClusterWarning, match="2 of 700"):
        annotate_clusters(blood, group_key="louvain", progress=False)
    assert blood.obs["cell_type"].isna().sum() == 2
    assert blood.obs["cell_type"].isna().to_numpy()[[0, 5]].all()


def test_a_cluster_without_markers_is_skipped_with_the_reason():
    found = None
    adata = anndata.AnnData(np.ones((3, 1)), obs=pd.DataFrame({"g": ["a", "b", "c"]}, list("xyz")))
    with pytest.warns(errors.ClustersWithoutMarkersWarning, match='"c"'):
        found = annotate_clusters(adata, {"a": T, "b": B}, group_key="g", progress=False)
    assert found["c"].status == "skipped"
    assert found["c"].error
    assert adata.obs["cell_type"].isna().to_list() == [False, False, True]


def test_a_marker_table_alone_gives_a_table(tmp_path):
    frame = pd.DataFrame({"cluster": ["10", "2"], "marker_genes": [",".join(B), ",".join(T)]})
    frame.to_csv(tmp_path / "m.csv", index=False)
    found = annotate_clusters(tmp_path / "m.csv", tissue="blood", progress=False)
    assert list(found.labels()) == ["2", "10"]
    assert found["10"].label == "B cell"
    assert found["2"].n_cells is None
    with pytest.raises(errors.InvalidOptionError, match="itself a marker table"):
        annotate_clusters(tmp_path / "m.csv", tmp_path / "m.csv")
    with pytest.raises(errors.UnsupportedObjectError, match="type int"):
        annotate_clusters(3)
    with pytest.raises(errors.UnsupportedObjectError, match="type ndarray") as caught:
        annotate_clusters(np.ones((2, 3)))
    made = {"x": np.ones((2, 3)), "cells": ["c1", "c2"], "genes": ["CD3E", "CD19", "LYZ"]}
    exec(caught.value.hint.partition("genes: ")[2], {"anndata": anndata}, made)
    assert made["adata"].shape == (2, 3)


class Probe:
    """An engine of the test: does what the test says, in the worker."""

    name = "probe"
    capabilities = Capabilities(needs=frozenset())

    def __init__(self, work):
        self.work = work

    def describe(self):
        return {}

    def plan(self, study):
        return Plan("probe", len(study.clusters.names))

    def run(self, study, run, events):
        return self.work(study, run, events)


STUDY = Study(Clusters(("a", "b")))


def labelled(*names):
    return Annotations(tuple(Annotation(n, "ok", label=n.upper()) for n in names))


def test_an_engine_that_leaves_out_or_exchanges_clusters_is_caught():
    for wrong in (("a",), ("b", "a"), ("a", "b", "c")):
        with pytest.raises(errors.InternalError, match="answered"):
            annotate(STUDY, Probe(lambda *_, w=wrong: labelled(*w)))
        assert list_runs()[0].content["status"] == "failed"


def test_a_crash_of_an_engine_is_named_with_its_run():
    def crash(*_):
        raise ZeroDivisionError

    with pytest.raises(errors.InternalError, match="ZeroDivisionError") as caught:
        annotate(STUDY, Probe(crash))
    assert Run.open(caught.value.data["run"]).content["error"]["code"] == "internal"


def test_an_interrupt_names_the_run_and_what_is_done_is_kept():
    def slow(_study, run, events):
        run.record("a", "key a", {"label": "A"})
        events.emit("progress", 1, 2, unit="a")
        events.wait(30)

    def interrupt(_event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        annotate(STUDY, Probe(slow), on_event=interrupt)
    run = Run.open(caught.value.run)
    assert run.content["status"] == "interrupted"
    assert run.finished() == {"key a": {"label": "A"}}
    assert run.id in caught.value.__notes__[0]


def test_the_engine_works_in_another_thread_and_events_come_to_this_one():
    here, seen = threading.get_ident(), {}

    def work(_study, _run, events):
        seen["work"] = threading.get_ident()
        events.emit("progress", 1, 2)
        return labelled("a", "b")

    annotate(
        STUDY, Probe(work), on_event=lambda _e: seen.setdefault("event", threading.get_ident())
    )
    assert seen["event"] == here != seen["work"]


def test_a_run_is_resumed_with_nothing_but_its_id():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = annotate_clusters({"a": B, "b": T}, progress=False)
    run = Run.open(found.provenance["run"])
    assert resume(run.id) == found
    (run.folder / "annotations.json").unlink()
    run.update(status="interrupted")
    again = resume(run.id)
    assert again.labels() == found.labels()
    assert Run.open(run.id).content["status"] == "finished"


def test_a_resumed_run_takes_every_finished_cluster_from_the_journal(blood):
    found = annotate_clusters(blood, group_key="louvain", progress=False)
    run = Run.open(found.provenance["run"])
    before = (run.folder / "journal.jsonl").read_bytes()
    run.update(status="interrupted")
    assert resume(run.id).rows == found.rows
    assert (run.folder / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize("identifiers", [False, True])
def test_a_run_resumed_with_its_object_answers_as_it_would_have(blood, identifiers):
    """Expression counts beside the markers, under symbols too that identifiers were given."""
    if identifiers:
        of_symbol = {s: f"ENSG{i:011d}" for i, s in symbols_by_number("human").items()}
        blood = blood[:, [g in of_symbol for g in blood.var_names]].copy()
        blood.X = np.log1p(np.abs(blood.X))
        blood.raw = None
        blood.var_names = [of_symbol[g] for g in blood.var_names]
        scanpy.tl.rank_genes_groups(blood, "louvain", method="t-test", pts=True)
    found = annotate_clusters(blood, group_key="louvain", progress=False)
    run = Run.open(found.provenance["run"])
    (run.folder / "journal.jsonl").write_bytes(b"")
    run.update(status="interrupted")
    assert resume(run.id, build_study(blood, group_key="louvain")).rows == found.rows


def test_a_run_is_not_resumed_with_another_object():
    found = annotate_clusters({"a": B}, progress=False)
    other = build_study({"z": T})
    with pytest.raises(errors.RunMismatchError, match="not the one of the run"):
        resume(found.provenance["run"], other)


def test_the_dry_run_says_what_would_be_done_and_makes_no_run():
    found = plan(build_study({"a": B, "b": T}), create_engine("local"))
    assert (found.clusters, found.calls, found.bytes_sent, found.cost_usd) == (2, 0, 0, 0.0)
    assert list_runs() == []


def test_no_secret_and_no_expression_is_kept_in_the_run(blood):
    found = annotate_clusters(blood, group_key="louvain", progress=False)
    folder = Run.open(found.provenance["run"]).folder
    assert {p.name for p in folder.iterdir()} == {
        "run.json", "journal.jsonl", "study.json", "prevalence.json", "annotations.json",
    }  # fmt: skip
    assert blood.obs_names[0] not in (folder / "study.json").read_text(encoding="utf-8")


def test_a_table_with_scores_only_is_annotated_and_its_markers_are_kept():
    table = pd.DataFrame({"group": ["0"] * 5, "names": B, "scores": [5.0, 4.0, 3.0, 2.0, 1.0]})
    found = annotate_clusters(table, progress=False)
    assert found["0"].status in {"ok", "unknown"}
    assert found.markers["gene"] == B
    assert found.markers["Score"][0] == 5.0


def test_a_dry_run_tells_the_plan_without_a_key_and_leaves_everything_as_it_was(
    blood, own_home, monkeypatch
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    before = snapshot(blood)
    plan = annotate_clusters(
        blood, group_key="louvain", engine="llm", provider="openai", model="gpt-5", dry_run=True
    )
    assert isinstance(plan, Plan)
    assert (plan.clusters, plan.calls) == (11, 22)
    assert str(plan).startswith("llm: 11 clusters, 22 calls, ")
    unchanged(blood, before)
    assert list_runs() == []
