from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cell_data import answer
from cellferry.study.study import Clusters

labels = st.lists(
    st.tuples(st.sampled_from(["T cell", "B cell", "Unknown", None]), st.sampled_from("012")),
    min_size=1, max_size=30,
)  # fmt: skip


@given(labels)
def test_summary_has_a_row_for_each_label_with_its_cells(pairs):
    found = answer([a for a, _ in pairs])
    table = found.summary()
    counted = Counter(a for a, _ in pairs if a is not None)
    assert {row.cluster: row.n_cells for row in table} == counted
    assert [row.n_cells for row in table] == sorted(counted.values(), reverse=True)
    assert table.evidence["cells"] == found.counts()


@given(labels)
def test_majority_is_the_commonest_answered_label_and_its_share(pairs):
    found = answer([a for a, _ in pairs])
    clusters = Clusters.from_labels([b for _, b in pairs])
    table = found.majority(clusters)
    assert [row.cluster for row in table] == list(clusters.names)
    for row in table:
        inside = [a for a, b in pairs if b == row.cluster and a is not None]
        if not inside:
            assert row.status == "skipped"
            continue
        counted = Counter(inside)
        assert counted[row.label] == max(counted.values())
        evidence = table.evidence[row.cluster]
        assert evidence["share"] == pytest.approx(counted[row.label] / len(inside), abs=1e-4)
        assert evidence["disagreement"] == (counted[row.label] * 2 <= len(inside))
        assert bool(row.mixed) == evidence["disagreement"]


def test_finer_types_count_for_what_they_are_a_kind_of():
    ontology = {"T cell": ("CL:0000084", ""), "CD8 T cell": ("CL:0000625", ""),
                "CD4 T cell": ("CL:0000624", ""), "B cell": ("CL:0000236", "")}  # fmt: skip
    labels = ["T cell", "CD8 T cell", "CD4 T cell", "B cell", "B cell"]
    table = answer(labels, ontology=ontology).majority(Clusters.from_labels(["0"] * 5))
    assert table["0"].label == "T cell"
    assert table.evidence["0"]["share"] == pytest.approx(0.6)
    assert table["0"].alternatives == ("B cell",)
    labels = ["T cell", "CD8 T cell", "CD8 T cell", "CD8 T cell", "B cell"]
    table = answer(labels, ontology=ontology).majority(Clusters.from_labels(["0"] * 5))
    assert table["0"].label == "CD8 T cell"


def test_a_known_type_is_named_before_unknown():
    clusters = Clusters.from_labels(["0", "0"])
    assert answer(["Unknown", "T cell"]).majority(clusters)["0"].label == "T cell"


def test_summary_tells_finer_types_and_markers():
    from cellferry.annotations.texts import Texts

    found = answer(["T cell", "T cell"], detail=Texts.of(["Naive T cell", None]))
    row = found.summary()["T cell"]
    assert row.justification == "Suggested finer types: Naive T cell (1 cells)."
    assert row.supporting == ("CD3D",)
    assert row.alternatives == ("Other cell",)
    assert row.ontology_id == "CL:0000084"
    assert row.confidence == pytest.approx(0.8)


def test_clusters_without_cells_have_no_majority():
    with pytest.raises(ValueError, match="no majority"):
        answer(["T cell"]).majority(Clusters(("0",)))
    assert np.isnan(answer([None]).confidence[0])


def test_a_summary_of_cells_counts_cells():
    found = answer(["T cell", "T cell", "Unknown", "B cell"], provenance={"level": "cells"})
    assert found.summary().summary_line() == "4 cells: 3 ok, 1 unknown; 2 labels"
