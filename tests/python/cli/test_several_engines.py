"""``cellferry annotate --engine a --engine b``: several engines, one answer."""

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cell_data import cells
from cellferry.annotations.clusters import Annotations
from command import command
from r_session import needs_rscript
from rds_files import r_script

TABLE = "cluster,gene,avg_log2FC,p_val_adj\n" + "".join(
    f"{cluster},{gene},2,0.001\n"
    for cluster, genes in {"1": ["CD3D", "CD3E", "CD3G", "CD2", "IL32", "CD6"],
                           "0": ["CD79A", "MS4A1", "CD19", "CD79B", "BANK1"]}.items()
    for gene in genes
)  # fmt: skip
TWICE = ("--engine", "local", "--engine", "short=local", "--option", "short.n_genes=5")


@pytest.fixture
def markers(tmp_path):
    path = tmp_path / "markers.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture
def object_file(tmp_path):
    made = cells(30)
    made = made[made.obs["leiden"] != "2"].copy()
    made.obsm["X_umap"] = np.arange(40.0).reshape(20, 2)
    made.write_h5ad(tmp_path / "x.h5ad")
    return tmp_path / "x.h5ad"


def test_a_marker_table_has_one_answer_and_the_votes_in_its_record(markers, tmp_path):
    done = command("annotate", markers, *TWICE, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert [row["label"] for row in done.json["rows"]] == ["B cell", "T cell"]
    found = Annotations.from_json((tmp_path / "out_annotations.json").read_text("utf-8"))
    assert [v["engine"] for v in found.evidence["0"]["votes"]] == ["local", "short"]
    assert {p.name for p in tmp_path.glob("out*")} == {
        "out_annotations.csv", "out_annotations.json", "out_report.html", "out_run",
    }  # fmt: skip
    assert {p.name for p in (tmp_path / "out_run").iterdir()} == {"local", "short"}
    again = command("annotate", markers, *TWICE, "--out", tmp_path / "out")
    assert again.code == 1
    assert "--overwrite" in again.err


def test_an_object_is_labelled_with_each_answer(markers, object_file, tmp_path):
    before = object_file.read_bytes()
    done = command("annotate", object_file, "--markers", markers, "--group-key", "leiden", *TWICE,
                   "--out", tmp_path / "out", "--levels")  # fmt: skip
    assert done.code == 0, done.err
    obs = anndata.read_h5ad(tmp_path / "out.h5ad").obs
    for column in ("cell_type", "cell_type_local", "cell_type_short"):
        labels = obs[column].groupby(obs["leiden"], observed=True).unique()
        assert {name: list(found) for name, found in labels.items()} == {
            "0": ["B cell"], "1": ["T cell"],
        }  # fmt: skip
    assert "cell_type_broad" in obs
    assert "cell_type_short_confidence" not in obs
    cells = pd.read_csv(tmp_path / "out_cells.csv", index_col=0)
    assert cells["cell_type_short"].tolist() == obs["cell_type_short"].tolist()
    assert '"X_umap"' in (tmp_path / "out_report.html").read_text("utf-8")
    assert object_file.read_bytes() == before


def test_the_table_alone_goes_to_standard_output(markers, tmp_path):
    done = command("annotate", markers, *TWICE, "--out", "-")
    assert done.code == 0, done.err
    assert done.out.startswith("cluster,")
    assert not list(tmp_path.glob("*_*"))


def test_the_plan_is_of_all(markers):
    done = command("annotate", markers, *TWICE, "--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.json["plan"]["engine"] == "local + short"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "local", "--engine", "local"], "--engine one=local --engine other=llm"),
        ([*TWICE, "--option", "n_genes=5"], "local.n_genes=5"),
        ([*TWICE, "--option", "shrt.n_genes=5"], "local.n_genes=5"),
        ([*TWICE, "--option", "short.n_gnes=5"], "n_genes"),
        ([*TWICE, "--model", "gpt-5"], "--model is an option of none of these engines"),
        ([*TWICE, "--cells"], "--cells is for one engine"),
        ([*TWICE, "--within", "cell_type"], "--within is for one engine"),
        (["--engine", "local", "--engine", "a b=local"], "no name for an engine"),
        (["--engine", "local", "--engine", "lokal"], 'Did you mean "local"'),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(markers, arguments, message, tmp_path):
    done = command("annotate", markers, *arguments, "--out", tmp_path / "out")
    assert done.code in {1, 2}
    assert message in done.err
    assert list(tmp_path.iterdir()) == [markers]


@pytest.mark.r
@pytest.mark.slow
@needs_rscript
def test_an_object_of_r_is_labelled_with_each_answer(pbmc_rds, tmp_path):
    asked = ("annotate", pbmc_rds, *TWICE, "--group-key", "RNA_snn_res.1")
    before = pbmc_rds.read_bytes()
    done = command(*asked, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    labels = pd.read_csv(tmp_path / "out_annotations.csv", dtype=str).set_index("cluster")["label"]
    read = r_script(
        f"x <- readRDS('{tmp_path}/out.rds'); one <- function(v) "
        "tapply(as.character(v), as.character(x$RNA_snn_res.1), unique); "
        "cat(one(x$cell_type), one(x$cell_type_local), one(x$cell_type_short), "
        "sum(grepl('^cell_type_short', names(x[[]]))), sep = ';')"
    ).split(";")
    assert read[:3] == labels.tolist()
    assert read[3:6] == cellferry.read_annotations(
        tmp_path / "out.rds", "cell_type_local"
    ).column("label")  # fmt: skip
    assert read[9] == "1"
    assert pbmc_rds.read_bytes() == before
    found = cellferry.annotate_clusters(
        pbmc_rds, engine={"local": "local", "short": cellferry.engines.local.Local(n_genes=5)},
        group_key="RNA_snn_res.1", progress=False, output=tmp_path / "again.rds",
    )  # fmt: skip
    assert [row.label for row in found] == labels.tolist()
    assert (tmp_path / "again.rds").exists()
