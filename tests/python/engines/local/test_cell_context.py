"""What the surroundings of cells change: rare noise goes, rare cells stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from cell_data import cells
from cellferry import annotate_cells
from cellferry.annotations.cells import CellAnnotations
from cellferry.engines.local.cells.answer import hierarchy_of
from cellferry.engines.local.cells.context import FEWEST_CELLS, LOW, in_context
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.study.study import Clusters

HIERARCHY = hierarchy_of(packaged_knowledge(), "human")
NO_CLUSTERS = Clusters((), np.zeros(0, dtype=np.int32))


def calls(parts):
    """Calls as (label, confidence, how many): None is Unknown."""
    labels = [x or "Unknown" for x, _, n in parts for _ in range(n)]
    sure = [np.nan if x is None else c for x, c, n in parts for _ in range(n)]
    names = [f"c{i}" for i in range(len(labels))]
    status = ["unknown" if x == "Unknown" else "ok" for x in labels]
    return CellAnnotations.of(
        names, labels, status=status, confidence=sure, confidence_kind="graded"
    )


def one_cluster_each(parts):
    codes = np.repeat(np.arange(len(parts), dtype=np.int32), parts)
    return Clusters(tuple(map(str, range(len(parts)))), codes)


def labels_of(found):
    return found.label.values().tolist()


def none_of(n):
    return Clusters((), np.full(n, -1, dtype=np.int32))


def test_a_type_that_nothing_supports_is_not_answered():
    found = calls([("T cell", 0.9, 300), ("Round spermatid", 0.5, 2), ("Neuron", 0.55, 2)])
    for clusters in (none_of(304), one_cluster_each([152, 152])):
        made = in_context(found, HIERARCHY, clusters)
        assert labels_of(made) == ["T cell"] * 300 + ["Unknown"] * 4
        assert made.raw.values().tolist() == labels_of(found)
        assert np.isnan(made.confidence[300:]).all()
        assert made.counts() == {"ok": 300, "unknown": 4}
        assert made.evidence["context"] == {
            "broader": 0, "unanswered": 4, "not_supported": ["Neuron", "Round spermatid"],
        }  # fmt: skip


def test_a_rare_label_becomes_what_it_is_a_kind_of_and_stays_as_detail():
    found = calls([("CD4 T cell", 0.8, 200), ("Th1 cell", 0.55, 1), ("B cell", 0.9, 99)])
    made = in_context(found, HIERARCHY, none_of(300))
    assert labels_of(made)[200] == "CD4 T cell"
    assert made.detail.values()[200] == "Th1 cell"
    assert made.confidence[200] == 0.55
    assert made.ontology_id("CD4 T cell") == "CL:0000624"


def test_rare_cells_that_are_sure_stay():
    found = calls([("T cell", 0.9, 990), ("Mast cell", 0.85, 5), ("Mast cell", 0.5, 5)])
    made = in_context(found, HIERARCHY, one_cluster_each([500, 500]))
    assert labels_of(made).count("Mast cell") == 10
    among_noise = calls([("T cell", 0.9, 980), ("Mast cell", 0.85, 5), ("Mast cell", 0.5, 15)])
    made = in_context(among_noise, HIERARCHY, one_cluster_each([500, 500]))
    assert labels_of(made).count("Mast cell") == 5


@pytest.mark.parametrize(("sure", "stays"), [(0.8, False), (0.95, True)])
def test_one_cell_alone_must_be_very_sure(sure, stays):
    made = in_context(calls([("T cell", 0.9, 99), ("Mast cell", sure, 1)]), HIERARCHY, none_of(100))
    assert (labels_of(made)[-1] == "Mast cell") == stays


def test_a_cluster_or_a_neighbourhood_supports_a_type_that_is_not_sure():
    found = calls([("T cell", 0.9, 995), ("Mast cell", 0.6, 5)])
    assert "Mast cell" not in labels_of(in_context(found, HIERARCHY, none_of(1000)))
    own = one_cluster_each([995, 5])
    assert labels_of(in_context(found, HIERARCHY, own)) == labels_of(found)
    near = np.zeros((1000, 1000), dtype=np.float32)
    near[995:, 995:] = 1
    near[:995, :995] = np.eye(995)
    graph = csr_matrix(near)
    assert labels_of(in_context(found, HIERARCHY, none_of(1000), graph)) == labels_of(found)
    # A cell is no neighbour of itself: Seurat's graphs say so.
    alone = csr_matrix(np.eye(1000, dtype=np.float32))
    assert "Mast cell" not in labels_of(in_context(found, HIERARCHY, none_of(1000), alone))
    assert (graph.diagonal() == 1).all()


def test_a_low_score_is_unknown_unless_its_surroundings_agree():
    found = calls([("T cell", 0.9, 100), ("T cell", LOW - 0.05, 1), ("B cell", 0.9, 100)])
    assert labels_of(in_context(found, HIERARCHY, none_of(201)))[100] == "Unknown"
    made = in_context(found, HIERARCHY, one_cluster_each([101, 100]))
    assert labels_of(made)[100] == "T cell"
    other = Clusters(("0", "1"), np.repeat(np.array([0, 1], dtype=np.int32), [100, 101]))
    assert labels_of(in_context(found, HIERARCHY, other))[100] == "Unknown"


def test_few_cells_have_no_context():
    found = calls([("T cell", 0.9, FEWEST_CELLS - 2), ("Neuron", 0.5, 1)])
    made = in_context(found, HIERARCHY, none_of(len(found)))
    assert labels_of(made) == labels_of(found) == made.raw.values().tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.sampled_from(["T cell", "CD4 T cell", "B cell", "Neuron", "Mast cell", None]),
        min_size=60,
        max_size=80,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_cells_changes_nothing(kinds, random):
    sure = [round(0.3 + 0.65 * random.random(), 2) for _ in kinds]
    codes = np.array([random.randrange(3) for _ in kinds], dtype=np.int32)
    weights = np.random.default_rng(len(kinds)).random((len(kinds), len(kinds)))
    graph = csr_matrix(np.where(weights > 0.8, weights, 0).astype(np.float32))
    order = list(range(len(kinds)))
    random.shuffle(order)

    def answer(at):
        found = calls([(kinds[i], sure[i], 1) for i in at])
        clusters = Clusters(("a", "b", "c"), codes[at])
        return labels_of(in_context(found, HIERARCHY, clusters, graph[at][:, at]))

    plain, shuffled = answer(list(range(len(kinds)))), answer(order)
    assert [plain[i] for i in order] == shuffled
    # Nothing is named that no cell was called, but what it is a kind of.
    knowledge = packaged_knowledge()
    allowed = {"Unknown", *(x for x in kinds if x)}
    allowed |= {a for x in kinds if x for a in knowledge.ancestors[x]}
    assert set(plain) <= allowed


def test_without_context_it_is_the_call_of_each_cell_and_both_are_kept(tmp_path):
    adata, other = cells(120), cells(120)
    alone = annotate_cells(adata, context=False, progress=False)
    assert alone.raw is None
    assert "cell_type_cell_raw" not in adata.obs
    found = annotate_cells(other, progress=False)
    assert found.raw.values().tolist() == labels_of(alone)
    assert other.obs["cell_type_cell_raw"].astype(str).tolist() == labels_of(alone)
    found.save(tmp_path / "cells.npz")
    again = CellAnnotations.load(tmp_path / "cells.npz")
    assert again.to_frame().equals(found.to_frame())
    # What was written is replaced by what is written next, without a question.
    annotate_cells(other, context=False, progress=False)
    assert "cell_type_cell_raw" not in other.obs
