import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.local.evidence import GENOME, SMALLEST_PANEL, Evidence
from cellferry.study.markers.table import Markers
from local_tables import lists, reordered, table


def one_cluster(**columns):
    n = len(next(iter(columns.values())))
    return Markers(
        clusters=("0",),
        cluster=np.zeros(n, dtype=np.int32),
        gene=np.array([f"G{i}" for i in range(n)], dtype=object),
        **{k: np.array(v, dtype=np.float64) for k, v in columns.items()},
    )


def strength(markers, **options):
    found = Evidence.from_markers(markers, options.pop("n_genes", 50), **options)
    return [found.strength[found.genes[g], 0] for g in markers.gene]


def test_fold_change_and_prevalence_are_a_geometric_mean_of_saturating_terms():
    found = strength(one_cluster(avg_log2fc=[1.0, 3.0], pct_1=[0.6, 0.3], pct_2=[0.4, 0.1]))
    assert found == pytest.approx([(0.5 * 0.5) ** 0.5, (0.75 * 0.5) ** 0.5])


def test_no_single_number_decides():
    found = strength(
        one_cluster(
            avg_log2fc=[np.inf, 12.0, 0.05, 2.0],
            pct_1=[0.011, 0.02, 1.0, 0.8],
            pct_2=[0.0, 0.0, 0.97, 0.1],
        )
    )
    assert found[3] > 2 * max(found[:3])
    assert np.isfinite(found).all()


def test_lowered_genes_are_negative_and_never_raised_by_prevalence():
    found = strength(one_cluster(avg_log2fc=[-2.0, -2.0], pct_1=[0.1, 0.8], pct_2=[0.8, 0.1]))
    assert found[0] < -0.5
    assert found[1] == 0


def test_genes_that_are_not_significant_count_half():
    columns = {"avg_log2fc": [2.0, 2.0, 2.0], "p_val_adj": [0.01, 0.5, np.nan]}
    found = strength(one_cluster(**columns))
    assert found[1] == pytest.approx(found[0] / 2)
    assert found[2] == found[0]


def test_missing_statistics_are_no_evidence():
    assert strength(one_cluster(avg_log2fc=[np.nan, 1.0]))[0] == 0


def test_scores_and_p_values_are_used_by_rank_where_there_is_no_fold_change():
    by_score = strength(one_cluster(score=[5.0, 50.0, -4.0, 5.0]))
    assert by_score[1] == 1
    assert by_score[0] == by_score[3] == pytest.approx(1 / (1 + 1 / 25))
    assert by_score[2] < 0
    by_p = strength(one_cluster(p_val=[1e-9, 1e-300]))
    assert by_p[1] > by_p[0] > 0


def test_lists_count_by_position():
    found = strength(lists({"0": ["A", "B", "C"]}))
    assert found == sorted(found, reverse=True)
    assert found[0] == 1


def test_genes_far_down_the_ranking_count_less():
    markers = table({"0": [f"G{i}" for i in range(200)]}, filler=0)
    full = Evidence.from_markers(markers, 200)
    half = Evidence.from_markers(markers, 50)
    assert np.allclose(full.strength, full.strength[0])
    assert np.allclose(half.strength, half.strength[0])  # equal genes share a rank
    falling = one_cluster(avg_log2fc=list(np.linspace(5, 1, 200)))
    ratio = np.array(strength(falling, n_genes=50)) / np.array(strength(falling, n_genes=200))
    assert np.allclose(ratio[:50], 1)
    assert ratio[199] == pytest.approx(0.5)


def test_rows_that_occur_twice_count_once():
    markers = table({"0": ["A", "B"], "1": ["C"]})
    twice = reordered(markers, np.r_[np.arange(len(markers.gene)), 0, 1])
    once, again = (Evidence.from_markers(m, 50) for m in (markers, twice))
    assert np.array_equal(once.strength, again.strength)


def test_tested_genes_are_those_of_the_object_or_of_a_complete_table_or_a_genome():
    markers = table({"0": ["A"], "1": ["B"]}, filler=0)
    total = 0.5 * Evidence.from_markers(markers, 50).strength.sum()
    assert Evidence.from_markers(markers, 50).mean[0] == pytest.approx(total / GENOME)
    known = Evidence.from_markers(markers, 50, [f"G{i}" for i in range(100)])
    assert known.mean[0] == pytest.approx(total / 100)
    genes = [f"G{i}" for i in range(SMALLEST_PANEL)]
    complete = table({"0": genes, "1": genes[::-1]}, filler=0)
    found = Evidence.from_markers(complete, 50)
    assert found.mean[0] == pytest.approx(found.strength[:, 0].mean())


def test_the_best_genes_of_all_clusters_are_not_all_that_was_tested():
    # A wide table cut to its best genes names each in every cluster, as a complete one does.
    genes = [f"G{i}" for i in range(30)]
    found = Evidence.from_markers(table({"0": genes, "1": genes[::-1]}, filler=0), 50)
    assert found.mean[0] == pytest.approx(found.strength[:, 0].sum() / GENOME)


def test_an_empty_table_is_no_evidence():
    empty = Markers(("0",), np.array([], np.int32), np.array([], object))
    found = Evidence.from_markers(empty, 50)
    assert found.listed.tolist() == [0]
    assert np.isfinite(found.deviation).all()


FINITE = st.floats(-20, 20, allow_nan=False)
FRACTION = st.floats(0, 1)


@given(st.lists(st.tuples(FINITE, FRACTION, FRACTION), min_size=1, max_size=30))
def test_strength_is_bounded_and_has_the_sign_of_the_fold_change(rows):
    fold, inside, outside = (list(x) for x in zip(*rows, strict=True))
    found = np.array(strength(one_cluster(avg_log2fc=fold, pct_1=inside, pct_2=outside)))
    assert (np.abs(found) <= 1).all()
    assert (found * np.array(fold) >= 0).all()


@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(random):
    markers = table({"0": ["A", "B", "C"], "1": ["B", "D"], "2": ["A"]})
    rows = list(range(len(markers.gene)))
    random.shuffle(rows)
    one, other = (Evidence.from_markers(m, 50) for m in (markers, reordered(markers, rows)))
    assert one.genes == other.genes
    for name in ("strength", "fold", "prevalence", "mean", "deviation", "listed"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)


@given(st.lists(st.floats(0.3, 6), min_size=60, max_size=90), st.integers(1, 200))
def test_lowered_genes_take_no_rank_from_raised_ones(folds, lowered):
    raised = np.array(folds)
    n = len(raised)
    both = one_cluster(
        avg_log2fc=[*raised, *([-8.0] * lowered)],
        pct_1=[*([0.6] * n), *([0.0] * lowered)],
        pct_2=[*([0.2] * n), *([0.9] * lowered)],
    )
    alone = one_cluster(avg_log2fc=raised, pct_1=[0.6] * n, pct_2=[0.2] * n)
    assert strength(both)[:n] == pytest.approx(strength(alone))
    assert all(s < 0 for s in strength(both)[n:])
