"""One exit code for one kind of end, whatever the verb; what went wrong is on standard error."""

import anndata
import numpy as np
import pandas as pd
import pytest

from cell_data import cells
from cellferry import errors
from cellferry.cli.exits import exit_code_of
from cellferry.runs.run import Run
from command import MARKERS, command


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the lines of the table read."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "markers.csv").write_text(MARKERS, encoding="utf-8")
    (folder / "empty.csv").write_text("", encoding="utf-8")
    (folder / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (folder / "no.h5ad").write_text("no hdf5", encoding="utf-8")
    (folder / "no.rds").write_text("no rds", encoding="utf-8")
    (folder / "file").write_text("", encoding="utf-8")
    (folder / "mine_annotations.csv").write_text("mine", encoding="utf-8")
    (folder / "no.json").write_text("{}", encoding="utf-8")
    cells(12).write_h5ad(folder / "pbmc.h5ad")
    foreign = cells(12)
    foreign.obs["cell_type"] = "mine"
    foreign.write_h5ad(folder / "foreign.h5ad")
    scaled = anndata.AnnData(
        np.full((4, 2), -1.5, dtype="f4"), obs=pd.DataFrame({"leiden": ["0", "0", "1", "1"]})
    )
    scaled.write_h5ad(folder / "scaled.h5ad")
    return folder


OK, ERROR, USAGE = 0, 1, 2
ENDS = [
    ("annotate markers.csv --out x", OK, ""),
    ("annotate markers.csv --dry-run", OK, ""),
    ("annotate pbmc.h5ad --cells --out y", OK, ""),
    ("runs list", OK, ""),
    ("--version", OK, ""),
    ("--help", OK, ""),
    ("runs resume --help", OK, ""),
    # What cannot be used.
    ("annotate absent.csv", ERROR, "There is no file"),
    ("annotate absent.h5ad", ERROR, "absent.h5ad"),
    ("annotate absent.rds", ERROR, "absent.rds"),
    ("annotate empty.csv", ERROR, "empty"),
    ("annotate other.csv", ERROR, "--gene-column"),
    ("annotate no.h5ad", ERROR, "is not what its name says (.h5ad)"),
    ("annotate pbmc.h5ad --group-key leidn", ERROR, "leidn"),
    ("annotate pbmc.h5ad --markers markers.csv --group-key batch", ERROR, "batch"),
    ("annotate markers.csv --cells", ERROR, "is not an object with cells"),
    ("annotate markers.csv --markers markers.csv --out file/x", ERROR, ""),
    ("annotate scaled.h5ad --cells", ERROR, ""),
    # What cannot be written.
    ("annotate markers.csv --out file/x", ERROR, "cannot be written"),
    ("annotate markers.csv --out mine", ERROR, "mine_annotations.csv"),
    ("annotate foreign.h5ad --markers markers.csv --group-key leiden", ERROR, "cell_type"),
    ("annotate markers.csv --log-file absent/log", ERROR, "--log-file"),
    # Runs.
    ("runs show nothing", ERROR, "nothing"),
    ("runs results nothing", ERROR, "nothing"),
    ("runs resume nothing", ERROR, "nothing"),
    ("report nothing x.html", ERROR, "nothing"),
    ("report no.json x.html", ERROR, ""),
    # Artifacts.
    ("artifacts build absent.h5ad --group-key leiden", ERROR, "absent.h5ad"),
    ("artifacts build pbmc.h5ad --group-key leidn", ERROR, "leidn"),
    ("artifacts build markers.csv --group-key leiden", ERROR, "is not an object with cells"),
    # Consent and keys.
    ("annotate pbmc.h5ad --cells --engine cellatlas --api-url https://x.example --out z",
     ERROR, "--allow-upload"),
    ("annotate markers.csv --engine llm --provider openai --model m", ERROR, "OPENAI_API_KEY"),
    # The line that was typed.
    ("", USAGE, ""),
    ("annotat markers.csv", USAGE, "No such command"),
    ("annotate", USAGE, "INPUT"),
    ("annotate markers.csv --no-such", USAGE, "--no-such"),
    ("annotate markers.csv --max-workers many", USAGE, "many"),
    ("annotate markers.csv --option n_genes", USAGE, "NAME=VALUE"),
    ("annotate markers.csv --option n_gene=3", USAGE, "n_genes"),
    ("annotate markers.csv --option n_genes=many", USAGE, "n_genes"),
    ("annotate markers.csv --engine lokal", USAGE, "local"),
    ("annotate pbmc.h5ad --cells --engine lokal", USAGE, "local"),
    ("annotate pbmc.h5ad --cells --engine cytetype", USAGE, "answers clusters"),
    ("annotate markers.csv --key a/b", USAGE, "a/b"),
    ("annotate pbmc.h5ad --cells --markers markers.csv", USAGE, "--markers"),
    ("annotate - --cells", USAGE, "no cells"),
    ("annotate markers.csv --option output_name=x", USAGE, "--out"),
    ("artifacts build pbmc.h5ad", USAGE, "--group-key"),
    ("artifacts build pbmc.h5ad --group-key leiden --vars-h5 x --obs-duckdb x", USAGE, "same file"),
    ("runs", USAGE, ""),
    ("runs sho x", USAGE, "No such command"),
    ("report x", USAGE, "FILE"),
    ("serve", USAGE, "--data"),
    ("serve --data jobs --chunk-size many", USAGE, "--chunk-size"),
    ("serve --data jobs --port 70000", USAGE, "port"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "said"), ENDS, ids=[line or "nothing" for line, *_ in ENDS]
)
def test_an_end_has_the_exit_code_of_its_kind(files, monkeypatch, line, code, said):
    monkeypatch.chdir(files)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if "absent.rds" in line:
        monkeypatch.setenv("PATH", "/nowhere")
    done = command(*line.split())
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err + done.out
    if code and line and line != "runs":
        assert done.out == ""
        assert "Error: " in done.err


def test_every_class_of_error_has_a_code():
    classes = [errors.error_class(code) for code in errors.error_codes()]
    usage = {c for c in classes if exit_code_of(c("x")) == USAGE}
    assert {c.__name__ for c in usage} == {
        "OptionError", "UnknownOptionError", "InvalidOptionError", "UnknownEngineError",
        "InvalidKeyError",
    }  # fmt: skip
    assert {exit_code_of(c("x")) for c in set(classes) - usage} == {ERROR}


def llm(server, *more):
    model = ["--engine", "llm", "--provider", server.url, "--model", "m", "--species", "human"]
    return command("annotate", "markers.csv", *model, "--out", "x", *more)


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "markers.csv").write_text(MARKERS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_failed_clusters_are_3_with_the_reason_and_the_line_that_asks_again(work, llm_server):
    llm_server.script = {("B cell", "*"): ["refusal", "refusal"]}
    done = llm(llm_server, "--quiet", "--json")
    assert done.code == 3
    run = Run.open(work / "x_run").id
    error = next(row["error"] for row in done.json["rows"] if row["cluster"] == "0")
    assert done.err.splitlines() == [
        "1 of 3 clusters got no answer.",
        f'  cluster "0": {error}',
        f"Ask again with: cellferry runs resume {run}",
    ]
    assert done.json["reason"] == done.err.rstrip("\n")
    assert (done.json["exit_code"], done.json["run"]) == (3, run)
    assert done.json["counts"] == {"ok": 2, "failed": 1}
    # All files are there all the same.
    assert all((work / name).exists() for name in done.json["outputs"])
    llm_server.script = {}
    assert command("runs", "resume", run).code == 0


def test_clusters_that_a_budget_left_unasked_are_no_success(work, llm_server):
    more = ("--option", "max_tokens=1", "--max-workers", "1")
    done = llm(llm_server, *more)
    assert done.code == 3
    assert "of 1 tokens was reached" in done.err
    assert "Ask again with: cellferry runs resume" in done.err


def test_doctor_has_a_code_of_its_own_for_a_fault(monkeypatch):
    monkeypatch.setattr("importlib.metadata.requires", lambda _package: ["no-such-package>=1"])
    done = command("doctor", "--json")
    faults = [check["name"] for check in done.json["checks"] if not check["ok"]]
    assert faults
    assert done.code == done.json["exit_code"] == 1
    assert done.json["reason"] == f"To be mended: {', '.join(faults)}."
