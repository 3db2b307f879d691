"""What 0.1.0 left on disk is read, reported and gone on with by every later version.

The records in ``tests/fixtures/0.1.0`` are never made again. They are copied, with the paths in
them, and asked about by the commands and functions that a user has. What is not done again is
counted by the servers that would be asked for it.
"""

import re
import socket
from collections import Counter

import anndata
import h5py
import pytest

from atlas_server import AtlasServer
from cellferry import annotate_cells, annotate_clusters, annotation_report, read_annotations
from fault_server import FaultServer
from llm_server import Server as ModelServer
from records_0_1_0 import (
    ATLAS_PORT,
    CELLATLAS,
    CELLATLAS_STOPPED,
    CYTETYPE,
    CYTETYPE_OF_MODEL,
    CYTETYPE_UPLOADING,
    CYTETYPE_WAITING,
    FOLDER,
    JOB,
    JOB_OF_MODEL,
    JOB_OF_TABLE,
    JOB_PORT,
    LLM,
    LLM_STOPPED,
    LOCAL,
    LOCAL_CELLS,
    LOCAL_CELLS_STOPPED,
    LOCAL_STOPPED,
    MODEL_PORT,
    MODEL_URL,
    UPLOAD_UNFINISHED,
    blood,
    bring,
    command,
    labels,
    results,
    status,
    units,
)
from server_process import ServerProcess

pytestmark = pytest.mark.process


OWN = {
    "0": "T cell",
    "1": "Monocyte",
    "4": "B cell",
    "7": "Dendritic cell",
    "8": "Antibody-secreting cell",
}
"""What the embedded engine said, alone and behind its server."""
OF_MODEL = {"0": "T cell", "1": "Monocyte", "4": "B cell", "7": "Monocyte", "8": "B cell"}
"""What the model of the tests says, which knows no dendritic and no plasma cells."""
OF_CELLS = {
    "B cell": 21,
    "Dendritic cell": 20,
    "Antibody-secreting cell": 19,
    "T cell": 16,
    "Mononuclear phagocyte": 10,
    "Monocyte": 9,
    "Memory CD4 T cell": 3,
    "Intermediate monocyte": 1,
    "Unknown": 1,
}
OF_ATLAS = {
    "CD74 cell": 38,
    "FTL cell": 29,
    "LTB cell": 10,
    "IGJ cell": 9,
    "IGLL5 cell": 4,
    "S100A4 cell": 3,
    **dict.fromkeys(
        ["CD52 cell", "CD79A cell", "HLA-DRA cell", "IL32 cell", "ISG20 cell", "MZB1 cell",
         "PPIB cell"],
        1,
    ),
}  # fmt: skip

FINISHED = {LOCAL: OWN, LLM: OF_MODEL, CYTETYPE: OWN, "pbmc_run": OWN}
FINISHED_CELLS = {LOCAL_CELLS: ("local", OF_CELLS), CELLATLAS: ("cellatlas", OF_ATLAS)}
STOPPED = {
    LOCAL_STOPPED: "interrupted",
    LOCAL_CELLS_STOPPED: "interrupted",
    LLM_STOPPED: "interrupted",
    CELLATLAS_STOPPED: "interrupted",
    CYTETYPE_UPLOADING: "interrupted",
    CYTETYPE_WAITING: "interrupted",
    CYTETYPE_OF_MODEL: "interrupted",
    "asked_run": "interrupted",
    "cells_run": "failed",
}


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """The home and the working folder of the user, in which the test is."""
    bring(tmp_path, "home", "work")
    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("something was asked of a server")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def model():
    with ModelServer(port=MODEL_PORT) as server:
        yield server


@pytest.fixture
def atlas():
    with AtlasServer(port=ATLAS_PORT).running() as server:
        yield server


@pytest.fixture
def serve(tmp_path):
    """``cellferry serve`` on the data folder of the records."""
    bring(tmp_path, "server")
    with ServerProcess(tmp_path / "server", "--allow-base-url", MODEL_URL) as server:
        yield server


@pytest.fixture
def jobs(serve):
    """What the clients of the records know as their service: it counts, and passes on."""
    with FaultServer(upstream=serve.url, port=JOB_PORT) as proxy:
        yield proxy


def shown_in(report, texts):
    page = report.read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert [text for text in texts if text not in page] == []


# --- what was finished --------------------------------------------------------------------


def test_every_run_is_listed_with_its_status(disk):
    rows = [line.split() for line in command("runs", "list").splitlines()[1:]]
    assert len(rows) == 15
    assert Counter(row[1] for row in rows) == {"finished": 6, "interrupted": 8, "failed": 1}
    assert {run: status(run) for run in STOPPED} == STOPPED
    assert {status(run) for run in (*FINISHED, *FINISHED_CELLS)} == {"finished"}


@pytest.mark.parametrize("run", FINISHED)
def test_a_finished_run_is_read_reported_and_brought_back(run, disk, no_network):
    assert labels(run) == FINISHED[run]
    # The same answers, without a question: the table is printed as it is.
    assert [line.split()[0] for line in command("runs", "resume", run).splitlines()[1:]] == [*OWN]
    assert labels(run) == FINISHED[run]
    command("report", run, "report.html")
    shown_in(disk / "work" / "report.html", FINISHED[run].values())


@pytest.mark.parametrize("run", FINISHED_CELLS)
def test_a_finished_run_about_cells_is_read_reported_and_brought_back(run, disk, no_network):
    engine, counts = FINISHED_CELLS[run]
    found = {row["label"]: row["n_cells"] for row in results(run)["rows"]}
    assert found == counts
    command("report", run, "report.html")
    shown_in(disk / "work" / "report.html", counts)
    adata = blood()
    again = annotate_cells(
        adata, resume=run, engine=engine, group_key="louvain", tissue="blood", progress=False
    )
    assert Counter(adata.obs["cell_type_cell"].astype(str)) == counts
    assert again.engine == engine
    assert len(adata.obs["cell_type_cell_majority"].cat.categories) > 1


def test_evidence_and_provenance_are_those_of_0_1_0(disk):
    found = results(LOCAL)
    row = found["rows"][0]
    assert row["supporting"] == ["CD3E", "CD3D", "IL32", "LCK", "CD7", "CD27", "LTB"]
    assert row["missing"] == ["CD3G", "TRAC", "CD2", "CD5", "CD6"]
    assert row["justification"].startswith("T cell: 7 markers are raised, led by CD3E")
    assert (row["confidence"], row["confidence_kind"]) == (0.978, "calibrated")
    assert (row["ontology_id"], row["n_cells"]) == ("CL:0000084", 20)
    assert found["evidence"]["0"]["candidates"][0]["genes"]["CD3E"] == 0.8337
    assert found["markers"]["gene"][0] == "GZMM"
    provenance = found["provenance"]
    assert provenance["versions"]["cellferry"] == "0.1.0"
    assert provenance["engine_version"] == 3
    assert (provenance["group_key"], provenance["key"]) == ("louvain", "cell_type")
    assert provenance["created"] == "2026-11-28T21:38:07.213068+00:00"
    asked = results(LLM)
    assert asked["rows"][0]["detail"] == "CD4 T cell"
    assert asked["evidence"]["0"]["answer"]["supporting_genes"] == ["GZMM", "CD3E", "IL32"]
    assert asked["provenance"]["options"]["model"] == "test-model"
    served = results(CYTETYPE)
    assert served["provenance"]["job"] == JOB
    assert served["provenance"]["service"]["summary"]["answered"] == 5
    assert results(CELLATLAS)["rows"][0]["supporting"] == ["CD74"]
    assert results(LOCAL_CELLS)["evidence"]["clusters"]["0"]["share"] == 0.95


def test_a_later_run_replaces_the_files_that_0_1_0_wrote(disk):
    before = (disk / "work" / "pbmc_annotations.csv").read_text(encoding="utf-8")
    command("annotate", "markers.csv", "--out", "pbmc", "--tissue", "blood")
    after = (disk / "work" / "pbmc_annotations.csv").read_text(encoding="utf-8")
    # The engine is a later one: one of its labels is finer.
    assert [x.split(",")[0] for x in after.splitlines()] == [
        x.split(",")[0] for x in before.splitlines()
    ]
    old, new = ([x.split(",")[2] for x in text.splitlines()] for text in (before, after))
    assert [(a, b) for a, b in zip(old, new, strict=True) if a != b] == [
        ("Antibody-secreting cell", "Plasmablast")
    ]
    assert (disk / "work" / "pbmc_report.html").is_file()


# --- what was stopped ---------------------------------------------------------------------


def test_a_local_run_goes_on(disk):
    folder = disk / "home" / "runs" / LOCAL_STOPPED
    kept = (folder / "journal.jsonl").read_bytes()
    command("runs", "resume", LOCAL_STOPPED)
    assert labels(LOCAL_STOPPED) == OWN
    assert status(LOCAL_STOPPED) == "finished"
    assert (folder / "journal.jsonl").read_bytes().startswith(kept)
    # The first cluster was finished in 0.1.0. An engine of another version answers it again.
    assert units(folder) == ["0", "0", "1", "4", "7", "8"]


def test_a_local_run_about_cells_goes_on(disk):
    adata = blood()
    annotate_cells(
        adata, resume=LOCAL_CELLS_STOPPED, group_key="louvain", tissue="blood", progress=False
    )
    # Today the calls are read in their context; those of each cell alone are what they were, but
    # for one that an engine which knows more says less of.
    broader = Counter(OF_CELLS) - Counter(["Antibody-secreting cell"]) + Counter(["B lineage cell"])
    assert Counter(adata.obs["cell_type_cell_raw"].astype(str)) == broader
    assert status(LOCAL_CELLS_STOPPED) == "finished"


@pytest.mark.parametrize(
    ("run", "asked"),
    [(LLM_STOPPED, ["B cell", "Monocyte", "B cell"]), ("asked_run", ["Monocyte", "B cell"])],
)
def test_a_model_is_asked_only_what_it_was_not_asked_before(run, asked, disk, model):
    command("runs", "resume", run)
    assert labels(run) == OF_MODEL
    assert status(run) == "finished"
    assert model.annotated() == asked
    assert len(model.log) == 2 * len(asked)
    command("report", run, "report.html")
    shown_in(disk / "work" / "report.html", OF_MODEL.values())


def test_a_run_with_files_of_its_own_writes_them_when_it_goes_on(disk, model):
    command("runs", "resume", "asked_run")
    summary = (disk / "work" / "asked_summary.csv").read_text(encoding="utf-8")
    assert summary.count("\n") == 6
    shown_in(disk / "work" / "asked_report.html", OF_MODEL.values())


@pytest.mark.parametrize("run", [CELLATLAS_STOPPED, "cells_run"])
def test_cells_that_were_answered_are_not_sent_again(run, disk, atlas):
    if run == "cells_run":
        # It began on the command line, which reads its file again.
        command("runs", "resume", run)
        adata = anndata.read_h5ad("cells.h5ad")
    else:
        adata = blood()
        annotate_cells(adata, resume=run, group_key="louvain", tissue="blood", progress=False)
    assert atlas.answered == [20, 20, 20]
    assert Counter(adata.obs["cell_type_cell"].astype(str)) == OF_ATLAS
    assert status(run) == "finished"
    command("report", run, "report.html")
    shown_in(disk / "work" / "report.html", OF_ATLAS)


def test_an_upload_goes_on_with_the_parts_that_are_missing(disk, serve, jobs):
    command("runs", "resume", CYTETYPE_UPLOADING)
    # vars.h5 was there already, and so were three parts of obs.duckdb.
    assert jobs.count("POST", "initiate") == 0
    sent = [r["path"] for r in jobs.requests if r["method"] == "PUT"]
    assert sorted(int(path.rsplit("/", 1)[1]) for path in sent) == list(range(3, 17))
    assert {path.split("/")[2] for path in sent} == {UPLOAD_UNFINISHED}
    assert jobs.count("POST", "/annotate") == 1
    assert labels(CYTETYPE_UPLOADING) == OWN
    assert status(CYTETYPE_UPLOADING) == "finished"
    command("report", CYTETYPE_UPLOADING, "report.html")
    shown_in(disk / "work" / "report.html", OWN.values())


def test_a_job_that_was_submitted_is_not_submitted_again(disk, jobs):
    command("runs", "resume", CYTETYPE_WAITING)
    asked = [(r["method"], r["path"]) for r in jobs.requests]
    assert asked == [("GET", f"/status/{JOB_OF_TABLE}"), ("GET", f"/results/{JOB_OF_TABLE}")]
    assert labels(CYTETYPE_WAITING) == OWN
    assert status(CYTETYPE_WAITING) == "finished"


def test_a_job_of_a_model_goes_on_with_the_key_and_pays_for_nothing_twice(
    disk, jobs, model, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-nobody")
    command("runs", "resume", CYTETYPE_OF_MODEL)
    assert jobs.count("POST", "/annotate") == 0
    assert jobs.count("POST", f"/jobs/{JOB_OF_MODEL}/credentials") == 1
    # The server had finished the first two of five clusters when it was killed.
    assert model.annotated() == ["B cell", "Monocyte", "B cell"]
    assert labels(CYTETYPE_OF_MODEL) == OF_MODEL
    assert status(CYTETYPE_OF_MODEL) == "finished"


# --- the data folder of a server ----------------------------------------------------------


def test_a_server_still_answers_what_it_knew(serve):
    ask = serve.client.get
    for job in (JOB, JOB_OF_TABLE):
        assert ask(f"/status/{job}").json()["jobStatus"] == "completed"
        found = ask(f"/results/{job}").json()["annotations"]
        assert {c: x["latest"]["annotation"]["annotation"] for c, x in found.items()} == OWN
        page = ask(f"/report/{job}")
        assert page.status_code == 200
        assert [label for label in OWN.values() if label not in page.text] == []
    expression = ask(f"/data/{JOB}/expression", params={"gene": "CD3D"})
    assert expression.status_code == 200
    assert expression.json()["gene"] == "CD3D"
    waiting = ask(f"/status/{JOB_OF_MODEL}").json()
    assert waiting["jobStatus"] == "credentials_required"
    # It was killed between the journal, which has two clusters, and the note in the database,
    # which has one: 0.1.0 said pending of the second although its answer is on disk.
    states = ["completed", "completed", "pending", "pending", "pending"]
    assert list(waiting["clusterStatus"].values()) == states
    upload = ask(f"/upload/{UPLOAD_UNFINISHED}").json()
    assert (upload["state"], upload["file_kind"]) == ("open", "obs_duckdb")
    # The client was gone before it heard of the fourth, and sends that one again.
    assert upload["received_chunks"] == [0, 1, 2, 3]


# --- labelled objects ---------------------------------------------------------------------


def test_a_labelled_h5ad_is_read_and_reported(tmp_path):
    adata = anndata.read_h5ad(FOLDER / "work" / "blood-labelled.h5ad")
    found = read_annotations(adata, "cell_type")
    assert found.labels() == OWN
    assert [row.n_cells for row in found] == [20] * 5
    assert found["0"].supporting[:2] == ("CD3E", "CD3D")
    assert found.provenance["run"] == LOCAL
    newest = read_annotations(adata)
    assert {row.label: row.n_cells for row in newest} == OF_CELLS
    assert dict(zip(adata.obs["louvain"], adata.obs["cell_type"], strict=True)) == OWN
    assert Counter(adata.obs["cell_type_cell"].astype(str)) == OF_CELLS
    for key, expected in (("cell_type", OWN.values()), ("cell_type_cell", OF_CELLS)):
        shown_in(annotation_report(adata, tmp_path / f"{key}.html", key), expected)


def test_the_record_in_an_h5ad_is_text_with_its_schema():
    """Whatever is written later: this is what must be read for ever."""
    with h5py.File(FOLDER / "work" / "blood-labelled.h5ad") as file:
        stored = file["uns/cellferry/cell_type"].asstr()[()]
    assert re.match(r'\{"schema": ?"cellferry\.annotations/1"', stored)


def test_columns_that_0_1_0_wrote_are_replaced_unasked():
    adata = anndata.read_h5ad(FOLDER / "work" / "blood-labelled.h5ad")
    annotate_clusters(adata, group_key="louvain", tissue="blood", progress=False)
    annotate_cells(adata, group_key="louvain", tissue="blood", progress=False)
    assert read_annotations(adata, "cell_type").labels() == OWN
