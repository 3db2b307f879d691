"""The genes of a panel beside a marker table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cellferry
from cell_data import cells
from cellferry import errors
from cellferry.biology.gene_tables import known_symbols
from cellferry.engines import Local
from cellferry.engines.local.panel import check_listed, given_genes, measured_genes

BLOOD = {
    "0": ["CD3D", "CD3E", "TRAC", "IL7R", "CD40LG"],
    "1": ["CD79A", "MS4A1", "CD79B", "BANK1"],
    "2": ["LYZ", "CD14", "S100A8", "FCN1"],
}
LISTED = sorted({gene for genes in BLOOD.values() for gene in genes})
# Of the size of a real one; what it has besides is measured and silent.
PANEL = [*LISTED, *sorted(set(known_symbols("human")) - set(LISTED))[::70]]


def annotated(**options):
    return cellferry.annotate_clusters(BLOOD, engine=Local(**options), progress=False)


def states(found, cluster):
    return {g["gene"]: g["state"] for g in found.evidence[cluster]["expected"][0]["genes"]}


def test_what_the_panel_did_not_measure_is_no_silence():
    without, panel = annotated(), annotated(measured=PANEL)
    assert [row.label for row in without] == ["CD4 T cell", "B cell", "Monocyte"]
    # CD8A and CD8B are not in the panel, so that nobody knows whether they are silent.
    assert [row.label for row in panel] == ["T cell", "B cell", "Monocyte"]
    with_cd8 = annotated(measured=[*PANEL, "CD8A", "CD8B"])
    assert [row.label for row in with_cd8] == [row.label for row in without]
    assert "not measured" not in states(without, "1").values()
    said = states(panel, "1")
    assert said["CD79A"] == "found"
    assert {s for g, s in said.items() if g not in PANEL} == {"not measured"}
    # The same genes, measured and not named, are silent.
    silent = annotated(measured=[*PANEL, *said])
    assert {s for g, s in states(silent, "1").items() if g not in PANEL} == {"silent"}


@pytest.mark.parametrize(
    "text",
    ["\n".join(PANEL), "gene\n" + "\n".join(PANEL) + "\n\n", "Gene,Ensembl\n" + ",x\n".join(PANEL)],
)
def test_a_file_is_its_names(tmp_path, text):
    path = tmp_path / "panel.csv"
    path.write_text(text, encoding="utf-8")
    assert sorted(measured_genes(given_genes(path), None, None)) == sorted(PANEL)
    assert annotated(measured=path).to_json() != annotated().to_json()


@settings(max_examples=10, deadline=None)
@given(st.permutations(PANEL))
def test_the_order_of_the_panel_does_not_count(order):
    assert list(annotated(measured=order)) == list(annotated(measured=PANEL))


def test_the_panel_says_more_than_the_object():
    assert measured_genes(None, ("A", "B"), None) == ("A", "B")
    assert measured_genes(("CD3D",), ("A", "B"), None) == ("CD3D",)
    assert measured_genes(None, None, None) is None


def test_identifiers_are_read_as_symbols():
    ids = ("ENSG00000167286", "ENSG00000105369")
    assert measured_genes(ids, None, "human") == ("CD3D", "CD79A")


@pytest.mark.parametrize("given_", [[], 3, np.float64(1)])
def test_no_names_are_refused(given_):
    with pytest.raises(errors.InvalidOptionError, match="`measured` has no names"):
        Local(measured=given_)


def test_a_path_is_refused_before_any_work(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("gene\n", encoding="utf-8")
    with pytest.raises(errors.InvalidOptionError, match="no gene is in it"):
        Local(measured=empty)
    with pytest.raises(errors.InvalidOptionError, match="cannot be read"):
        Local(measured=tmp_path / "absent.txt")
    empty.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(errors.InvalidOptionError, match="is no text"):
        Local(measured=str(empty))


def test_another_panel_is_refused():
    message = (
        r"`measured` has 1 of the 13 genes of the marker table: \"BANK1\", \"CD14\", \"CD3D\" .* "
        r"are not among its 2\."
    )
    with pytest.raises(errors.InvalidOptionError, match=message):
        annotated(measured=["LYZ", "EPCAM"])
    check_listed(PANEL, LISTED)


def test_an_object_may_have_other_genes_than_the_table():
    study = cells(30)
    found = cellferry.annotate_clusters(study, BLOOD, group_key="leiden", progress=False)
    assert len(found) == len(BLOOD)
