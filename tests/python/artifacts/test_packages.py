"""The packages of artifacts are optional: labels need none, the rest says what to do."""

import importlib.util
import os
import subprocess
import sys

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry._version import pip_install
from cellferry.artifacts.packages import NEEDED, missing_packages
from cellferry.errors import DependencyError, language
from command import MARKERS

BLOCKED = f"""
import sys
import importlib.util
for name in {NEEDED}:
    sys.modules[name] = None  # an import fails
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name in {NEEDED} else found(name, *a)
from cellferry.cli import main
main()
"""


@pytest.fixture
def without(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in NEEDED else found(name, *a)
    )


@pytest.fixture
def adata():
    values = np.log1p(np.random.default_rng(0).poisson(1.0, (20, 6))).astype("f4")
    obs = pd.DataFrame({"g": pd.Categorical(["a", "b"] * 10)}, index=[f"c{i}" for i in range(20)])
    return anndata.AnnData(values, obs, pd.DataFrame(index=list("ABCDEF")))


def test_it_names_what_is_not_there():
    assert missing_packages() == []
    assert missing_packages(("json", "no_such_package_at_all")) == ["no_such_package_at_all"]


def test_artifacts_say_what_to_install_before_anything_is_read(without, adata, tmp_path):
    paths = {"vars_h5_path": tmp_path / "v.h5", "obs_duckdb_path": tmp_path / "o.duckdb"}
    with pytest.raises(DependencyError) as caught:
        cellferry.build_artifacts(adata, group_key="g", **paths)
    assert caught.value.message == (
        "vars.h5 and obs.duckdb need duckdb and hdf5plugin, which are not installed."
    )
    assert caught.value.hint == f"Install: {sys.executable} -m {pip_install('artifacts')}"
    assert list(tmp_path.iterdir()) == []


def test_in_r_it_is_the_verb_that_installs(without, adata, tmp_path, monkeypatch):
    token = language.set("r")
    try:
        for managed, line in [("", "InstallBackend()"), ("/own", "-m pip install duckdb hdf5plug")]:
            monkeypatch.setenv("RETICULATE_PYTHON", managed)
            with pytest.raises(DependencyError) as caught:
                cellferry.build_artifacts(adata, group_key="g", vars_h5_path=tmp_path / "v.h5")
            assert line in caught.value.hint
    finally:
        language.reset(token)


@pytest.mark.process
def test_a_marker_table_is_labelled_without_them(tmp_path):
    (tmp_path / "markers.csv").write_text(MARKERS, encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", BLOCKED, *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=environment,
        )  # fmt: skip

    done = run("annotate", "markers.csv", "--tissue", "blood", "--out", "pbmc")
    assert done.returncode == 0, done.stderr
    assert "B cell" in (tmp_path / "pbmc_annotations.csv").read_text(encoding="utf-8")
    assert (tmp_path / "pbmc_report.html").is_file()
    refused = run("serve", "--data", "jobs")
    assert refused.returncode == 1
    assert "needs duckdb and hdf5plugin" in refused.stderr
