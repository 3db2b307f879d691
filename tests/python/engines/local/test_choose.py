import pytest

from cellferry.engines.local.decision.choose import choose
from cellferry.engines.local.decision.floor import supporters
from cellferry.engines.local.decision.mixture import residual
from cellferry.engines.local.evidence import Evidence
from cellferry.engines.local.hierarchy import Hierarchy
from cellferry.engines.local.knowledge.base import CellType, Knowledge, Marker
from cellferry.engines.local.profiles import Profiles
from cellferry.engines.local.score import Signal, score_types
from local_tables import KNOWLEDGE, listed, lists, table

PROFILES = Profiles.from_knowledge(KNOWLEDGE, "human")
HIERARCHY = Hierarchy.build(KNOWLEDGE, PROFILES)


def scores_of(markers, cluster=0):
    evidence = Evidence.from_markers(markers, 50)
    return score_types(PROFILES, Signal.read(PROFILES, evidence, cluster))


def chosen(markers, cluster=0):
    found = choose(HIERARCHY, scores_of(markers, cluster))

    def name(i):
        return None if i is None else PROFILES.names[i]

    states = [name(i) for i in found.states]
    return name(found.label), name(found.detail), name(found.partner), states, found


T_CELL = ["CD3D", "CD3E", "CD3G", "TRAC", "CD2", "IL7R", "IL32", "TRBC1"]
B_CELL = ["MS4A1", "CD79A", "CD19", "CD79B", "BANK1", "CD22", "PAX5", "FCRLA"]


def test_a_subtype_with_evidence_of_its_own_is_named():
    label, *_ = chosen(table({"0": [*B_CELL, "IGHD", "TCL1A", "FCER2", "IL4R"]}))
    assert label == "Naive B cell"


def test_the_parent_is_named_where_no_subtype_has_evidence():
    label, _, partner, *_ = chosen(table({"0": T_CELL}))
    assert label == "T cell"
    assert partner is None


def test_naive_cells_without_a_side_are_naive_t_cells():
    naive = ["CCR7", "LEF1", "TCF7", "SELL", "PIK3IP1"]
    label, *_ = chosen(table({"0": [*T_CELL, *naive]}))
    assert label == "Naive T cell"


def test_siblings_that_tie_back_off_to_what_they_share():
    def known(name, genes, *parents):
        markers = tuple(Marker((g,), 3) for g in genes)
        return CellType(name, parents=parents, positive={"human": markers})

    knowledge = Knowledge(
        (known("Both", "ABC"), known("One", "DEF", "Both"), known("Other", "GHI", "Both"))
    )
    profiles = Profiles.from_knowledge(knowledge, "human")
    hierarchy = Hierarchy.build(knowledge, profiles)
    labels = {}
    for genes in ("ABCDEFGHI", "ABCDEF", "ABCDEFG"):
        evidence = Evidence.from_markers(table({"0": list(genes)}), 50)
        found = choose(hierarchy, score_types(profiles, Signal.read(profiles, evidence, 0)))
        labels[genes] = profiles.names[found.label], found.detail
    assert labels["ABCDEFGHI"][0] == "Both"
    assert labels["ABCDEFGHI"][1] is not None
    assert labels["ABCDEF"] == ("One", None)
    assert labels["ABCDEFG"] == ("One", None)


def test_unrelated_lineages_with_evidence_each_are_a_mixture():
    label, _, partner, _, found = chosen(table({"0": [*T_CELL, *B_CELL]}))
    assert {label, partner} <= {"T cell", "B cell", "B lineage cell"}
    assert None not in {label, partner}
    single = chosen(table({"0": B_CELL}))[4]
    assert found.confidence < single.confidence


def test_related_types_are_no_mixture():
    cytotoxic = ["CD8A", "CD8B", "GZMB", "GZMH", "PRF1", "NKG7", "GNLY", "CCL5", "FGFBP2"]
    label, _, partner, *_ = chosen(table({"0": [*T_CELL, *cytotoxic]}))
    assert label in {"Effector CD8 T cell", "CD8 T cell"}
    assert partner is None


@pytest.mark.parametrize("genes", [[], ["CD79A"], ["SEMA3C", "GAPDH", "ACTB"]])
def test_too_little_is_unknown(genes):
    for markers in (table({"0": genes}), lists({"0": genes or ["NOTHING"]})):
        label, detail, partner, _, found = chosen(markers)
        assert (label, detail, partner, found.confidence) == (None, None, None, None)


def test_cell_cycle_alone_is_a_state_and_no_label():
    label, _, _, states, _ = chosen(table({"0": listed("Cycling")}))
    assert label is None
    assert states == ["Cycling"]


def test_cycling_t_cells_are_t_cells():
    label, _, partner, states, _ = chosen(table({"0": [*T_CELL, *listed("Cycling")]}))
    assert label == "T cell"
    assert partner is None
    assert states == ["Cycling"]


def test_a_compartment_that_says_nothing_is_never_a_label():
    for one, other in (("Platelet", "Erythrocyte"), ("B cell", "Hepatocyte")):
        genes = listed(one)[:2] + listed(other)[:2]
        label, *_ = chosen(table({"0": genes}))
        assert label != "Hematopoietic cell"


def test_confidence_grows_with_evidence():
    found = [chosen(table({"0": B_CELL[:n]}))[4].confidence or 0 for n in (1, 3, 5, 8)]
    assert found == sorted(found)
    assert found[0] == 0
    assert 0.5 < found[-1] < 1


def test_the_residual_holds_nothing_that_the_answer_explains():
    scores = scores_of(table({"0": [*T_CELL, *B_CELL]}))
    best = HIERARCHY.index("B cell")
    left = residual(HIERARCHY, scores, best)
    genes = {PROFILES.genes[g] for g in supporters(PROFILES, left, HIERARCHY.index("T cell"))}
    assert {"CD3D", "CD3E", "TRAC"} <= genes
    assert not len(supporters(PROFILES, left, best))


@pytest.mark.parametrize("others", [0, 60, 300])
def test_two_markers_are_enough_for_a_short_list_only(others):
    """Two markers among ten best genes are many; among all that is raised they are chance."""
    label, *_, found = chosen(table({"0": B_CELL[:2]}, filler=others))
    assert label == (None if others else "B cell")
    assert found.few is bool(others)


@pytest.mark.parametrize("others", [0, 60, 300])
def test_a_few_defining_markers_that_are_strong_name_a_type_in_any_list(others):
    assert chosen(table({"0": B_CELL[:4]}, filler=others))[0] == "B cell"
