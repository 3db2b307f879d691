"""Labels of a row beside those of another column: on the page what ``compare_labels`` says."""

from __future__ import annotations

import json
import re

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from browser_page import CHROMIUM, chromium, opened, saved
from cellferry import errors
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.labelling.objects import attach
from cellferry.annotations.report.relations import relations_of, terms_of
from cellferry.study.clusters import Clusters

HOSTILE = "<img src=x onerror='window.hit = 1'>"
LABELS = {"0": "CD4 T cell", "1": "B cell", "2": "Monocyte", "3": "NK cell"}
OTHERS = {
    "0": ["T cell"] * 7 + ["CD8+ T"] * 3,
    "1": ["B cell"] * 10,
    "2": ["CD14+ Monocyte"] * 6 + [HOSTILE] * 2 + ["Dendritic"] * 2,
    "3": ["Fibroblast"] * 9 + [None],
}


@pytest.fixture
def adata():
    obs = pd.DataFrame({
        "leiden": pd.Categorical([c for c in LABELS for _ in range(10)]),
        "theirs": pd.Categorical([label for c in LABELS for label in OTHERS[c]]),
        "donor": pd.Categorical(["a", "b"] * 20),
    }, index=[f"c{i}" for i in range(40)])  # fmt: skip
    made = anndata.AnnData(np.zeros((40, 1), "float32"), obs)
    made.obsm["X_umap"] = np.random.default_rng(0).normal(size=(40, 2))
    rows = tuple(
        Annotation(c, "ok", label=label, engine="local", confidence=0.8, confidence_kind="graded")
        for c, label in LABELS.items()
    )
    known = {"key": "cell_type", "engine": "local", "level": "clusters", "group_key": "leiden"}
    attach(made, Annotations(rows, provenance=known), Clusters.from_column(obs["leiden"]),
           "cell_type")  # fmt: skip
    return made


def compared(adata):
    with pytest.warns(errors.LabelsUnresolvedWarning):
        return cellferry.compare_labels(adata, "cell_type", "theirs")


def index_of(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="page-index">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("levels", [["donor 1", "donor 2"], ["A", "B"], []])
def test_columns_of_other_things_have_no_terms(levels):
    assert terms_of(levels) is None


def test_every_row_has_the_relation_that_the_comparison_has(adata, tmp_path):
    path = cellferry.annotation_report(
        adata, tmp_path / "r.html", obs_columns=["theirs", "donor"], progress=False
    )
    index = index_of(path)
    names = [c["name"] for c in index["cells"]["columns"]]
    relations = index["relations"]
    assert [names[int(place)] for place in relations["columns"]] == ["theirs"]
    place = names.index("theirs")
    levels = index["cells"]["columns"][place]["levels"]
    found = compared(adata)
    for row, digits in zip(index["rows"], relations["columns"][str(place)], strict=True):
        cells = np.flatnonzero(adata.obs["leiden"] == row["cluster"])
        for label in set(adata.obs["theirs"].iloc[cells].dropna()):
            expected = {
                found.cells.levels[found.cells.codes[i]]
                for i in cells if adata.obs["theirs"].iloc[i] == label
            }  # fmt: skip
            assert {relations["names"][int(digits[levels.index(label)])]} == expected
    assert relations_of({**index, "cells": None}) is None


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser, adata, tmp_path):
    path = cellferry.annotation_report(
        adata, tmp_path / "r.html", obs_columns=["theirs", "donor"], progress=False
    )
    with opened(browser, path, viewport={"width": 1280, "height": 900}) as found:
        found.locator(".agreement tbody tr").first.wait_for()
        yield found


def rows_of(page):
    return {
        re.search(r"\d+", row.locator("th").inner_text())[0]: [
            cell.inner_text() for cell in row.locator("td").all()
        ]
        for row in page.locator(".agreement tbody tr").all()
    }


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_table_says_what_the_comparison_says(page, adata):
    found = compared(adata)
    shown = rows_of(page)
    words = {"exact": "the same", "descendant": "narrower", "ancestor": "broader",
             "other_lineage": "another type", "sibling": "a sibling"}  # fmt: skip
    for row in found.rows:
        n, other, relation, agreeing, look = shown[row.cluster]
        assert other.startswith(row.other)
        assert relation == words[row.relation]
        assert agreeing == f"{row.agreeing:.0%}".replace("%", " %")
        assert look == ("yes" if row.look else "")
        assert int(n) == sum(x is not None for x in OTHERS[row.cluster])
    assert list(shown)[:2] == [row.cluster for row in found.rows if row.look][:2]
    note = page.locator("#agreement-note").inner_text()
    assert f"Adjusted Rand index {found.adjusted_rand:.2f}" in note
    assert "Of 39 cells with both labels" in note
    assert page.evaluate("() => window.hit") is None


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_filters_count_and_the_figures_are_saved(page, adata, tmp_path):
    page.select_option("#filter-add", label="donor")
    page.locator(".filter-levels label", has_text="b").locator("input").uncheck()
    page.wait_for_function(
        "() => document.getElementById('agreement-note').textContent.startsWith('Of 20 ')"
    )
    button = page.locator("#agreement-picture .files button", has_text="CSV")
    content, _ = saved(page, button.click, tmp_path / "figures.csv")
    lines = content.decode().strip().splitlines()
    assert lines[0] == "cluster,label,theirs,n_cells,share,relation"
    kept = adata.obs[adata.obs["donor"] == "a"]
    expected = kept.groupby(["leiden", "theirs"], observed=True).size()
    assert len(lines) - 1 == len(expected)
    page.locator("#agreement-picture svg").wait_for()
    assert page.locator("#agreement-picture svg path[d]").count() >= len(expected)
