import json
from itertools import pairwise

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from cell_data import GENES, cells
from cellferry import annotate_cells
from cellferry.compat.cellatlas import sparse_to_payload
from cellferry.engines.local.cells.requests import MOST_CELLS, answer_request, read_request
from cellferry.errors import InvalidOptionError

ADATA = cells(30)
MATRIX = ADATA.layers["counts"]


def ask(matrix, genes=GENES):
    return json.loads(answer_request(orjson.dumps(sparse_to_payload(matrix, genes))))["calls"]


def test_the_answer_is_that_of_the_engine_and_has_what_is_specified():
    adata = ADATA.copy()
    found = annotate_cells(adata, species="human", progress=False)
    calls = ask(MATRIX)
    assert [c["label"] for c in calls] == found.to_frame()["label"].tolist()
    assert {frozenset(c) for c in calls} == {
        frozenset({"label", "confidence", "alternates", "markers"})
    }
    assert all(isinstance(c["confidence"], float) for c in calls)
    assert [c["markers"] for c in calls] == found.supporting.values()


@settings(deadline=None, max_examples=15)
@given(st.sets(st.integers(1, 29)))
def test_any_chunking_gives_the_same_calls(edges_inside):
    edges = [0, *sorted(edges_inside), 30]
    parts = [ask(MATRIX[a:b]) for a, b in pairwise(edges)]
    assert [c for part in parts for c in part] == ask(MATRIX)


def test_normalized_values_are_read_as_such():
    assert [c["label"] for c in ask(ADATA.X)] == [c["label"] for c in ask(MATRIX)]


def test_ensembl_identifiers_are_understood():
    ids = ["ENSG00000105369", "ENSG00000156738", "ENSG00000007312"]
    (call,) = ask(csr_matrix([[5, 4, 3]]), ids)
    assert "B" in call["label"]
    assert set(call["markers"]) == {"CD79A", "MS4A1", "CD79B"}


def test_no_cells_are_no_calls():
    assert ask(MATRIX[:0]) == []
    (call,) = ask(csr_matrix((1, 2)), ["CD3E", "CD19"])
    assert (call["label"], call["confidence"]) == ("Unknown", 0.0)


GOOD = {"genes": ["CD3E", "CD19"],
        "matrix": {"indptr": [0, 1], "indices": [1], "data": [2], "shape": [1, 2]}}  # fmt: skip


def changed(**matrix):
    return {**GOOD, "matrix": {**GOOD["matrix"], **matrix}}


@pytest.mark.parametrize(("body", "problem"), [
    (b"no json", "JSON"), (b"[]", "object"), (b"{}", "object"), (b'{"matrix": 3}', "object"),
    ({**GOOD, "genes": "CD3E"}, "list of text"), ({**GOOD, "genes": [1, 2]}, "list of text"),
    ({**GOOD, "genes": ["a", "a"]}, "unique"), ({**GOOD, "genes": ["a"]}, "`genes` has 1"),
    (changed(shape=[1]), "shape"), (changed(shape=[-1, 2]), "shape"),
    (changed(shape=[True, 2]), "shape"), (changed(shape=[MOST_CELLS + 1, 2]), "send chunks"),
    (changed(indptr=[0, 2]), "do not fit"), (changed(indptr=[1, 1]), "do not fit"),
    (changed(indptr=[0]), "do not fit"), (changed(indptr=[]), "do not fit|index"),
    (changed(indptr="x"), "whole numbers"), (changed(indices=[2]), "from 0 to 1"),
    (changed(indices=[-1]), "from 0 to 1"), (changed(indices=[0.5]), "whole numbers"),
    (changed(data=["x"]), "numbers"), (changed(data=[None]), "numbers"),
    (changed(data=[[1]]), "numbers"), (changed(data=[-1]), "below 0"),
    (changed(indices=[1, 1], data=[1, 1], indptr=[0, 2]), "twice"),
    (changed(indices=[2**70]), "whole numbers"), (changed(data=None), "numbers"),
])  # fmt: skip
def test_what_is_wrong_with_a_request_is_said(body, problem):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidOptionError, match=problem):
        answer_request(text)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3),
                    lambda x: st.lists(x, max_size=3) | st.dictionaries(
                        st.sampled_from(["genes", "matrix", "indptr", "indices", "data", "shape"]),
                        x, max_size=6), max_leaves=12))  # fmt: skip
def test_nothing_that_is_sent_is_an_internal_error(content):
    try:
        genes, matrix = read_request(json.dumps(content).encode())
    except InvalidOptionError:
        return
    assert matrix.shape[1] == len(genes)
    assert np.isfinite(matrix.data).all()
