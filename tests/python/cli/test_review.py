"""``cellferry review``: a page in the foreground, whose decisions go into a copy."""

import json
import os
import signal
import subprocess
import sys
import time

import anndata
import psutil
import pytest

from command import command
from page_objects import labelled_cells
from r_session import needs_rscript
from rds_files import PBMC, r_script
from review_pages import PageClient, index_of

pytestmark = [
    pytest.mark.process,
]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    path = tmp_path_factory.mktemp("labelled") / "pbmc.h5ad"
    labelled_cells(150, 4, 100).write_h5ad(path)
    return path


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "cellferry", "review", *map(str, arguments), "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip


@pytest.mark.slow
def test_a_page_in_the_foreground_until_it_is_interrupted(labelled, tmp_path):
    before = labelled.read_bytes()
    shell = started(labelled)
    first, second = shell.stdout.readline(), shell.stdout.readline()
    address = first.split()[-1]
    client = PageClient(address)
    client.decide(cluster="1", decision="relabelled", label="Kupffer cell")
    pid = client.json("health")["pid"]
    folder = second.split("cellferry apply ")[1].split()[0]
    done = command("apply", folder, labelled, "--out", tmp_path / "made")
    assert done.code == 0, done.err
    made = anndata.read_h5ad(tmp_path / "made.h5ad")
    assert ((made.obs["cell_type"] == "Kupffer cell") == (made.obs["leiden"] == "1")).all()
    shell.send_signal(signal.SIGINT)
    shell.communicate(timeout=20)
    end = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
    assert labelled.read_bytes() == before
    assert command("apply", folder, labelled, "--out", tmp_path / "again").code == 0


def test_a_page_that_stays_and_is_said_in_json(labelled):
    done = command("review", labelled, "--no-browser", "--keep", "--json")
    assert done.code == 0, done.err
    found = done.json
    client = PageClient(found["address"])
    pid = client.json("health")["pid"]
    try:
        assert found["key"] == "cell_type"
        assert "--parent" not in psutil.Process(pid).cmdline()
        nothing = command("apply", found["folder"], labelled, "--out", "x")
        assert (nothing.code, nothing.out) == (0, "Nothing was decided on the page yet.\n")
    finally:
        os.kill(pid, signal.SIGTERM)


def test_what_can_not_be_reviewed(tmp_path):
    done = command("review", tmp_path / "none.h5ad", "--no-browser")
    assert done.code == 1
    assert "There is no file" in done.err
    path = tmp_path / "plain.h5ad"
    anndata.AnnData(obs=labelled_cells(60, 3, 80).obs[["leiden"]]).write_h5ad(path)
    done = command("review", path, "--no-browser")
    assert done.code == 1
    assert "holds no annotations" in done.err


@pytest.mark.slow
@needs_rscript
def test_a_page_and_a_report_of_an_rds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    r_script(f"{PBMC} x[['ADT']] <- CreateAssayObject(data = matrix(1, 1, 80, dimnames = "
             "list('CD4', colnames(x)))); saveRDS(x, 'pbmc.rds')")  # fmt: skip
    done = command("annotate", "pbmc.rds", "--out", "made")
    assert done.code in {0, 3}, done.err
    done = command("review", "made.rds", "--no-browser", "--keep", "--json")
    assert done.code == 0, done.err
    client = PageClient(done.json["address"])
    try:
        index = client.index()
        assert (index["n_cells"], index["genes"]["n"]) == (80, 230)
        assert index["features"] == [{"key": "adt_", "names": ["CD4"]}]
        client.decide(cluster=index["rows"][0]["cluster"], decision="unknown")
        folder = done.json["folder"]
        assert command("apply", folder, "made.rds", "--out", "decided").code == 0
    finally:
        os.kill(client.json("health")["pid"], signal.SIGTERM)
    r_script(
        "x <- readRDS('decided.rds'); stopifnot(sum(x$cell_type == 'Unknown', na.rm=TRUE) > 9)"
    )
    done = command("report", "made.rds", "r.html", "--obs-columns", "groups")
    assert done.code == 0, done.err
    index = index_of((tmp_path / "r.html").read_text())
    assert index["genes"]["n"] == 230
    assert index["genes"]["values"]
    assert "groups" in [c["name"] for c in index["cells"]["columns"]]


def test_a_report_has_what_is_asked_for(labelled, tmp_path):
    def index(*options):
        done = command("report", labelled, tmp_path / "r.html", "--overwrite", *options)
        assert done.code == 0, done.err
        return index_of((tmp_path / "r.html").read_text())

    names = [c["name"] for c in index("--obs-columns", "sample")["cells"]["columns"]]
    assert "sample" in names
    assert "nCount_RNA" not in names
    assert index("--no-expression")["genes"] is None
    assert index("--no-cell-values")["genes"]["values"] == []
    assert index("--report-mb", "0.001")["dropped"]
    assert command("report", labelled, tmp_path / "s.html", "--report-mb", "0").code == 2
    assert command("report", labelled, tmp_path / "s.html", "--obs-columns", "nope").code == 1
    record = tmp_path / "x_annotations.json"
    store = json.loads(anndata.read_h5ad(labelled).uns["cellferry"]["cell_type"])
    record.write_text(json.dumps(store))
    assert command("report", record, tmp_path / "s.html", "--no-expression").code == 2
