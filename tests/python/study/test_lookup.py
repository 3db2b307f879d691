"""Looking up: the same figures as computed directly, from any source, in one read."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from cellferry.study import lookup as module
from cellferry.study.clusters import Clusters
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.lookup import ObjectLookup, lookup_of
from cellferry.study.study import Study


def study_of(matrix, labels, genes=None, **parts):
    genes = genes or [f"G{i}" for i in range(matrix.shape[1])]
    return Study(
        Clusters.from_labels(labels), normalized=MatrixSource(csr_matrix(matrix), genes), **parts
    )


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_figures_are_what_they_are_when_computed_directly(data):
    n, g = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 8))
    values = st.sampled_from([0.0, 0.0, 0.5, 1.25, 3.0])
    cells = [data.draw(st.lists(values, min_size=g, max_size=g)) for _ in range(n)]
    matrix = np.array(cells)
    labels = data.draw(st.lists(st.sampled_from(["a", "b", None]), min_size=n, max_size=n))
    labels[0] = "a"
    genes = data.draw(st.lists(st.sampled_from([f"G{i}" for i in range(g)] + ["none"])))
    kept = data.draw(st.booleans())
    before = module.MOST_KEPT
    module.MOST_KEPT = before if kept else 0
    try:
        study = study_of(matrix, labels)
        found = ObjectLookup(study).figures(genes)
    finally:
        module.MOST_KEPT = before
    assert list(found.genes) == [x for x in dict.fromkeys(genes) if x != "none"]
    for i, gene in enumerate(found.genes):
        column = matrix[:, int(gene[1:])]
        for j, cluster in enumerate(found.clusters):
            inside = column[[x == cluster for x in labels]]
            assert found.share[i, j] == pytest.approx((inside > 0).mean())
            assert found.mean[i, j] == pytest.approx(inside.mean())


def test_the_matrix_is_read_once_and_only_when_somebody_asks():
    class Counting(MatrixSource):
        reads = 0

        def __iter__(self):
            Counting.reads += 1
            return super().__iter__()

    source = Counting(csr_matrix(np.eye(4)), list("ABCD"))
    lookup = lookup_of(Study(Clusters.from_labels(list("xxyy")), normalized=source))
    assert Counting.reads == 0
    for _ in range(3):
        assert lookup.figures(["A", "D"]).share.tolist() == [[0.5, 0.0], [0.0, 0.5]]
    assert Counting.reads == 1


def test_a_gene_is_found_in_another_letter_case_but_never_another_gene():
    lookup = ObjectLookup(study_of(np.eye(2), ["a", "a"], ["Cd3d", "LYZ"]))
    assert lookup.figures(["CD3D", "lyz", "CD3E"]).genes == ("CD3D", "lyz")


def test_of_two_rows_of_a_name_the_most_expressed_counts():
    lookup = ObjectLookup(study_of(np.array([[0, 1.0], [0, 2.0]]), ["a", "a"], ["X", "X"]))
    assert lookup.figures(["X"]).mean.tolist() == [[1.5]]


def test_scaled_values_have_no_figures():
    lookup = ObjectLookup(study_of(np.array([[-1.0, 2.0]]), ["a"]))
    assert lookup.figures(["G0"]) is None
    assert lookup.figures(["G0"]) is None


def test_composition_counts_cells_with_a_value():
    obs = pd.DataFrame({"donor": ["d1", None, "d2", "d1"], "n": range(4), "ok": [True] * 4})
    study = study_of(np.eye(4), ["a", "a", "b", None], obs=obs)
    lookup = ObjectLookup(study)
    found = lookup.composition("donor")
    assert (found.values, found.counts.tolist()) == (("d1", "d2"), [[1, 0], [0, 1]])
    assert lookup.composition("ok").values == ("True",)
    assert (lookup.composition("n"), lookup.composition("other")) == (None, None)


def test_a_table_has_no_lookup_and_a_study_may_bring_its_own():
    own = object()
    assert lookup_of(Study(Clusters(("a",)))) is None
    assert lookup_of(Study(Clusters(("a",)), lookup=own)) is own
