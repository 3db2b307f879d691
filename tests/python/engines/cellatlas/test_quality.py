import sys

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from cellferry.engines.cellatlas.doublets import scores_of
from cellferry.engines.cellatlas.quality import measure
from cellferry.errors import CellsQualityWarning, DependencyError, InvalidObjectError
from cellferry.study.expression.matrix import MatrixSource

GENES = ["CD3E", "MT-CO1", "MTOR"]


def look(values, obs=None, *, counts=True, genes=GENES):
    source = MatrixSource(csr_matrix(np.array(values, dtype=float)), genes)
    return measure(source, obs, counts=counts, min_counts=10, max_mitochondrial=0.2)


def test_empty_and_dying_cells_are_found_and_counted():
    found = look([[50, 5, 5], [3, 0, 0], [5, 5, 2], [0, 0, 0]])
    assert found.good.tolist() == [True, False, False, False]
    assert found.numbers["flagged"] == {"empty droplets": 2, "dying cells": 1, "doublets": 0}
    assert found.reasons[1] == "Fewer than 10 counts: an empty droplet."
    assert found.reasons[2] == "More than 20 % mitochondrial: a dying cell."
    assert found.numbers["median_counts"] == 7.5
    assert found.numbers["mitochondrial_genes"] == 1


def test_normalised_values_give_the_same_mitochondrial_share():
    values = np.array([[6.0, 2.0, 2.0], [1.0, 9.0, 0.0], [0.0, 0.0, 0.0]])
    found = look(np.log1p(values * 100), counts=False)
    assert found.good.tolist() == [True, False, False]
    assert found.reasons[2] == "No expression at all: an empty droplet."
    assert found.numbers["median_counts"] is None


@pytest.mark.parametrize(("column", "values"), [
    ("predicted_doublet", [True, False]), ("scDblFinder.class", ["doublet", "singlet"]),
    ("DF.classifications_0.25_0.09", ["Doublet", "Singlet"]), ("doublet_score", [0.9, 0.1]),
    ("pANN_0.25", [0.6, 0.5]),
])  # fmt: skip
def test_doublets_are_what_the_object_calls_so(column, values):
    found = look([[50, 0, 0], [50, 0, 0]], pd.DataFrame({column: values}))
    assert found.good.tolist() == [False, True]
    assert found.numbers["doublet_column"] == column
    assert column in found.reasons[0]


def test_a_class_wins_over_a_score_and_odd_columns_are_left_alone():
    both = pd.DataFrame({"doublet_score": [0.9, 0.9], "predicted_doublet": [False, True]})
    assert look([[50, 0, 0]] * 2, both).good.tolist() == [True, False]
    odd = pd.DataFrame({"doublet_score": ["high", "low"]})
    assert look([[50, 0, 0]] * 2, odd).numbers["doublet_column"] is None


def test_the_warning_says_what_is_done():
    bad = look([[1, 0, 0], [50, 0, 0]])
    with pytest.warns(CellsQualityWarning, match="1 of 2 cells.*1 empty droplets") as caught:
        bad.warn(filtered=False)
    assert "sent all the same" in str(caught[0].message)
    with pytest.warns(CellsQualityWarning, match="left out"):
        bad.warn(filtered=True)
    look([[50, 0, 0]]).warn(filtered=True)


def barcodes(seed=0, n_cells=40, n_like_empty=60, n_ambient=300):
    """Cells of 400 counts of their own genes, droplets of 400 ambient counts, near-empty ones."""
    random = np.random.default_rng(seed)
    n_genes = 200
    ambient = random.gamma(0.5, size=n_genes) + 0.01
    own = np.zeros(n_genes)
    own[:20] = 1
    rows = [
        random.multinomial(400, 0.7 * own / own.sum() + 0.3 * ambient / ambient.sum())
        for _ in range(n_cells)
    ]
    rows += [random.multinomial(400, ambient / ambient.sum()) for _ in range(n_like_empty)]
    rows += [random.multinomial(20, ambient / ambient.sum()) for _ in range(n_ambient)]
    return np.array(rows), [f"G{i}" for i in range(n_genes)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_droplets_like_the_near_empty_ones_are_found_by_a_test(seed):
    values, genes = barcodes(seed)
    found = look(values, genes=genes)
    assert found.good[:40].all()
    like_empty = [
        r == "Its counts do not differ from those of empty droplets." for r in found.reasons
    ]
    assert sum(like_empty[:40]) == 0
    assert sum(like_empty[40:100]) >= 58
    assert found.numbers["flagged"]["droplets like empty ones"] == sum(like_empty)
    assert "ambient" in found.numbers["droplets_by"]
    with pytest.warns(CellsQualityWarning, match="droplets like empty ones"):
        found.warn(filtered=False)


def test_the_test_gives_the_same_however_the_cells_are_read():
    values, genes = barcodes()

    class Blocks(MatrixSource):
        def __iter__(self):
            for start in range(0, 400, 37):
                yield start, csr_matrix(values[start : start + 37].astype(float))

    whole = look(values, genes=genes)
    source = Blocks(csr_matrix(values.astype(float)), genes)
    pieces = measure(source, None, counts=True, min_counts=10, max_mitochondrial=0.2)
    assert pieces.reasons == whole.reasons


def test_without_near_empty_barcodes_there_is_no_test():
    values, genes = barcodes(n_ambient=50)
    found = look(values, genes=genes)
    assert found.good[:100].all()
    assert "droplets like empty ones" not in found.numbers["flagged"]
    assert found.numbers["droplets_by"] == "counts"


def test_doublets_are_scored_only_where_no_column_says_it():
    obs = pd.DataFrame({"predicted_doublet": [False, True]})
    source = MatrixSource(csr_matrix(np.full((2, 3), 50.0)), GENES)
    limits = {"counts": True, "min_counts": 10, "max_mitochondrial": 0.2}
    found = measure(source, obs, **limits, compute_doublets=True)
    assert found.numbers["doublets_by"] == "predicted_doublet"
    assert found.doublet_scores is None
    with pytest.raises(InvalidObjectError, match="too few"):
        measure(source, None, **limits, compute_doublets=True)


def test_without_scanpy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scanpy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(DependencyError, match="Scrublet") as caught:
        scores_of([], 500)
    assert "pip install" in caught.value.hint


@pytest.mark.slow
def test_scrublet_scores_doublets_of_two_types_higher():
    random = np.random.default_rng(0)
    profiles = random.gamma(0.3, 1, (4, 300))
    cells = np.array([random.poisson(profiles[i % 4] * 5) for i in range(400)])
    pairs = np.array([[i, i + 1 + i % 3] for i in range(40)])
    values = np.vstack([cells, cells[pairs[:, 0]] + cells[pairs[:, 1]]]).astype(float)
    source = MatrixSource(csr_matrix(values), [f"G{i}" for i in range(300)])
    found = measure(
        source, None, counts=True, min_counts=10, max_mitochondrial=0.2, compute_doublets=True
    )
    assert found.numbers["doublets_by"] == "Scrublet of scanpy"
    flagged = ~found.good
    assert flagged[400:].mean() > 0.2
    assert flagged[:400].mean() < 0.02
    assert "Scrublet" in next(r for r in found.reasons if r)
    assert np.median(found.doublet_scores[400:]) > 3 * np.median(found.doublet_scores[:400])
