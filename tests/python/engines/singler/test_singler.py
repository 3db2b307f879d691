"""The engine ``singler``: real runs of SingleR, beside its own function called directly."""

import logging
from contextlib import nullcontext

import anndata
import numpy as np
import pandas as pd
import pytest

from blood_halves import LABELS, halves
from cellferry import annotate_cells, annotate_clusters, errors
from cellferry.bridge.rds.child import find_rscript
from cellferry.bridge.rds.singler import _by_child, _check, open_singler
from cellferry.engines import create_engine
from cellferry.engines.contract import EngineContract, example_cells
from cellferry.engines.singler import SingleR
from cellferry.runs.run import Run
from cellferry.study.clusters import Clusters
from cellferry.study.inputs import readers
from singler_r import directly, needs_singler

pytestmark = [pytest.mark.filterwarnings("ignore"), needs_singler, pytest.mark.process]


@pytest.fixture(scope="module")
def blood():
    """A reference without its rare labels, and the other half."""
    first, other = halves()
    often = first.obs[LABELS].value_counts()
    return first[first.obs[LABELS].map(often).to_numpy() >= 10].copy(), other


@pytest.fixture(scope="module")
def answered(blood):
    first, other = blood
    return annotate_cells(
        other.copy(), engine="singler", reference=first, labels=LABELS, group_key="louvain",
        progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _one_r():
    """One child for all runs: another takes some seconds to load SingleR."""
    with _by_child(find_rscript()) as ask:

        def reader(check=None):
            return open_singler(check=check) if check else nullcontext(ask)

        kept = dict(readers._readers)
        readers.give_readers({"singler": reader})
        yield
        readers.give_readers(kept)


class TestContract(EngineContract):
    level = "cells"

    @pytest.fixture(autouse=True, scope="class")
    def _reference(self, tmp_path_factory, request):
        path = tmp_path_factory.mktemp("reference") / "contract.h5ad"
        example_cells(120, seed=1)[:-1].copy().write_h5ad(path)
        request.cls.reference = str(path)

    def engine(self, **options):
        return SingleR(reference=self.reference, labels="cluster", **options)


def test_the_labels_are_those_of_singler(blood, answered, tmp_path):
    first, other = blood
    own = directly(tmp_path, other, first, first.obs[LABELS])
    pruned = np.array(own["pruned"])
    wanted = np.where(pruned, "Unknown", own["labels"]).tolist()
    assert answered.label.values().tolist() == wanted
    raw = answered.detail.values()
    assert raw[pruned].tolist() == np.array(own["labels"])[pruned].tolist()
    assert all(x is None for x in raw[~pruned])
    sure = answered.confidence
    np.testing.assert_allclose(sure[~pruned], np.array(own["best"])[~pruned], atol=1e-9)
    assert np.isnan(sure[pruned]).all()
    assert answered.confidence_kind == "stated"
    assert answered.provenance["de_method"] == "wilcox"
    assert 0 < pruned.sum() < len(pruned)


def test_most_labels_are_right_and_terms_are_of_the_ontology(blood, answered):
    """Measured: 74 % right, 9 % pruned."""
    right = answered.label.values() == blood[1].obs[LABELS].to_numpy()
    assert right.mean() > 0.7
    assert answered.ontology_id("CD14+ Monocyte") == "CL:0000576"
    assert set(answered.evidence["delta"]) <= set(blood[0].obs[LABELS])


def test_classic_is_singler_s_too(blood, tmp_path):
    first, other = blood
    own = directly(tmp_path, other, first, first.obs[LABELS], "classic")
    found = annotate_cells(
        other.copy(), engine="singler", reference=first, labels=LABELS, de_method="classic",
        prune=False, progress=False,
    )  # fmt: skip
    assert found.label.values().tolist() == own["labels"]
    assert found.counts() == {"ok": len(other)}


def test_clusters_are_what_most_of_their_cells_are(blood, answered):
    first, other = blood
    found = annotate_clusters(
        other.copy(), engine="singler", reference=first, labels=LABELS, group_key="louvain",
        progress=False,
    )  # fmt: skip
    most = answered.majority(Clusters.from_column(other.obs["louvain"]))
    assert found.labels() == most.labels()
    assert found.evidence["0"]["share"] == most.evidence["0"]["share"]


def test_terms_that_the_reference_has_are_used_where_they_are_one(tmp_path, caplog):
    reference = example_cells(120, seed=1)[:-1].copy()
    reference.obs["kind"] = reference.obs["cluster"].map({"0": "x", "1": "y", "2": "Monocyte"})
    terms = {"x": "CL:0000236", "y": None, "Monocyte": "CL:0000576"}
    reference.obs["label.ont"] = [terms[x] for x in reference.obs["kind"]]
    reference.X = reference.layers["counts"].copy()
    path = tmp_path / "r.h5ad"
    reference.write_h5ad(path)
    with caplog.at_level(logging.INFO, logger="cellferry"):
        found = annotate_cells(
            example_cells(), engine="singler", reference=path, labels="kind", progress=False
        )
    assert found.ontology_id("x") == "CL:0000236"
    assert found.ontology_id("y") is None
    assert found.ontology_id("Monocyte") == "CL:0000576"
    said = (
        'The reference: 119 cells of 3 labels, by de_method "wilcox". log1p of 10,000 counts per '
        "cell is made from the counts."
    )
    assert said in caplog.messages
    assert found.counts()["skipped"] == 1
    assert found.error.values()[-1] == "It expresses none of the genes of the reference."


def test_a_run_that_was_stopped_asks_only_what_is_missing(blood, tmp_path, monkeypatch):
    from cellferry.engines.singler import asking

    first, other = blood
    monkeypatch.setattr(asking, "ROWS", 100)
    asked = []
    classify = asking._Asker.classify

    def counting(self, block):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(block.shape[0])
        return classify(self, block)

    monkeypatch.setattr(asking._Asker, "classify", counting)
    options = {"reference": first, "labels": LABELS, "progress": False}
    with pytest.raises(KeyboardInterrupt) as caught:
        annotate_cells(other.copy(), engine="singler", **options)
    run = caught.value.run
    assert len(Run.open(run).finished()) == 2
    monkeypatch.setattr(asking._Asker, "classify", classify)
    again = annotate_cells(other.copy(), engine="singler", resume=run, progress=False)
    whole = annotate_cells(other.copy(), engine="singler", **options, overwrite=True)
    assert again.label.values().tolist() == whole.label.values().tolist()
    np.testing.assert_array_equal(again.confidence, whole.confidence)


def test_without_singler_it_says_what_to_install_before_the_reference_is_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("cellferry.bridge.rds.singler._found", set())
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x.h5ad").write_text("no object")
    with pytest.raises(errors.DependencyError, match="SingleR is an R package, and there is no R"):
        annotate_cells(
            example_cells(), engine="singler", reference=tmp_path / "x.h5ad", labels="x",
            progress=False,
        )  # fmt: skip


def refused(match, reference, adata=None, kind=errors.ModelError, labels="label", **options):
    with pytest.raises(kind, match=match) as caught:
        annotate_cells(
            example_cells() if adata is None else adata, engine="singler", reference=reference,
            labels=labels, progress=False, **options,
        )  # fmt: skip
    return caught.value


@pytest.fixture
def reference():
    adata = example_cells(90, seed=1)[:-1].copy()
    names = {"0": "B cell", "1": "T cell", "2": "Monocyte"}
    adata.obs["label"] = adata.obs["cluster"].map(names).astype(str)
    return adata


def test_packages_that_r_lacks_are_named_with_the_line_that_installs_them(tmp_path):
    fake = tmp_path / "Rscript"
    fake.write_text("#!/bin/sh\necho lacks SingleR scran\n")
    fake.chmod(0o755)
    with pytest.raises(errors.DependencyError, match="needs the R packages SingleR, scran") as c:
        _check(str(fake), "wilcox")
    assert c.value.hint.endswith('BiocManager::install(c("SingleR", "scran"))')
    fake.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(errors.DependencyError, match="cannot be started"):
        _check(str(fake), "wilcox")


def test_a_reference_that_teaches_nothing_is_refused(reference):
    one = reference.copy()
    one.obs["label"] = "B cell"
    refused(r'A reference needs two labels of 10 cells or more; "label" has "B cell"\.', one)
    missing = reference.copy()
    missing.obs.iloc[:4, missing.obs.columns.get_loc("label")] = None
    refused('4 of 89 cells have no label in "label".', missing)
    rare = reference.copy()
    rare.obs.iloc[:3, rare.obs.columns.get_loc("label")] = "Rare cell"
    refused(r'1 label of "label" has fewer than 10 cells: "Rare cell" \(3\).', rare)
    scaled = reference.copy()
    del scaled.layers["counts"]
    scaled.X = scaled.X.toarray() - scaled.X.toarray().mean(axis=0)
    refused("needs log-normalised values", scaled, kind=errors.EngineNeedsError)
    refused("labl", reference, labels="labl", kind=errors.GroupMissingError)


def test_a_reference_of_other_genes_is_refused(reference):
    mouse = reference.copy()
    mouse.var_names = [name.capitalize() for name in mouse.var_names]
    refused("The reference is of mouse, and the genes of the object are of human: 0 of the", mouse)
    other = reference.copy()
    other.var_names = [f"probe_{i}" for i in range(other.n_vars)]
    error = refused("The object has 0 of the 35 genes of the reference", other)
    assert 'named as "probe_0"' in error.hint


def test_a_reference_that_is_none_is_refused(tmp_path):
    refused('There is no reference "nowhere.h5ad"', "nowhere.h5ad")
    (tmp_path / "x.h5ad").write_text("no object")
    refused("x.h5ad", str(tmp_path / "x.h5ad"), kind=errors.InputError)
    refused("`reference` must be an AnnData or a path", 3, kind=errors.InvalidOptionError)
    error = refused("was an object of another session", "object:0123")
    assert "SingleREngine(reference, labels)" in error.hint
    with pytest.raises(errors.EngineNeedsError, match="needs a reference, and none is given"):
        annotate_cells(example_cells(), engine="singler", progress=False)


def test_bulk_samples_are_known_by_their_values(tmp_path):
    random = np.random.default_rng(0)
    bulk = anndata.AnnData(
        random.gamma(2, 2, (6, 1200)), obs={"kind": [f"type {i % 3}" for i in range(6)]},
        var=pd.DataFrame(index=[f"GENE{i}" for i in range(1200)]),
    )  # fmt: skip
    path = tmp_path / "bulk.h5ad"
    bulk.write_h5ad(path)
    engine = create_engine("singler", {"reference": str(path), "labels": "kind"}, "cells")
    found = engine._needed()
    assert found.is_bulk
    assert found.method == "classic"
    assert found.names == ("type 0", "type 1", "type 2")
