import json

import anndata
import numpy as np
import pytest

import cellferry
from cellferry.annotations.clusters import Annotation
from cellferry.engines.local import Local
from local_tables import answers, listed, lists, table

B_CELL = ["MS4A1", "CD79A", "CD19", "CD79B", "BANK1", "CD22"]
T_CELL = ["CD3D", "CD3E", "CD3G", "TRAC", "CD2", "TRBC1", "CD5", "CD6"]


def answer(genes, **options):
    return answers(Local(), table({"0": genes}, **options))["0"]


def test_an_answer_names_its_genes_best_first_and_its_figures():
    found = answer(B_CELL)
    assert found.label == "B cell"
    assert set(found.supporting) == set(B_CELL)
    assert set(found.supporting[:2]) == {"CD79A", "MS4A1"}
    assert "MS4A1 (log2 fold change 3.0, in 80 % of cells)" in found.justification
    assert "6 markers are raised" in found.justification


def test_expected_markers_that_no_cluster_names_are_missing():
    found = answer(["MS4A1", "CD79A", "CD79B", "BANK1", "CD22"])
    assert "CD19" in found.missing
    assert not set(found.missing) & {"MS4A1", "CD79A"}


def test_negative_markers_that_are_raised_are_conflicting():
    assert answer([*B_CELL, "CD3D"]).conflicting == ("CD3D",)
    assert answer(B_CELL).conflicting == ()


def test_a_mixture_names_both_lineages_and_the_genes_of_the_second():
    found = answer([*B_CELL, *T_CELL])
    assert set(found.mixed) == {"B cell", "T cell"}
    assert set(found.conflicting) & {*B_CELL, *T_CELL}
    assert "mixture" in found.justification


def test_alternatives_are_no_relatives_of_the_label():
    found = answer(listed("Effector CD8 T cell"))
    assert found.alternatives
    assert not {"T cell", "CD8 T cell", found.label} & set(found.alternatives)
    assert len(found.alternatives) <= 3


def test_the_ontology_term_is_that_of_the_type_or_of_its_nearest_ancestor():
    found = answer(listed("Tissue-resident memory CD8 T cell") + T_CELL)
    assert found.label == "Tissue-resident memory CD8 T cell"
    assert found.ontology_label == "CD8-positive, alpha-beta memory T cell"


def test_symbols_are_those_of_the_table():
    genes = ["PPBP", "PF4", "GNG11", "TUBB1", "SDPR", "GP9", "TREML1"]
    found = answer(genes)
    assert found.label == "Platelet"
    assert "SDPR" in found.supporting
    assert "CAVIN2" not in (*found.supporting, *found.missing)


@pytest.fixture
def adata_of_twelve_genes():
    values = np.zeros((12, 12), dtype="float32")
    values[:6, :6], values[6:, 6:] = 3.5, 3.5
    adata = anndata.AnnData(values)
    adata.var_names = [*T_CELL[:6], *B_CELL[:6]]
    adata.obs["leiden"] = ["0"] * 6 + ["1"] * 6
    return adata


def test_unknown_says_why():
    nothing = answer(["GAPDH", "ACTB"])
    assert nothing.status == "unknown"
    assert nothing.label == "Unknown"
    assert nothing.confidence is None
    assert nothing.ontology_id is None
    assert "do not point to any cell type" in nothing.justification
    little = answer(["CD79A", "CD79B"], fold=0.4, inside=0.2, outside=0.15)
    assert little.status == "unknown"
    assert "too little" in little.justification


def test_a_fit_that_chance_could_give_is_called_so(adata_of_twelve_genes):
    lists = {"0": T_CELL[:6], "1": B_CELL[:6]}
    found = cellferry.annotate_clusters(
        adata_of_twelve_genes, lists, group_key="leiden", progress=False
    )
    for row in found:
        assert row.status == "unknown"
        assert "may be chance: its significance is" in row.justification
        assert "12 marker genes of any type were measured" in row.justification


def test_a_state_is_reported_beside_the_label():
    found = answer([*T_CELL, *listed("Cycling")])
    assert (found.label, found.state) == ("T cell", "Cycling")


def test_names_alone_give_text_without_figures():
    found = answers(Local(), lists({"0": B_CELL}))["0"]
    assert found.label == "B cell"
    assert "log2" not in found.justification
    assert "%" not in found.justification


def test_evidence_is_plain_data_and_adds_up():
    found = answers(Local(), table({"0": B_CELL, "1": T_CELL}))
    stored = json.loads(json.dumps(found.evidence, allow_nan=False))
    assert stored == found.evidence
    best = stored["0"]["candidates"][0]
    assert best["name"] == "B cell"
    assert set(best["genes"]) == set(B_CELL)
    assert list(best["genes"].values()) == sorted(best["genes"].values(), reverse=True)
    fits = [c["fit"] for c in stored["0"]["candidates"]]
    assert fits == sorted(fits, reverse=True)
    assert stored["0"]["silent"] == []


def test_markers_raised_elsewhere_are_silent_here():
    both = table({"0": ["MS4A1", "CD79A", "CD79B", "BANK1"], "1": ["PAX5", *T_CELL]})
    found = answers(Local(), both).evidence["0"]
    assert "PAX5" in found["silent"]
    # What the table does not have may be silent, or was not measured: that is not known.
    states = {one["gene"]: one["state"] for one in found["expected"][0]["genes"]}
    assert (states["PAX5"], states["MS4A1"], states["CD19"]) == ("silent", "found", "not listed")


@pytest.mark.parametrize("genes", [B_CELL, [], T_CELL + B_CELL])
def test_a_stored_answer_is_the_answer(genes):
    found = answers(Local(), table({"0": genes}))["0"]
    payload = {"annotation": json.loads(json.dumps(found.__dict__))}
    assert Annotation.from_dict(payload["annotation"]) == found
