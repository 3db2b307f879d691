import pytest

from cellferry.engines.local.decision.depth import (
    has_evidence,
    has_own_evidence,
    nearest_with_evidence,
)
from cellferry.engines.local.evidence import Evidence
from cellferry.engines.local.hierarchy import Hierarchy
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.engines.local.profiles import Profiles
from cellferry.engines.local.score import Signal, score_types
from local_tables import listed, lists, table

KNOWLEDGE = packaged_knowledge()
T_CELL = ["CD3D", "CD3E", "CD3G", "TRAC", "CD2", "TRBC1", "LCK", "CD247"]
NAIVE = ["CCR7", "LEF1", "TCF7", "SELL", "PIK3IP1"]
CD4 = ["CD4", "CD40LG", "IL7R", "MAL", "FHIT"]


def scored(markers, tissue=frozenset()):
    profiles = Profiles.from_knowledge(KNOWLEDGE, "human", tissue)
    hierarchy = Hierarchy.build(KNOWLEDGE, profiles)
    evidence = Evidence.from_markers(markers, 50)
    return hierarchy, score_types(profiles, Signal.read(profiles, evidence, 0))


def place(name, markers, tissue=frozenset()):
    hierarchy, scores = scored(markers, tissue)
    row = hierarchy.index(name)
    found = hierarchy.profiles.names[nearest_with_evidence(hierarchy, scores, row)]
    return has_own_evidence(hierarchy, scores, row), found


def test_a_subtype_without_markers_of_its_own_gives_way_to_its_parent():
    silent = place("Regulatory T cell", table({"0": T_CELL}))
    assert silent[0] is False
    assert silent[1] != "Regulatory T cell"
    shown = table({"0": [*T_CELL, *listed("Regulatory T cell", least_tier=2)]})
    assert place("Regulatory T cell", shown) == (True, "Regulatory T cell")


@pytest.mark.parametrize(
    ("genes", "expected"),
    [([*NAIVE, *CD4], True), (NAIVE, False), ([*CD4, "CD3D"], False)],
)
def test_a_type_inside_two_others_must_add_to_each(genes, expected):
    # Nearly all that marks a naive CD4 T cell is listed by naive or by CD4 T cells already.
    assert place("Naive CD4 T cell", lists({"0": genes}))[0] is expected


def test_a_parent_that_does_not_occur_in_the_tissue_asks_for_nothing():
    genes = ["SST", "HHEX", "RBP4", "LEPR", "BCHE", "PRG4", "PCSK2", "ISL1", "INSM1", "CHGB"]
    markers = table({"0": genes})
    assert place("Pancreatic delta cell", markers, frozenset({"pancreas"}))[0] is True
    assert place("Pancreatic delta cell", markers, frozenset({"stomach"}))[0] is False


def test_one_gene_is_no_evidence():
    hierarchy, scores = scored(lists({"0": ["FOXP3"]}))
    own = hierarchy.profiles.new[hierarchy.index("Regulatory T cell")]
    assert not has_evidence(scores.signal, own)


@pytest.mark.parametrize("others", [0, 17, 37])
def test_a_short_list_is_no_type_of_which_it_has_nothing(others):
    """Three genes of medium spiny neurons were a neuron, of which the list has no gene."""
    markers = lists({"0": ["DRD1", "PDYN", "TAC1", *(f"FILLER{i}" for i in range(others))]})
    assert place("Direct pathway medium spiny neuron", markers)[1] == "Medium spiny neuron"
