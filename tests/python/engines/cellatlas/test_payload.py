import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix

from cellferry.compat.cellatlas import sparse_to_payload
from cellferry.engines.cellatlas.payload import MOST_CELLS, Encoder
from cellferry.errors import InvalidObjectError
from cellferry.study.expression.matrix import MatrixSource

GENES = ["CD3E", "MS4A1", "Zoë", 'quo"te', "A1", "B2"]
counts = arrays.arrays(np.int64, st.tuples(st.integers(0, 40), st.just(len(GENES))),
                       elements=st.sampled_from([0, 0, 0, 1, 2, 70_000]))  # fmt: skip
reals = arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.just(len(GENES))),
                      elements=st.floats(0, 12, width=32))  # fmt: skip


def encoder(*, counts=True, chunk_bytes=1000, chunk_cells=10):
    return Encoder(GENES, model="geneformer", reference_atlas="human-core-2026", counts=counts,
                   chunk_bytes=chunk_bytes, chunk_cells=chunk_cells)  # fmt: skip


def blocks(matrix, size):
    return [(s, matrix[s : s + size]) for s in range(0, matrix.shape[0], size)]


def rows_of(body):
    matrix = json.loads(body)["matrix"]
    parts = (matrix["data"], matrix["indices"], matrix["indptr"])
    return csr_matrix(parts, shape=matrix["shape"]).toarray()


@settings(deadline=None)
@given(counts, st.integers(1, 50), st.integers(300, 3000), st.integers(1, 50))
def test_chunks_hold_every_cell_once_in_order_within_their_bounds(values, block, size, most):
    matrix = csr_matrix(values)
    chunks = list(encoder(chunk_bytes=size, chunk_cells=most).chunks(blocks(matrix, block)))
    assert [c.number for c in chunks] == list(range(1, len(chunks) + 1))
    assert [int(r) for c in chunks for r in c.rows] == list(range(len(values)))
    for chunk in chunks:
        assert np.array_equal(rows_of(chunk.body), values[chunk.rows])
        assert len(chunk.rows) <= most
        assert len(chunk.body) <= size + 200 or len(chunk.rows) == 1


@settings(deadline=None)
@given(reals)
def test_a_body_is_the_payload_of_the_tutorial(values):
    for matrix in (csr_matrix(values), csr_matrix(values.astype(np.float32))):
        made = encoder(counts=False, chunk_bytes=10**6, chunk_cells=100)
        (chunk,) = made.chunks([(0, matrix)])
        expected = sparse_to_payload(matrix, GENES)
        sent = json.loads(chunk.body)
        assert sent.pop("model") == "geneformer"
        assert sent.pop("reference_atlas") == "human-core-2026"
        found = sent["matrix"].pop("data")
        values = expected["matrix"].pop("data")
        assert np.array_equal(np.array(found, matrix.dtype), np.array(values, matrix.dtype))
        assert sent == expected


def test_counts_are_whole_numbers_in_the_text():
    (chunk,) = encoder().chunks([(0, csr_matrix([[0, 3.0, 0, 0, 0, 1.0]]))])
    assert b'"data":[3,1]' in chunk.body
    assert chunk.key == next(encoder().chunks([(0, csr_matrix([[0, 3.0, 0, 0, 0, 1.0]]))])).key


@settings(deadline=None)
@given(counts, st.data())
def test_cells_that_are_left_out_are_in_no_chunk(values, data):
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))),
                    dtype=bool)  # fmt: skip
    chunks = list(encoder().chunks(blocks(csr_matrix(values), 7), keep))
    rows = np.concatenate([np.zeros(0, int), *(c.rows for c in chunks)])
    assert np.array_equal(rows, np.flatnonzero(keep))
    for chunk in chunks:
        assert np.array_equal(rows_of(chunk.body), values[chunk.rows])


@pytest.mark.parametrize(("values", "counted", "problem"), [
    ([[0.5]], True, "no whole numbers"), ([[-1.0]], True, "at least 0"),
    ([[np.nan]], False, "finite"), ([[np.inf]], True, "finite"),
])  # fmt: skip
def test_values_that_cannot_be_sent_are_refused(values, counted, problem):
    made = Encoder(["A"], model="m", reference_atlas="a", counts=counted, chunk_bytes=999,
                   chunk_cells=9)  # fmt: skip
    with pytest.raises(InvalidObjectError, match=problem):
        list(made.chunks([(0, csr_matrix(values))]))


def test_a_chunk_never_has_more_cells_than_the_service_takes():
    made = Encoder(["A"], model="m", reference_atlas="a", counts=True, chunk_bytes=2**30,
                   chunk_cells=10**7)  # fmt: skip
    chunks = list(made.chunks([(0, csr_matrix((MOST_CELLS + 5, 1)))]))
    assert [len(c.rows) for c in chunks] == [MOST_CELLS, 5]


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 9), st.integers(0, 40), st.booleans(), st.integers(0, 2**31))
def test_halves_hold_the_same_cells_and_the_same_text_of_values(n_cells, filled, counts, seed):
    random = np.random.default_rng(seed)
    matrix = np.zeros((n_cells, 7))
    for _ in range(filled):
        value = random.integers(1, 300) if counts else random.random() * 5
        matrix[random.integers(n_cells), random.integers(7)] = value
    genes = ['"indices":[', "],data", *"abcde"]
    made = Encoder(genes, model='"shape":[', reference_atlas="}", counts=counts,
                   chunk_bytes=10**6, chunk_cells=99)  # fmt: skip
    (chunk,) = made.chunks(MatrixSource(csr_matrix(matrix), genes))
    halves = chunk.halves()
    for part in halves:
        sent = orjson.loads(part.body)
        m = sent.pop("matrix")
        rebuilt = csr_matrix((m["data"], m["indices"], m["indptr"]), shape=m["shape"])
        assert (rebuilt.toarray() == matrix[part.rows]).all()
        assert sent == {"genes": genes, "model": '"shape":[', "reference_atlas": "}"}
        assert part.number == chunk.number
        # What an encoder that was asked for these cells alone makes.
        keep = np.isin(np.arange(n_cells), part.rows)
        (alone,) = made.chunks(MatrixSource(csr_matrix(matrix), genes), keep)
        assert alone.body == part.body
    assert np.concatenate([part.rows for part in halves]).tolist() == list(range(n_cells))
