"""With what an answer was made: in its record, its run, its page, its tables and its methods."""

import json
import platform
import re
import subprocess
from importlib import metadata

import anndata
import numpy as np
import pytest

import cellferry
from cellferry._version import __version__, called_from_r, of_a_child, software
from cellferry.runs.run import list_runs
from command import alone
from r_session import needs_rscript

MARKERS = {"a": ["CD79A", "MS4A1", "CD79B", "CD19"], "b": ["CD3D", "CD3E", "CD3G", "CD2"]}
OF_R = {"R": "4.2.2", "Seurat": "4.3.0", "SeuratObject": "4.1.3"}


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path / "home"))


def labelled():
    values = np.log1p(np.eye(2, 8, dtype="float32").repeat(4, axis=0) * 20)
    adata = anndata.AnnData(values)
    adata.var_names = MARKERS["a"] + MARKERS["b"]
    adata.obs["leiden"] = ["a"] * 4 + ["b"] * 4
    return adata


def test_the_record_and_the_run_say_python_and_what_it_has_loaded():
    adata = labelled()
    found = cellferry.annotate_clusters(adata, MARKERS, group_key="leiden", progress=False)
    versions = found.provenance["versions"]
    assert versions["cellferry"] == __version__
    assert versions["python"] == platform.python_version()
    for package in ("anndata", "numpy", "pandas", "scipy"):
        assert versions[package] == metadata.version(package)
    assert "R" not in versions
    kept = json.loads(adata.uns["cellferry"]["cell_type"])
    assert kept["provenance"]["versions"] == versions
    (run,) = list_runs()
    assert run.content["versions"] == versions


def test_where_r_calls_it_is_said_and_a_child_is_forgotten_when_it_ends():
    with of_a_child():
        called_from_r({**OF_R, "SingleCellExperiment": None})
        found = cellferry.annotate_clusters(MARKERS, progress=False)
        assert software().items() >= OF_R.items()
        assert "SingleCellExperiment" not in software()
    assert found.provenance["versions"].items() >= OF_R.items()
    assert "R" not in software()


def test_page_table_and_methods_show_them(tmp_path):
    adata = labelled()
    with of_a_child():
        called_from_r(OF_R)
        found = cellferry.annotate_clusters(adata, MARKERS, group_key="leiden", progress=False)
    text = cellferry.methods_text(found)
    assert f"cellferry {__version__}" in text
    said = re.search(r"It ran with Python (\S+) \((.*)\) and R 4\.2\.2 \((.*)\)\.$", text)
    assert said[1] == platform.python_version()
    assert f"numpy {metadata.version('numpy')}" in said[2]
    assert said[3] == "Seurat 4.3.0, SeuratObject 4.1.3"

    page = tmp_path / "report.html"
    cellferry.annotation_report(adata, page, progress=False)
    html = page.read_text(encoding="utf-8")
    for name, version in {**OF_R, "python": platform.python_version()}.items():
        row = rf'<th scope="row">versions\.{name}</th><td>{re.escape(version)}</td>'
        assert re.search(row, html)

    import openpyxl

    table = tmp_path / "labels.xlsx"
    cellferry.write_annotations(adata, table)
    rows = {row[0]: row[1] for row in openpyxl.load_workbook(table)["Provenance"].values}
    assert rows["versions.R"] == "4.2.2"
    assert rows["versions.python"] == platform.python_version()


def test_records_that_say_less_are_told_without(tmp_path):
    old = cellferry.Annotations(
        cellferry.annotate_clusters(MARKERS, progress=False).rows,
        provenance={"versions": {"cellferry": "0.1.0"}},
    )
    text = cellferry.methods_text(old)
    assert "cellferry 0.1.0" in text
    assert "It ran with" not in text


def test_a_consensus_and_a_merge_say_them_too():
    adata = labelled()
    engines = {"a": "local", "b": cellferry.engines.Local(n_genes=10)}
    found = cellferry.annotate_clusters(
        adata, MARKERS, group_key="leiden", engine=engines, progress=False
    )
    assert found.provenance["versions"].items() >= {"python": platform.python_version()}.items()


@needs_rscript
@pytest.mark.process
@pytest.mark.slow
def test_of_an_rds_the_versions_of_r_are_those_of_the_child(tmp_path):
    made = tmp_path / "x.rds"
    code = (
        "x <- SeuratObject::pbmc_small; saveRDS(x, commandArgs(TRUE)[1]); "
        "cat(as.character(getRversion()), as.character(packageVersion('SeuratObject')))"
    )
    out = subprocess.run(
        ["Rscript", "-e", code, made], check=True, capture_output=True, text=True
    ).stdout
    r, object_ = out.split()
    done = alone("annotate", made, "--out", "y", cwd=tmp_path)
    assert done.code == 0, done.err
    record = json.loads((tmp_path / "y_annotations.json").read_text(encoding="utf-8"))
    versions = record["provenance"]["versions"]
    assert (versions["R"], versions["SeuratObject"]) == (r, object_)
    assert versions["python"] == platform.python_version()
    run = json.loads((tmp_path / "y_run" / "run.json").read_text(encoding="utf-8"))
    assert run["versions"]["R"] == r
