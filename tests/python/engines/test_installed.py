"""Engines of other packages: a stranger's package, really installed, used from everywhere."""

import os
import subprocess
import sys

import pytest

import stranger
from cellferry import annotate_cells, annotate_clusters, resume
from cellferry.engines import (
    create_engine,
    engine_class,
    engine_names,
    engine_options,
    engine_records,
    package_of,
    usable_engines,
)
from cellferry.engines.contract import example_cells
from cellferry.errors import EngineUnusableError, InvalidOptionError, UnknownOptionError
from command import alone
from paths import PACKAGE

pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning"),
]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """Where the stranger's package is installed."""
    return stranger.install(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def installed(target, monkeypatch):
    """The package on the path of this process, and gone from it again after the test."""
    monkeypatch.syspath_prepend(str(target))
    yield target
    for name in [n for n in sys.modules if n.partition(".")[0] == "overlap_engine"]:
        monkeypatch.delitem(sys.modules, name)


MARKERS = {"0": ["CD79A", "MS4A1"], "1": ["CD3D", "CD3E", "CD3G", "CD2"], "2": ["ACTB", "GAPDH"]}


def test_without_the_package_there_is_nothing_of_it():
    assert "overlap" not in engine_names()
    assert package_of("overlap") is None


def test_it_is_found_by_its_entry_points_with_its_options(installed):
    assert engine_names()[-3:] == ["overlap", "overlap_lost", "overlap_no_engine"]
    assert engine_names("cells")[-1] == "overlap"
    assert engine_options("overlap") == {"minimum": 2, "types": None}
    assert list(engine_options("overlap", "cells")) == ["types"]
    assert package_of("overlap") == package_of("overlap", "cells") == ("overlap-engine", "0.3.1")
    assert create_engine("overlap", {"minimum": 3}).describe()["minimum"] == 3
    with pytest.raises(UnknownOptionError, match="has no option `minumum`") as caught:
        create_engine("overlap", {"minumum": 3})
    assert "Did you mean `minimum`?" in caught.value.hint
    with pytest.raises(InvalidOptionError, match="`minimum` must be at least 1"):
        create_engine("overlap", {"minimum": 0})


def test_a_name_of_ours_is_never_taken(installed):
    assert engine_class("local").__module__ == "cellferry.engines.local"
    assert package_of("local") is None
    (taken,) = (r for r in engine_records() if r["package"] and "name of an engine" in r["problem"])
    assert (taken["engine"], taken["package"]) == ("local", "overlap-engine 0.3.1")


def test_one_that_cannot_be_loaded_says_why_and_harms_no_other(installed):
    with pytest.raises(EngineUnusableError) as caught:
        create_engine("overlap_lost")
    assert str(caught.value) == (
        'The engine "overlap_lost" of the package overlap-engine 0.3.1 cannot be used: '
        "ModuleNotFoundError: No module named 'overlap_engine_lost'.\n"
        "Install it again, or ask its authors."
    )
    with pytest.raises(EngineUnusableError, match="cannot be used: dict is no class"):
        create_engine("overlap_no_engine")
    assert set(usable_engines()) == set(engine_names()) - {"overlap_lost", "overlap_no_engine"}
    # Azimuth is there where its package is.
    problems = {r["engine"] for r in engine_records() if r["problem"]} - {"azimuth"}
    assert problems == {"overlap_lost", "overlap_no_engine", "local"}


def test_two_packages_with_one_name_are_refused(installed, tmp_path, monkeypatch):
    other = tmp_path / "other_engine-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other-engine\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[cellferry.engines]\noverlap = other:Overlap\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineUnusableError, match='There are 2 engines "overlap", of the packages'):
        create_engine("overlap")


def test_clusters_and_cells_from_python_and_the_run_is_gone_on_with(installed):
    found = annotate_clusters(MARKERS, engine="overlap", minimum=3, progress=False)
    assert found.labels() == {"0": "Unknown", "1": "T cell", "2": "Unknown"}
    assert found.provenance["versions"]["overlap-engine"] == "0.3.1"
    assert found.provenance["options"]["minimum"] == 3
    assert resume(found.provenance["run"]).labels() == found.labels()
    adata = example_cells()
    cells = annotate_cells(adata, engine="overlap", group_key="cluster", progress=False)
    assert cells.counts() == {"ok": 59, "unknown": 1}
    assert adata.obs["cell_type_cell"].iloc[0] == "B cell"


def test_the_contract_is_kept_where_the_package_is_installed(target, tmp_path):
    """As the stranger runs it: pytest, in a process with both packages."""
    tests = target.parent / "source" / "tests"
    path = os.pathsep.join([str(PACKAGE), str(target)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tests, tests],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"} | {"PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "18 passed" in done.stdout


def test_the_command_line_knows_it(target, tmp_path):
    """List, options, completion and both levels, each in a process of its own."""
    path = os.pathsep.join([str(PACKAGE), str(target)])
    listed = alone("engines", "--json", cwd=tmp_path, PYTHONPATH=path).json["rows"]
    (row,) = (r for r in listed if r["engine"] == "overlap")
    assert row["answers"] == "clusters, cells"
    assert row["description"].startswith("Name each cluster after the list")
    options = alone("engines", "overlap", cwd=tmp_path, PYTHONPATH=path)
    assert options.out.splitlines() == [
        "answers\toption\tdefault", "clusters\tminimum\t2", "clusters\ttypes\tnull",
        "cells\ttypes\tnull",
    ]  # fmt: skip
    assert "overlap" in alone("annotate", "--help", cwd=tmp_path, PYTHONPATH=path).out
    (tmp_path / "markers.csv").write_text("cluster,gene\n0,CD3D\n0,CD3E\n1,LYZ\n")
    command = ["annotate", "markers.csv", "--engine", "overlap", "--out", "x"]
    done = alone(*command, "--option", "minimum=1", cwd=tmp_path, PYTHONPATH=path)
    assert done.code == 0, done.err
    table = (tmp_path / "x_annotations.csv").read_text(encoding="utf-8")
    assert "T cell" in table
    assert "Monocyte" in table
    wrong = alone(*command, "--option", "minimun=1", cwd=tmp_path, PYTHONPATH=path)
    assert wrong.code == 2
    assert "Did you mean `minimum`? Its options: `minimum`, `types`." in wrong.err


def complete(words, at, cwd, path):
    """What a bash offers at a word of the line; the completion is click's own."""
    done = alone(
        cwd=cwd, PYTHONPATH=path, _CELLFERRY_COMPLETE="bash_complete", COMP_WORDS=words,
        COMP_CWORD=str(at),
    )  # fmt: skip
    return {line.partition(",")[2] for line in done.out.splitlines()}


def test_the_shell_completes_its_name_and_its_options(target, tmp_path):
    path = os.pathsep.join([str(PACKAGE), str(target)])
    names = complete("cellferry annotate x.csv --engine ", 4, tmp_path, path)
    assert {"local", "overlap"} <= names
    line = "cellferry annotate x.csv --engine overlap --option "
    assert complete(line, 6, tmp_path, path) == {"minimum=", "types="}
    cells = line.replace("--option", "--cells --option")
    assert complete(cells, 7, tmp_path, path) == {"types="}
    assert "overlap" in complete("cellferry engines ", 2, tmp_path, path)
