"""Genes of another lineage that a type has itself."""

import re

import pytest

from cellferry.biology.gene_tables import known_symbols
from cellferry.engines.local import Local
from cellferry.engines.local.knowledge.shared import programmes
from cellferry.engines.local.knowledge.types import SPECIES
from local_tables import KNOWLEDGE, answers, joined, listed, table, with_inherited


def genes_shared_with(lineage, name="Pancreatic beta cell"):
    """What the line of a type, or of what it is a kind of, has of a lineage."""
    above = {name, *KNOWLEDGE.ancestors[name]}
    lines = [p for p in programmes("human") if p.lineage == lineage]
    (found,) = (p for p in lines if above & set(p.types))
    return sorted(found.genes)


@pytest.mark.parametrize(
    ("name", "lineage"),
    [
        ("Pancreatic beta cell", "Neuron"),
        ("Chromaffin cell", "Neuron"),
        ("Embryonic stem cell", "Epithelial cell"),
        ("Fibroblast", "Smooth muscle cell"),
        ("Myoepithelial cell", "Smooth muscle cell"),
        ("Ependymal cell", "Multiciliated cell"),
        ("Oligodendrocyte precursor cell", "Neuron"),
        ("Memory B cell", "Dendritic cell"),
    ],
)
def test_what_a_type_shares_with_a_lineage_is_no_mixture(name, lineage):
    strong = table({"0": listed(name)}, 3.0, 0.8, 0.1)
    weaker = [gene for gene in genes_shared_with(lineage, name) if gene not in strong.gene]
    found = answers(Local(), joined(strong, table({"0": weaker}, 1.0, 0.5, 0.1, filler=0)))["0"]
    assert found.mixed == ()
    assert name in {found.label, *KNOWLEDGE.ancestors[found.label]}


@pytest.mark.parametrize(
    ("name", "lineage"),
    [
        ("Pancreatic beta cell", "Neuron"),
        ("Fibroblast", "Smooth muscle cell"),
        ("Oligodendrocyte precursor cell", "Neuron"),
        ("B cell", "cDC2"),
    ],
)
def test_a_type_of_another_lineage_beside_it_is_named_by_its_other_genes(name, lineage):
    found = answers(Local(), table({"0": [*with_inherited(name), *with_inherited(lineage)]}))["0"]
    assert len(found.mixed) == 2
    assert any(lineage in {m, *KNOWLEDGE.ancestors[m]} for m in found.mixed)


def test_what_both_share_is_no_evidence_where_the_other_type_leads():
    """The line is of the endocrine cell: neurons with its genes are neurons all the same."""
    genes = [*with_inherited("Neuron"), *genes_shared_with("Neuron")]
    found = answers(Local(), table({"0": genes}))["0"]
    assert "Neuron" in {found.label, *KNOWLEDGE.ancestors[found.label]}
    assert found.mixed == ()


def test_programmes_name_types_and_genes_that_there_are_and_a_source():
    for species in SPECIES:
        assert programmes(species)
        for programme in programmes(species):
            assert {*programme.types, programme.lineage} <= KNOWLEDGE.by_name.keys()
            assert programme.genes <= known_symbols(species)
            assert re.search(r"doi:10\.\d{4,9}/\S+", programme.source)
