"""Subtypes that few genes tell apart."""

import re

import pytest

from cellferry.biology.gene_tables import known_symbols
from cellferry.engines.local import Local
from cellferry.engines.local.decision.siblings import rules, shown_below
from cellferry.engines.local.evidence import Evidence
from cellferry.engines.local.hierarchy import Hierarchy
from cellferry.engines.local.knowledge.types import SPECIES
from cellferry.engines.local.profiles import Profiles
from cellferry.engines.local.score import Signal
from local_tables import KNOWLEDGE, answers, listed, table

PROFILES = Profiles.from_knowledge(KNOWLEDGE, "human")
HIERARCHY = Hierarchy.build(KNOWLEDGE, PROFILES)
T_CELL = ["CD3D", "CD3E", "CD3G", "TRAC", "CD2", "IL32", "TRBC1", "LCK"]
VESSEL = ["PECAM1", "CDH5", "CLDN5", "EGFL7", "ESAM", "FLT1", "RAMP2"]
OTHERS = {"b": listed("B cell"), "mono": listed("Classical monocyte")}
CD8 = ["CD8A", "CD8B", "CCL5", "GZMK"]


def label(genes, **others):
    found = answers(Local(), table({"0": genes, **OTHERS, **others}), species="human")
    return found["0"].label


@pytest.mark.parametrize("species", SPECIES)
def test_rules_name_types_and_genes_that_exist_and_have_a_source(species):
    for rule in rules(species):
        assert rule.name in KNOWLEDGE.by_name
        genes = {g for _, group in rule.shown for g in group} | set(rule.silent) | set(rule.needs)
        assert genes <= known_symbols(species), rule.name
        assert genes <= set(KNOWLEDGE.names_of_genes(species)), rule.name
        assert re.search(r"doi:10\.\d{4,}/\S+", rule.source), rule.name
        assert all(count <= len(group) for count, group in rule.shown)
        assert not {g for _, group in rule.shown for g in group} & set(rule.silent), rule.name


def test_cd40lg_shows_cd4_t_cells_and_il7r_does_not():
    assert label([*T_CELL, "CD40LG"], cd8=[*T_CELL, *CD8]) == "CD4 T cell"
    assert label([*T_CELL, "IL7R"], cd8=[*T_CELL, *CD8]) == "T cell"


def test_cd4_beside_cd8_is_a_t_cell():
    assert label([*T_CELL, "CD4", "CD8A"]) == "T cell"


def test_cd8_t_cells_need_cd8_where_it_is_measured():
    effector = ["GZMB", "PRF1", "GZMH", "FGFBP2", "CX3CR1", "NKG7", "GNLY", "CCL5"]
    found = label([*T_CELL, *effector], cd8=[*T_CELL, *CD8])
    assert "CD8" not in found
    assert label([*T_CELL, *CD8]).startswith(("CD8", "Memory CD8"))


def test_regulatory_and_gamma_delta_t_cells():
    assert label([*T_CELL, "FOXP3", "IL2RA", "CTLA4"]) == "Regulatory T cell"
    assert label([*T_CELL, "TRDC", "TRGC1"]) == "Gamma-delta T cell"


def test_neurons_by_what_they_release():
    neuron = ["SNAP25", "SYT1", "RBFOX3", "STMN2", "ELAVL4", "NEFL", "SYP", "MAP2"]
    assert label([*neuron, "SLC17A6"]) == "Glutamatergic neuron"
    assert label([*neuron, "GAD1", "GAD2"]) == "GABAergic neuron"
    assert label([*neuron, "SLC17A6", "GAD1", "GAD2"]) == "Neuron"


def test_t_cells_in_nuclei_are_not_t_or_nk():
    nuclei = ["SKAP1", "ITK", "CD247", "BCL11B", "PTPRC", "IL7R"]
    assert label([*nuclei, "THEMIS", "CAMK4"]) == "T cell"
    assert (
        label(["CD247", "CD7", "LCK", "CTSW", "IL2RB", "CST7", "PTPRC"]) == "Innate lymphoid cell"
    )


def test_smooth_muscle_of_vessels_by_what_mural_cells_have():
    muscle = ["MYH11", "CNN1", "ACTA2", "TAGLN", "LMOD1", "SYNPO2", "MYL9", "MYLK"]
    assert label([*muscle, "NOTCH3", "RERGL", "MCAM"]) == "Vascular smooth muscle cell"
    assert label([*muscle, "HHIP", "DES", "ACTG2"]) == "Smooth muscle cell"


def test_germ_cells_in_meiosis_are_of_the_testis_where_its_genes_are_raised():
    meiosis = ["SYCP1", "SYCP2", "SYCP3", "SPO11", "MEIOB", "HORMAD1", "DMC1", "DDX4", "DAZL"]
    assert label([*meiosis, "TEX101", "LDHC", "ADAM2", "INSL6"]) == "Spermatocyte"
    assert label([*meiosis, "STRA8", "ZGLP1", "REC8"]) == "Oogonium"


def test_vessels_by_their_side_and_both_sides_are_endothelium():
    assert label([*VESSEL, "GJA5", "SEMA3G"]) == "Arterial endothelial cell"
    assert label([*VESSEL, "ACKR1", "NR2F2"]) == "Venous endothelial cell"
    both = label([*VESSEL, "GJA5", "SEMA3G", "ACKR1", "NR2F2"])
    assert both in {"Endothelial cell", "Vascular endothelial cell"}


def test_types_of_a_user_know_no_rules():
    mine = {"My T cell": [*T_CELL, "CD40LG"]}
    found = answers(Local(knowledge=mine), table({"0": [*T_CELL, "CD40LG"]}))["0"]
    assert found.label == "My T cell"


def test_inflammation_is_a_state_and_names_no_type():
    inflamed = ["PTX3", "PTGS2", "IL6", "CXCL1", "CXCL2", "CXCL3", "TNFAIP3", "NFKBIA", "CCL20"]
    found = answers(Local(), table({"0": inflamed}))["0"]
    assert (found.status, found.state) == ("unknown", "Inflammatory response")
    fibroblast = ["COL1A1", "COL1A2", "DCN", "LUM", "PDGFRA", "COL3A1", "DPT", "COL6A3"]
    found = answers(Local(), table({"0": [*fibroblast, *inflamed]}))["0"]
    assert "ibroblast" in found.label


def test_lines_that_a_table_prompted_are_named():
    prompted = {r.name for s in SPECIES for r in rules(s) if r.prompted_by}
    assert prompted == {"CD8 T cell", "Regulatory T cell", "Naive B cell"}
    assert all(any(r.prompted_by == () for r in rules(s)) for s in SPECIES)


def test_what_a_panel_does_not_have_is_not_silent():
    genes = [*T_CELL, "CD40LG", *listed("B cell"), *listed("Classical monocyte")]
    markers = table({"0": [*T_CELL, "CD40LG"], **OTHERS}, filler=0)
    measured = tuple(dict.fromkeys([*genes, *map(str, markers.gene)]))
    found = {}
    for panel in (measured, (*measured, "CD8A")):
        evidence = Evidence.from_markers(markers, 50, panel)
        signal = Signal.read(PROFILES, evidence, 0)
        found[panel] = shown_below(HIERARCHY, signal, HIERARCHY.index("T cell"))
    cd4 = HIERARCHY.index("CD4 T cell")
    assert list(found.values()) == [None, cd4]
