"""The records of 0.1.0 in ``tests/fixtures/0.1.0``, as on the disk of the user who made them."""

from __future__ import annotations

import gzip
import json
import shutil

import anndata
from click.testing import CliRunner

from cellferry.cli import group
from paths import ROOT

FOLDER = ROOT / "tests" / "fixtures" / "0.1.0"
MADE_IN = "/tmp/cellferry-0.1.0"
"""The root of all paths in the records."""

# Units of work are keyed by what they were asked from, so a run goes on at its own address only.
MODEL_PORT, JOB_PORT, ATLAS_PORT = 28701, 28702, 28703
MODEL_URL, JOB_URL = (f"http://127.0.0.1:{port}" for port in (MODEL_PORT, JOB_PORT))

LOCAL = "20261128T213807Z-local-0a299e"
LOCAL_STOPPED = "20261128T213808Z-local-1cf3c7"
LOCAL_CELLS = "20261128T213807Z-local-da73b6"
LOCAL_CELLS_STOPPED = "20261128T213808Z-local-8a8d7d"
LLM = "20261128T213808Z-llm-8b9742"
LLM_STOPPED = "20261128T213809Z-llm-473d4d"
CELLATLAS = "20261128T213826Z-cellatlas-db3622"
CELLATLAS_STOPPED = "20261128T213826Z-cellatlas-35647d"
CYTETYPE = "20261128T213828Z-cytetype-7c20d0"
CYTETYPE_UPLOADING = "20261128T213830Z-cytetype-4fdbf9"
CYTETYPE_WAITING = "20261128T213832Z-cytetype-639eca"
CYTETYPE_OF_MODEL = "20261128T213833Z-cytetype-2da2d7"

JOB = "3a09f3a1-bad5-414c-ac89-89b492c96349"
JOB_OF_TABLE = "157620ea-306f-452f-a805-9b8045a3ab66"
JOB_OF_MODEL = "c6eccda1-d0aa-400c-a0ca-97448ccbbbc4"
UPLOAD_UNFINISHED = "dfd9de46-eaad-4577-a54a-4db0bf323ad5"


def bring(root, *names):
    """Copy parts of the records to a root of its own; the paths in them move along.

    What is mostly empty pages is kept compressed, and is here as it was.
    """
    for name in names:
        shutil.copytree(FOLDER / name, root / name)
        for path in [p for p in (root / name).rglob("*") if p.is_file()]:
            if path.suffix in {".json", ".folder"}:
                text = path.read_text(encoding="utf-8")
                path.write_text(text.replace(MADE_IN, str(root)), encoding="utf-8")
            elif path.suffix == ".gz" and path.parent.name != "chunks":
                path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
                path.unlink()


def command(*arguments, code=0):
    """Return what a command of ``cellferry`` prints."""
    done = CliRunner().invoke(group, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def results(run):
    """Return the annotations of a run as data."""
    return json.loads(command("runs", "results", run, "--json"))


def labels(run):
    return {row["cluster"]: row["label"] for row in results(run)["rows"]}


def status(run):
    return json.loads(command("runs", "show", run))["status"]


def units(folder):
    """Return the units in the journal of a run, in the order in which they were finished."""
    text = (folder / "journal.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["unit"] for line in text.splitlines()]


def blood():
    """The 100 cells that all runs of Python are about."""
    return anndata.read_h5ad(FOLDER / "work" / "blood.h5ad")
