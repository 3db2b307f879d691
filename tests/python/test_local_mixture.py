from cellferry.engines.local import Local
from local_tables import answers, listed, table

T_CELL = listed("T cell", least_tier=2)
B_CELL = listed("B cell", least_tier=2)


def test_two_lineages_are_both_named():
    found = answers(Local(), table({"0": [*T_CELL, *B_CELL]}))["0"]
    assert len(found.mixed) == 2
    assert any("T" in name for name in found.mixed)
    assert any("B" in name for name in found.mixed)
    assert found.confidence < answers(Local(), table({"0": B_CELL}))["0"].confidence


def test_one_lineage_is_no_mixture():
    for genes in (T_CELL, B_CELL, listed("Classical monocyte") + listed("Monocyte")):
        assert answers(Local(), table({"0": genes}))["0"].mixed == ()


def test_relatives_are_no_mixture():
    found = answers(Local(), table({"0": [*T_CELL, *listed("CD8 T cell")]}))["0"]
    assert found.mixed == ()
