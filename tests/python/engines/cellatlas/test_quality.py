import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from cellferry.engines.cellatlas.quality import measure
from cellferry.errors import CellsQualityWarning
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
