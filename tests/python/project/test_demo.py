"""The second part of `make demo`: Seurat object, artifacts, server, labels back, offline."""

import json
import os
import re
import shutil
import subprocess
import sys

import duckdb
import h5py
import pytest

from paths import ROOT

pytestmark = pytest.mark.process


# A network of its own that has nothing but loopback.
ALONE = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    fcntl.ioctl(probe, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: up, running
try:
    socket.create_connection(("192.0.2.1", 80), 1)
except OSError:
    os.execv(sys.argv[1], sys.argv[1:])
"""

READ = """
object <- readRDS(commandArgs(TRUE)[[1]])
pairs <- unique(data.frame(
  cluster = as.character(SeuratObject::Idents(object)), label = as.character(object$cell_type)
))
cat(jsonlite::toJSON(setNames(as.list(pairs$label), pairs$cluster), auto_unbox = TRUE))
"""


def environment():
    return {k: v for k, v in os.environ.items() if k not in {"LD_LIBRARY_PATH", "PYTHONPATH"}}


def has_r_package():
    if shutil.which("Rscript") is None:
        return False
    probe = (
        "found <- vapply(c('cellferry', 'Seurat'), function(p) system.file(package = p), '')\n"
        "quit(status = !all(nzchar(found)))"
    )
    return subprocess.run(["Rscript", "-e", probe], check=False, env=environment()).returncode == 0


def can_be_alone():
    """Whether this machine can give a process a network without anything in it."""
    return (
        sys.platform == "linux"
        and shutil.which("unshare") is not None
        and subprocess.run(
            ["unshare", "--net", "true"], check=False, capture_output=True
        ).returncode
        == 0
    )


@pytest.mark.skipif(not has_r_package(), reason="the R package or Seurat is not installed")
def test_the_way_over_a_server_of_ones_own_needs_no_network(tmp_path):
    script = str(ROOT / "scripts" / "demo_service")
    out = tmp_path / "out"
    command = [script, str(out)]
    if can_be_alone():
        command = ["unshare", "--net", sys.executable, "-c", ALONE, *command]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(), timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "comes from vars.h5" in done.stdout

    sent = json.loads((out / "pbmc_small_service_query.json").read_text())
    assert sent["clientInfo"]["clientType"] == "seurat"
    assert set(sent["clusterLabels"].values()) == {"0", "1", "2"}
    read = subprocess.run(
        ["Rscript", "-e", READ, str(out / "pbmc_small_service.rds")],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    labels = json.loads(read.stdout)
    # What anybody sees in this object; how fine a label is, is the engine's to judge.
    lineages = {"0": r"\b(T|NK)\b", "1": "onocyte", "2": r"\bB cell"}
    assert labels.keys() == lineages.keys()
    assert all(re.search(lineages[cluster], label) for cluster, label in labels.items()), labels

    with h5py.File(out / "pbmc_small_service_vars.h5") as file:
        assert "vars" in file
    with duckdb.connect(str(out / "pbmc_small_service_obs.duckdb"), read_only=True) as obs:
        assert obs.execute("SELECT count(*) FROM obs").fetchone() == (80,)
    report = (out / "pbmc_small_service_report.html").read_text(encoding="utf-8")
    assert all(label in report for label in labels.values())
    requests = (out / "serve.log").read_text()
    for step in ("initiate", "chunk", "complete", "POST /annotate", "GET /status", "GET /results"):
        assert step in requests


@pytest.mark.skipif(not has_r_package(), reason="the R package or Seurat is not installed")
def test_a_server_that_cannot_start_says_why(tmp_path):
    (tmp_path / "jobs").write_text("not a folder")
    done = subprocess.run(
        [str(ROOT / "scripts" / "demo_service"), str(tmp_path)],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode != 0
    assert "jobs" in done.stderr
