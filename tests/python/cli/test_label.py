"""``cellferry label`` and ``apply``: a person's labels in objects, runs and tables on disk."""

import contextlib
import json
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cell_data import cells
from cellferry.cli import group
from cellferry.runs.decisions import append_to
from command import MARKERS, command, ended, start
from r_session import needs_rscript
from rds_files import PBMC, r_script


def fill(folder):
    """Make a labelled .h5ad with its run, and the run of a marker table."""
    cells().write_h5ad(folder / "raw.h5ad")
    (folder / "m.csv").write_text(MARKERS)
    for given in (
        ("raw.h5ad", "--group-key", "leiden", "--out", "pbmc"),
        ("m.csv", "--out", "table"),
    ):
        done = command("annotate", *given)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path / "home"))
    return fill(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CELLFERRY_HOME", str(folder / "home"))
        return fill(folder)


@pytest.fixture
def same(filled, monkeypatch):
    """For what changes nothing."""
    monkeypatch.chdir(filled)
    monkeypatch.setenv("CELLFERRY_HOME", str(filled / "home"))
    return filled


def label(*arguments):
    return command("label", *arguments)


def labels_of(path):
    obs = anndata.read_h5ad(path).obs
    return dict(zip(obs["leiden"].astype(str), obs["cell_type"].astype(str), strict=True))


ENGINE = {"0": "B cell", "1": "T cell", "2": "Monocyte"}


def test_a_label_is_written_with_its_summary_and_kept_with_the_run(work):
    before = (work / "pbmc.h5ad").read_bytes()
    done = label("pbmc.h5ad", "--set", "0=Memory B cell", "--reason", "CD27", "--out", "decided")
    assert done.code == 0, done.err
    assert "Memory B cell" in done.out
    assert labels_of("decided.h5ad") == {**ENGINE, "0": "Memory B cell"}
    obs = anndata.read_h5ad("decided.h5ad").obs
    assert set(obs["cell_type_decision"].dropna()) == {"relabelled"}
    summary = pd.read_csv("decided_summary.csv").set_index("cluster")
    assert summary.loc[0, "label"] == "Memory B cell"
    assert summary.loc[0, "engine_label"] == "B cell"
    assert (work / "pbmc.h5ad").read_bytes() == before
    lines = (work / "pbmc_run" / "decisions.jsonl").read_text().splitlines()
    assert [json.loads(line)["label"] for line in lines] == ["Memory B cell"]
    for verb in ("results", "show"):
        assert "Memory B cell" in command("runs", verb, "pbmc_run").out
    assert command("runs", "resume", "pbmc_run").code == 0
    assert labels_of("pbmc.h5ad")["0"] == "Memory B cell"
    assert "Memory B cell" in (work / "pbmc_annotations.csv").read_text()


def test_the_object_of_python_and_of_the_command_line_is_one(work):
    label("pbmc.h5ad", "--set", "0=Memory B cell", "--by", "AB", "--out", "decided")
    adata = anndata.read_h5ad("decided.h5ad")
    assert cellferry.decisions(adata)["by"].tolist() == ["AB"]
    cellferry.set_labels(adata, {"1": "NK cell"})
    adata.write_h5ad("more.h5ad")
    done = label("more.h5ad", "--withdraw", "0", "--list", "--out", "undone", "--json")
    states = [(row["cluster"], row["state"]) for row in done.json["decisions"]]
    assert states == [("0", "withdrawn"), ("1", "in force"), ("0", "in force")]
    assert labels_of("undone.h5ad") == {**ENGINE, "1": "NK cell"}


def test_cells_columns_and_tables_are_labelled(work):
    (work / "cells.txt").write_text("cell-0\ncell-3\n")
    done = label("pbmc.h5ad", "--cells", "cells.txt", "--label", "Plasma cell", "--out", "c")
    assert done.code == 0, done.err
    obs = anndata.read_h5ad("c.h5ad").obs
    assert obs.index[obs["cell_type"] == "Plasma cell"].tolist() == ["cell-0", "cell-3"]
    undone = ("--cells", "cells.txt", "--decision", "withdrawn", "--out", "u")
    assert label("c.h5ad", *undone).code == 0
    assert labels_of("u.h5ad") == ENGINE
    (work / "l.csv").write_text("cluster,label,decision\n0,Plasma cell,\n1,,needs_work\n")
    done = label("pbmc.h5ad", "--labels", "l.csv", "--set", "2=Unknown", "--out", "t", "--json")
    assert [row["decision"] for row in done.json["rows"]] == ["relabelled", "needs_work", "unknown"]
    adata = anndata.read_h5ad("pbmc.h5ad")
    adata.obs["mine"] = adata.obs["truth"].astype(str).replace("B cell", "Plasma cell")
    adata.write_h5ad("mine.h5ad")
    done = label("mine.h5ad", "--from-column", "mine", "--out", "adopted")
    assert (done.code, labels_of("adopted.h5ad")["0"]) == (0, "Plasma cell")
    assert "no column" in label("mine.h5ad", "--from-column", "m", "--out", "x").err


def test_decisions_about_cells_are_put_back_when_their_run_is_resumed(work):
    done = command("annotate", "raw.h5ad", "--cells", "--out", "each")
    assert done.code == 0, done.err
    before = anndata.read_h5ad("each.h5ad").obs
    (work / "cells.txt").write_text("cell-0\ncell-3\n")
    given = ("--cells", "cells.txt", "--label", "Plasma cell", "--overwrite")
    done = label("each.h5ad", *given, "--out", "each", "--key", "cell_type_cell")
    assert done.code == 0, done.err
    decided = anndata.read_h5ad("each.h5ad").obs
    assert decided.index[decided["cell_type_cell"] == "Plasma cell"].tolist() == [
        "cell-0", "cell-3",
    ]  # fmt: skip
    (work / "each.h5ad").unlink()
    done = command("runs", "resume", "each_run", "--overwrite")
    assert done.code == 0, done.err
    assert "not in its labels" not in done.err
    pd.testing.assert_frame_equal(anndata.read_h5ad("each.h5ad").obs, decided)
    # And once more in another run of the same files.
    done = command("annotate", "raw.h5ad", "--cells", "--out", "each", "--overwrite")
    assert done.code == 0, done.err
    pd.testing.assert_frame_equal(anndata.read_h5ad("each.h5ad").obs, decided)
    assert (before["cell_type_cell"] != "Plasma cell").all()


def test_labels_edited_by_hand_are_refused_and_adopted_by_the_line_that_is_named(work):
    adata = anndata.read_h5ad("pbmc.h5ad")
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str)
    adata.obs.loc["cell-0", "cell_type"] = "Plasma cell"
    adata.write_h5ad("edited.h5ad")
    done = label("edited.h5ad", "--set", "0=NK cell", "--out", "x")
    assert done.code == 1
    assert not (work / "x.h5ad").exists()
    line = re.search(r"cellferry label INPUT .*", done.err)[0]
    again = line.replace("INPUT", "edited.h5ad").replace("NAME", "adopted")
    assert command(*shlex.split(again)[1:]).code == 0
    assert anndata.read_h5ad("adopted.h5ad").obs["cell_type"]["cell-0"] == "Plasma cell"


def test_what_is_stale_is_carried_over(work):
    label("pbmc.h5ad", "--set", "0=Plasma cell", "--out", "decided")
    adata = anndata.read_h5ad("decided.h5ad")
    codes = adata.obs["leiden"].astype(str).to_numpy()
    codes[1] = "0"
    adata.obs["other"] = pd.Categorical(codes)
    adata.write_h5ad("moved.h5ad")
    done = command("annotate", "moved.h5ad", "--group-key", "other", "--out", "again")
    assert "--carry" in done.err
    assert "stale" in (work / "again_annotations.csv").read_text()
    done = label("again.h5ad", "--carry", "--key", "cell_type", "--out", "carried")
    assert done.code == 0, done.err
    assert "Plasma cell" in (work / "carried_summary.csv").read_text()


def test_decisions_of_an_object_outlast_another_annotation(work):
    label("pbmc.h5ad", "--set", "0=Plasma cell", "--out", "decided")
    raw = ("--group-key", "leiden", "--out")
    assert command("annotate", "decided.h5ad", *raw, "second").code == 0
    assert pd.read_csv("second_annotations.csv")["label"][0] == "Plasma cell"
    # The object of before, once more under the same name: what was decided is beside its run.
    assert command("annotate", "raw.h5ad", *raw, "pbmc").code == 0
    assert labels_of("pbmc.h5ad")["0"] == "Plasma cell"
    assert pd.read_csv("pbmc_annotations.csv")["label"][0] == "Plasma cell"


def test_a_run_is_decided_about_without_an_object(work):
    done = label("table_run", "--set", "0=Plasma cell")
    assert done.code == 0, done.err
    done = label("table_run", "--set", "1", "--decision", "accepted", "--out", "both", "--json")
    assert sorted(done.json["outputs"]) == ["both_annotations.json", "both_summary.csv"]
    assert [row.get("decision") for row in done.json["rows"]] == ["relabelled", "accepted", None]
    assert "Plasma cell" in command("runs", "results", "table_run").out
    assert "Plasma cell" in command("report", "table_run", "-").out
    assert command("runs", "resume", "table_run").code == 0
    assert "Plasma cell" in (work / "table_annotations.csv").read_text()
    done = label("table_annotations.json", "--set", "2=NK cell", "--out", "record")
    assert done.code == 0, done.err
    assert "NK cell" in (work / "record_summary.csv").read_text()
    assert label("pbmc_run", "--cells", "m.csv", "--label", "x").code == 1


def test_what_was_decided_about_the_run_of_an_object_reaches_its_cells(work):
    assert label("pbmc_run", "--set", "0=Plasma cell").code == 0
    assert command("apply", "pbmc_run", "pbmc.h5ad", "--out", "applied").code == 0
    assert labels_of("applied.h5ad") == {**ENGINE, "0": "Plasma cell"}
    assert command("runs", "resume", "pbmc_run").code == 0
    assert labels_of("pbmc.h5ad") == {**ENGINE, "0": "Plasma cell"}
    assert label("pbmc_run", "--withdraw", "0").code == 0
    assert command("runs", "resume", "pbmc_run").code == 0
    assert labels_of("pbmc.h5ad") == ENGINE


def test_decisions_go_to_another_copy(work):
    label("pbmc.h5ad", "--set", "0=Plasma cell", "--set", "1=NK cell", "--out", "decided")
    saved = label("decided.h5ad", "--list", "--save", "d.json")
    assert (saved.code, "NK cell" in saved.out) == (0, True)
    part = anndata.read_h5ad("pbmc.h5ad")
    part = part[np.arange(60) % 3 != 1].copy()
    part.write_h5ad("part.h5ad")
    done = command("apply", "d.json", "part.h5ad", "--out", "applied")
    assert done.code == 0, done.err
    assert "1 decision of 2 could not be applied" in done.err
    assert labels_of("applied.h5ad") == {"0": "Plasma cell", "2": "Monocyte"}
    part[:5].copy().write_h5ad("few.h5ad")
    done = command("apply", "d.json", "few.h5ad", "--out", "none", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "decisions_mismatch")
    assert not (work / "none.h5ad").exists()


REFUSED = {
    "unknown cluster": (["--set", "9=B cell"], 2, 'no cluster "9"'),
    "two labels": (["--set", "0=B cell", "--set", "0=T cell"], 2, "two labels"),
    "no label": (["--set", "0"], 2, "no label"),
    "empty": (["--set", "0="], 2, "is empty"),
    "contradiction": (["--set", "0=B cell", "--decision", "unknown"], 2, "there is no label"),
    "label alone": (["--label", "B cell"], 2, "--cells"),
    "nothing": ([], 2, "Nothing is to be decided"),
    "hostile": (["--set", "0=B\u202ecell"], 2, "U+202E"),
    "not decided": (["--withdraw", "0"], 2, "Nothing was decided"),
    "nothing to carry": (["--carry"], 2, "No decision is offered"),
    "no key": (["--set", "0=B cell", "--key", "celltype"], 1, "celltype"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_wrong_is_refused_and_nothing_is_written(same, which):
    arguments, code, words = REFUSED[which]
    before = sorted(p.name for p in same.iterdir())
    done = label("pbmc.h5ad", *arguments, "--out", "x")
    assert (done.code, words in done.err) == (code, True), done.err
    assert sorted(p.name for p in same.iterdir()) == before
    assert not (same / "pbmc_run" / "decisions.jsonl").exists()


def test_input_and_foreign_files_are_not_replaced_unasked(work):
    before = (work / "pbmc.h5ad").read_bytes()
    assert "--out" in label("pbmc.h5ad", "--set", "0=Plasma cell").err
    done = label("pbmc.h5ad", "--set", "0=Plasma cell", "--out", "pbmc")
    assert (done.code, "is INPUT itself" in done.err) == (1, True)
    assert (work / "pbmc.h5ad").read_bytes() == before
    done = label("pbmc.h5ad", "--set", "0=Plasma cell", "--out", "pbmc", "--overwrite")
    assert (done.code, labels_of("pbmc.h5ad")["0"]) == (0, "Plasma cell")
    (work / "x_summary.csv").write_text("mine")
    assert label("pbmc.h5ad", "--set", "0=NK cell", "--out", "x").code == 1
    assert ((work / "x_summary.csv").read_text(), (work / "x.h5ad").exists()) == ("mine", False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no decisions"),
        ('{"a": 1}', "no schema"),
        ('{"schema": "cellferry.decisions/9", "decisions": []}', "decisions/9"),
        ('{"schema": "other/1", "decisions": []}', "other/1"),
        ('{"schema": "cellferry.decisions/1", "decisions": [{"action": "x"}]}', "entry"),
        ("\x00\xff", "no"),
    ],
)
def test_a_damaged_foreign_or_newer_file_is_refused(same, content, words):
    Path("d.json").write_bytes(content.encode("latin-1"))
    done = command("apply", "d.json", "pbmc.h5ad", "--out", "x")
    assert (done.code, words in done.err) == (1, True), done.err
    assert not (same / "x.h5ad").exists()


def test_what_is_no_input_is_named(same):
    assert "no file and no run" in label("absent.h5ad", "--list").err
    assert "text file" in label("m.csv", "--list").err
    assert "no annotations of cellferry" in label("raw.h5ad", "--list").err


def test_a_damaged_line_of_a_run_costs_that_line(work):
    label("table_run", "--set", "0=Plasma cell")
    with (work / "table_run" / "decisions.jsonl").open("a") as file:
        file.write('{"action": "relab\n[1]\n')
    label("table_run", "--set", "1=NK cell")
    done = command("runs", "results", "table_run")
    assert ("2 lines" in done.err, done.code) == (True, 0)
    assert "Plasma cell" in done.out
    assert "NK cell" in done.out


def test_a_run_folder_that_cannot_be_written_is_an_error_of_the_run(work):
    (work / "pbmc_run" / ".decisions.jsonl.lock").mkdir()
    done = label("pbmc_run", "--set", "0=Plasma cell")
    assert (done.code, "cannot be written" in done.err) == (1, True)
    assert "Nothing was changed" in done.err
    # Of an object it is a warning: the object has them.
    done = label("pbmc.h5ad", "--set", "0=Plasma cell", "--out", "decided", "--json")
    assert [w["code"] for w in done.json["warnings"]] == ["decisions"]
    assert labels_of("decided.h5ad")["0"] == "Plasma cell"


@pytest.mark.process
def test_two_writers_of_one_run_lose_nothing(work):
    names = ("Plasma cell", "NK cell")
    running = [
        start("label", "table_run", "--set", f"{i}={n}", cwd=work) for i, n in enumerate(names)
    ]
    assert [ended(process).code for process in running] == [0, 0]
    out = command("runs", "results", "table_run").out
    assert all(name in out for name in names)


@pytest.mark.process
def test_two_writers_of_one_object_lose_nothing(work):
    """Each reads what the one before it wrote, however they come."""
    (work / "pbmc_run").rename(work / "other_run")  # what nobody works on any more
    names = {"0": "Plasma cell", "1": "NK cell", "2": "Kupffer cell"}
    given = ("--overwrite", "--out", "pbmc")
    running = [
        start("label", "pbmc.h5ad", "--set", f"{c}={name}", *given, cwd=work)
        for c, name in names.items()
    ]
    ends = [ended(process) for process in running]
    assert [end.code for end in ends] == [0, 0, 0], [end.err for end in ends]
    assert labels_of("pbmc.h5ad") == names
    assert len(cellferry.decisions(anndata.read_h5ad("pbmc.h5ad"))) == 3
    assert not (work / "pbmc_run").exists()


@needs_rscript
def test_two_writers_of_one_rds_lose_nothing(work):
    r_script(f"{PBMC} saveRDS(x, 'seurat.rds')")
    assert command("annotate", "seurat.rds", "--out", "x").code == 0
    given = ("--overwrite", "--out", "x")
    running = [
        start("label", "x.rds", "--set", f"{c}={name}", *given, cwd=work)
        for c, name in (("0", "Plasma cell"), ("1", "NK cell"))
    ]
    ends = [ended(process) for process in running]
    assert [end.code for end in ends] == [0, 0], [end.err for end in ends]
    labels = r_script("x <- readRDS('x.rds'); cat(levels(x$cell_type), sep = '|')").split("|")
    assert {"Plasma cell", "NK cell"} <= {*labels}


def test_whoever_waits_too_long_for_an_object_is_told_by_whom(work, monkeypatch):
    # Its name in the package is that of the command.
    monkeypatch.setattr(sys.modules["cellferry.cli.labels.decide"], "PATIENCE_SECONDS", 0.3)
    before = (work / "pbmc.h5ad").read_bytes()
    with held_elsewhere(work / "pbmc_run") as pid:
        done = label("pbmc.h5ad", "--set", "0=NK cell", "--overwrite", "--out", "pbmc")
    assert done.code == 1
    assert f"number {pid}" in done.err
    assert "Nothing was changed" in done.err
    assert (work / "pbmc.h5ad").read_bytes() == before


@contextlib.contextmanager
def held_elsewhere(folder):
    """Have another process hold the lock of a run."""
    code = (
        "import sys, pathlib; from cellferry.runs.lock import held\n"
        "with held(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def test_many_threads_add_whole_lines(tmp_path):
    path = tmp_path / "decisions.jsonl"

    def add(i):
        for k in range(20):
            append_to(path, [{"id": f"{i}-{k}", "text": "x" * 5000}])

    threads = [threading.Thread(target=add, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{i}-{k}" for i in range(4) for k in range(20))


@pytest.mark.slow
def test_a_hundred_thousand_cells_are_decided(work):
    n = 100_000
    obs = pd.DataFrame({"leiden": pd.Categorical(["0", "1"] * (n // 2))})
    obs.index = [f"c{i}" for i in range(n)]
    adata = anndata.AnnData(np.zeros((n, 1), dtype=np.float32), obs=obs)
    found = cellferry.annotate_clusters(
        {"0": ["CD79A", "MS4A1", "CD79B"], "1": ["CD3D", "CD3E", "CD3G"]}
    )
    from cellferry.annotations.labelling.objects import attach
    from cellferry.study.clusters import Clusters

    attach(adata, found, Clusters.from_column(obs["leiden"]), "cell_type")
    adata.write_h5ad("large.h5ad")
    (work / "cells.txt").write_text("\n".join(obs.index))
    given = ("--cells", "cells.txt", "--label", "Plasma cell", "--key", "cell_type")
    done = label("large.h5ad", *given, "--out", "all")
    assert done.code == 0, done.err
    assert set(anndata.read_h5ad("all.h5ad").obs["cell_type"]) == {"Plasma cell"}


def test_the_examples_of_help_work(work):
    (work / "labels.csv").write_text("cluster,label\n1,NK cell\n")
    (work / "cells.txt").write_text("cell-0\n")
    for name in ("label", "apply"):
        text = group.commands[name].help
        lines = re.findall(r"^ +(cellferry (?:label|apply) .*--?.*)$", text, re.MULTILINE)
        assert lines
        for line in lines:
            arguments = shlex.split(line)[1:]
            done = command(*arguments, *(["--overwrite"] if "--out" in arguments else []))
            assert done.code == 0, (line, done.err)


@needs_rscript
def test_an_rds_is_labelled_by_r(pbmc_rds, work):
    markers = (
        "cluster,gene,avg_log2FC\n0,CD3E,2\n0,CD3D,2\n1,LYZ,3\n1,S100A9,2\n2,MS4A1,2\n2,CD79A,3\n"
    )
    (work / "markers.csv").write_text(markers)
    done = command("annotate", pbmc_rds, "--markers", "markers.csv", "--out", "r")
    assert done.code == 0, done.err
    done = label("r.rds", "--set", "1=Kupffer cell", "--by", "AB", "--out", "decided", "--json")
    assert done.code == 0, done.err
    assert done.json["rows"][1]["engine_label"] is not None
    printed = r_script(
        "x <- readRDS('decided.rds');"
        "cat(unique(as.character(x$cell_type)[Seurat::Idents(x) == '1']),"
        " sum(x$cell_type_decision %in% 'relabelled') == sum(Seurat::Idents(x) == '1'))".replace(
            "Seurat::", "SeuratObject::"
        )
    )
    assert printed.split() == ["Kupffer", "cell", "TRUE"]
    done = label("decided.rds", "--list", "--save", "d.json")
    assert "Kupffer cell" in done.out
    assert command("apply", "d.json", "r.rds", "--out", "applied").code == 0
    assert "Kupffer cell" in (work / "applied_summary.csv").read_text()
    assert label("r.rds", "--set", "9=B cell", "--out", "x").code == 2
    assert not (work / "x.rds").exists()
    # The labels of R are those of the command line: an annotation keeps the decision.
    done = command("annotate", "decided.rds", "--markers", "markers.csv", "--out", "again")
    assert done.code == 0, done.err
    assert "Kupffer cell" in (work / "again_annotations.csv").read_text()
    done = label(str(pbmc_rds), "--list")
    assert (done.code, "no annotations of cellferry" in done.err) == (1, True)
