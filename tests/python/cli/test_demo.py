import sys

import anndata
import pytest
from click.testing import CliRunner

from cellferry import errors
from cellferry._version import pip_install
from cellferry.cli import group


def test_the_demo_labels_real_cells_and_leaves_object_table_picture_and_report(tmp_path):
    done = CliRunner().invoke(group, ["demo", "--out", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    adata = anndata.read_h5ad(tmp_path / "pbmc68k_reduced.h5ad")
    assert {"B cell"} <= set(adata.obs["cell_type"])
    assert (tmp_path / "pbmc68k_reduced_umap.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (tmp_path / "pbmc68k_reduced_report.html").read_text(encoding="utf-8")
    assert (tmp_path / "pbmc68k_reduced_cells.csv").exists()


def test_without_scanpy_the_demo_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scanpy", None)
    with pytest.raises(errors.DependencyError, match="not installed") as caught:
        CliRunner().invoke(group, ["demo", "--out", str(tmp_path)], catch_exceptions=False)
    assert pip_install("demo") in caught.value.hint
