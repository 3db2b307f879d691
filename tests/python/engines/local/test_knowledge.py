import collections
import importlib.util
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.local.knowledge.base import SPECIES, CellType, Knowledge, Marker
from cellferry.engines.local.knowledge.known import known_cell_types
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.engines.local.knowledge.table import KINDS
from cellferry.errors import KnowledgeError
from paths import ROOT

PACKAGED = packaged_knowledge()
SPEC = importlib.util.spec_from_file_location(
    "knowledge_check", ROOT / "scripts/check_knowledge.py"
)
assert SPEC is not None
assert SPEC.loader is not None
check_knowledge = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_knowledge)


# ---- the packaged table


def test_packaged_tables_cover_the_major_tissues():
    names = set(PACKAGED.by_name)
    assert sum(t.kind == "type" for t in PACKAGED.types) >= 250
    assert {"Naive CD4 T cell", "MAIT cell", "CD56-dim NK cell", "Plasmablast"} <= names
    assert {"Platelet", "Hematopoietic stem cell", "Erythroblast", "Mast cell", "cDC1"} <= names
    assert {"Hepatocyte", "Neuron", "Paneth cell", "Melanocyte", "Pericyte"} <= names


def test_every_type_has_a_note_of_its_own():
    notes = [cell_type.note for cell_type in PACKAGED.types]
    assert all(15 <= len(note) <= 200 for note in notes), [n for n in notes if len(n) < 15]
    assert len(set(notes)) == len(notes)


def test_every_type_has_markers_in_both_species_or_says_why_not():
    for cell_type in PACKAGED.types:
        if cell_type.kind not in {"type", "state"}:
            continue
        for species in SPECIES:
            if species in cell_type.positive:
                assert len(cell_type.positive[species]) >= 4, cell_type.name
            else:
                assert cell_type.note, cell_type.name


def test_kinds_are_known_and_states_have_no_place_in_the_hierarchy():
    assert {t.kind for t in PACKAGED.types} == set(KINDS)
    for cell_type in PACKAGED.types:
        if cell_type.kind == "state":
            assert not cell_type.parents
            assert not PACKAGED.children[cell_type.name]


def test_ontology_ids_are_unique_and_answers_have_one():
    ids = [t.ontology_id for t in PACKAGED.types if t.ontology_id]
    assert len(set(ids)) == len(ids)
    for cell_type in PACKAGED.types:
        if cell_type.kind == "type":
            assert PACKAGED.ontology(cell_type.name)[0], cell_type.name


@pytest.mark.parametrize(
    ("name", "identifier", "label"),
    [
        ("T cell", "CL:0000084", "T cell"),
        ("B cell", "CL:0000236", "B cell"),
        ("NK cell", "CL:0000623", "natural killer cell"),
        ("Plasma cell", "CL:0000786", "plasma cell"),
        ("Platelet", "CL:0000233", "platelet"),
        ("Classical monocyte", "CL:0000860", "classical monocyte"),
        ("Plasmacytoid dendritic cell", "CL:0000784", "plasmacytoid dendritic cell"),
        ("Hematopoietic stem cell", "CL:0000037", "hematopoietic stem cell"),
        ("Hepatocyte", "CL:0000182", "hepatocyte"),
    ],
)
def test_well_known_ontology_terms(name, identifier, label):
    assert PACKAGED.ontology(name) == (identifier, label)


def test_a_type_without_a_term_reports_its_nearest_ancestors():
    assert PACKAGED.by_name["Tissue-resident memory CD8 T cell"].ontology_id is None
    assert PACKAGED.ontology("Tissue-resident memory CD8 T cell")[0] == "CL:0000909"


def test_no_gene_is_both_positive_and_negative_of_a_type():
    for cell_type in PACKAGED.types:
        for species in SPECIES:
            positive = {m.name for m in cell_type.positive.get(species, ())}
            negative = {m.name for m in cell_type.negative.get(species, ())}
            assert not positive & negative, cell_type.name


def test_a_descendant_is_never_defined_by_what_speaks_against_its_ancestor():
    for cell_type in PACKAGED.types:
        for species in SPECIES:
            defining = {m.name for m in cell_type.positive.get(species, ()) if m.tier == 3}
            for ancestor in PACKAGED.ancestors[cell_type.name]:
                against = {m.name for m in PACKAGED.by_name[ancestor].negative.get(species, ())}
                assert not defining & against, (cell_type.name, ancestor)


def test_cell_cycle_genes_are_no_evidence_of_identity():
    cycling = PACKAGED.by_name["Cycling"]
    for species in SPECIES:
        cycle = {m.name for m in cycling.positive[species]}
        for cell_type in PACKAGED.types:
            if cell_type is not cycling:
                listed = {m.name for m in cell_type.positive.get(species, ())}
                assert not listed & cycle, cell_type.name


def test_siblings_are_not_the_same():
    for species in SPECIES:
        seen = collections.Counter(
            frozenset(m.name for m in t.positive[species])
            for t in PACKAGED.types
            if t.positive.get(species)
        )
        assert max(seen.values()) == 1


def test_symbols_are_written_as_in_their_species():
    human = {m.name for t in PACKAGED.types for m in t.positive.get("human", ())}
    mouse = {m.name for t in PACKAGED.types for m in t.positive.get("mouse", ())}
    assert all(re.fullmatch(r"[A-Z0-9-]+|C\d+orf\d+", g) for g in human)
    # Factors of complement and clotting, MHC genes, H19 and T (brachyury) have no small letter.
    bare = {g for g in mouse if not re.search(r"[a-z]", g)}
    assert all(re.fullmatch(r"[CF]\d+|H2-M2|H19|T", g) for g in bare)
    assert {"Cd8b1", "Klrb1c", "H2-Aa", "Fcgr4", "Siglech", "Ly6c2", "Ncr1"} <= mouse
    assert not {"Gnly", "Lilra4", "Clec4c", "Fcgr3a", "Hla-dra", "Cd8b"} & mouse


def test_old_symbols_lead_to_the_current_one():
    names = PACKAGED.names_of_genes("human")
    assert names["SDPR"] == names["CAVIN2"] == "CAVIN2"
    assert names["HIST1H2AC"] == "H2AC6"


def test_ids_symbols_and_hierarchy_agree_with_the_packaged_tables():
    done = subprocess.run(
        [sys.executable, "scripts/check_knowledge.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "inst/python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---- relations


def test_relations_over_several_parents():
    assert PACKAGED.related("Naive CD8 T cell", "Naive T cell")
    assert PACKAGED.related("Naive CD8 T cell", "CD8 T cell")
    assert not PACKAGED.related("Naive T cell", "CD8 T cell")
    assert PACKAGED.common_ancestor("Naive CD4 T cell", "Naive CD8 T cell") == "Naive T cell"
    assert PACKAGED.common_ancestor("CD4 T cell", "NK cell") == "T or NK cell"
    assert PACKAGED.common_ancestor("T cell", "B cell") == "Lymphocyte"
    assert PACKAGED.common_ancestor("B cell", "Hepatocyte") is None


@given(st.sampled_from(sorted(PACKAGED.by_name)), st.sampled_from(sorted(PACKAGED.by_name)))
def test_common_ancestor_holds_both_and_is_symmetric(one, other):
    found = PACKAGED.common_ancestor(one, other)
    assert found == PACKAGED.common_ancestor(other, one)
    if found is not None:
        assert PACKAGED.related(found, one)
        assert PACKAGED.related(found, other)
    if one == other:
        assert found == one


def test_restriction_to_a_tissue_keeps_what_is_everywhere_and_all_ancestors():
    lung = PACKAGED.restricted_to("Lung")
    assert "Alveolar macrophage" in lung.by_name
    assert "T cell" in lung.by_name
    assert "Hepatocyte" not in lung.by_name
    with pytest.raises(KnowledgeError, match="atlantis") as caught:
        PACKAGED.restricted_to("atlantis")
    assert "lung" in caught.value.hint


def test_merging_replaces_types_of_the_same_name():
    markers = (Marker(("MS4A1",), 3), Marker(("PAX5",)))
    own = CellType("B cell", parents=("B lineage cell",), positive={"human": markers})
    merged = PACKAGED.merged_with((own,))
    assert len(merged.types) == len(PACKAGED.types)
    assert [m.name for m in merged.by_name["B cell"].positive["human"]] == ["MS4A1", "PAX5"]
    assert merged.digest != PACKAGED.digest


def test_the_digest_does_not_depend_on_the_order_of_rows():
    assert Knowledge(PACKAGED.types[::-1]).digest == PACKAGED.digest


def test_unknown_parents_and_circles_are_errors():
    with pytest.raises(KnowledgeError, match='parent "T cel"') as caught:
        Knowledge((CellType("T cell"), CellType("Treg", parents=("T cel",))))
    assert '"T cell"' in caught.value.hint
    circle = (CellType("A", parents=("B",)), CellType("B", parents=("A",)))
    with pytest.raises(KnowledgeError, match="its own ancestor"):
        Knowledge(circle)


def test_a_gene_name_with_two_meanings_is_an_error():
    def listing(name, *symbols):
        return CellType(name, positive={"human": (Marker(symbols),)})

    with pytest.raises(KnowledgeError, match='"OLD"'):
        Knowledge((listing("A", "ONE", "OLD"), listing("B", "TWO", "OLD")))
    with pytest.raises(KnowledgeError, match='"OLD"'):
        Knowledge((listing("A", "ONE", "OLD"), listing("B", "OLD", "TWO")))


# ---- sources


def test_each_source_is_of_a_type_and_has_a_doi_that_is_no_study_of_the_benchmark():
    rows = dict(check_knowledge.sources())
    assert len(rows) > 60
    assert check_knowledge.problems_of_sources(PACKAGED, list(rows.items())) == []
    given = [
        ("No such cell", "A 2020, doi:10.1000/x"),
        ("T cell", "A 2020"),
        ("B cell", "A 2020, doi:10.1000/x; B 2021"),
        ("NK cell", "Tabula Muris 2018, doi:10.1038/s41586-018-0590-4"),
        ("Mast cell", "A 2020, doi:10.1000/x"),
        ("Mast cell", "A 2020, doi:10.1000/x"),
    ]
    found = check_knowledge.problems_of_sources(PACKAGED, given)
    assert [line.partition(":")[0] for line in found] == [
        "Mast cell", "No such cell", "T cell", "B cell", "NK cell"
    ]  # fmt: skip


def test_a_marker_that_is_named_like_a_transcription_factor_must_be_in_their_table():
    found = check_knowledge.problems_of_factors({"SOX10", "SOX30", "BCL2", "CD19"}, {"SOX10"})
    assert [line.partition(":")[0] for line in found] == ["SOX30"]


@pytest.mark.parametrize(
    ("tissue", "types"),
    [
        ("large intestine", {"Colon crypt stem cell", "Early colonocyte", "Late colonocyte"}),
        ("kidney", {"Peritubular capillary endothelial cell", "Nephron progenitor cell"}),
        ("adipose tissue", {"Preadipocyte"}),
        ("joint", {"Lining synovial fibroblast", "Sublining synovial fibroblast"}),
        ("ear", {"Cochlear outer hair cell", "Strial marginal cell"}),
    ],
)
def test_the_types_of_a_tissue_are_listed(tissue, types):
    assert types <= set(known_cell_types(tissue).cell_type)
    assert not types & set(known_cell_types("blood").cell_type)
