"""What others build into: the rule of Snakemake, the process of Nextflow, the Dockerfile."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import anndata
import pytest

from cellferry import __version__
from paths import ROOT

RECIPES = ROOT / "recipes"
BINARIES = str(Path(sys.executable).parent)


@pytest.fixture
def environment(tmp_path):
    """The command `cellferry` as it is installed, with a data folder of its own."""
    found = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    found["PATH"] = f"{BINARIES}:{found['PATH']}"
    found["PYTHONPATH"] = str(ROOT / "inst" / "python")
    found["CELLFERRY_HOME"] = str(tmp_path / "home")
    return found


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Real blood cells in a file."""
    scanpy = pytest.importorskip("scanpy")
    adata = scanpy.datasets.pbmc68k_reduced()
    del adata.uns["rank_genes_groups"]
    path = tmp_path_factory.mktemp("cells") / "a sample.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.mark.process
@pytest.mark.slow
def test_snakemake_runs_the_rule_once_and_then_has_nothing_to_do(cells, environment, tmp_path):
    pytest.importorskip("snakemake")
    for name in ("a sample", "other"):
        shutil.copy(cells, tmp_path / f"{name}.h5ad")
    config = {"samples": ["a sample", "other"], "group_key": "louvain", "tissue": "bone marrow"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", RECIPES / "snakemake" / "Snakefile",
        "--configfile", "config.json", "--cores", "1", "--nocolor",
    ]  # fmt: skip

    def run():
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    done = run()
    assert done.returncode == 0, done.stderr
    for name in config["samples"]:
        labelled = anndata.read_h5ad(tmp_path / f"{name}_labelled.h5ad")
        assert "B cell" in set(labelled.obs["cell_type"])
        assert (tmp_path / f"{name}_labelled_annotations.csv").stat().st_size > 500
        assert "exit code 0" in (tmp_path / f"{name}_labelled.log").read_text(encoding="utf-8")
    assert "Nothing to be done" in run().stderr


@pytest.mark.process
@pytest.mark.slow
def test_a_sample_that_fails_fails_the_rule_and_leaves_no_output(environment, tmp_path):
    pytest.importorskip("snakemake")
    (tmp_path / "broken.h5ad").write_bytes(b"no HDF5")
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", RECIPES / "snakemake" / "Snakefile",
        "--config", "samples=[broken]", "--cores", "1", "--nocolor",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert list(tmp_path.glob("*_annotations.csv")) == []
    assert "broken.h5ad" in (tmp_path / "broken_labelled.log").read_text(encoding="utf-8")


@pytest.mark.process
@pytest.mark.slow
def test_the_script_of_the_nextflow_process_runs_on_staged_inputs(cells, environment, tmp_path):
    """As Nextflow does it: the input is a link in an empty folder, `$name` is filled in."""
    (tmp_path / "pbmc.h5ad").symlink_to(cells)
    given = {
        "object": "pbmc.h5ad", "group_key": "louvain", "prefix": "pbmc_labelled",
        "arguments": "--tissue blood", "process_name": "FLOW:CELLFERRY_ANNOTATE",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", RECIPES / "nextflow" / "templates" / "annotate.sh"],
        cwd=tmp_path, env={**environment, **given}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for suffix in ("_annotations.csv", ".h5ad", "_report.html"):
        assert (tmp_path / f"pbmc_labelled{suffix}").is_file()
    versions = (tmp_path / "versions.yml").read_text(encoding="utf-8")
    assert versions == f'"FLOW:CELLFERRY_ANNOTATE":\n    cellferry: {__version__}\n'


def test_the_nextflow_process_gives_all_that_its_script_uses():
    process = (RECIPES / "nextflow" / "main.nf").read_text(encoding="utf-8")
    script = (RECIPES / "nextflow" / "templates" / "annotate.sh").read_text(encoding="utf-8")
    defined = {*re.findall(r"^    (\w+) = ", process, re.MULTILINE)}
    defined |= {*re.findall(r"path\((\w+)\)", process)}
    assert {*re.findall(r"\$(\w+)", script)} == defined
    assert "template 'annotate.sh'" in process


def test_the_dockerfile_installs_what_was_tested():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (lock,) = re.findall(r"inst/backend-lock-([\d.]+)\.txt", text)
    assert (ROOT / "inst" / f"backend-lock-{lock}.txt").is_file()
    assert f"libpython{lock} " in text
    known = ("FROM ", "RUN ", "COPY . ", "WORKDIR ", "ENV ", "ENTRYPOINT ", "#", " ")
    assert [line for line in text.splitlines() if not line.startswith(known)] == []


def test_r_universe_is_told_of_this_package():
    (entry,) = json.loads((RECIPES / "r-universe" / "packages.json").read_text(encoding="utf-8"))
    description = (ROOT / "DESCRIPTION").read_text(encoding="utf-8")
    assert f"Package: {entry['package']}\n" in description
    assert f"URL: {entry['url']}\n" in description
