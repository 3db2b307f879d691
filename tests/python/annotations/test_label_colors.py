"""Colours in records and objects: in category order, kept, and changed by hand."""

from __future__ import annotations

import json

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.label_colors import keep_colors, uns_colors, with_colors
from cellferry.annotations.labelling.objects import attach
from cellferry.errors import AnnotationsMissingError, InvalidOptionError
from cellferry.study.clusters import Clusters

FOUND = Annotations(
    (
        Annotation("0", "ok", label="Hepatocyte", ontology_id="CL:0000182"),
        Annotation("1", "ok", label="B cell", ontology_id="CL:0000236"),
        Annotation("2", "ok", label="T cell", ontology_id="CL:0000084"),
        Annotation("3", "unknown", label="Unknown"),
        Annotation("4", "failed", error="No answer."),
    ),
    provenance={"key": "cell_type", "columns": ["cell_type"], "created": "2026"},
)


def labelled(found=FOUND, adata=None):
    clusters = Clusters.from_labels([*"0123412"])
    if adata is None:
        adata = anndata.AnnData(np.ones((7, 1)), obs=pd.DataFrame(index=[*"abcdefg"]))
    attach(adata, found, clusters, "cell_type")
    return adata


def test_categories_are_in_lineage_order_with_their_colours():
    adata = labelled()
    categories = list(adata.obs["cell_type"].cat.categories)
    assert categories == ["T cell", "B cell", "Hepatocyte", "Unknown"]
    known = cellferry.label_colors(adata)
    assert list(adata.uns["cell_type_colors"]) == [known[name] for name in categories]
    assert adata.obs["cell_type"].astype(object).tolist()[:4] == FOUND.column("label")[:4]
    assert adata.obs["cell_type"].isna().tolist() == [False] * 4 + [True, False, False]


def test_they_survive_a_file(tmp_path):
    adata = labelled()
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert cellferry.label_colors(back) == cellferry.label_colors(adata)
    assert list(back.uns["cell_type_colors"]) == list(adata.uns["cell_type_colors"])


def test_a_subset_changes_no_colour():
    adata = labelled()
    assert cellferry.label_colors(adata[:2].copy()) == cellferry.label_colors(adata)


def test_own_colours_are_kept_with_the_record_and_by_the_next():
    adata = labelled()
    cellferry.label_colors(adata, colors={"B cell": "#123456"})
    assert cellferry.label_colors(adata)["B cell"] == "#123456"
    assert list(adata.uns["cell_type_colors"])[1] == "#123456"
    cellferry.label_colors(adata, "cell_type", colors={"T cell": "#fed"})
    labelled(adata=adata)
    found = cellferry.label_colors(adata)
    assert (found["B cell"], found["T cell"]) == ("#123456", "#ffeedd")
    assert cellferry.label_colors(adata, dark=True)["B cell"] == "#123456"


def test_own_colours_of_labels_that_are_gone_are_left():
    before = with_colors(FOUND.to_json(), {"B cell": "#123456"})
    after = Annotations(FOUND.rows[:1]).to_json()
    assert keep_colors(after, before) == after
    assert keep_colors(after, None) == after
    assert keep_colors(after, "damaged") == after


def test_a_record_keeps_what_this_version_does_not_know():
    record = {**FOUND.to_dict(), "later": [1]}
    changed = json.loads(with_colors(json.dumps(record), {"B cell": "#123456"}))
    assert changed.pop("provenance") == {**FOUND.provenance, "colors": {"B cell": "#123456"}}
    record.pop("provenance")
    assert changed == json.loads(json.dumps(record))


def test_what_is_no_label_is_refused_and_nothing_is_changed():
    adata = labelled()
    before = dict(adata.uns["cellferry"])
    with pytest.raises(InvalidOptionError):
        cellferry.label_colors(adata, colors={"B cells": "#123456"})
    assert adata.uns["cellferry"] == before


def test_columns_of_others_have_colours_without_a_record():
    adata = anndata.AnnData(obs=pd.DataFrame({"x": ["B cells", None]}, index=["a", "b"]))
    assert cellferry.label_colors(adata, "x") == {
        "B cells": cellferry.label_colors(labelled())["B cell"]
    }
    with pytest.raises(AnnotationsMissingError):
        cellferry.label_colors(adata)
    with pytest.raises(AnnotationsMissingError):
        cellferry.label_colors(adata, "x", colors={"B cells": "#123456"})


def test_categories_that_the_record_does_not_have_are_coloured_too():
    assert len(set(uns_colors(FOUND.to_json(), ["T cell", "Mine", "B cell"]))) == 3
