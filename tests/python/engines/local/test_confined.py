"""A stated tissue: types of others are weighed against those of this one, and none is shut out."""

import pytest

import cellferry
from cellferry.engines.local.confined import of_the_tissue
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.engines.local.knowledge.tissues import expected, occurs, tissue_table, tissues_of

PACKAGED = packaged_knowledge()


def named(*types: str, n: int = 12) -> list[str]:
    """Return the first markers of types, one of each in turn."""
    lists = [[m.name for m in PACKAGED.by_name[t].positive["human"]][:n] for t in types]
    found = [g for several in zip(*lists, strict=False) for g in several]
    return list(dict.fromkeys(found))


def label(genes: list[str], tissue: str | None, **options: object) -> str:
    found = cellferry.annotate_clusters({"0": genes}, tissue=tissue, progress=False, **options)
    return str(found["0"].label)


@pytest.mark.parametrize("tissue", [t.name for t in tissue_table()])
def test_what_is_left_occurs_in_the_tissue_or_is_above_what_does(tissue):
    tissues = tissues_of(tissue)
    left = of_the_tissue(PACKAGED, tissues)
    below = {a for t in left.types for a in left.ancestors[t.name]}
    assert all(occurs(t.tissues, tissues) or t.name in below for t in left.types)
    gone = {t.name for t in PACKAGED.types} - left.by_name.keys()
    assert not any(occurs(PACKAGED.by_name[name].tissues, tissues) for name in gone)
    assert {"T cell", "Fibroblast", "Endothelial cell"} <= left.by_name.keys()


def test_a_kind_of_another_tissue_is_what_occurs_here():
    genes = named("Plasmablast", "Antibody-secreting cell")
    assert label(genes, None) == "Plasmablast"
    assert label(genes, "lung") == "Antibody-secreting cell"
    assert label(genes, "blood") == "Plasmablast"


@pytest.mark.parametrize(
    ("shown", "tissue"),
    [("Hepatocyte", "blood"), ("Podocyte", "colon"), ("Colonocyte", "blood"), ("Neuron", "liver")],
)
def test_what_nobody_expected_is_still_named(shown, tissue):
    found = label(named(shown), tissue)
    assert shown in {found, *PACKAGED.ancestors[found]}


def test_a_users_type_is_asked_for_wherever_it_is():
    own = {
        "name": ["My cell"], "positive": ["AMELX*3 AMBN*3 ENAM*3 AMTN*2 ODAM*2 KLK4*2"],
        "tissue": ["lung"],
    }  # fmt: skip
    genes = ["AMELX", "AMBN", "ENAM", "AMTN", "ODAM", "KLK4"]
    assert label(genes, "blood", knowledge=own) == "My cell"


def test_a_stated_tissue_changes_no_answer_that_occurs_there():
    types = ("Naive B cell", "Classical monocyte", "Regulatory T cell", "NK cell", "Platelet")
    table = {name: named(name) for name in types}
    plain = cellferry.annotate_clusters(table, progress=False)
    stated = cellferry.annotate_clusters(table, tissue="blood", progress=False)
    assert [row.label for row in plain] == [row.label for row in stated]


def test_a_few_genes_of_a_type_of_elsewhere_are_what_it_is_a_kind_of():
    """They are too few for a tissue that does not have it: the answer was Unknown."""
    genes = ["RORC", "IL23R", "KIT"]
    assert label(genes, None) == "ILC3"
    (row,) = cellferry.annotate_clusters({"0": genes}, tissue="blood", progress=False)
    assert (row.label, row.detail) == ("Innate lymphoid cell", "ILC3")
    assert row.confidence == 0.55
    assert "ILC3 is suggested" in str(row.justification)


@pytest.mark.parametrize("tissue", ["blood", "kidney"])
def test_a_tissue_makes_of_a_type_of_elsewhere_nothing_unrelated(tissue):
    """A property over all types: Unknown only where nothing that it is a kind of occurs here."""
    tissues = tissues_of(tissue)
    elsewhere = [
        t for t in PACKAGED.types
        if t.kind == "type" and t.positive.get("human") and not expected(t.tissues, tissues)
    ]  # fmt: skip
    table = {t.name: named(t.name, n=4) for t in elsewhere}
    plain = cellferry.annotate_clusters(table, progress=False)
    stated = cellferry.annotate_clusters(table, tissue=tissue, progress=False)
    lost = []
    for one, two in zip(plain, stated, strict=True):
        above = PACKAGED.ancestors.get(str(one.label), {})
        here = [a for a in above if PACKAGED.by_name[a].kind != "compartment"]
        if two.label == "Unknown" and one.label != "Unknown" and here and not one.mixed:
            lost.append((one.cluster, one.label))
    assert not lost


def test_an_embryo_has_all_tissues():
    types = ("Hepatocyte", "Enteroendocrine cell", "Cardiac muscle cell", "Neuron", "Podocyte")
    table = {name: named(name) for name in types}
    plain = cellferry.annotate_clusters(table, progress=False)
    stated = cellferry.annotate_clusters(table, tissue="embryo", progress=False)
    assert [row.label for row in plain] == [row.label for row in stated]
