import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from natsort import natsort_keygen

from cellferry.errors import EngineNeedsError, GroupEmptyError, InvalidObjectError
from cellferry.study.clusters import cluster_text, natural_key
from cellferry.study.study import Clusters, Study

labels = st.lists(st.one_of(st.none(), st.text(max_size=8)), min_size=1, max_size=40)


@given(labels)
def test_every_cell_gets_back_exactly_its_own_cluster(given_labels):
    clusters = Clusters.from_labels(given_labels)
    back = [None if c < 0 else clusters.names[c] for c in clusters.codes]
    assert back == given_labels
    assert set(clusters.names) == {t for t in given_labels if t is not None}
    assert sum(clusters.counts().values()) == sum(t is not None for t in given_labels)


@given(labels, st.randoms())
def test_levels_decide_the_order_and_unused_levels_are_no_clusters(given_labels, random):
    levels = sorted({t for t in given_labels if t is not None} | {"never used"})
    random.shuffle(levels)
    clusters = Clusters.from_labels(given_labels, levels)
    present = set(given_labels)
    assert list(clusters.names) == [level for level in levels if level in present]


@given(
    st.lists(st.sampled_from(["a", "b", "1", 1, 2.0, 2.5, True, None, float("nan")]), min_size=1),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_a_column_is_what_its_labels_are(values, random, as_categories):
    column, levels = pd.Series(values, dtype=object), None
    if as_categories:
        levels = list({value for value in values if value == value and value is not None})
        levels.append("never used")
        random.shuffle(levels)
        column = pd.Series(pd.Categorical(values, categories=levels))
        values = list(column)
    found, expected = Clusters.from_column(column), Clusters.from_labels(values, levels)
    assert found.names == expected.names
    assert found.codes.dtype == np.int32
    np.testing.assert_array_equal(found.codes, expected.codes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.0, "3"),
        (3.5, "3.5"),
        (np.float64(10), "10"),
        (7, "7"),
        ("0.0", "0.0"),
        ("007", "007"),
        (True, "True"),
        (float("nan"), None),
        (None, None),
        (pd.NA, None),
        (pd.NaT, None),
        ("NA", "NA"),
    ],
)
def test_the_text_of_a_cluster_is_exact(value, expected):
    assert cluster_text(value) == expected


def no_zero_in_front(name):
    return not re.search(r"(?<![0-9])0[0-9]", name)


def test_natural_order_puts_numbers_by_their_size():
    names = ["10", "9", "a10", "a2", "7_0", "7_10", "7_9", "", "B"]
    assert sorted(names, key=natural_key) == ["", "7_0", "7_9", "7_10", "9", "10", "B", "a2", "a10"]


@given(st.lists(st.text(max_size=6), max_size=20))
def test_natural_order_is_total(names):
    keys = [natural_key(n) for n in names]
    assert sorted(names, key=natural_key) == sorted(sorted(names), key=natural_key)
    assert sorted(keys) == sorted(keys, key=lambda k: k)


_BY_NATSORT = natsort_keygen()
_USUAL = st.text(alphabet="0123456789aBz _-.", max_size=8)


@settings(max_examples=300)
@given(_USUAL.filter(no_zero_in_front), _USUAL.filter(no_zero_in_front))
def test_natural_order_of_usual_names_is_that_of_natsort(a, b):
    assert (natural_key(a) < natural_key(b)) == ((_BY_NATSORT(a), a) < (_BY_NATSORT(b), b))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # Where natsort has it the other way round, and so cannot be used.
        ("07b", "7a"), ("07b", "7_0"), ("10", "\u00b2"), ("10", "\u0663"), ("B", "\u0663"),
        ("z", "\u00e9"),
    ],
)  # fmt: skip
def test_natural_order_is_that_of_r_where_natsort_has_another(first, second):
    assert natural_key(first) < natural_key(second)
    assert _BY_NATSORT(first) >= _BY_NATSORT(second)


@pytest.mark.parametrize(
    "names", [["", "2", "10"], ["007", "07", "7", "8"], ["1", "1a", "1a2", "1a10", "1b", "a"]]
)
def test_natural_order_of_zeros_and_mixtures(names):
    assert sorted([*names[1:], names[0]], key=natural_key) == names


def test_no_cluster_at_all_is_an_error_that_names_the_column():
    with pytest.raises(GroupEmptyError, match='"leiden" names no cluster'):
        Study(Clusters.from_labels([None, float("nan")]), group_key="leiden")


def test_duplicated_cell_names_and_wrong_lengths_are_errors():
    clusters = Clusters.from_labels(["a", "b"])
    with pytest.raises(InvalidObjectError, match="must be unique"):
        Study(clusters, cells=("x", "x"))
    with pytest.raises(InvalidObjectError, match="3 cells but clusters has 2"):
        Study(clusters, cells=("x", "y", "z"))


def test_a_missing_part_says_how_to_give_it():
    study = Study(Clusters(("a",)))
    with pytest.raises(EngineNeedsError, match="needs a marker table") as caught:
        study.require("markers", "local")
    assert "FindAllMarkers" in caught.value.hint


@given(labels.filter(lambda x: any(v is not None for v in x)), st.randoms())
def test_the_fingerprint_ignores_the_order_of_cells_and_sees_everything_else(values, random):
    cells = [f"cell{i}" for i in range(len(values))]
    study = Study(Clusters.from_labels(values), cells=tuple(cells))
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = Study(
        Clusters.from_labels([values[i] for i in order]), cells=tuple(cells[i] for i in order)
    )
    assert study.fingerprint() == shuffled.fingerprint()
    renamed = Study(Clusters.from_labels(values), cells=tuple(c + "x" for c in cells))
    assert study.fingerprint() != renamed.fingerprint()
    changed = [("other" if v is None else v + "'") if i == 0 else v for i, v in enumerate(values)]
    other = Study(Clusters.from_labels(changed), cells=tuple(cells))
    assert study.fingerprint() != other.fingerprint()
