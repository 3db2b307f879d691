"""``cellferry annotate`` and ``runs resume`` do the same for clusters and for cells."""

import re
import shlex

import anndata
import pytest
from click.testing import CliRunner

import cellferry
from cell_data import cells
from cellferry import errors
from cellferry.annotations.cells import CELLS_FILE
from cellferry.cli import group
from cellferry.cli.exits import EXIT_FAILED_CLUSTERS
from cellferry.runs.run import Run, list_runs
from r_session import needs_rscript

MARKERS = """cluster,marker_genes
0,"CD79A,MS4A1,CD79B,CD19,BANK1"
1,"CD3D,CD3E,CD3G,CD2,IL32"
2,"CD14,LYZ,S100A9,FCN1,S100A8"
"""

both = pytest.mark.parametrize("level", ["clusters", "cells"])


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with pbmc.h5ad and markers.csv, in which the command runs."""
    cells(30).write_h5ad(tmp_path / "pbmc.h5ad")
    (tmp_path / "markers.csv").write_text(MARKERS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, code=0):
    done = CliRunner().invoke(group, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def annotate(level, *more, file="pbmc.h5ad", **options):
    own = {"clusters": ["--markers", "markers.csv"], "cells": ["--cells"]}[level]
    return run("annotate", file, *own, "--group-key", "leiden", *more, **options)


def stopped(folder):
    """Make a run as if it had been stopped: without its answer, and without the files."""
    made = Run.open(folder)
    for name in ("annotations.json", CELLS_FILE):
        (made.folder / name).unlink(missing_ok=True)
    made.update(status="interrupted", outputs={})
    for path in folder.parent.glob("out*"):
        if path.is_file():
            path.unlink()
    return made


@both
def test_a_dry_run_writes_nothing(work, level):
    before = {p.name for p in work.iterdir()}
    number = {"clusters": "3 clusters", "cells": "30 cells"}[level]
    output = annotate(level, "--dry-run", "--out", "out")
    assert output == f"local: {number}, 0 calls, 0 bytes sent, cost $0.00\n"
    assert {p.name for p in work.iterdir()} == before
    assert list_runs() == []


@both
def test_a_stopped_run_reads_its_input_again_and_writes_its_files(work, level):
    annotate(level, "--out", "out", "--key", "mine", "--tissue", "blood")
    files = {p.name: p.read_bytes() for p in work.glob("out_*.csv")}
    obs = anndata.read_h5ad("out.h5ad").obs
    made = stopped(work / "out_run")
    output = run("runs", "resume", "out_run")
    assert "wrote" in output
    assert "B cell" in output
    assert {p.name: p.read_bytes() for p in work.glob("out_*.csv")} == files
    assert anndata.read_h5ad("out.h5ad").obs.equals(obs)
    assert (work / "out_report.html").stat().st_size > 0
    assert Run.open(made.id).content["status"] == "finished"
    # They are its own now, and replaced unasked.
    assert run("runs", "resume", made.id).endswith(output.splitlines()[-1] + "\n")


@both
def test_a_file_of_others_is_not_replaced_by_resuming(work, level):
    annotate(level, "--out", "out")
    stopped(work / "out_run")
    (work / "out_annotations.csv").write_text("mine")
    with pytest.raises(errors.OutputError, match="was not written by this run"):
        run("runs", "resume", "out_run")
    assert (work / "out_annotations.csv").read_text() == "mine"
    run("runs", "resume", "out_run", "--overwrite")
    assert "B cell" in (work / "out_annotations.csv").read_text()


@both
def test_a_run_of_python_is_resumed_with_the_object_given(work, level):
    function = {"clusters": cellferry.annotate_clusters, "cells": cellferry.annotate_cells}[level]
    of_clusters = {"markers": work / "markers.csv"} if level == "clusters" else {}
    found = function(cells(30), group_key="leiden", key="mine", progress=False, **of_clusters)
    made = Run.open(found.provenance["run"])
    made.update(status="interrupted")
    run("runs", "resume", made.id, "--input", "pbmc.h5ad", "--out", "out")
    assert "mine" in anndata.read_h5ad("out.h5ad").obs
    assert Run.open(made.id).content["status"] == "finished"
    with pytest.raises(errors.OutputError):
        # Without a name the labelled object would be the input itself.
        run("runs", "resume", made.id, "--input", "pbmc.h5ad")


@both
def test_another_object_is_refused(work, level):
    annotate(level, "--out", "out")
    stopped(work / "out_run")
    cells(12).write_h5ad("other.h5ad")
    with pytest.raises(errors.RunMismatchError):
        run("runs", "resume", "out_run", "--input", "other.h5ad")


def test_clusters_are_finished_without_their_input(work):
    annotate("clusters", "--out", "out")
    stopped(work / "out_run")
    (work / "pbmc.h5ad").unlink()
    output = run("runs", "resume", "out_run")
    assert "B cell" in output
    assert "wrote" not in output


def test_cells_are_not(work):
    annotate("cells", "--out", "out")
    stopped(work / "out_run")
    (work / "pbmc.h5ad").rename("moved.h5ad")
    with pytest.raises(errors.InputError, match="There is no file"):
        run("runs", "resume", "out_run")
    assert "wrote" in run("runs", "resume", "out_run", "--input", "moved.h5ad")


def test_cells_of_another_object_say_what_to_give():
    made = Run.create("local", level="cells", provenance={"key": "k"}, options={})
    with pytest.raises(errors.EngineNeedsError, match="did not read") as caught:
        run("runs", "resume", made.id)
    assert f"cellferry runs resume {made.id} --input FILE" in caught.value.hint


def test_a_marker_table_is_resumed_with_its_files(work):
    run("annotate", "markers.csv", "--out", "out")
    table = (work / "out_annotations.csv").read_text()
    stopped(work / "out_run")
    run("runs", "resume", "out_run")
    assert (work / "out_annotations.csv").read_text() == table


def test_a_failed_cluster_of_a_resumed_run_has_the_exit_code_of_failure(work, llm_server):
    llm_server.script = {("B cell", "*"): ["refusal", "refusal"]}
    model = ["--engine", "llm", "--provider", llm_server.url, "--model", "m"]
    given = ["--species", "human", "--out", "out"]
    run("annotate", "markers.csv", *model, *given, code=EXIT_FAILED_CLUSTERS)
    run("runs", "resume", "out_run", code=EXIT_FAILED_CLUSTERS)
    llm_server.script = {}
    output = run("runs", "resume", "out_run")
    assert "B cell" in output
    assert "wrote out_summary.csv" in output.replace(f"{work}/", "")


COMMANDS = [["annotate"], ["runs", "resume"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_examples_of_help_work(work, command):
    """Those of an .rds need R, and those of a service an address; the rest is done as it stands."""
    text = run(*command, "--help")
    examples = re.findall(r"^ +(cellferry .*)$", text.replace("\n       ", " "), re.MULTILINE)
    done = 0
    assert len(examples) >= 2
    run("annotate", "markers.csv", "--out", "pbmc")
    Run.open("pbmc_run").update(status="interrupted")
    whole = cells(30)
    for number, part in enumerate((whole[:14], whole[14:]), 1):
        part.write_h5ad(f"donor{number}.h5ad")
    found = cellferry.annotate_cells(cells(30), progress=False)
    (work / "cells_run").symlink_to(Run.open(found.provenance["run"]).folder)
    for example in examples:
        if ".rds" in example or "cellatlas" in example:
            continue
        arguments = shlex.split(example)[1:]
        if "--within" in arguments:
            # The object of the example before, with a cluster that was split.
            object_ = anndata.read_h5ad("pbmc_labelled.h5ad")
            whole = object_.obs["leiden"].astype(str)
            parts = [f"{c},{i % 2}" if c == whole.iloc[0] else c for i, c in enumerate(whole)]
            object_.obs["sub"] = parts
            object_.write_h5ad("pbmc_labelled.h5ad")
        if "pbmc.h5ad" in arguments and "--group-key" in arguments:
            arguments += ["--markers", "markers.csv"]
        run(*arguments)
        done += 1
    assert done >= 2


@needs_rscript
def test_the_clusters_of_an_rds_are_resumed_from_its_file(tmp_path, monkeypatch):
    from rds_files import PBMC, r_script

    monkeypatch.chdir(tmp_path)
    (tmp_path / "markers.csv").write_text(MARKERS, encoding="utf-8")
    r_script(f"{PBMC} x$leiden <- seq_len(ncol(x)) %% 3; saveRDS(x, '{tmp_path}/in.rds')")
    annotate("clusters", "--out", "out", file="in.rds")
    table = (tmp_path / "out_cells.csv").read_text()
    stopped(tmp_path / "out_run")
    # The markers are those of the run.
    (tmp_path / "markers.csv").unlink()
    run("runs", "resume", "out_run")
    assert (tmp_path / "out_cells.csv").read_text() == table
    labels = r_script(f"cat(as.character(readRDS('{tmp_path}/out.rds')$cell_type))").split()
    assert {"B", "cell"} <= set(labels)
