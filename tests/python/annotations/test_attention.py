"""Reasons why a cluster wants a look: told with figures, and no label is changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.diagnoses.attention import held_by, reasons_of, with_attention
from cellferry.annotations.report import Content, render
from cellferry.annotations.report.content import Page
from cellferry.study.clusters import Clusters
from page_objects import typed_cells


def attended(rows, obs=None, codes=None, names=None, markers=None):
    clusters = None if codes is None else Clusters(names or ("a", "b"), np.asarray(codes, np.int32))
    return with_attention(Annotations(tuple(rows), markers=markers or {}), obs, clusters)


def two(n=40):
    rows = [Annotation(name, "ok", label="T cell", justification="CD3D.") for name in "ab"]
    return rows, [0] * n + [1] * 3 * n


@pytest.mark.parametrize(
    ("column", "here", "elsewhere", "code", "words"),
    [
        ("nCount_RNA", 100, 5000, "few_counts", "The median of nCount_RNA is 100, and 5,000"),
        ("total_counts", 60_000, 5000, "many_counts", "60,000"),
        ("nFeature_RNA", 200, 2000, "few_genes", "200"),
        ("percent.mt", 40.0, 3.0, "high_mitochondrial", "40.0, and 3.0"),
        ("scDblFinder.class", "doublet", "singlet", "doublets", "100 % of its cells are called"),
        ("DF.classifications_0.25_0.09_913", "Doublet", "Singlet", "doublets", "DF.classif"),
        ("predicted_doublet", True, False, "doublets", "predicted_doublet"),
        ("doublet_score", 0.8, 0.05, "doublets", "above 0.3"),
    ],
)
def test_what_the_metadata_says_is_told(column, here, elsewhere, code, words):
    rows, codes = two()
    obs = pd.DataFrame({column: [here] * 40 + [elsewhere] * 120})
    found = attended(rows, obs, codes)
    assert found["a"].attention == (code,)
    assert found["b"].attention == ()
    assert found["a"].justification.startswith("CD3D. ")
    assert words in found["a"].justification
    assert [r.code for r in reasons_of(found, found["a"])] == [code]
    assert words in reasons_of(found, found["a"])[0].text
    assert found["a"].label == "T cell"


def test_a_cluster_of_one_sample_is_told_unless_the_object_is():
    rows, codes = two()
    mixed = ["x", "y", "z"] * 40
    found = attended(rows, pd.DataFrame({"orig.ident": ["x"] * 40 + mixed}), codes)
    assert found["a"].attention == ("one_sample",)
    assert "of orig.ident x" in found["a"].justification
    alone = attended(rows, pd.DataFrame({"orig.ident": ["x"] * 150 + ["y"] * 10}), codes)
    assert alone["a"].attention == ()


@pytest.mark.parametrize(
    ("label", "genes", "codes"),
    [
        ("T cell", ["MT-CO1", "MT-ND1", "MT-ND2", "MT-CYB", "MT-ATP6"], ("mitochondrial_markers",)),
        ("T cell", ["RPL3", "RPS6", "RPL10", "RPS18", "RPL32"], ("ribosomal_markers",)),
        ("T cell", ["HBB", "HBA1", "HBA2", "HBD", "HBM"], ("haemoglobin_markers",)),
        ("Erythrocyte", ["HBB", "HBA1", "HBA2", "HBD", "HBM"], ()),
        ("Plasma cell", ["IGHG1", "IGKC", "JCHAIN", "IGHA1", "IGLC2"], ()),
        ("T cell", ["CD3D", "RPL3", "MT-CO1"], ()),
    ],
)
def test_markers_of_a_state_are_told_where_they_are_not_the_type(label, genes, codes):
    markers = {"cluster": ["a"] * len(genes), "gene": genes}
    found = attended([Annotation("a", "ok", label=label)], markers=markers)
    assert found["a"].attention == codes


def test_few_cells_and_other_columns_are_not_judged():
    rows, _ = two()
    obs = pd.DataFrame({"nCount_RNA": [1] * 5 + [1000] * 95, "age": [1] * 5 + [90] * 95})
    assert attended(rows, obs, [0] * 5 + [1] * 95)["a"].attention == ()


def test_damaged_columns_cost_nothing():
    rows, codes = two()
    obs = pd.DataFrame(
        {
            "nCount_RNA": ["many"] * 160,
            "percent.mt": [np.nan] * 160,
            "nFeature_RNA": [np.inf] * 160,
            "scDblFinder.class": [None] * 160,
            "sample": [None] * 160,
        }
    )
    assert [row.attention for row in attended(rows, obs, codes)] == [(), ()]


def test_state_and_answer_are_reasons_too():
    failed = Annotation("a", "failed", error="Nobody answered.")
    weak = Annotation(
        "b", "ok", label="B cell", confidence=0.2, confidence_kind="graded", mixed=("T cell",)
    )
    found = attended([failed, weak])
    assert [r.code for r in reasons_of(found, found["a"])] == ["failed"]
    assert found["b"].attention == ("mixed", "low_confidence")


def test_an_annotation_tells_them_and_says_them_once():
    adata = typed_cells(600, 4)
    here = (adata.obs["leiden"] == "1").to_numpy()
    adata.obs.loc[here, "percent.mt"] = 60.0
    for _ in range(2):
        found = cellferry.annotate_clusters(adata, group_key="leiden", progress=False)
        assert found["1"].attention == ("high_mitochondrial",)
        assert found["1"].justification.count("percent.mt") == 1
    assert cellferry.read_annotations(adata)["1"].attention == ("high_mitochondrial",)


def test_a_label_of_cells_that_is_a_minority_everywhere_is_told_with_its_clusters():
    clusters = {
        "3": {"label": "B cell", "labels": {"B cell": 90, "Plasma cell": 6}},
        "7": {"label": "Plasma cell", "labels": {"Plasma cell": 2}},
    }
    rows = [Annotation(name, "ok", label=name, n_cells=1) for name in ("B cell", "Plasma cell")]
    found = Annotations(tuple(rows), {"clusters": clusters}, {"level": "cells"})
    assert reasons_of(found, found["B cell"]) == []
    (reason,) = reasons_of(found, found["Plasma cell"])
    assert reason.code == "minority"
    assert reason.text.endswith('in clusters of another label: "3 (mostly B cell)".')
    held = held_by(found, "Plasma cell")
    assert [(one.cluster, one.n, one.total) for one in held] == [("3", 6, 96), ("7", 2, 2)]
    page = render(found)
    assert "Clusters that its cells are in" in page


def test_annotators_that_disagree_are_told_and_stand_side_by_side():
    adata = typed_cells(300, 3)
    cellferry.annotate_clusters(adata, group_key="leiden", progress=False)
    other = adata.obs["cell_type"].astype(str).replace({"CD8 T cell": "Mast cell"})
    adata.obs["by_hand"] = other.astype("category")
    found = cellferry.consensus(adata, ["cell_type", "by_hand"], key="both")
    rows = Page(found, Content()).index()["rows"]
    apart = next(i for i, row in enumerate(found) if "Mast cell" in str(rows[i]["engines"]))
    assert [e["label"] for e in rows[apart]["engines"]] == ["CD8 T cell", "Mast cell"]
    codes = [[reason["code"] for reason in row["attention"]] for row in rows]
    assert all(("disagreement" in of_row) == (i == apart) for i, of_row in enumerate(codes))
