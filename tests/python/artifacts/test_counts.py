import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from scipy import sparse

from cellferry.artifacts.inputs import Candidate
from cellferry.artifacts.vars_h5.counts import NotCountsError, as_counts, judge
from cellferry.study.expression.blocks import BlockSource
from cellferry.study.expression.matrix import MatrixSource

GENES = ["a", "b"]


def candidate(name, values, form=sparse.csr_matrix):
    return Candidate(name, MatrixSource(form(np.asarray(values)), GENES))


def test_every_place_is_looked_at_and_explained():
    verdicts, usable = judge(
        [
            Candidate("layers", None, "there is no such layer"),
            candidate("raw.X", [[0.5, 1.0]]),
            candidate("X", [[1.0, 3.0]]),
            candidate("negative", [[1.0, -3.0]]),
            candidate("nan", [[1.0, np.nan]]),
            candidate("ints", np.array([[1, 2]], dtype=np.int64)),
        ]
    )
    assert [v.are_counts for v in verdicts] == [False, False, True, False, False, True]
    assert verdicts[0].explanation == "there is no such layer"
    assert "0.5" in verdicts[1].explanation
    assert "-3" in verdicts[3].explanation
    assert [c.name for c in usable] == ["X", "ints"]


def test_nothing_but_zeros_counts_as_counts():
    assert judge([candidate("zero", np.zeros((3, 2)))])[0][0].are_counts


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_a_large_matrix_is_judged_by_a_sample(form):
    values = np.ones((5000, 2), dtype=np.float32)
    values[7] = 0.5
    source = MatrixSource(form(values), GENES)
    assert len(judge([Candidate("x", source)])[1]) in {0, 1}
    values[:] = 0.5
    assert judge([Candidate("x", MatrixSource(form(values), GENES))])[1] == []


def test_blocks_that_came_from_elsewhere_are_judged_by_the_first():
    source = BlockSource(1, GENES)
    source.append(0, np.array([0, 1]), np.array([0]), np.array([0.25]))
    assert judge([Candidate("x", source)])[1] == []


@given(
    nps.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.int32]),
        st.integers(0, 20),
        elements=st.integers(0, 100),
    )
)
def test_counts_of_any_type_become_int32_unchanged(values):
    found = as_counts(values)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, values)


def test_counts_are_put_where_there_is_room():
    room = np.full(9, 7, np.int32)
    found = as_counts(np.array([3.0, 0.0, 5.0]), room)
    assert np.shares_memory(found, room)
    assert found.tolist() == [3, 0, 5]
    assert room.tolist() == [3, 0, 5] + [7] * 6


@pytest.mark.parametrize("wrong", [0.5, -1.0, 2.0**31, np.nan, np.inf])
def test_what_an_int32_cannot_hold_is_refused(wrong):
    with pytest.raises(NotCountsError, match="which is no count"):
        as_counts(np.array([1.0, wrong]))


def test_negative_whole_numbers_are_refused():
    with pytest.raises(NotCountsError):
        as_counts(np.array([3, -1], dtype=np.int32))
