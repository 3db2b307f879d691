"""The engine ``reference``: real blood, half to learn from and half to be judged by."""

import numpy as np
import pytest

from blood_halves import LABELS, halves
from cellferry import annotate_cells, annotate_clusters, errors, train_reference
from cellferry.engines import create_engine
from cellferry.engines.contract import EngineContract, example_cells
from cellferry.engines.models.values import LogNormalized
from cellferry.engines.reference import Reference
from cellferry.study.build import study_of_cells

pytestmark = pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning")


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "blood.npz"
    return train_reference(halves()[0], LABELS, path, leave_out=True), path


@pytest.fixture(scope="module")
def contract_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "contract.npz"
    train_reference(example_cells(120, seed=1), "cluster", path)
    return path


class TestContract(EngineContract):
    level = "cells"

    @pytest.fixture(autouse=True)
    def _model(self, contract_model):
        self.model = contract_model

    def engine(self, **options):
        return Reference(model=self.model, **options)


def answered(found, adata):
    """Share with a label, share of those that is right, mean confidence."""
    labels, truth = found.label.values(), adata.obs[LABELS].to_numpy()
    named = labels != "Unknown"
    return named.mean(), (labels == truth)[named].mean(), np.nanmean(found.confidence)


def test_the_other_half_is_labelled_right_and_the_confidence_says_how_often(learned):
    """Measured: 72 % labelled, 88 to 92 % right; 3 % are of labels too rare to be learned."""
    model, path = learned
    other = halves()[1]
    found = annotate_cells(other, engine="reference", model=path, progress=False)
    named, right, sure = answered(found, other)
    assert named > 0.6
    assert right > 0.85
    assert abs(sure - right) < 0.1
    assert found.confidence_kind == "calibrated"
    assert found.evidence["genes"]["of"] == "the model"
    assert found.provenance["model"] == model.checksum()
    assert "MS4A1" in found.evidence["defining"]["CD19+ B"]


@pytest.mark.slow
def test_a_type_that_the_reference_lacks_is_unknown_unless_another_is_like_it(tmp_path):
    """Measured of each type left out: regulatory T cells 98 %, B cells 59 % Unknown; monocytes and
    NK cells, which have a near relative in the reference, 0 %. Of the other cells about 27 %.
    """
    first, other = halves()
    unknown = {}
    for lacking in ("CD4+/CD25 T Reg", "CD19+ B"):
        known = first[first.obs[LABELS] != lacking].copy()
        path = tmp_path / "m.npz"
        train_reference(known, LABELS, path, leave_out=True, overwrite=True)
        found = annotate_cells(
            other, engine="reference", model=path, progress=False, overwrite=True
        )
        new = other.obs[LABELS].to_numpy() == lacking
        of = found.label.values() == "Unknown"
        unknown[lacking] = of[new].mean(), of[~new].mean()
    assert unknown["CD4+/CD25 T Reg"][0] > 0.9
    assert unknown["CD19+ B"][0] > 0.5
    assert all(new > rest + 0.1 for new, rest in unknown.values())


def test_clusters_are_what_most_of_their_cells_are(learned):
    """Of 11 clusters 8 are named, 7 as most of their cells; 10 to 12 cells decide the other."""
    other = halves()[1]
    found = annotate_clusters(
        other, engine="reference", model=learned[1], group_key="louvain", progress=False
    )
    truth = other.obs.groupby("louvain", observed=True)[LABELS].agg(lambda x: x.mode()[0])
    named = {row.cluster: row.label for row in found if row.status == "ok"}
    assert len(named) == 8
    assert sum(truth[cluster] == label for cluster, label in named.items()) == 7
    assert all(0 < found.evidence[c]["share"] <= 1 for c in named)


def test_labels_with_a_term_have_it(tmp_path):
    adata = example_cells(90)
    names = {"0": "B cells", "1": "T cell", "2": "my own monocytes"}
    adata.obs["label"] = adata.obs["cluster"].map(names)
    model = train_reference(adata, "label", tmp_path / "m.npz")
    assert model.ontology == {
        "B cells": ("CL:0000236", "B cell"), "T cell": ("CL:0000084", "T cell"),
    }  # fmt: skip
    found = annotate_cells(adata, engine="reference", model=tmp_path / "m.npz", progress=False)
    assert found.ontology_id("B cells") == "CL:0000236"


def test_genes_in_another_order_and_fewer_of_them_are_found_by_name(learned):
    other = halves()[1]
    first = annotate_cells(other.copy(), engine="reference", model=learned[1], progress=False)
    order = np.random.default_rng(1).permutation(other.n_vars)
    mixed = annotate_cells(
        other[:, order].copy(), engine="reference", model=learned[1], progress=False
    )
    assert mixed.label.values().tolist() == first.label.values().tolist()
    fewer = annotate_cells(
        other[:, order[:500]].copy(), engine="reference", model=learned[1], progress=False
    )
    assert (fewer.label.values() == first.label.values()).mean() > 0.6


def test_a_cell_without_the_genes_is_skipped(contract_model):
    found = annotate_cells(
        example_cells(), engine="reference", model=contract_model, group_key="cluster",
        progress=False,
    )  # fmt: skip
    assert found.counts()["skipped"] == 1
    assert found.error.values()[-1] == "It expresses none of the genes of the model."


def test_a_model_that_does_not_fit_is_refused_before_any_work(learned):
    other = halves()[1]
    mouse = other.copy()
    mouse.var_names = [name.capitalize() for name in mouse.var_names]
    with pytest.raises(errors.ModelError, match=r"The model is of human, and .* of mouse: "):
        annotate_cells(mouse, engine="reference", model=learned[1], progress=False)
    few = other[:, :60].copy()
    with pytest.raises(errors.ModelError, match="which is too few to label cells by") as caught:
        annotate_cells(few, engine="reference", model=learned[1], progress=False)
    assert "The genes of the model are named as" in caught.value.hint


def test_without_a_model_it_says_how_to_make_one():
    with pytest.raises(errors.EngineNeedsError, match="needs a model, and none is given") as caught:
        annotate_cells(example_cells(), engine="reference", progress=False)
    assert "train_reference" in caught.value.hint
    with pytest.raises(errors.ModelError, match=r'There is no model "nowhere\.npz"'):
        create_engine("reference", {"model": "nowhere.npz"}, "cells")


def read(adata):
    values = LogNormalized.of(study_of_cells(adata, group_key="cluster"), "x")
    return values.how, np.vstack([block.toarray() for _, block in values])


def test_values_are_brought_to_ten_thousand_whatever_they_are():
    """The four ways give the same values, of counts, of CPM and of log-normalised values."""
    whole = example_cells()
    how, wanted = read(whole)
    assert how == "as_is"
    counts = whole.copy()
    counts.X = counts.layers["counts"].copy()
    other = whole.copy()
    del other.layers["counts"]
    sums = other.X.copy()
    sums.data = np.log1p(np.expm1(sums.data) * 3.7)
    other.X = sums
    linear = whole.copy()
    del linear.layers["counts"]
    linear.X = linear.X.copy()
    linear.X.data = np.expm1(linear.X.data) * 100
    for adata, wanted_how in (
        (counts, "from_counts"), (other, "rescaled"), (linear, "from_counts"),
    ):  # fmt: skip
        how, found = read(adata)
        assert how == wanted_how
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_some_genes_only_are_read_as_they_are_and_counts_are_better():
    some = example_cells()[:, :20].copy()
    how, _ = read(some)
    assert how == "from_counts"
    del some.layers["counts"]
    how, found = read(some)
    assert how == "uneven"
    np.testing.assert_array_equal(found, some.X.toarray())
