"""Neurons, and cells on their way to one or to myelin, in lists without the well-known genes."""

import pytest

from cellferry.engines.local import Local
from local_tables import KNOWLEDGE, answers, listed, lists, table

OTHERS = {
    "astro": listed("Astrocyte"),
    "micro": listed("Microglial cell"),
    "vessel": listed("Endothelial cell"),
}
CHANNELS = [
    "KCNC2",
    "GRIK1",
    "CDH18",
    "THSD7B",
    "UNC5D",
    "GALNTL6",
    "TRPC5",
    "FSTL5",
    "RALYL",
    "SORCS3",
    "CNTNAP5",
    "GRM8",
]
SPINY = ["PPP1R1B", "RGS9", "GPR88", "PDE10A", "ADCY5", "GNAL", "RARB", "SCN4B", "MEIS2", "ANO3"]
PATHWAYS = {
    "Direct pathway medium spiny neuron": ["DRD1", "TAC1", "PDYN", "EBF1"],
    "Indirect pathway medium spiny neuron": ["DRD2", "ADORA2A", "PENK", "GPR6"],
}
YOUNG = [
    "ITPR2",
    "ENPP6",
    "TCF7L2",
    "BCAS1",
    "FYN",
    "TNS3",
    "MYRF",
    "NFASC",
    "SIRT2",
    "PLP1",
    "MBP",
    "CNP",
]


def answer(genes, **options):
    return answers(Local(), table({"0": genes, **OTHERS}), species="human", **options)["0"]


def test_a_list_of_channels_and_receptors_is_of_a_neuron():
    found = answers(Local(), lists({"0": CHANNELS, **OTHERS}), species="human")["0"]
    assert "Neuron" in {found.label, *KNOWLEDGE.ancestors[found.label]}


@pytest.mark.parametrize("name", PATHWAYS)
def test_a_spiny_neuron_is_named_by_its_receptor_and_peptide(name):
    assert answer([*PATHWAYS[name][:2], *SPINY]).label == name
    assert answer([*SPINY, *PATHWAYS[name]]).label == name


def test_a_spiny_neuron_with_both_receptors_is_of_no_pathway():
    both = [gene for genes in PATHWAYS.values() for gene in genes[:2]]
    assert answer([*SPINY, *both]).label == "Medium spiny neuron"


def test_an_oligodendrocyte_before_myelin_is_newly_formed():
    assert answer(YOUNG).label == "Newly formed oligodendrocyte"


def test_a_precursor_with_genes_of_the_next_step_is_still_one():
    found = answer([*listed("Oligodendrocyte precursor cell"), "BCAS1", "ENPP6"])
    assert found.label == "Oligodendrocyte precursor cell"


def test_endocrine_cells_of_gut_and_islets_are_told_apart_before_their_hormones():
    young = ["NEUROG3", "PAX4", "INSM1", "RFX6", "NKX2-2", "MFNG", "FEV"]
    gut = answer([*young, "HEPACAM2", "CDX2", "EPCAM", "VWA5B2"], tissue="intestine")
    islet = answer([*young, "GFRA3", "NEUROD1"], tissue="pancreas")
    assert (gut.label, islet.label) == ("Enteroendocrine cell", "Pancreatic endocrine progenitor")


def test_a_bud_of_a_limb_has_its_own_cells():
    bud = [
        "Prrx1",
        "Lhx9",
        "Shox2",
        "Msx1",
        "Tbx5",
        "Hoxd11",
        "Asb4",
        "Lix1",
        "Igdcc3",
        "Fgf10",
        "Hoxd9",
        "Crabp1",
    ]
    muscle = ["Pax3", "Lbx1", "Met", "Pitx2", "Six1", "Eya1", "Tcf15", "Pdgfc"]
    found = answers(Local(), table({"0": bud, "1": muscle}), species="mouse")
    assert (found["0"].label, found["1"].label) == (
        "Limb bud mesenchymal cell",
        "Muscle precursor cell",
    )
