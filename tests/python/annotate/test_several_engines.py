"""Several engines in one call: all are checked first, each answers, and they vote."""

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry import errors
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.engines.base import Capabilities, Plan

MARKERS = {"0": ["CD3D", "CD3E", "CD3G", "CD2", "IL32"], "1": ["CD79A", "MS4A1", "CD19", "CD79B",
           "BANK1"]}  # fmt: skip


class Fixed:
    """Answers what it was made with."""

    def __init__(self, name, labels, sends=(), fails=False, ready=True):
        self.name, self.labels, self.fails, self.ready = name, labels, fails, ready
        self.sends, self.runs = frozenset(sends), 0

    @property
    def capabilities(self):
        return Capabilities(
            answers=frozenset({"clusters"}), needs=frozenset({"markers"}), sends=self.sends,
            host="example.org" if self.sends else None,
        )  # fmt: skip

    def describe(self):
        return {}

    def plan(self, study):
        return Plan(self.name, len(study.clusters.names), calls=2, cost_usd=0.5)

    def prepare(self):
        if not self.ready:
            message = "There is no key."
            raise errors.CredentialsRequiredError(message)

    def run(self, study, run, events):
        self.runs += 1
        if self.fails:
            message = "The service is gone."
            raise errors.ServiceUnreachableError(message)
        return Annotations(tuple(
            Annotation(c, "ok", label=self.labels[c], engine=self.name)
            for c in study.clusters.names
        ))  # fmt: skip


@pytest.fixture
def adata():
    obs = pd.DataFrame({"leiden": pd.Categorical(list("0011"))}, index=list("abcd"))
    return anndata.AnnData(np.zeros((4, 1)), obs)


def annotate(adata, engine, **options):
    return cellferry.annotate_clusters(
        adata, MARKERS, engine=engine, group_key="leiden", progress=False, **options
    )


def test_each_label_is_beside_what_they_agree_on(adata):
    engines = {"a": Fixed("one", {"0": "T cell", "1": "B cell"}),
               "b": Fixed("two", {"0": "CD4 T cell", "1": "B cell"}),
               "c": Fixed("three", {"0": "CD4 T cell", "1": "Fibroblast"})}  # fmt: skip
    found = annotate(adata, engines, levels=True)
    assert found.labels() == {"0": "CD4 T cell", "1": "B cell"}
    assert adata.obs["cell_type"].tolist() == ["CD4 T cell"] * 2 + ["B cell"] * 2
    assert adata.obs["cell_type_a"].tolist() == ["T cell"] * 2 + ["B cell"] * 2
    assert [c for c in adata.obs if c.startswith("cell_type_a")] == ["cell_type_a"]
    assert "cell_type_broad" in adata.obs
    assert cellferry.read_annotations(adata, "cell_type_c").labels()["1"] == "Fibroblast"
    assert [v["engine"] for v in found.evidence["1"]["votes"]] == ["a", "b", "c"]
    again = annotate(adata, engines)
    assert again.labels() == found.labels()


def test_a_failed_engine_is_no_vote_with_its_reason(adata):
    engines = {"a": Fixed("one", {"0": "T cell", "1": "B cell"}), "b": Fixed("two", {}, fails=True),
               "c": Fixed("three", {"0": "T cell", "1": "B cell"})}  # fmt: skip
    found = annotate(adata, engines)
    assert found.labels() == {"0": "T cell", "1": "B cell"}
    votes = {v["engine"]: v for v in found.evidence["0"]["votes"]}
    assert (votes["b"]["status"], votes["b"]["error"]) == ("failed", "The service is gone.")
    assert found.provenance["consensus"]["failed"] == {"b": "The service is gone."}
    assert "cell_type_b" not in adata.obs


def test_where_all_fail_it_is_the_error_of_the_first(adata):
    engines = {"a": Fixed("one", {}, fails=True), "b": Fixed("two", {}, fails=True)}
    before = list(adata.obs)
    with pytest.raises(errors.ServiceUnreachableError, match="The service is gone"):
        annotate(adata, engines)
    assert list(adata.obs) == before


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (Fixed("two", {}, sends=["expression"]), errors.UploadNotAllowedError),
        (Fixed("two", {}, ready=False), errors.CredentialsRequiredError),
        ("lokal", errors.UnknownEngineError),
    ],
)
def test_all_is_checked_before_the_first_begins(adata, last, error):
    first = Fixed("one", {"0": "T cell", "1": "B cell"})
    with pytest.raises(error):
        annotate(adata, {"a": first, "b": last})
    assert first.runs == 0


def test_the_plan_of_all_needs_neither_keys_nor_consent(adata):
    last = Fixed("two", {}, sends=["expression"], ready=False)
    plan = annotate(adata, {"a": "local", "b": last}, dry_run=True)
    assert (plan.engine, plan.calls, plan.cost_usd) == ("a + b", 2, 0.5)
    assert last.runs == 0


def test_a_column_of_others_is_refused_before_the_first_begins(adata):
    adata.obs["cell_type_b"] = "mine"
    first = Fixed("one", {"0": "T cell", "1": "B cell"})
    with pytest.raises(errors.ColumnExistsError):
        annotate(adata, {"a": first, "b": "local"})
    assert first.runs == 0


def test_a_list_is_the_short_form_and_names_must_differ(adata):
    assert annotate(adata, ["local"]).labels().keys() == {"0", "1"}
    with pytest.raises(errors.InvalidOptionError, match='named "local"') as caught:
        annotate(adata, ["local", "local"])
    assert 'engine={"one": "local"' in caught.value.hint
    with pytest.raises(errors.InvalidOptionError, match="no name for an engine"):
        annotate(adata, {"a b": "local"})
    with pytest.raises(errors.InvalidOptionError, match="is an option of one engine"):
        annotate(adata, ["local"], n_genes=3)


def test_the_cost_is_that_of_all(adata):
    plan = annotate(adata, {"a": Fixed("one", {}), "b": Fixed("two", {})}, dry_run=True)
    assert str(plan) == "a + b: 2 clusters, 4 calls, 0 bytes sent, cost $1.00"


def test_a_marker_table_is_answered_by_a_table():
    engines = {"a": Fixed("one", {"0": "T cell", "1": "B cell"}), "b": "local"}
    found = cellferry.annotate_clusters(MARKERS, engine=engines, progress=False)
    assert [row.engine for row in found] == ["consensus"] * 2
