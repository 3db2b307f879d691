"""Levels of labels, and the order of labels."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.levels import level_columns, levels, lineage_order
from cellferry.biology.ontology import cell_ontology

LABELS = st.text(min_size=1, max_size=12)
TERMS = st.sampled_from([t.id for t in cell_ontology().terms.values()])


def texts(found):
    return [level.label for level in found]


def test_a_label_without_a_term_stands_itself():
    assert texts(levels("Cells of the third kind")) == ["Cells of the third kind"] * 3
    assert texts(levels("T cell")) == ["T cell"] * 3
    assert texts(levels("T cell", "CL:9999999")) == ["T cell"] * 3


def test_unknown_and_missing_stay_what_they_are():
    assert texts(levels("Unknown", None)) == ["Unknown"] * 3
    assert texts(levels("Unknown", "CL:0000084")) == ["Unknown"] * 3
    assert texts(levels(None, None)) == [None] * 3


def test_a_label_broader_than_a_level_stands_there_itself():
    assert texts(levels("Lymphocytes", "CL:0000542")) == ["Leukocyte", "Lymphocytes", "Lymphocytes"]
    assert texts(levels("Any cell", "CL:0000000")) == ["Any cell"] * 3


def test_one_term_has_one_name_at_a_level():
    """A label that is a level itself is called as the ancestors of others are."""
    assert texts(levels("Helper cells", "CL:0000624"))[2] == texts(levels("Th17", "CL:0000899"))[2]


def test_an_obsolete_term_is_its_replacement():
    ontology = cell_ontology()
    old = next(t for t in ontology.terms.values() if t.obsolete and ontology.current(t.id))
    assert (
        levels("x", old.id)[0].ontology_id == levels("x", ontology.current(old.id))[0].ontology_id
    )


@given(LABELS, st.none() | TERMS)
def test_a_level_is_the_label_or_broader(label, term):
    ontology = cell_ontology()
    current = term and ontology.current(term)
    for found in levels(label, term):
        if current is None or label == "Unknown":
            assert found.label == label
        elif found.label != label:
            assert ontology.is_a(current, found.ontology_id)


def test_columns_have_a_label_for_each_row():
    rows = (
        Annotation("0", "ok", label="cDC1", ontology_id="CL:0002394"),
        Annotation("1", "unknown", label="Unknown"),
        Annotation("2", "failed", error="No answer."),
    )
    assert level_columns(Annotations(rows)) == {
        "_broad": ["Leukocyte", "Unknown", None],
        "_medium": ["Dendritic cell", "Unknown", None],
        "_fine": ["Conventional dendritic cell", "Unknown", None],
    }


@given(st.lists(st.tuples(LABELS, st.none() | TERMS), max_size=12, unique_by=lambda x: x[0]))
def test_the_order_is_of_the_labels_alone(pairs):
    mixed = random.Random(0).sample(pairs, len(pairs))
    order = lineage_order([x for x, _ in pairs], [i for _, i in pairs])
    assert order == lineage_order([x for x, _ in mixed], [i for _, i in mixed])
    assert sorted(order) == sorted(x for x, _ in pairs)
    # Leaving some out leaves the others in their order.
    part = pairs[::2]
    kept = [x for x in order if x in {x for x, _ in part}]
    assert kept == lineage_order([x for x, _ in part], [i for _, i in part])


def test_the_order_is_by_lineage_then_name():
    labels = ["Unknown", "zeta", "Hepatocyte", "Naive B cell", "CD8 T cell", "B cell", "Alpha"]
    assert lineage_order(labels) == [
        "CD8 T cell", "B cell", "Naive B cell", "Hepatocyte", "Alpha", "zeta", "Unknown",
    ]  # fmt: skip
    assert lineage_order(["x", "y", None, "x"], ["CL:0000236", "CL:0000084", None, None]) == [
        "y",
        "x",
    ]
