"""Linings on a basement membrane, and others that share most of their genes."""

import pytest

from cellferry.engines.local import Local
from local_tables import KNOWLEDGE, answers, listed, table

BASAL = ["KRT5", "TP63", "KRT15", "KRT17", "DST", "S100A2", "LAMB3", "ITGA6", "BCAM"]
OTHERS = {
    "b": listed("B cell"),
    "mono": listed("Classical monocyte"),
    "fibro": listed("Fibroblast"),
}
KINDS = {
    "Airway basal cell": ["ALDH3A1", "ADH7", "AQP3", "SERPINB3", "SERPINB4", "GPX2", "FMO2", "F3"],
    "Basal keratinocyte": ["KRT14", "COL17A1", "POSTN", "ITGB4", "ASS1", "COL7A1", "DSC3"],
    "Prostate basal cell": ["KRT14", "DLK2", "NOTCH4", "SLC14A1", "NTN4", "DKK3"],
}


def answer(genes, **options):
    return answers(Local(), table({"0": genes, **OTHERS}), species="human", **options)["0"]


def test_what_basal_cells_share_is_a_basal_cell():
    assert answer(BASAL).label == "Basal cell"


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_named_by_what_the_others_lack(name):
    assert answer([*BASAL, *KINDS[name]]).label == name


def test_keratins_of_simple_linings_are_no_skin():
    found = answer([*BASAL, *KINDS["Airway basal cell"], "KRT7", "KRT8", "KRT18", "KRT19", "AGR2"])
    assert found.label == "Airway basal cell"


def test_myoepithelium_is_no_smooth_muscle():
    contractile = ["ACTA2", "TAGLN", "MYLK", "CNN1", "ACTG2", "MYL9", "TPM2", "MYH11", "SYNM"]
    found = answer([*contractile, "KRT5", "KRT14", "KRT17", "DST", "TP63", "LAMA3", "COL17A1"])
    assert "Myoepithelial cell" in {found.label, *KNOWLEDGE.ancestors[found.label]}
    assert found.mixed == ()
    assert "uscle" in answer(contractile).label


def test_cilia_without_more_are_of_no_organ():
    cilia = listed("Multiciliated cell", least_tier=2)
    assert answer(cilia).label == "Multiciliated cell"
    airway = [*cilia, "GSTA1", "GSTA2", "CYP4B1", "LYPD2", "MUC15"]
    assert answer(airway).label == "Respiratory multiciliated cell"
    uterus = [*cilia, "PAX8", "ESR1", "PGR", "MSX1", "HOXA11"]
    assert answer(uterus).label == "Endometrial multiciliated cell"


def test_acini_of_saliva_are_no_plasma_cells():
    made = ["XBP1", "SEC11C", "FKBP11", "CREB3L1", "NUCB2", "BHLHA15", "DERL3", "SSR4"]
    assert answer([*made, "PIP", "LPO", "PRR4", "ZG16B", "SMR3B"]).label == "Salivary acinar cell"
