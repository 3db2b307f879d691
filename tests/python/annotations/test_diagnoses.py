import numpy as np
import pytest

from cell_data import answer
from cellferry.annotations.diagnoses import diagnose, warn_of
from cellferry.annotations.texts import TextLists
from cellferry.errors import CellsDiagnosisWarning
from cellferry.study.study import Clusters, Context, Study


def study(n, genes=("CD3D",), species="human"):
    return Study(
        Clusters((), np.full(n, -1, dtype=np.int32)), cells=tuple(f"cell-{i}" for i in range(n)),
        genes=tuple(genes), context=Context(species=species),
    )  # fmt: skip


def codes(labels, **columns):
    found = answer(labels, **columns)
    return {d.code: d for d in diagnose(found, study(len(labels)))}


def test_all_cells_of_one_type_points_to_the_gene_names():
    found = codes(["T cell"] * 39 + ["B cell"], evidence={"genes": {"genes": 50, "recognised": 2}})
    assert found["one_type"].numbers == {
        "share": 0.975, "label": "T cell", "genes": 50, "recognised": 2,
    }  # fmt: skip
    assert "2 of 50 gene names" in found["one_type"].cause
    assert codes(["T cell"] * 15 + ["B cell"] * 15) == {}


def test_low_confidence_everywhere_points_to_the_quality():
    quality = {"quality": {"flagged": {"doublets": 4, "empty droplets": 0}}}
    found = codes(["T cell", "B cell"] * 15, confidence=[0.1] * 30, evidence=quality)
    assert found["low_confidence"].numbers["median_confidence"] == pytest.approx(0.1)
    assert "4 doublets" in found["low_confidence"].cause
    assert "empty" not in found["low_confidence"].cause.split("Quality")[1]
    unknown = codes(["Unknown"] * 25 + ["T cell"] * 5)
    assert unknown["low_confidence"].numbers["unknown_share"] == pytest.approx(25 / 30, abs=1e-3)


def test_strange_markers_of_a_species_that_is_not_human():
    found = answer(["T cell", "B cell"] * 15, supporting=TextLists.of([["CD3D", "Cd3d"]] * 30))
    by_code = {d.code: d for d in diagnose(found, study(30, ["Cd3d"], "mouse"))}
    assert by_code["strange_markers"].numbers["share"] == pytest.approx(0.5)
    assert by_code["strange_markers"].numbers["examples"] == ["CD3D"]
    assert diagnose(found, study(30, ["CD3D"], "human")) == []
    assert diagnose(found, study(30, ["CD3D", "Cd3d"], "mouse")) == []


def test_few_cells_are_not_judged():
    assert codes(["T cell"] * 10) == {}


def test_findings_are_warnings():
    found = diagnose(answer(["T cell"] * 30), study(30))
    with pytest.warns(CellsDiagnosisWarning, match="100 % of the cells"):
        warn_of([d.to_dict() for d in found])
