"""A table is counted by the labels that were written, whatever clusters the cells have now."""

from collections import Counter

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry import annotation_report, errors, read_annotations
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.labelling.objects import attach
from cellferry.annotations.present import present
from cellferry.study.clusters import Clusters

LABELS = ("T cell", "B cell", "Monocyte")


def annotated(clusters, labels=LABELS, confidence=(0.9, 0.8, 0.7)):
    """An AnnData with labels for each cluster, as annotate_clusters() leaves it."""
    obs = pd.DataFrame({"leiden": pd.Categorical(clusters)})
    obs.index = [f"cell{i}" for i in range(len(obs))]
    adata = anndata.AnnData(np.zeros((len(obs), 1)), obs=obs)
    groups = Clusters.from_column(adata.obs["leiden"])
    sizes = groups.counts()
    rows = tuple(
        Annotation(
            name,
            "ok",
            label=labels[int(name)],
            confidence=confidence[int(name)],
            confidence_kind="graded",
            n_cells=sizes[name],
        )
        for name in groups.names
    )
    provenance = {"group_key": "leiden", "key": "cell_type", "created": "2026"}
    attach(adata, Annotations(rows, {}, provenance), groups, "cell_type")
    return adata


def by_label(found):
    made = Counter()
    for row in found:
        made[row.label] += row.n_cells
    return +made


assignments = st.lists(st.sampled_from("012"), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(assignments, st.randoms(use_true_random=False), st.booleans())
def test_whatever_the_clusters_are_now_each_label_has_its_cells(clusters, random, subset):
    adata = annotated(clusters)
    now = list(clusters)
    random.shuffle(now)
    adata.obs["leiden"] = pd.Categorical(now)
    if subset:
        adata = adata[sorted(random.sample(range(len(now)), (len(now) + 1) // 2))].copy()
    found = present(read(adata), adata.obs, "cell_type")
    assert by_label(found.found) == Counter(adata.obs["cell_type"])
    labels = [found.found[name].label for name in found.clusters.names]
    assert [labels[i] for i in found.clusters.codes] == list(adata.obs["cell_type"])


@settings(max_examples=50, deadline=None)
@given(assignments)
def test_where_the_clusters_are_the_same_nothing_is_said(clusters):
    adata = annotated(clusters)
    found = present(read(adata), adata.obs, "cell_type")
    assert (found.found, found.changed, found.gone) == (read(adata), "", "")


def read(adata):
    return Annotations.from_json(adata.uns["cellferry"]["cell_type"])


def test_other_clusters_are_a_warning_and_in_the_report(tmp_path):
    adata = annotated(["0"] * 6 + ["1"] * 4)
    adata.obs["leiden"] = pd.Categorical(["0"] * 4 + ["1"] * 6)
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.warns(errors.ClustersChangedWarning, match='"leiden" is gone or was changed'):
        found = read_annotations(adata)
    assert found.column("n_cells") == [6, 4]
    with pytest.warns(errors.ClustersChangedWarning):
        page = annotation_report(adata, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "counted by the labels that were written" in page


def test_labels_changed_by_hand_are_counted_and_the_clusters_stay():
    adata = annotated(["0"] * 6 + ["1"] * 4)
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(object)
    adata.obs.iloc[:2, adata.obs.columns.get_loc("cell_type")] = "NK cell"
    with pytest.warns(errors.ClustersChangedWarning, match='2 cells have another label in "cell_'):
        assert read_annotations(adata).column("n_cells") == [6, 4]


def test_clusters_that_look_alike_are_not_counted_apart():
    adata = annotated(["0"] * 6 + ["1"] * 4, ["T cell"] * 2, [0.9, 0.9])
    adata.obs["leiden"] = pd.Categorical(["0"] * 7 + ["1"] * 3)
    with pytest.warns(errors.ClustersChangedWarning):
        assert read_annotations(adata).column("n_cells") == [6, 4]
    with pytest.warns(errors.ClustersChangedWarning, match="can't be counted apart"):
        assert read_annotations(adata[:-1]).column("n_cells") == [None, None]


def test_without_clusters_and_labels_the_table_is_as_it_was():
    adata = annotated(["0"] * 6 + ["1"] * 4)
    del adata.obs["leiden"], adata.obs["cell_type"]
    with pytest.warns(errors.ClustersChangedWarning, match="could not be counted"):
        assert read_annotations(adata).column("n_cells") == [6, 4]
