"""What the page is given: bytes that say what the object says, within a file of a given size."""

from __future__ import annotations

import base64
import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.decisions.decision import names_hash
from cellferry.annotations.report import Cells, Content, render
from cellferry.annotations.report.blocks import (
    MOST_LEVELS,
    NOWHERE,
    coded_means,
    column_of,
    coordinates_block,
    names_block,
    summary_block,
)
from cellferry.annotations.report.content import Fitted, Page
from cellferry.annotations.report.similarity import likeness, nearest, places
from cellferry.study.clusters import Clusters
from cellferry.study.expression.gene_summary import GeneSummary, drawn_gene

ROWS = tuple(Annotation(name, "ok", label=f"{name} cell", n_cells=2) for name in "abc")
FOUND = Annotations(ROWS)


def summary(n_genes=5, n_cells=300, seed=0):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 3, n_cells)
    sizes = np.bincount(codes, minlength=3)
    drawn = {
        i: drawn_gene(np.arange(n_cells), random.random(n_cells), codes, sizes, np.arange(n_cells))
        for i in range(n_genes)
    }
    genes = tuple(f"G{i}" for i in range(n_genes))
    positive = np.tile(sizes, (n_genes, 1))
    return GeneSummary(genes, ("a", "b", "c"), sizes, positive, random.random((n_genes, 3)), drawn)


def cells(n=300, seed=0, columns=1):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 3, n).astype(np.int32)
    obs = pd.DataFrame({f"c{i}": random.random(n) for i in range(columns)})
    names = [f"cell{i}" for i in range(n)]
    embedding = ("X_umap", random.random((n, 2)))
    return Cells(Clusters(("a", "b", "c"), codes), (embedding,), frozenset(), obs, names=names)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e300, 1e300) | st.just(float("nan")), st.floats(-1e300, 1e300)
        ),
        min_size=1, max_size=30,
    )
)  # fmt: skip
def test_coordinates_keep_their_order_and_one_scale(points):
    values = np.array(points)
    x, y = np.frombuffer(coordinates_block(values), "<u2").reshape(2, -1).astype(int)
    placed = np.isfinite(values).all(axis=1)
    assert ((x == NOWHERE) == ~placed).all()
    assert ((y == NOWHERE) == ~placed).all()
    for axis, coded in zip(values.T, (x, y), strict=True):
        order = np.argsort(axis[placed], kind="stable")
        assert (np.diff(coded[placed][order]) >= 0).all()


def test_columns_are_categories_or_numbers_and_keep_what_is_missing():
    frame = pd.DataFrame(
        {
            "flag": [True, False, True],
            "text": ["b", None, "a"],
            "number": [1.5, np.nan, 2.0],
            "ordered": pd.Categorical(["y", "x", None], ["y", "x"]),
            "nullable": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    found = {name: column_of(name, frame[name]) for name in frame}
    assert found["flag"].levels == ("FALSE", "TRUE")
    assert found["text"].values.tolist() == [1, NOWHERE, 0]
    assert found["ordered"].levels == ("y", "x")
    assert found["ordered"].values.tolist() == [0, 1, NOWHERE]
    assert found["number"].kind == found["nullable"].kind == "number"
    assert np.isnan(found["nullable"].values[1])
    assert found["number"].range == (1.5, 2.0)


def test_names_of_cells_are_no_column():
    assert column_of("barcode", pd.Series([f"AAAC{i}" for i in range(100)])) is None
    many = pd.Series([f"v{i % (MOST_LEVELS + 1)}" for i in range(5000)])
    assert column_of("many", many) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_means_are_right_within_three_percent(values):
    means = np.array(values)
    made = coded_means(means)
    step = np.log(made.most / made.least) / 254
    read = np.where(made.codes == 0, 0, made.least * np.exp(step * (made.codes - 1.0)))
    assert ((made.codes == 0) == (means == 0)).all()
    # What is a millionth of the largest is nothing that a picture shows.
    seen = means > means.max() * 1e-6
    np.testing.assert_allclose(read[seen], means[seen], rtol=0.03)


def test_a_share_that_is_not_zero_is_not_shown_as_zero():
    found = GeneSummary(
        ("A",), ("a",), np.array([100_000]), np.array([[1]]), np.array([[1e-5]]), {}
    )
    assert summary_block(found, coded_means(found.means))[0] == 1


def test_a_line_break_in_a_name_does_not_make_two_genes():
    assert names_block(["A\nB", "", "C"]).decode().split("\n") == ["A B", " ", "C"]


def test_similar_rows_are_near_and_empty_ones_are_nowhere():
    markers = {
        "cluster": ["a", "a", "b", "b", "c"],
        "gene": ["CD3D", "CD3E", "CD3D", "CD3E", "LYZ"],
        "avg_log2FC": [2.0, 1.0, 2.0, 0.5, 3.0],
    }
    alike = likeness(Annotations(ROWS, markers=markers))
    assert nearest(alike) == [[1], [0], []]
    spots = places(alike)
    near = np.hypot(spots.x[0] - spots.x[1], spots.y[0] - spots.y[1])
    far = np.hypot(spots.x[0] - spots.x[2], spots.y[0] - spots.y[2])
    assert near < far / 3
    assert places(alike[:2, :2]) is None


@pytest.mark.parametrize("n", [3, 7, 30])
def test_a_map_of_rows_that_have_nothing_in_common_is_a_map(n):
    spots = places(np.eye(n))
    assert np.isfinite([*spots.x, *spots.y]).all()
    assert 0 <= min(*spots.x, *spots.y) <= max(*spots.x, *spots.y) <= 1


def test_rows_are_known_by_their_cells_which_are_not_named():
    given = cells()
    index = Page(FOUND, Content(given)).index()
    names = np.array(given.names)[given.clusters.codes == 1].tolist()
    assert index["rows"][1]["hash"] == names_hash(names)
    assert index["rows"][1]["basis"] == "cells"
    page = render(FOUND, content=Content(given, summary()))
    assert "cell17" not in page
    assert Page(FOUND, Content()).index()["rows"][0]["basis"] == "markers"


def test_a_missing_gene_is_silent_not_measured_or_not_in_the_table():
    row = Annotation("a", "ok", label="B cell", supporting=("G1",), missing=("G2", "G9"))
    found = Annotations((row,), {}, {}, {"cluster": ["a", "b"], "gene": ["G1", "G2"]})

    def states(content):
        (expected,) = Page(found, content).index()["rows"][0]["expected"]
        return [one["state"] for one in expected["genes"]]

    assert states(Content()) == ["found", "silent", "not listed"]
    assert states(Content(genes=summary())) == ["found", "silent", "not measured"]


def test_what_does_not_fit_is_left_out_in_order():
    content = Content(cells(4000, columns=2), summary(n_cells=4000), (0, 1, 2, 3, 4))
    whole = Fitted(FOUND, content, "", 1e9)
    size = sum(map(len, whole.blocks.values()))
    assert whole.page.index()["dropped"] == []

    fewer = Fitted(FOUND, content, "", size - 100)
    assert len(fewer.page.index()["genes"]["values"]) == 4
    assert len(fewer.page.index()["cells"]["columns"]) == 2
    assert fewer.page.index()["dropped"][0].startswith("Values per cell of 1 gene")

    values = sum(len(b) for n, b in whole.blocks.items() if n.startswith("gene/"))
    columns = Fitted(FOUND, content, "", size - values - 100)
    assert columns.page.index()["genes"]["values"] == []
    assert [c["name"] for c in columns.page.index()["cells"]["columns"]] == ["c0"]
    assert columns.page.index()["cells"]["all"]

    small = Fitted(FOUND, content, "", len(whole.blocks["terms"]) + 18_000)
    index = small.page.index()
    assert not index["cells"]["all"]
    assert 60 <= index["cells"]["n"] < 4000
    assert "are drawn" in index["dropped"][-1]
    assert sum(map(len, small.blocks.values())) <= len(whole.blocks["terms"]) + 18_000
    read = gzip.decompress(base64.b64decode(small.blocks["clusters"]))
    assert np.bincount(np.frombuffer(read, "<u2")).min() >= 20
    assert len(read) == 2 * index["cells"]["n"]


def test_cells_of_no_row_are_nowhere():
    given = Cells(Clusters(("a", "gone"), np.array([0, 1, -1], np.int32)))
    (block,) = (b for name, b in Page(FOUND, Content(given)).blocks() if name == "clusters")
    assert np.frombuffer(block, "<u2").tolist() == [0, NOWHERE, NOWHERE]
