"""The judge of what values are, by the table that R's value_kind() is tested with too."""

import json
from pathlib import Path

import anndata
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from scipy import sparse

from cellferry.study.clusters import Clusters
from cellferry.study.expression import kinds
from cellferry.study.expression.blocks import BlockSource
from cellferry.study.expression.kinds import first_fraction, look_at, look_at_values
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.expression.statistics import ExpressionStatistics

TABLE = json.loads((Path(__file__).parents[2] / "fixtures" / "value_kinds.json").read_text())
FORMS = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": lambda m: m.toarray()}


def matrix_of(case):
    values = [float(v) for v in case["values"]]
    where = (np.array(case["cells"], dtype=int), np.array(case["genes"], dtype=int))
    return sparse.coo_matrix((values, where), shape=(case["n_cells"], case["n_genes"])).tocsr()


def names(matrix):
    return [f"g{i}" for i in range(matrix.shape[1])]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", TABLE, ids=[case["name"] for case in TABLE])
def test_the_table(case, form):
    matrix = FORMS[form](matrix_of(case))
    assert look_at(MatrixSource(matrix, names(matrix))).kind == case["kind"]


@pytest.mark.parametrize("case", TABLE, ids=[case["name"] for case in TABLE])
def test_whoever_reads_every_value_says_the_same(case):
    matrix = matrix_of(case)
    statistics = ExpressionStatistics(names(matrix), Clusters.from_labels(["a"] * case["n_cells"]))
    if case["kind"] == "damaged":
        return
    for start, block in MatrixSource(matrix, names(matrix)).blocks(1000):
        statistics.add(statistics.of_block(start, block, "cells"))
    kinds_in_results = {
        "counts": "raw_counts",
        "normalized": "log_normalised",
        "linear": "not_logged",
    }
    assert statistics.normalisation().kind == kinds_in_results.get(case["kind"], case["kind"])


def sources(matrix, tmp_path):
    """Every way in which a matrix can be read again."""
    genes = names(matrix)
    for make in FORMS.values():
        yield MatrixSource(make(matrix), genes)
        yield MatrixSource(make(matrix), genes, genes[::-1])
        yield MatrixSource(make(matrix), genes).renamed(genes[::-1])
    blocks = BlockSource(matrix.shape[0], genes)
    for start in range(0, matrix.shape[0], 500):
        part = matrix[start : start + 500]
        blocks.append(start, part.indptr, part.indices, part.data)
    yield blocks
    for form, make in FORMS.items():
        for compression in (None, "gzip"):
            path = tmp_path / f"{form}-{compression}.h5ad"
            if not path.exists():
                anndata.AnnData(make(matrix)).write_h5ad(path, compression=compression)
            yield MatrixSource(anndata.read_h5ad(path, backed="r").X, genes)


@pytest.mark.parametrize("at", [0, 2000, 3999])
def test_a_part_of_a_large_matrix_is_not_taken_for_the_whole(at, tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "LOOKED_AT", 4000)
    values = np.ones((4000, 10), dtype=np.float32)
    values[max(0, at - 60) : at + 60] = 0.5
    for source in sources(sparse.csr_matrix(values), tmp_path):
        assert len(source.sample_values(4000)) <= 8000
        assert look_at(source).kind == "normalized"


def test_what_is_small_is_looked_at_whole(tmp_path):
    values = np.ones((1100, 3), dtype=np.float32)
    values[777, 1] = -0.5
    for source in sources(sparse.csr_matrix(values), tmp_path):
        assert len(source.sample_values(4000)) == 3300
        assert look_at(source).kind == "scaled"


def test_looking_leaves_nothing_behind_and_does_not_read_the_matrix(monkeypatch):
    monkeypatch.setattr(MatrixSource, "blocks", lambda *_: 1 / 0)
    monkeypatch.setattr(MatrixSource, "__iter__", lambda *_: 1 / 0)
    matrix = sparse.random(500, 20, density=0.3, format="csr", random_state=1)
    matrix.data.flags.writeable = False
    assert look_at(MatrixSource(matrix, names(matrix))).kind == "normalized"


def test_a_source_that_can_be_read_once_is_not_used_up():
    from cellferry.bridge.sources import QueueSource

    with pytest.raises(ValueError, match="read once"):
        look_at(QueueSource(1, ["CD3E"]))


def test_a_look_says_what_tells():
    seen = look_at_values(np.array([1.0, np.nan, 0.25, -3.0]))
    assert (seen.kind, seen.kind_of_finite) == ("damaged", "scaled")
    assert (seen.smallest, seen.largest, seen.fraction) == (-3.0, 1.0, 0.25)
    assert np.isnan(seen.no_count)
    assert look_at_values(np.array([1, -3])).no_count == -3
    assert look_at_values(np.array([True, False])).kind == "counts"
    assert look_at_values(np.empty(0)).kind == "empty"


NUMBERS = nps.arrays(
    st.sampled_from([np.float32, np.float64, np.int32, np.uint8]), st.integers(0, 40)
)


@given(NUMBERS, st.randoms())
def test_the_order_of_values_does_not_count_and_zeros_do_not(values, random):
    kind = look_at_values(values).kind
    other = np.append(values, np.zeros(3, dtype=values.dtype))
    random.shuffle(other)
    assert look_at_values(other).kind == kind


@given(NUMBERS)
def test_a_verdict_means_what_it_says(values):
    seen = look_at_values(values)
    finite = values[np.isfinite(values)]
    assert (seen.kind == "damaged") == (len(finite) < len(values))
    if seen.kind == "counts":
        assert seen.no_count is None
        assert first_fraction(values) is None
        assert values.min(initial=0) >= 0
    if seen.kind == "scaled":
        assert values.min() < 0
    if seen.kind == "empty":
        assert not values.any()
