import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.engines.local import Local
from cellferry.engines.local.evidence import Evidence, Prevalence, at_depth, with_prevalence
from cellferry.runs.worker import Events
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.study import Clusters, Study
from local_tables import Journal, answers, listed, table

T_CELL = ["CD3D", "CD3E", "CD3G", "TRAC", "CD2", "TRBC1", "LCK", "CD247"]
NAIVE = ["CCR7", "LEF1", "TCF7", "SELL", "PIK3IP1"]
OTHERS = ["GENE1", "GENE2", "GENE3", *listed("B cell"), *listed("Hepatocyte"), *listed("Neuron")]


def study(per_cluster, n=40, genes=None):
    """Cells in which some genes are expressed, per cluster, and the table of its own genes."""
    genes = genes or [*T_CELL, *NAIVE, *OTHERS]
    names = list(per_cluster)
    matrix = np.zeros((n * len(names), len(genes)))
    for i, expressed in enumerate(per_cluster.values()):
        for gene in expressed:
            matrix[i * n : (i + 1) * n, genes.index(gene)] = 1.0
    codes = np.repeat(np.arange(len(names)), n).astype(np.int32)
    listed = {
        name: [g for g in own if not all(g in other for other in per_cluster.values())]
        for name, own in per_cluster.items()
    }
    return Study(
        Clusters(tuple(names), codes),
        cells=tuple(f"c{i}" for i in range(len(codes))),
        genes=tuple(genes),
        markers=table(listed, filler=0),
        normalized=MatrixSource(matrix, genes),
    )


def test_fractions_inside_and_outside():
    found = Prevalence.from_study(study({"a": T_CELL, "b": ["CD3D"]}), ["CD3D", "CD2", "NONE"])
    assert found.genes == ("CD2", "CD3D")
    assert found.inside.tolist() == [[1, 0], [1, 1]]
    assert found.outside.tolist() == [[0, 1], [1, 1]]


def test_without_expression_or_with_scaled_data_there_is_none():
    made = study({"a": T_CELL, "b": []})
    assert Prevalence.from_study(made.with_parts(normalized=None), T_CELL) is None
    scaled = MatrixSource(-np.ones((80, 3)), ("CD3D", "CD3E", "CD2"))
    assert Prevalence.from_study(made.with_parts(normalized=scaled), T_CELL) is None


def test_what_is_kept_of_a_run_is_the_same():
    found = Prevalence.from_study(study({"a": T_CELL, "b": NAIVE}, n=7), [*T_CELL, *NAIVE])
    again = Prevalence.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.digest() == found.digest()
    assert np.array_equal(again.inside, found.inside)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(["a", "b", "c"]), unique=True, min_size=3))
def test_the_order_of_clusters_does_not_change_the_digest(names):
    own = {"a": T_CELL, "b": NAIVE, "c": T_CELL[:3]}
    one = Prevalence.from_study(study(own), T_CELL)
    other = Prevalence.from_study(study({n: own[n] for n in names}), T_CELL)
    assert one.digest() == other.digest()


def test_the_table_is_never_overruled():
    made = study({"a": T_CELL, "b": NAIVE})
    evidence = Evidence.from_markers(made.markers, 50, made.genes)
    found = with_prevalence(
        evidence, made.markers.clusters, Prevalence.from_study(made, made.genes)
    )
    for gene, row in evidence.genes.items():
        listed = evidence.strength[row] != 0
        assert np.array_equal(
            found.strength[found.genes[gene]][listed], evidence.strength[row][listed]
        )
    assert found.strength[found.genes["CCR7"], 0] < 0
    assert found.prevalence[found.genes["CCR7"], 0] == 0


def run(made, journal=None):
    return Local().run(made, journal or Journal(), Events())


def test_markers_that_all_clusters_express_still_name_the_lineage():
    """An object of T cells only: CD3 is in no marker table of it."""
    made = study({"naive": [*T_CELL, *NAIVE], "other": [*T_CELL, "GENE1", "GENE2", "GENE3"]})
    labels = run(made).labels()
    assert labels["other"] == "T cell"
    assert answers(Local(), made.markers, genes=made.genes)["other"].status == "unknown"


def test_a_run_that_is_resumed_without_the_object_gives_the_same_answers():
    made, journal = study({"naive": [*T_CELL, *NAIVE], "b": listed("B cell")}), Journal()
    first = run(made, journal)
    record = made.with_parts(
        normalized=None, cells=None, clusters=Clusters(("naive", "b"), sizes=(40, 40))
    )
    assert run(record, journal).rows == first.rows
    assert len(journal.units) == 2


@pytest.mark.parametrize("wanted", [[], ["NONE"]])
def test_no_gene_in_common_changes_nothing(wanted):
    made = study({"a": T_CELL, "b": NAIVE})
    evidence = Evidence.from_markers(made.markers, 50, made.genes)
    prevalence = Prevalence.from_study(made, wanted)
    found = with_prevalence(evidence, made.markers.clusters, prevalence)
    assert np.array_equal(found.strength, evidence.strength)


def test_deeper_sequencing_of_a_cluster_is_no_evidence():
    rate = np.random.default_rng(1).gamma(0.5, size=400)
    outside = 1 - np.exp(-rate)
    inside = 1 - np.exp(-3 * rate)
    marker = 7
    inside[marker], outside[marker] = 0.9, 0.02
    expected = at_depth(inside[:, None], outside[:, None])[:, 0]
    difference = inside - expected
    assert np.abs(np.delete(difference, marker)).max() < 0.01
    assert (inside - outside).mean() > 0.1
    assert difference[marker] > 0.8


def test_few_genes_say_nothing_of_depth():
    inside, outside = np.array([[0.8], [0.6]]), np.array([[0.4], [0.3]])
    assert at_depth(inside, outside).ravel() == pytest.approx([0.4, 0.3])


def test_what_a_table_leaves_out_is_no_stronger_than_the_weakest_that_it_names():
    # By their prevalence the silent genes differ much; the table had reasons to leave them out.
    genes = [*T_CELL, *NAIVE]
    inside = np.array([[0.9, 0.1]] * len(genes))
    prevalence = Prevalence(tuple(genes), ("a", "b"), inside, inside[:, ::-1])
    for fold in (4.0, 0.1):
        markers = table({"a": T_CELL, "b": ["OTHER"]}, fold=fold, filler=0)
        evidence = Evidence.from_markers(markers, 50)
        found = with_prevalence(evidence, markers.clusters, prevalence)
        named = found.strength[found.genes["CD3D"], 0]
        left_out = found.strength[found.genes["CCR7"], 0]
        assert 0 < left_out <= min(named, 0.5)
        assert named == evidence.strength[evidence.genes["CD3D"], 0]
    assert left_out == pytest.approx(named)
