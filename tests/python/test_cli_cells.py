import anndata
import pytest
from click.testing import CliRunner

from atlas_server import AtlasServer, label_of
from cell_data import GENES, cells
from cellferry.cli import group
from cellferry.errors import EngineNeedsError, ServiceFailedError, UnsupportedObjectError
from cellferry.runs import Run, list_runs


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cells.h5ad"
    cells(30).write_h5ad(path)
    return path


def run(*arguments):
    return CliRunner().invoke(group, [str(a) for a in arguments], catch_exceptions=False)


def test_every_cell_of_a_file_is_labelled(file, tmp_path):
    done = run("annotate", file, "--cells", "--out", tmp_path / "x")
    assert done.exit_code == 0
    assert "30 cells" in done.output
    read = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert "cell_type_cell_majority" in read.obs
    for name in ("x_annotations.csv", "x_annotations.json", "x_report.html", "x_cells.csv"):
        assert (tmp_path / name).stat().st_size > 0
    assert (tmp_path / "x_run" / "cells.npz").exists()


def test_the_dry_run_does_nothing(file, tmp_path):
    done = run("annotate", file, "--cells", "--out", tmp_path / "x", "--dry-run")
    assert done.output.splitlines()[-1] == "local: 30 cells, 0 calls, 0 bytes sent, cost $0.00"
    assert list_runs() == []


@pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning")
@pytest.mark.filterwarnings("ignore::cellferry.errors.CellsDiagnosisWarning")
def test_a_stopped_run_is_resumed_from_its_file(file, tmp_path):
    with AtlasServer().running() as server:
        server.faults = dict.fromkeys(range(2, 99), 422)
        options = ["--option", f"api_url={server.url}", "--option", "chunk_size=5",
                   "--option", "min_counts=0", "--option", "parallel=1"]  # fmt: skip
        with pytest.raises(Exception, match="refused"):
            run("annotate", file, "--cells", "--engine", "cellatlas", "--out", tmp_path / "x",
                *options)  # fmt: skip
        server.faults = {}
        done = run("runs", "resume", tmp_path / "x_run")
    assert done.exit_code == 0
    assert server.answered == [5] * 6
    expected = [label_of(GENES, row) for row in cells(30).layers["counts"].toarray()]
    assert anndata.read_h5ad(tmp_path / "x.h5ad").obs["cell_type_cell"].tolist() == expected


def test_what_has_no_cells_is_refused(file, tmp_path):
    markers = tmp_path / "markers.csv"
    markers.write_text("cluster,gene\n0,CD3E\n")
    with pytest.raises(UnsupportedObjectError, match="what --cells reads"):
        run("annotate", markers, "--cells")
    assert run("annotate", file, "--cells", "--markers", markers).exit_code == 2


def test_a_run_of_another_object_is_not_resumed_here():
    made = Run.create("local", level="cells", provenance={"key": "k"}, options={})
    with pytest.raises(EngineNeedsError, match="did not read"):
        run("runs", "resume", made.id)
    assert ServiceFailedError.code == "service_failed"
