"""The picture of the embedding: which cells are drawn, where, and under which label."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.palette import PALETTE
from cellferry.annotations.report.picture import (
    HEIGHT,
    LEAST_PER_CLUSTER,
    MARGIN,
    MOST_LABELS,
    WIDTH,
    Embedding,
    draw,
    sample,
)
from cellferry.errors import InvalidObjectError
from cellferry.study.study import Clusters


def ok(cluster, label):
    return Annotation(cluster, "ok", label=label)


def embedding(labels, values=None):
    if values is None:
        values = np.arange(2.0 * len(labels)).reshape(-1, 2)
    return Embedding("X_umap", np.asarray(values, dtype=np.float64), Clusters.from_labels(labels))


def dots(group):
    return [(int(x), int(y)) for x, y in re.findall(r"M(-?\d+) (-?\d+)h0", group.path)]


FOUND = Annotations(
    (
        ok("0", "T cell"),
        ok("1", "B cell"),
        ok("2", "T cell"),
        Annotation("3", "unknown", label="Unknown"),
        Annotation("4", "failed", error="No answer."),
    )
)


def test_cells_are_grouped_by_label_and_not_by_cluster():
    picture = draw(FOUND, embedding(["2", "1", "0", "3", "4", None, "2", "absent"]))
    assert [(g.label, g.clusters, g.n_cells, g.tone) for g in picture.groups] == [
        ("T cell", ("0", "2"), 3, "0"),
        ("B cell", ("1",), 1, "6"),
        ("Unknown", ("3",), 1, "unknown"),
        ("No label", ("4", "absent"), 3, "none"),
    ]
    assert [g.label for g in picture.layers] == ["No label", "Unknown", "T cell", "B cell"]


def test_one_dot_per_cell_at_its_place():
    corners = [(0, 0), (10, 0), (0, 5), (10, 5)]
    picture = draw(FOUND, embedding(["0", "0", "1", "1"], corners))
    t_cells, b_cells = picture.groups
    left, right = MARGIN, WIDTH - MARGIN
    low, high = HEIGHT // 2 + (right - left) // 4, HEIGHT // 2 - (right - left) // 4
    assert dots(t_cells) == [(left, low), (right, low)]
    assert dots(b_cells) == [(left, high), (right, high)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_cells_without_coordinates_are_counted_and_not_drawn(bad):
    values = [(0, 0), (bad, 1), (2, bad), (1, 1)]
    picture = draw(FOUND, embedding(["0", "0", "1", "1"], values))
    assert [len(dots(g)) for g in picture.groups] == [1, 1]
    assert (picture.n_cells, picture.n_drawn, picture.n_unplaced) == (4, 2, 2)
    assert not picture.sampled


def test_names_are_at_the_median_of_each_cluster():
    values = [(0, 0), (1, 0), (2, 0), (100, 50), (100, 60), (100, 50)]
    picture = draw(FOUND, embedding(["0", "0", "0", "1", "1", "1"], values))
    names = {n.title: n for n in picture.names}
    assert set(names) == {"0: T cell", "1: B cell"}
    t_cells, b_cells = (dots(g) for g in picture.groups)
    assert names["0: T cell"].y == t_cells[1][1]
    assert names["1: B cell"].y == max(y for _, y in b_cells)
    # Both names would hang over the edge at the median, so they stay inside.
    assert names["0: T cell"].x - t_cells[1][0] == pytest.approx(0, abs=60)


def test_a_name_in_the_middle_is_exactly_at_the_median():
    values = [(-50, -9), (-3, 4), (0, 0), (4, -1), (50, 9)]
    picture = draw(FOUND, embedding(["0"] * 5, values))
    assert [(n.x, n.y) for n in picture.names] == [(WIDTH // 2, HEIGHT // 2)]


def test_names_at_one_place_are_moved_apart():
    picture = draw(FOUND, embedding(["0", "1", "2"], np.zeros((3, 2))))
    assert len({n.x for n in picture.names}) == 1
    heights = sorted(n.y for n in picture.names)
    assert heights[0] == HEIGHT // 2
    assert min(np.diff(heights)) >= 18


def test_many_clusters_are_named_by_cluster():
    labels = [f"c{i}" for i in range(MOST_LABELS + 1)]
    found = Annotations(tuple(ok(name, f"type {name}") for name in labels))
    picture = draw(found, embedding(labels))
    assert picture.named_by == "cluster"
    assert {n.text for n in picture.names} == set(labels)
    assert picture.n_colours == len(labels)


def of_cells(sizes):
    """Return annotations of cells, one row for each label, and where the cells are."""
    rows = [Annotation(x, "ok", label=x, n_cells=n) for x, n in sizes.items()]
    found = Annotations(tuple(rows), {}, {"level": "cells"})
    return found, embedding([x for x, n in sizes.items() for _ in range(n)])


def test_rare_labels_of_cells_are_drawn_together_and_not_written_on_the_picture():
    sizes = {"T cell": 900, "B cell": 90, "Neuron": 4, "Spermatid": 3, "Hepatocyte": 3}
    picture = draw(*of_cells(sizes))
    assert [(g.label, g.tone, g.n_cells) for g in picture.groups] == [
        ("T cell", "0", 900),
        ("B cell", "6", 90),
        ("3 rare labels", "rare", 10),
    ]
    assert picture.groups[2].clusters == ("Neuron", "Spermatid", "Hepatocyte")
    assert {n.text for n in picture.names} == {"T cell", "B cell"}
    assert sum(len(dots(g)) for g in picture.groups) == 1000
    # What most cells of a cluster are is not rare, and a single one has its own name.
    found, drawn = of_cells(sizes)
    common = replace(found, evidence={"clusters": {"7": {"label": "Spermatid", "share": 0.9}}})
    assert [g.label for g in draw(common, drawn).groups][2:] == ["Spermatid", "2 rare labels"]
    assert len(draw(*of_cells({"T cell": 900, "Neuron": 1})).groups) == 2


def test_labels_of_cells_without_a_colour_of_their_own_are_drawn_together():
    picture = draw(*of_cells({f"type {i:02}": 100 - i for i in range(50)}))
    assert len(picture.groups) == len(PALETTE) + 1
    assert picture.n_colours == len(PALETTE)
    assert picture.groups[-1].label == "10 rare labels"
    assert picture.named_by == "label"


def test_rare_clusters_are_not_drawn_together():
    picture = draw(FOUND, embedding(["0"] * 1000 + ["1"] + ["2"]))
    assert [g.label for g in picture.groups] == ["T cell", "B cell"]


def test_own_colours_of_the_record_are_drawn_on_both_pages():
    found = replace(FOUND, provenance={"colors": {"B cell": "#123456"}})
    picture = draw(found, embedding(["0", "1"]))
    t_cells, b_cells = picture.groups
    assert picture.palette[int(b_cells.tone)] == ("#123456", "#123456")
    assert picture.palette[int(t_cells.tone)] == PALETTE[0]


def test_a_subset_changes_no_colour():
    found = Annotations(tuple(ok(str(i), f"type {i}") for i in range(30)))
    whole = draw(found, embedding([str(i) for i in range(30)]))
    part = draw(found, embedding(["7", "21"]))
    tones = {group.label: group.tone for group in whole.groups}
    assert all(tones[group.label] == group.tone for group in part.groups)


@pytest.mark.parametrize("n", [2, 12, 13, 40])
def test_no_colour_is_used_twice_up_to_forty_labels(n):
    labels = [f"c{i}" for i in range(n)]
    found = Annotations(tuple(ok(name, f"type {name}") for name in labels))
    picture = draw(found, embedding(labels))
    assert len({g.tone for g in picture.groups}) == n


def test_long_labels_are_cut_and_whole_in_their_title():
    picture = draw(Annotations((ok("0", "x" * 80),)), embedding(["0"]))
    (name,) = picture.names
    assert len(name.text) == 34
    assert name.title == "0: " + "x" * 80


def test_above_the_limit_a_sample_is_drawn():
    labels = ["0"] * 30_000 + ["1"] * 25
    values = np.random.default_rng(0).normal(size=(len(labels), 2))
    picture = draw(FOUND, embedding(labels, values))
    assert picture.sampled
    assert picture.n_drawn == sum(len(dots(g)) for g in picture.groups) == 20_000
    t_cells, b_cells = picture.groups
    assert (t_cells.n_cells, b_cells.n_cells) == (30_000, 25)
    assert b_cells.n_drawn >= LEAST_PER_CLUSTER
    assert picture == draw(FOUND, embedding(labels, values))


@given(st.lists(st.integers(-1, 5), max_size=300), st.integers(150, 200))
def test_a_sample_has_cells_of_every_cluster_once(codes, most):
    codes = np.array(codes, dtype=np.int64)
    chosen = sample(codes, most)
    assert len(chosen) == min(most, len(codes))
    assert (np.diff(chosen) > 0).all()
    for code in np.unique(codes):
        least = min(LEAST_PER_CLUSTER, (codes == code).sum())
        assert (codes[chosen] == code).sum() >= least


@settings(max_examples=60)
@given(
    arrays(np.float64, st.tuples(st.integers(0, 30), st.just(2)), elements=st.floats(width=64)),
)
def test_any_coordinates_are_drawn_inside_the_picture(values):
    picture = draw(FOUND, embedding(["0"] * len(values), values))
    drawn = [dot for group in picture.groups for dot in dots(group)]
    assert len(drawn) == np.isfinite(values).all(axis=1).sum()
    assert all(MARGIN - 1 <= x <= WIDTH - MARGIN + 1 for x, _ in drawn)
    assert all(MARGIN - 1 <= y <= HEIGHT - MARGIN + 1 for _, y in drawn)


def test_no_cells_no_dots():
    picture = draw(FOUND, Embedding("X_umap", np.zeros((0, 2)), Clusters((), np.zeros(0, int))))
    assert (picture.groups, picture.names, picture.n_cells) == ((), (), 0)


def test_an_embedding_must_have_two_dimensions_and_a_cluster_per_cell():
    clusters = Clusters.from_labels(["0", "1"])
    with pytest.raises(InvalidObjectError, match=r"must be n x 2 .* it is \(2, 3\)"):
        Embedding("X_pca", np.zeros((2, 3)), clusters)
    with pytest.raises(InvalidObjectError, match="has 3 cells, and 2 cells have a cluster"):
        Embedding("X_umap", np.zeros((3, 2)), clusters)
    with pytest.raises(InvalidObjectError, match="and no cells have a cluster"):
        Embedding("X_umap", np.zeros((3, 2)), Clusters(("0",)))


def contrast(one, other):
    """WCAG 2.1 contrast ratio, https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_stands_out_from_its_page():
    assert all(contrast(light, "#ffffff") > 2 for light, _ in PALETTE)
    assert all(contrast(dark, "#14181b") > 4 for _, dark in PALETTE)
    assert len({colour for pair in PALETTE for colour in pair}) == 2 * len(PALETTE)
