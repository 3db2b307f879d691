"""The engine ``azimuth``: the documented format of panhumanpy, which cannot be installed here."""

import numpy as np
import pandas as pd
import pytest

import panhumanpy_like
from cellferry import annotate_cells, annotate_clusters, errors
from cellferry.engines import engine_records
from cellferry.engines.azimuth import Azimuth
from cellferry.engines.azimuth.answer import called
from cellferry.engines.contract import EngineContract, example_cells
from paths import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning")


@pytest.fixture
def installed(monkeypatch):
    panhumanpy_like.installed(monkeypatch)


class TestContract(EngineContract):
    level = "cells"

    @pytest.fixture(autouse=True)
    def _installed(self, installed):
        pass

    def engine(self, **options):
        return Azimuth(**options)


def table(name):
    found = pd.read_csv(
        ROOT / "tests" / "fixtures" / "azimuth" / name, index_col="cell", keep_default_na=False
    )
    return found, list(found.index)


def test_the_documented_table_is_read():
    meta, cells = table("v1.csv")
    found = called(meta, cells, "fine")
    assert found.labels.tolist() == [
        "Naive B cell", "CD4 T cell", "B cell", "Hepatocyte", "Monocyte", "Monocyte",
    ]  # fmt: skip
    # The third contradicts itself by its flag, the fourth by its levels; the fifth has no label.
    assert found.contradictory.tolist() == [False, False, True, True, False, False]
    assert found.unknown.tolist() == [False, False, True, True, True, False]
    assert found.confidence.tolist() == [0.94, 0.81, 0.42, 0.77, 0.66, 0.91]
    assert called(meta, cells, "broad").labels.tolist() == ["Immune cell"] * 6
    assert called(meta, cells, "final").unknown.tolist() == [False, False, True, True, False, False]


def test_the_table_of_the_version_before_has_its_own_names():
    meta, cells = table("v0.csv")
    assert called(meta, cells, "final").confidence.tolist() == [0.94, 0.81]
    assert called(meta, cells, "broad").labels.tolist() == ["Immune cell", "Immune cell"]
    with pytest.raises(errors.ServiceAnswerError, match="has no column azimuth_fine; it is of ano"):
        called(meta, cells, "fine")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda meta: meta.iloc[::-1], "does not have the cells"),
        (lambda meta: meta.iloc[:-1], "does not have the cells"),
        (lambda meta: meta.drop(columns="full_consistent_hierarchy"), "has no column full_con"),
        (lambda meta: meta.assign(final_level_confidence=87.0), "are no probabilities"),
    ],
)
def test_another_table_is_refused(change, said):
    meta, cells = table("v1.csv")
    with pytest.raises(errors.ServiceAnswerError, match=said):
        called(change(meta), cells, "fine")


def test_cells_and_clusters_are_labelled(installed, capsys):
    found = annotate_cells(example_cells(), engine="azimuth", group_key="cluster", progress=False)
    assert found.counts() == {"ok": 59, "skipped": 1}
    assert found.ontology_id("B cell") == "CL:0000236"
    assert found.confidence_kind == "stated"
    assert found.provenance["contradictory"] == 0
    most = annotate_clusters(
        example_cells(), engine="azimuth", group_key="cluster", refinement="broad", progress=False
    )
    assert set(most.labels().values()) == {"Immune cell"}
    assert "Query object" not in capsys.readouterr().out


def test_mouse_and_what_is_said_to_be_mouse_are_refused_before_any_work(installed):
    mouse = example_cells()
    mouse.var_names = [name.capitalize() for name in mouse.var_names]
    with pytest.raises(errors.ModelError, match="model is of human, and the cells are of mouse"):
        annotate_cells(mouse, engine="azimuth", progress=False)
    with pytest.raises(errors.ModelError, match="the cells are of Mus musculus"):
        annotate_cells(example_cells(), engine="azimuth", species="Mus musculus", progress=False)
    with pytest.raises(errors.ModelError, match="the cells are of zebrafish"):
        annotate_cells(example_cells(), engine="azimuth", species="zebrafish", progress=False)
    assert panhumanpy_like.AzimuthNN.asked == 0
    annotate_cells(example_cells(), engine="azimuth", species="Homo sapiens", progress=False)


def test_a_model_is_not_downloaded_unasked(installed, monkeypatch, tmp_path):
    monkeypatch.setattr("cellferry.engines.azimuth._version", lambda: "1.0.0")
    monkeypatch.setattr("cellferry.engines.azimuth.CACHE", tmp_path / "none")
    with pytest.raises(errors.EngineNeedsError, match="would be downloaded from Zenodo") as caught:
        annotate_cells(example_cells(), engine="azimuth", progress=False)
    assert caught.value.hint == "Allow that with `download=True`, once."
    assert panhumanpy_like.AzimuthNN.asked == 0
    Azimuth(download=True).prepare()


def test_what_it_raises_is_an_error_of_its_own(installed, monkeypatch):
    def fails(self):
        raise AssertionError("no panel")

    monkeypatch.setattr(panhumanpy_like.AzimuthNN, "azimuth_refine", fails)
    with pytest.raises(errors.ServiceAnswerError, match="panhumanpy stopped: AssertionError: no"):
        annotate_cells(example_cells(), engine="azimuth", progress=False)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "panhumanpy", None)
    monkeypatch.setattr("cellferry.engines.azimuth.find_spec", lambda _name: None)
    with pytest.raises(errors.DependencyError, match="needs the Python package panhumanpy") as c:
        annotate_cells(example_cells(), engine="azimuth", progress=False)
    assert c.value.hint == "pip install panhumanpy"


def test_the_list_of_engines_says_that_it_is_not_installed():
    (record,) = [r for r in engine_records() if r["engine"] == "azimuth"]
    assert "pip install panhumanpy" in record["problem"]
    assert not np.any([r["problem"] for r in engine_records() if r["engine"] == "local"])
