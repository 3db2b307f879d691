import numpy as np
import pytest

from cellferry.engines.local import Local
from cellferry.study.markers.table import Markers
from local_tables import KNOWLEDGE, answers, joined, listed, table, with_inherited

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


def test_of_a_mixture_the_part_in_more_cells_is_the_label():
    platelet = ["PPBP", "PF4", "TUBB1", "GP9", "ITGA2B", "GNG11", "TMEM40", "CAVIN2"]
    t_cell = ["CD3D", "CD3E", "CD3G", "TRAC", "CD2", "LCK", "CD247", "CD7"]
    for inside, label in (((0.25, 0.6), "T cell"), ((0.6, 0.25), "Platelet")):
        few, many = (
            table({"0": platelet}, 5, inside[0], 0.02),
            table({"0": t_cell}, 4, inside[1], 0.02),
        )
        both = Markers(
            clusters=("0",),
            cluster=np.concatenate([few.cluster, many.cluster]),
            gene=np.concatenate([few.gene, many.gene]),
            avg_log2fc=np.concatenate([few.avg_log2fc, many.avg_log2fc]),
            pct_1=np.concatenate([few.pct_1, many.pct_1]),
            pct_2=np.concatenate([few.pct_2, many.pct_2]),
        )
        found = answers(Local(), both)["0"]
        assert found.label == label
        assert set(found.mixed) == {"T cell", "Platelet"}


@pytest.mark.parametrize(
    ("one", "other"), [("T cell", "B cell"), ("Hepatocyte", "Neutrophil"), ("B cell", "Fibroblast")]
)
def test_a_second_lineage_in_a_fifth_of_the_cells_is_named(one, other):
    many = table({"0": listed(one)}, 3.0, 0.7, 0.1)
    few = table({"0": listed(other)}, 0.8, 0.18, 0.05, filler=0)
    found = answers(Local(), joined(many, few))["0"]
    assert len(found.mixed) == 2
    assert one in {found.label, *KNOWLEDGE.ancestors[found.label]}
    second = found.mixed[1]
    assert (
        second == other
        or other in KNOWLEDGE.ancestors[second]
        or second in KNOWLEDGE.ancestors[other]
    )


@pytest.mark.parametrize(
    "name", ["Plasmacytoid dendritic cell", "Plasmablast", "MAIT cell", "Mesothelial cell"]
)
def test_types_of_two_programmes_are_no_mixture(name):
    assert answers(Local(), table({"0": with_inherited(name)}))["0"].mixed == ()


@pytest.mark.parametrize("name", ["T cell", "Fibroblast", "Macrophage", "B cell"])
def test_cycling_cells_are_no_mixture(name):
    found = answers(Local(), table({"0": [*with_inherited(name), *listed("Cycling")]}))["0"]
    assert found.mixed == ()
    assert found.state == "Cycling"


@pytest.mark.parametrize(("more", "mixed"), [([], False), (["Cd3e", "Cd3d", "Cd3g"], True)])
def test_a_kind_of_t_cell_without_a_gene_of_t_cells_is_no_second_lineage(more, mixed):
    """Memory T cells are told from naive ones by genes that fibroblasts have as well."""
    own = listed("Fibroblast", "mouse")
    others = [g for g in [*listed("Memory CD4 T cell", "mouse"), *more] if g not in own]
    markers = joined(table({"0": own}), table({"0": others}, 1.0, 0.4, 0.1, filler=0))
    found = answers(Local(), markers, species="mouse")["0"]
    assert found.label == "Fibroblast"
    assert bool(found.mixed) is mixed


def test_a_second_lineage_of_another_tissue_is_what_it_is_a_kind_of():
    own = listed("Skeletal muscle fiber") + listed("Type II skeletal muscle fiber")
    aerocyte = table({"0": listed("Capillary aerocyte")}, 2.0, 0.5, 0.05, filler=0)
    vessel = table({"0": ["PECAM1", "CDH5"]}, 0.5, 0.2, 0.1, filler=0)
    markers = joined(table({"0": own}), aerocyte, vessel)
    anywhere = answers(Local(), markers)["0"].mixed
    assert "Capillary aerocyte" in anywhere
    in_muscle = answers(Local(), markers, tissue="skeletal muscle")["0"].mixed
    assert len(in_muscle) == 2
    assert "Capillary aerocyte" not in in_muscle
