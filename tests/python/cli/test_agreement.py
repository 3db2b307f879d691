"""``cellferry consensus`` and ``compare``."""

import json

import anndata
import pandas as pd
import pytest

from command import command
from r_session import needs_rscript
from rds_files import PBMC, r_script

VOTED = f"""{PBMC}
named <- function(labels) unname(labels[as.character(x$RNA_snn_res.1)])
x$SingleR.labels <- named(c("0" = "T_cells", "1" = "Mono2", "2" = "B_cell"))
x$predicted.celltype.l2 <- named(c("0" = "CD4 TCM", "1" = "CD14 Mono", "2" = "B"))
"""


@pytest.fixture
def voted(tmp_path):
    obs = pd.DataFrame(
        {
            "leiden": list("0011"),
            "SingleR.labels": ["T_cells"] * 2 + ["B_cell"] * 2,
            "predicted_labels": ["T cells"] * 2 + ["Mono2"] * 2,
            "conf_score": [0.9] * 4,
        },
        index=list("abcd"),
    )
    path = tmp_path / "x.h5ad"
    anndata.AnnData(obs=obs).write_h5ad(path)
    return path


def test_without_from_annotators_are_listed(voted):
    done = command("consensus", voted)
    assert done.code == 0, done.err
    assert "celltypist" in done.out
    listed = command("consensus", voted, "--json").json
    assert [a["name"] for a in listed["annotators"]] == ["celltypist", "singler"]


def test_the_consensus_is_written(voted, tmp_path):
    out = tmp_path / "agreed"
    asked = ("consensus", voted, "--from", "singler", "--from", "celltypist", "--group-key",
             "leiden", "--map", "Mono2=B cell", "--weight", "singler=2", "--out", out)  # fmt: skip
    done = command(*asked)
    assert done.code == 0, done.err
    assert (
        anndata.read_h5ad(f"{out}.h5ad").obs["consensus"].tolist()
        == ["T cell"] * 2 + ["B cell"] * 2
    )
    record = json.loads((tmp_path / "agreed_annotations.json").read_text("utf-8"))
    assert [v["engine"] for v in record["evidence"]["0"]["votes"]] == ["singler", "celltypist"]
    again = command(*asked)
    assert again.code == 1
    assert "--overwrite" in again.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--from", "singler"], 2, "--out NAME is missing"),
        (["--from", "singlr", "--out", "x"], 2, 'Did you mean "singler"?'),
        (["--from", "singler", "--weight", "singler", "--out", "x"], 2, "must be NAME=VALUE"),
        (["--from", "singler", "--weight", "singler=a", "--out", "x"], 2, "must be NAME=NUMBER"),
    ],
)
def test_what_is_wrong_is_said(voted, arguments, code, message):
    done = command("consensus", voted, *arguments)
    assert (done.code, message in done.err) == (code, True), done.err


def test_labels_are_compared(voted, tmp_path):
    out = tmp_path / "checked"
    asked = ("compare", voted, "--key", "singler", "--with", "celltypist", "--map",
             "Mono2=Monocyte", "--out", out)  # fmt: skip
    done = command(*asked)
    assert done.code == 0, done.err
    assert "other_lineage" in done.out
    assert pd.read_csv(f"{out}_compared.csv")["relation"].tolist() == ["other_lineage", "exact"]
    assert pd.read_csv(f"{out}_confusion.csv", index_col=0).to_numpy().sum() == 4
    said = command(*asked[:-2], "--json").json
    assert said["look_at"] == ["B_cell"]
    assert said["adjusted_rand"] == 1


@pytest.mark.r
@pytest.mark.slow
@needs_rscript
def test_an_object_of_r_is_read_labelled_and_written(tmp_path):
    path, out = tmp_path / "x.rds", tmp_path / "agreed"
    r_script(f"{VOTED} saveRDS(x, '{path}')")
    before = path.read_bytes()
    listed = command("consensus", path, "--json").json
    assert [a["name"] for a in listed["annotators"]] == ["azimuth", "singler"]
    asked = ("consensus", path, "--from", "singler", "--from", "azimuth", "--group-key",
             "RNA_snn_res.1", "--map", "Mono2=Monocyte", "--out", out)  # fmt: skip
    done = command(*asked)
    assert done.code == 0, done.err
    labels = pd.read_csv(f"{out}_annotations.csv", dtype=str).set_index("cluster")["label"]
    assert labels.to_dict() == {"0": "T cell", "1": "Monocyte", "2": "B cell"}
    read = r_script(
        f"x <- readRDS('{out}.rds'); cat(tapply(as.character(x$consensus), "
        "as.character(x$RNA_snn_res.1), unique), sep = ';')"
    )
    assert read == "T cell;Monocyte;B cell"
    assert path.read_bytes() == before
    again = command(*asked)
    assert again.code == 1
    assert "--overwrite" in again.err
    compared = command("compare", f"{out}.rds", "--with", "azimuth", "--json").json
    assert {r["cluster"]: r["relation"] for r in compared["rows"]} == {
        "0": "ancestor", "1": "ancestor", "2": "exact",
    }  # fmt: skip


def test_what_has_no_cells_is_named(tmp_path):
    path = tmp_path / "markers.csv"
    path.write_text("cluster,gene\n0,CD3D\n", encoding="utf-8")
    done = command("compare", path, "--with", "a")
    assert done.code == 1
    assert "text file" in done.err
