import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.errors import MarkersClustersError, MarkersFormatError
from cellferry.study.markers.read import read_markers
from cellferry.study.markers.table import STATISTICS, Markers

FIELDS = tuple(STATISTICS)


def same(one, two):
    assert one.clusters == two.clusters
    assert one.source == two.source
    np.testing.assert_array_equal(one.cluster, two.cluster, strict=True)
    assert one.gene.tolist() == two.gene.tolist()
    for field in FIELDS:
        mine, other = getattr(one, field), getattr(two, field)
        assert (mine is None) == (other is None), field
        if mine is not None:
            np.testing.assert_array_equal(mine, other, strict=True)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@st.composite
def tables(draw):
    clusters = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    rows = draw(st.integers(1, 20))
    codes = draw(st.lists(st.integers(0, len(clusters) - 1), min_size=rows, max_size=rows))
    genes = draw(st.lists(NAMES, min_size=rows, max_size=rows))
    some = draw(st.sets(st.sampled_from(FIELDS)))
    kinds = {"pct_1": st.floats(0, 1) | st.just(math.nan), "pct_2": st.floats(0, 1)}
    return Markers(
        tuple(clusters),
        np.array(codes, dtype=np.int32),
        np.array(genes, dtype=object),
        source=draw(st.sampled_from(["seurat", "scanpy", "list"])),
        **{
            f: np.array(draw(st.lists(kinds.get(f, st.floats()), min_size=rows, max_size=rows)))
            for f in some
        },
    )


@given(tables())
def test_dict_is_json_and_comes_back_exactly(markers):
    text = json.dumps(markers.to_dict(), allow_nan=False)
    same(Markers.from_dict(json.loads(text)), markers)


def test_dict_is_strict_json_where_numbers_are_missing_or_infinite():
    markers = read_markers(
        pd.DataFrame(
            {
                "cluster": 0,
                "gene": list("ABC"),
                "avg_log2FC": [math.inf, -math.inf, 1.0],
                "Score": [math.nan, 1.0, 2.0],
            }
        )
    )
    stored = markers.to_dict()
    assert stored["avg_log2fc"] == ["Infinity", "-Infinity", 1.0]
    assert stored["score"] == [None, 1.0, 2.0]
    assert "p_val" not in stored


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "cellferry.markers/99"},
        {"cluster": [0, 5]},
        {"cluster": [0]},
        {"score": [1.0]},
        {"score": ["high", 1.0]},
        {"gene": None},
    ],
)
def test_damaged_dict(change):
    markers = read_markers(pd.DataFrame({"cluster": 0, "gene": list("AB"), "Score": [1.0, 2.0]}))
    with pytest.raises(MarkersFormatError, match="damaged, or of another version"):
        Markers.from_dict(markers.to_dict() | change)
    without = markers.to_dict()
    del without["source"]
    with pytest.raises(MarkersFormatError):
        Markers.from_dict(without)


def test_frame_has_the_names_of_seurat_and_only_what_is_there():
    markers = read_markers(
        pd.DataFrame(
            {"group": pd.Categorical(["b", "a"], ["b", "a", "c"]), "names": ["A", "B"]}
            | {"scores": [2.0, 1.0], "logfoldchanges": [1.0, 2.0], "pvals_adj": [0.0, 0.01]}
            | {"pct_nz_group": [0.5, 0.6], "pct_nz_reference": [0.1, 0.2]}
        )
    )
    frame = markers.to_frame()
    assert list(frame) == ["avg_log2FC", "pct.1", "pct.2", "p_val_adj", "cluster", "gene", "Score"]
    assert frame["cluster"].cat.ordered
    assert frame["cluster"].cat.categories.tolist() == ["b", "a"]
    assert frame["cluster"].tolist() == ["b", "a"]
    assert frame["gene"].tolist() == ["A", "B"]
    assert list(read_markers({"0": ["A"]}).to_frame()) == ["cluster", "gene"]


def test_frame_is_read_again_as_the_same_table():
    markers = read_markers(
        pd.DataFrame(
            {
                "cluster": ["10", "2", "2"],
                "gene": ["A", "B", "B"],
                "avg_log2FC": [1.0, math.inf, math.nan],
            }
        )
    )
    same(read_markers(markers.to_frame()), markers)


def test_a_table_is_passed_through():
    markers = read_markers({"0": ["A"]})
    assert read_markers(markers) is markers


def test_length_is_the_number_of_rows():
    assert len(read_markers({"0": ["A", "B"], "1": ["C"]})) == 3


def test_subset_keeps_order_rows_and_statistics():
    markers = read_markers(
        pd.DataFrame(
            {"cluster": [2, 10, 1, 2], "gene": list("ABCD"), "Score": [1.0, 2.0, 3.0, 4.0]}
        )
    )
    part = markers.subset(["10", "2"])
    assert part.clusters == ("2", "10")
    assert part.gene.tolist() == ["A", "B", "D"]
    assert part.cluster.tolist() == [0, 1, 0]
    assert part.cluster.dtype == np.int32
    assert part.score.tolist() == [1.0, 2.0, 4.0]
    assert part.avg_log2fc is None
    assert part.select("Score")["2"].genes == ("D", "A")


def test_subset_to_an_unknown_cluster():
    with pytest.raises(MarkersClustersError) as caught:
        read_markers({"0": ["A"], "10": ["B"]}).subset(["0", "1"])
    assert 'no cluster "1"' in caught.value.message
    assert '"0", "10"' in caught.value.hint


@given(tables(), st.data())
def test_subset_selects_what_the_whole_selects(markers, data):
    method = (markers.ranking_methods or ("Score",))[0]
    if markers.source != "list" and not markers.ranking_methods:
        return
    wanted = data.draw(st.sets(st.sampled_from(markers.clusters)))
    whole = markers.select(method)
    part = markers.subset(wanted).select(method)
    assert {k: v.genes for k, v in part.items()} == {
        k: v.genes for k, v in whole.items() if k in wanted
    }


@given(tables(), st.randoms(use_true_random=False))
def test_fingerprint_is_independent_of_the_order_of_rows(markers, random):
    order = list(range(len(markers)))
    random.shuffle(order)
    if markers.source == "list":  # the order within a cluster is the rank
        order.sort(key=lambda row: (-int(markers.cluster[row]), row))
    moved = Markers(
        markers.clusters,
        markers.cluster[order],
        markers.gene[order],
        source=markers.source,
        **{f: getattr(markers, f)[order] for f in FIELDS if getattr(markers, f) is not None},
    )
    for cluster in markers.clusters:
        assert moved.fingerprint(cluster) == markers.fingerprint(cluster)


def test_fingerprint_is_of_one_cluster_only_and_survives_the_record():
    one = read_markers({"0": ["A", "B"], "1": ["C"]})
    two = read_markers({"0": ["A", "B"], "1": ["D"]})
    assert one.fingerprint("0") == two.fingerprint("0")
    assert one.fingerprint("1") != two.fingerprint("1")
    assert Markers.from_dict(one.to_dict()).fingerprint("1") == one.fingerprint("1")
    assert one.subset(["1"]).fingerprint("1") == one.fingerprint("1")
    assert len(one.fingerprint("0")) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"gene": ["A", "C"]},
        {"Score": [1.0, 3.0]},
        {"Score": [1.0, math.nan]},
        {"p_val": [math.nan, 0.5]},
        {"cluster": ["1", "1"]},
    ],
)
def test_fingerprint_changes_with_everything_that_counts(change):
    base = {"cluster": ["0", "0"], "gene": ["A", "B"], "Score": [1.0, 2.0]}
    one, two = (read_markers(pd.DataFrame(c)) for c in (base, base | change))
    assert one.fingerprint("0") != two.fingerprint(two.clusters[0])


def test_fingerprint_of_a_list_is_of_its_order():
    one, two = read_markers({"0": ["A", "B"]}), read_markers({"0": ["B", "A"]})
    assert one.fingerprint("0") != two.fingerprint("0")


def test_fingerprint_does_not_depend_on_the_sign_of_zero_or_the_kind_of_nan():
    def made(*values):
        return Markers(
            ("0",), np.zeros(3, np.int32), np.array(list("ABC"), object), score=np.array(values)
        )

    odd = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]
    assert made(0.0, 1.0, math.nan).fingerprint("0") == made(-0.0, 1.0, odd).fingerprint("0")


def test_fingerprint_of_an_unknown_cluster():
    with pytest.raises(MarkersClustersError):
        read_markers({"0": ["A"]}).fingerprint("1")


def test_a_marker_table_is_shown_by_its_head():
    table = read_markers({"0": [f"G{i}" for i in range(9)], "1": ["<A>"]})
    lines = repr(table).splitlines()
    assert (
        lines[0] == "<cellferry Markers: 10 rows of 2 clusters, from list, the first 5 are shown>"
    )
    assert len(lines) == 7
    assert "2 clusters" in table._repr_html_()
    assert "&lt;A&gt;" in read_markers({"1": ["<A>"]})._repr_html_()
