import json
import sys

import h5py
import pytest

from artifact_data import make_adata, read_group
from cellferry.cli import main
from r_session import needs_rscript


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["cellferry", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.fixture
def input_file(tmp_path):
    make_adata().write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def test_the_files_are_built_and_what_was_found_is_told(run, input_file, tmp_path):
    code, out, err = run(
        "artifacts", "build", input_file, "--group-key", "leiden",
        "--vars-h5", tmp_path / "v.h5", "--obs-duckdb", tmp_path / "o.duckdb",
        "--obs-column", "donor",
    )  # fmt: skip
    assert code == 0
    assert "log-normalised" in out
    assert 'layers["counts"]: raw counts' in out
    assert "raw.X: no raw counts, there is no raw" in out
    assert f"wrote {tmp_path / 'o.duckdb'}" in err
    assert read_group(tmp_path / "v.h5", "raw").shape == (30, 12)


def test_errors_say_what_to_do(run, input_file, tmp_path):
    code, _, err = run("artifacts", "build", input_file)
    assert code == 2
    assert "--group-key" in err
    code, _, err = run("artifacts", "build", input_file, "--group-key", "leidn")
    assert code == 1
    assert 'Did you mean "leiden"' in err
    code, _, err = run("artifacts", "build", input_file, "--group-key", "leiden", "--assay", "RNA")
    assert code == 2
    assert "--assay is for .rds" in err
    code, _, err = run("artifacts", "build", tmp_path / "x.rds")
    assert code == 1
    assert "There is no file" in err
    with h5py.File(tmp_path / "x.loom", "w") as file:
        for name in ("matrix", "row_attrs", "col_attrs"):
            file.create_group(name)
    code, _, err = run("artifacts", "build", tmp_path / "x.loom", "--group-key", "leiden")
    assert code == 1
    assert "a loom file" in err
    assert "python -c 'import scanpy; scanpy.read_loom(" in err


@pytest.mark.r
@needs_rscript
def test_an_object_in_an_rds_needs_no_column(run, pbmc_rds, tmp_path):
    code, out, err = run(
        "artifacts", "build", pbmc_rds,
        "--vars-h5", tmp_path / "v.h5", "--obs-duckdb", tmp_path / "o.duckdb", "--quiet", "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["normalisation"]["kind"] == "log_normalised"
    assert found["outputs"] == [str(tmp_path / "v.h5"), str(tmp_path / "o.duckdb")]
    assert read_group(tmp_path / "v.h5", "raw").shape == (80, 230)


def test_help_has_a_working_example(run):
    code, out, _ = run("artifacts", "build", "--help")
    assert code == 0
    assert "cellferry artifacts build pbmc.h5ad --group-key leiden" in out
