"""``cellferry.review``: what is built, what is refused before, and waiting."""

import importlib.util
import os
import signal
import threading
import time

import anndata
import numpy as np
import pytest

import cellferry
from cellferry._version import pip_install
from cellferry.annotate.review import prepared, process
from cellferry.annotate.review.build import KEPT_DAYS, build_review, clear_old
from cellferry.errors import DependencyError, InvalidOptionError, language
from cellferry.runs.reviews import ReviewFolder
from page_objects import labelled_cells
from review_pages import PageClient


@pytest.fixture(scope="module")
def cells():
    return labelled_cells(120, 3, 80)


@pytest.fixture
def adata(cells):
    return cells.copy()


def folder_of(adata, **options):
    with prepared(adata, **options) as build:
        return build_review(build)


def test_without_its_packages_nothing_is_built(adata, own_home, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "uvicorn" else real(name, *a)
    )
    with pytest.raises(DependencyError) as caught:
        cellferry.review(adata)
    assert caught.value.code == "dependency_missing"
    assert caught.value.message == "The live page needs uvicorn, which is not installed."
    assert pip_install("server") in caught.value.hint
    assert 'cellferry.annotation_report(adata, "report.html")' in caught.value.hint
    assert not own_home.exists()
    token = language.set("r")
    try:
        monkeypatch.delenv("RETICULATE_PYTHON", raising=False)
        with pytest.raises(DependencyError) as caught:
            cellferry.review(adata)
        monkeypatch.setenv("RETICULATE_PYTHON", "/own/python")
        with pytest.raises(DependencyError) as managed:
            cellferry.review(adata)
    finally:
        language.reset(token)
    assert "InstallBackend()" in caught.value.hint
    assert "-m pip install duckdb hdf5plugin pydantic starlette uvicorn" in managed.value.hint
    assert 'AnnotationReport(object, "report.html")' in caught.value.hint


def test_the_folder_is_of_all_that_is_shown(adata):
    first = folder_of(adata)
    assert folder_of(adata) == first
    other = adata.copy()
    other.obs["sample"] = "x"
    assert folder_of(other) != first
    other = adata.copy()
    other.obsm["X_umap"] = other.obsm["X_umap"] + 1
    assert folder_of(other) != first
    # What was decided is no other object.
    cellferry.set_labels(adata, {"0": "Plasma cell"})
    assert folder_of(adata) == first
    assert [d.label for d in first.decided()] == ["Plasma cell"]


def test_values_that_are_no_logarithms_are_not_shown(adata):
    adata.X = adata.layers["counts"]
    del adata.layers["counts"]
    folder = folder_of(adata)
    assert folder.vars_h5 is None
    assert folder.index()["genes"] is None
    assert folder.index()["cells"]["n"] == 120


def test_a_path_is_read_as_the_object_is(adata, tmp_path):
    adata.write_h5ad(tmp_path / "a.h5ad")
    of_path = folder_of(str(tmp_path / "a.h5ad"))
    assert of_path.index() == folder_of(anndata.read_h5ad(tmp_path / "a.h5ad")).index()


def test_hostile_names_are_kept_as_they_are(adata):
    hostile = "</script><script>alert(1)</script>"
    adata.obs[hostile] = ["=cmd()|'\u202e" if i % 2 else hostile for i in range(120)]
    adata.var_names = [hostile, "a\nb", *adata.var_names[2:]]
    index = folder_of(adata).index()
    column = next(c for c in index["cells"]["columns"] if c["name"] == hostile)
    assert set(column["levels"]) == {hostile, "=cmd()|'\u202e"}
    assert folder_of(adata).block("genes").read_text().split("\n")[:2] == [hostile, "a b"]


def test_no_embedding_and_missing_places(adata):
    for name in list(adata.obsm):
        del adata.obsm[name]
    assert folder_of(adata).index()["cells"]["embeddings"] == []
    adata.obsm["X_umap"] = np.full((120, 2), np.nan)
    adata.obsm["X_umap"][:100] = 1.0
    (one,) = folder_of(adata).index()["cells"]["embeddings"]
    assert one == {"name": "X_umap", "spatial": False, "missing": 20}


def test_old_folders_keep_what_was_decided(adata, own_home):
    folder = folder_of(adata)
    folder.decisions.write_text("")
    old = time.time() - (KEPT_DAYS + 1) * 86_400
    os.utime(folder.file("review.json"), (old, old))
    clear_old(own_home / "reviews")
    assert folder.decisions.exists()
    assert not folder.is_there
    assert not folder.file("vars.h5").exists()
    assert folder_of(adata).is_there
    assert folder.decisions.exists()


def test_nothing_decided_changes_nothing(adata):
    folder = folder_of(adata)
    before = adata.obs.copy()
    cellferry.apply_decisions(adata, folder.path)
    assert adata.obs.equals(before)


@pytest.mark.process
def test_waiting_ends_with_done_and_labels_the_object(adata, own_home):
    def decide():
        pages = []
        while not (pages := list(own_home.glob("reviews/*/waiting.json"))):
            time.sleep(0.05)
        served = process.served(ReviewFolder(pages[0].parent))
        client = PageClient(served.address)
        assert client.index()["live"]["done"] is True
        client.decide(cluster="1", decision="relabelled", label="Kupffer cell")
        client.json("data/done", {})

    person = threading.Thread(target=decide)
    person.start()
    page = cellferry.review(adata, wait=True, open_browser=False, progress=False)
    person.join()
    inside = (adata.obs["leiden"] == "1").to_numpy()
    assert set(adata.obs["cell_type"][inside]) == {"Kupffer cell"}
    assert not list(own_home.glob("reviews/*/waiting.json"))
    page.stop()
    assert repr(page).endswith("the page has ended>\ncellferry.apply_decisions(adata, review)")


def test_a_path_can_not_be_waited_for(tmp_path):
    with pytest.raises(InvalidOptionError, match="a path is none"):
        cellferry.review(tmp_path / "a.h5ad", wait=True)


@pytest.mark.process
def test_an_interrupt_ends_the_waiting_only(adata, own_home):
    before = adata.obs.copy()

    def interrupt():
        while not list(own_home.glob("reviews/*/waiting.json")):
            time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    person = threading.Thread(target=interrupt)
    person.start()
    page = cellferry.review(adata, wait=True, open_browser=False, progress=False)
    person.join()
    assert page.alive
    assert adata.obs.equals(before)
    assert not list(own_home.glob("reviews/*/waiting.json"))
    page.stop()
