import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.annotations import delivery
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.labelling.objects import attach
from cellferry.errors import ColumnExistsError, InvalidKeyError, RecordLostWarning
from cellferry.study.study import Clusters

cluster_names = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=6, unique=True)


def answers(names):
    return Annotations(
        tuple(
            Annotation(n, "failed", error="no answer")
            if i % 3 == 2
            else Annotation(
                n, "ok", label=f"type {i // 2}", confidence=i / 10, confidence_kind="graded"
            )
            for i, n in enumerate(names)
        ),
        provenance={"columns": delivery.column_names("cell_type")},
    )


@settings(max_examples=40, deadline=None)
@given(cluster_names, st.data())
def test_every_cell_gets_exactly_the_answer_of_its_cluster(names, data):
    values = data.draw(st.lists(st.sampled_from([*names, None]), min_size=1, max_size=30))
    clusters = Clusters.from_labels(values)
    found = answers(clusters.names)
    adata = anndata.AnnData(
        np.zeros((len(values), 1)), obs=pd.DataFrame(index=[f"c{i}" for i in range(len(values))])
    )
    attach(adata, found, clusters, "cell_type")
    labels = found.labels()
    got = adata.obs["cell_type"].astype(object).where(adata.obs["cell_type"].notna(), None)
    assert list(got) == [None if v is None else labels[v] for v in values]
    confidence = adata.obs["cell_type_confidence"]
    for value, number in zip(values, confidence, strict=True):
        expected = None if value is None else found[value].confidence
        assert (expected is None and np.isnan(number)) or expected == number
    status = adata.obs["cell_type_status"]
    assert [None if pd.isna(s) else s for s in status] == [
        None if v is None else found[v].status for v in values
    ]
    stored = Annotations.from_json(adata.uns["cellferry"]["cell_type"])
    assert stored.rows == found.rows
    assert stored.provenance["written"]["cells"]


@pytest.mark.parametrize("key", ["", "1st", "a b", "a/b", "_x", "a-b", "caf\u00e9!"])
def test_a_key_must_be_a_name(key):
    with pytest.raises(InvalidKeyError, match="not a valid column name"):
        delivery.check_key(key, ())


@pytest.mark.parametrize("key", ["cell_type", "caf\u00e9", "a.b", "T2"])
def test_names_are_keys(key):
    assert delivery.check_key(key, ()) == []


def test_a_key_must_not_name_an_assay_reduction_or_graph():
    with pytest.raises(InvalidKeyError, match='"RNA" is the name of an assay'):
        delivery.check_key("RNA", (), reserved={"assay": ["RNA"], "reduction": ["umap"]})
    with pytest.raises(InvalidKeyError, match="a reduction"):
        delivery.check_key("UMAP", (), reserved={"reduction": ["umap"]})


def test_own_columns_are_replaced_and_foreign_ones_are_not():
    record = answers(["a"]).to_json()
    existing = ["cell_type", "cell_type_status", "other"]
    owned = delivery.owned_columns(record)
    assert delivery.check_key("cell_type", existing, owned) == ["cell_type", "cell_type_status"]
    with pytest.raises(ColumnExistsError, match='already has "cell_type", "cell_type_status"'):
        delivery.check_key("cell_type", existing)
    assert delivery.check_key("cell_type", existing, overwrite=True) == existing[:2]


def labelled_without_record(statuses=("ok", "unknown", "failed")):
    """What concat() leaves of three clusters of two cells: labels, and no record."""
    rows = [
        Annotation(str(i), s, label={"ok": "B cell", "unknown": "Unknown"}.get(s),
                   error="x" if s == "failed" else None)
        for i, s in enumerate(statuses)
    ]  # fmt: skip
    adata = anndata.AnnData(np.zeros((6, 1)))
    clusters = Clusters(("0", "1", "2"), np.array([0, 0, 1, 1, 2, 2], dtype=np.int32))
    attach(adata, Annotations(tuple(rows)), clusters, "cell_type")
    del adata.uns["cellferry"]
    return adata


@pytest.mark.parametrize("level", ["clusters", "cells"])
def test_columns_whose_record_was_lost_are_ours_by_what_is_in_them(level):
    adata = labelled_without_record()
    with pytest.warns(RecordLostWarning, match="not in this object any more"):
        replaced = delivery.check_object_key(adata, "cell_type", level=level)
    assert replaced == delivery.column_names("cell_type")


@pytest.mark.parametrize(
    ("column", "value"),
    [("cell_type_status", "done"), ("cell_type_confidence", 7.0), ("cell_type", None),
     ("cell_type_confidence", "high"), ("cell_type_status", None)],
)  # fmt: skip
def test_columns_that_hold_other_things_are_not_ours(column, value):
    adata = labelled_without_record()
    adata.obs[column] = value
    with pytest.raises(ColumnExistsError, match="no record that cellferry wrote them"):
        delivery.check_object_key(adata, "cell_type")


def test_part_of_the_columns_is_not_ours():
    adata = labelled_without_record()
    del adata.obs["cell_type_detail"]
    with pytest.raises(ColumnExistsError):
        delivery.check_object_key(adata, "cell_type")


@pytest.mark.parametrize("stored", [None, "", "{", "[]", '{"provenance": {}}', '{"provenance": 1}'])
def test_records_that_say_nothing_own_nothing(stored):
    assert delivery.owned_columns(stored) == []


@pytest.mark.parametrize(
    ("key", "group", "level"),
    [("cell_type", "cell_type", "clusters"), ("cell_type", "cell_type_status", "clusters"),
     ("fine", "fine_majority", "cells")],
)  # fmt: skip
def test_clusters_that_the_labels_would_be_written_over_are_refused(key, group, level):
    with pytest.raises(InvalidKeyError, match="written over"):
        delivery.check_group_key(key, group, level)
    delivery.check_group_key(key, "leiden", level)
