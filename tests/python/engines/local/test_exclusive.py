"""T cells with NK cells: of one lineage here, and no cell is both."""

import re

import pytest

from cellferry.biology.gene_tables import known_symbols
from cellferry.engines.local import Local
from cellferry.engines.local.decision.exclusive import pairs
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.engines.local.knowledge.types import SPECIES
from local_tables import answers, table

NK = ["KLRF1", "NCAM1", "GNLY", "KLRD1", "NKG7", "PRF1", "SH2D1B", "NCR1", "FCER1G", "TYROBP"]
CYTOTOXIC = ["CD8A", "CD8B", "GZMH", "GZMB", "PRF1", "NKG7", "FGFBP2", "CCL5", "GNLY", "KLRD1"]
CD3 = ["CD3D", "CD3E", "CD3G", "TRAC", "CD2", "CD6", "CD5"]


@pytest.mark.parametrize("first", [[*CD3, *NK], [*NK, *CD3], [*NK, *CYTOTOXIC, *CD3[:2]]])
def test_t_cells_with_nk_cells_are_both_named(first):
    found = answers(Local(), table({"0": first}))["0"]
    assert len(found.mixed) == 2
    kinds = packaged_knowledge().ancestors
    named = [{name, *kinds[name]} for name in found.mixed]
    assert any("NK cell" in names for names in named)
    assert any("T cell" in names for names in named)


@pytest.mark.parametrize(
    "genes",
    [
        NK,
        [*CD3, *CYTOTOXIC],
        [*NK, "CD3E"],
        [*CD3, *CYTOTOXIC, "FCER1G"],
        ["TRDC", "TRGC1", "TRGC2", "TRDV2", "TRGV9", *CD3, "KLRD1", "FCER1G", "TYROBP", "GNLY"],
    ],
)
def test_what_has_few_genes_of_the_other_or_truly_has_both_is_not(genes):
    assert answers(Local(), table({"0": genes}))["0"].mixed == ()


def test_pairs_name_types_and_genes_that_there_are_and_a_source():
    knowledge = packaged_knowledge()
    for species in SPECIES:
        known = known_symbols(species)
        assert pairs(species)
        for pair in pairs(species):
            assert {pair.one, pair.other, *pair.of_both} <= knowledge.by_name.keys()
            assert {*pair.of_one, *pair.of_other} <= known
            assert not {*pair.of_one} & {*pair.of_other}
            for name, genes in ((pair.other, pair.of_one), (pair.one, pair.of_other)):
                listed = {m.name for m in knowledge.by_name[name].positive[species]}
                assert not listed & {*genes}
            assert re.search(r"doi:10\.\d{4,9}/\S+", pair.source)
