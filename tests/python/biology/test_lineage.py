"""The table of levels over the Cell Ontology: its rows are true, its levels agree."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise

import pytest

from cellferry.annotations.palette import PALETTE
from cellferry.biology.lineage import LEVELS, levels_of, named, place_of, row_of, rows
from cellferry.biology.ontology import cell_ontology

ONTOLOGY = cell_ontology()
IN_USE = [term.id for term in ONTOLOGY.terms.values() if not term.obsolete]


def test_rows_have_the_labels_of_the_ontology():
    text = (resources.files("cellferry") / "data" / "cell_type_levels.tsv").read_text("utf-8")
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    assert lines[0] == ["level", "ontology_id", "ontology_label", "label", "colour", "through"]
    assert all(ONTOLOGY[line[1]].label == line[2] for line in lines[1:])
    assert len(rows()) == len(lines) - 1


def test_a_label_stands_for_one_term():
    labels = {(row.id, row.label) for row in rows()}
    assert len({label for _, label in labels}) == len({term for term, _ in labels}) == len(labels)
    assert all(not ONTOLOGY[row.id].obsolete for row in rows())
    assert all(0 <= row.colour < len(PALETTE) for row in rows())


def test_only_kinds_of_a_term_lead_to_it():
    assert all(ONTOLOGY.is_a(row.through, row.id) for row in rows())


def test_levels_never_contradict_each_other():
    """Fine is the term or broader, medium is fine or broader, broad is medium or broader."""
    for term in IN_USE:
        chain = [*levels_of(term), term]
        assert all(ONTOLOGY.is_a(finer, broader) for broader, finer in pairwise(chain)), chain


def test_what_stands_at_a_level_is_of_the_table_or_the_term_itself():
    known = {(row.level, row.id) for row in rows()}
    for term in IN_USE:
        at = dict(zip(LEVELS, levels_of(term), strict=True))
        assert all((level, found) in known or found == term for level, found in at.items())


def test_levels_of_a_level_are_itself():
    """What a term has at a level has the same there, so columns do not drift."""
    for term in IN_USE:
        for i, found in enumerate(levels_of(term)):
            assert levels_of(found)[: i + 1] == levels_of(term)[: i + 1]


USUAL = """
T cell | Leukocyte | T cell | T cell
CD4 T cell | Leukocyte | T cell | CD4 T cell
Naive CD4 T cell | Leukocyte | T cell | Naive CD4 T cell
CD4 central memory T cell | Leukocyte | T cell | CD4 central memory T cell
Regulatory T cell | Leukocyte | T cell | Regulatory T cell
T-helper 17 cell | Leukocyte | T cell | CD4 T cell
CD8 effector memory T cell | Leukocyte | T cell | CD8 effector memory T cell
MAIT cell | Leukocyte | T cell | MAIT cell
Gamma-delta T cell | Leukocyte | T cell | Gamma-delta T cell
NK cell | Leukocyte | NK cell | NK cell
CD56-bright NK cell | Leukocyte | NK cell | CD56-bright NK cell
ILC2 | Leukocyte | Innate lymphoid cell | -
B cell | Leukocyte | B cell | B cell
Naive B cell | Leukocyte | B cell | Naive B cell
Plasma cell | Leukocyte | Antibody-secreting cell | Plasma cell
Monocyte | Leukocyte | Monocyte | Monocyte
Classical monocyte | Leukocyte | Monocyte | Classical monocyte
Macrophage | Leukocyte | Macrophage | Macrophage
Kupffer cell | Leukocyte | Macrophage | Kupffer cell
Microglial cell | Leukocyte | Microglial cell | -
cDC1 | Leukocyte | Dendritic cell | Conventional dendritic cell
Plasmacytoid dendritic cell | Leukocyte | Dendritic cell | Plasmacytoid dendritic cell
Neutrophil | Leukocyte | Neutrophil | -
Mast cell | Leukocyte | Mast cell | -
Lymphocyte | Leukocyte | - | -
Platelet | Hematopoietic cell | Platelet | -
Erythrocyte | Hematopoietic cell | Erythroid lineage cell | Erythrocyte
Megakaryocyte | Hematopoietic cell | Megakaryocyte | -
Hematopoietic stem cell|Hematopoietic cell|Hematopoietic precursor cell|Hematopoietic stem cell
Fibroblast | Connective tissue cell | Fibroblast | -
Hepatic stellate cell | Connective tissue cell | Fibroblast | Hepatic stellate cell
Pericyte | Connective tissue cell | Pericyte | -
Adipocyte | Connective tissue cell | Adipocyte | -
Smooth muscle cell | Muscle cell | Smooth muscle cell | -
Cardiac muscle cell | Muscle cell | Cardiac muscle cell | -
Arterial endothelial cell | Endothelial cell | Vascular endothelial cell | Arterial endothelial cell
Lymphatic endothelial cell | Endothelial cell | Lymphatic endothelial cell | -
Hepatocyte | Epithelial cell | Hepatocyte | -
Pancreatic beta cell | Epithelial cell | Pancreatic endocrine cell | Pancreatic beta cell
Pancreatic delta cell | Epithelial cell | Pancreatic endocrine cell | Pancreatic delta cell
Enterocyte | Epithelial cell | Intestinal epithelial cell | Enterocyte
Podocyte | Epithelial cell | Kidney epithelial cell | Podocyte
Keratinocyte | Epithelial cell | Keratinocyte | -
Astrocyte | Neural cell | Astrocyte | -
Ependymal cell | Neural cell | Ependymal cell | -
GABAergic neuron | Neural cell | Neuron | GABAergic neuron
Parvalbumin interneuron | Neural cell | Neuron | Parvalbumin interneuron
Melanocyte | Pigment cell | Melanocyte | -
Spermatid | Germ line cell | Male germ cell | Spermatid
"""


@pytest.mark.parametrize("line", USUAL.strip().splitlines())
def test_usual_types_stand_where_people_look_for_them(line):
    from cellferry.engines.local.knowledge.known import cell_type_records

    ids = {r["cell_type"]: r["ontology_id"] for r in cell_type_records()}
    name, *expected = (part.strip() for part in line.split("|"))
    term = ids.get(name) or named(name)
    at = levels_of(term)
    found = [
        "-" if want == "-" and level == term else row_of(level).label
        for want, level in zip(expected, at, strict=True)
    ]
    assert found == expected


def test_rows_are_called_as_the_embedded_engine_calls_them():
    from cellferry.engines.local.knowledge.known import cell_type_records

    names: dict[str, set[str]] = {}
    for record in cell_type_records():
        names.setdefault(record["ontology_id"], set()).add(record["cell_type"])
    other = {row.label for row in rows() if row.label not in names.get(row.id, {row.label})}
    assert other == set()


def test_related_types_are_beside_each_other():
    broad = {row.id for row in rows() if row.level == "broad"}
    order = [levels_of(term)[0] for term in sorted(IN_USE, key=place_of)]
    compartments = [term for term in order if term in broad]
    assert 1 + sum(a != b for a, b in pairwise(compartments)) == len(broad)


def test_a_broader_type_is_before_its_kinds():
    lymphocyte, t_cell, b_cell, plasma = "CL:0000542", "CL:0000084", "CL:0000236", "CL:0000786"
    phagocyte, monocyte = "CL:0000113", "CL:0000576"
    order = [lymphocyte, t_cell, plasma, b_cell, phagocyte, monocyte]
    assert [place_of(term) for term in order] == sorted(map(place_of, order))


@pytest.mark.parametrize(
    ("text", "term"),
    [("CD4 T cells", "CL:0000624"), ("nk cell", "CL:0000623"), ("Cluster 7", None), ("", None)],
)
def test_names_are_found_as_people_write_them(text, term):
    assert named(text) == term
