import contextlib
import io
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cellferry import errors
from cellferry.annotations.clusters import Annotations
from cellferry.cli import group, main
from r_session import needs_rscript
from rds_files import PBMC, r_script

B, T = "CD79A,MS4A1,CD79B,CD19,BANK1", "CD3E,CD3D,TRAC,IL7R,LTB"


@pytest.fixture
def lists(tmp_path):
    path = tmp_path / "m.v1.csv"
    path.write_text(f'cluster,marker_genes\n10,"{B}"\n2,"{T}"\n', encoding="utf-8")
    return path


def invoke(*arguments):
    return CliRunner().invoke(group, ["annotate", *map(str, arguments)], catch_exceptions=False)


def test_a_marker_table_gives_table_record_and_report(tmp_path, lists):
    done = invoke(lists, "--out", tmp_path / "res_v1.2", "--tissue", "blood")
    assert done.exit_code == 0
    assert "B cell" in done.output
    table = pd.read_csv(tmp_path / "res_v1.2_annotations.csv", dtype=str)
    assert list(table["cluster"]) == ["2", "10"]
    record = (tmp_path / "res_v1.2_annotations.json").read_text(encoding="utf-8")
    assert Annotations.from_json(record)["10"].label == "B cell"
    assert "B cell" in (tmp_path / "res_v1.2_report.html").read_text(encoding="utf-8")
    assert (tmp_path / "res_v1.2_run" / "run.json").exists()


def test_an_h5ad_gives_the_labelled_object_too(tmp_path, blood):
    blood.write_h5ad(tmp_path / "in.h5ad")
    done = invoke(tmp_path / "in.h5ad", "--group-key", "louvain", "--out", tmp_path / "out")
    assert done.exit_code == 0
    labelled = anndata.read_h5ad(tmp_path / "out.h5ad")
    cells = pd.read_csv(tmp_path / "out_cells.csv", index_col="cell")
    assert list(cells["cell_type"]) == list(labelled.obs["cell_type"])
    assert "cell_type" not in anndata.read_h5ad(tmp_path / "in.h5ad").obs


def test_tables_and_report_are_there_where_the_object_cant_be_written(tmp_path, blood):
    blood.write_h5ad(tmp_path / "in.h5ad")
    (tmp_path / "out.h5ad" / "in the way").mkdir(parents=True)
    options = ("--group-key", "louvain", "--out", tmp_path / "out", "--overwrite")
    done = CliRunner().invoke(group, ["annotate", str(tmp_path / "in.h5ad"), *map(str, options)])
    assert done.exit_code == 1
    assert isinstance(done.exception, errors.OutputError)
    for end in ("_annotations.csv", "_annotations.json", "_report.html", "_cells.csv"):
        assert (tmp_path / f"out{end}").exists()
        assert f"out{end}" in done.output
    assert "wrote" in done.output


def test_what_anndata_cant_write_is_named_without_a_traceback(tmp_path, blood):
    from cellferry.annotate.files import AnnDataObject as H5ad
    from cellferry.study.clusters import Clusters
    from cellferry.study.study import Study

    blood.obs["mixed"] = pd.Series([1, "a"] * 350, index=blood.obs_names, dtype=object)
    study = Study(Clusters(("0",)), group_key="louvain")
    with pytest.raises(errors.OutputError, match="labelled object can't be written") as caught:
        H5ad(blood, study, "cell_type").save(tmp_path / "out.h5ad")
    assert "The tables and the report are" in caught.value.hint


@pytest.mark.slow
def test_a_second_run_replaces_its_own_files_and_no_others(tmp_path, lists):
    out = tmp_path / "x"
    assert invoke(lists, "--out", out).exit_code == 0
    assert invoke(lists, "--out", out).exit_code == 0
    table = tmp_path / "x_annotations.csv"
    table.write_text(table.read_text(encoding="utf-8") + "# corrected by hand\n", encoding="utf-8")
    with pytest.raises(errors.OutputError, match="was changed"):
        invoke(lists, "--out", out)
    assert "corrected by hand" in table.read_text(encoding="utf-8")
    assert invoke(lists, "--out", out, "--overwrite").exit_code == 0


def test_a_dry_run_writes_nothing(tmp_path, lists):
    done = invoke(lists, "--dry-run", "--out", tmp_path / "x")
    assert done.output == "local: 2 clusters, 0 calls, 0 bytes sent, cost $0.00\n"
    assert [p.name for p in tmp_path.iterdir()] == [lists.name]


def test_a_place_that_cannot_be_written_is_found_before_the_engine_runs(tmp_path, lists):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.OutputError, match="cannot be written"):
        invoke(lists, "--out", tmp_path / "file" / "x")


@pytest.mark.r
@needs_rscript
def test_an_rds_gives_the_labelled_object_too(tmp_path, lists):
    from rds_files import PBMC, r_script

    r_script(
        f"{PBMC} x$cluster <- ifelse(x$groups == 'g1', 10, 2); saveRDS(x, '{tmp_path}/in.rds')"
    )
    options = ("--markers", lists, "--group-key", "cluster", "--out", tmp_path / "out")
    done = invoke(tmp_path / "in.rds", *options)
    assert done.exit_code == 0
    files = {p.name for p in tmp_path.iterdir()}
    assert {f"out{end}" for end in (
        ".rds", "_cells.csv", "_annotations.csv", "_annotations.json", "_report.html", "_run",
    )} <= files  # fmt: skip
    cells = pd.read_csv(tmp_path / "out_cells.csv", index_col="cell")
    written = r_script(f"x <- readRDS('{tmp_path}/out.rds'); write.csv(x[[]], stdout())")
    there = pd.read_csv(io.StringIO(written), index_col=0)
    assert list(cells.index) == list(there.index)
    assert list(cells["cell_type"]) == list(there["cell_type"])
    assert set(cells["cell_type"][there["cluster"] == 10]) == {"B cell"}
    # A second run replaces its own files.
    assert invoke(tmp_path / "in.rds", *options).exit_code == 0


@pytest.mark.r
@pytest.mark.process
@needs_rscript
def test_an_rds_of_any_name_and_any_assay_is_read_in_the_locale_c(tmp_path):
    from command import alone
    from rds_files import PBMC, r_script

    work = tmp_path / "größe é"
    work.mkdir()
    (work / "m.csv").write_text(f'cluster,marker_genes\nBé,"{B}"\nT,"{T}"\n', encoding="utf-8")
    r_script(
        f"{PBMC} x$cluster <- ifelse(x$groups == 'g1', 'B\\u00e9', 'T'); "
        "x[['ADT']] <- SeuratObject::CreateAssayObject(data = as.matrix("
        "SeuratObject::GetAssayData(x)[1:9, ])); SeuratObject::DefaultAssay(x) <- 'ADT'; "
        f"saveRDS(x, '{work}/märkte.rds')"
    )
    line = ["annotate", "märkte.rds", "--markers", "m.csv", "--group-key", "cluster", "--json"]
    done = alone(*line, "--out", "ü", "--assay", "RNA", cwd=work, LC_ALL="C")
    assert done.code == 0, done.err
    assert {row["cluster"] for row in done.json["rows"]} == {"Bé", "T"}
    assert (work / "ü.rds").exists()
    assert "Bé" in (work / "ü_annotations.csv").read_text(encoding="utf-8")
    refused = alone(*line, "--assay", "RMA", "--out", "x", cwd=work, LC_ALL="C")
    assert refused.code == 2
    assert "RMA" in refused.json["error"]["message"]


@pytest.mark.r
@needs_rscript
def test_a_dry_run_of_an_rds_writes_nothing(tmp_path, lists):
    from rds_files import PBMC, r_script

    r_script(
        f"{PBMC} x$cluster <- ifelse(x$groups == 'g1', 10, 2); saveRDS(x, '{tmp_path}/in.rds')"
    )
    done = invoke(tmp_path / "in.rds", "--markers", lists, "--group-key", "cluster", "--dry-run")
    assert done.output.endswith("local: 2 clusters, 0 calls, 0 bytes sent, cost $0.00\n")
    assert {p.name for p in tmp_path.iterdir()} == {"in.rds", lists.name}


def test_files_that_are_no_input_say_what_to_do(tmp_path):
    (tmp_path / "x.h5ad").write_text("no hdf5")
    with pytest.raises(
        errors.InputError, match=r"not what its name says \(.h5ad\); it seems to be a text"
    ):
        invoke(tmp_path / "x.h5ad")


def test_options_of_the_engine_are_name_and_value(tmp_path, lists):
    assert invoke(lists, "--out", tmp_path / "x", "--option", "n_genes=3").exit_code == 0
    done = invoke(lists, "--option", "n_genes")
    assert done.exit_code == 2
    assert "NAME=VALUE" in done.output


def test_a_language_model_by_its_own_options(tmp_path, lists, llm_server):
    done = invoke(
        lists, "--engine", "llm", "--provider", "openai", "--model", "m", "--base-url",
        llm_server.url + "/V1", "--max-workers", 2, "--option", "n_genes=3", "--species", "human",
        "--out", tmp_path / "res_v1.2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    files = ["summary.csv", "conversations.json", "report.html", "annotations.csv"]
    for suffix in [*files, "annotations.json"]:
        assert (tmp_path / f"res_v1.2_{suffix}").exists()
        assert f"wrote {tmp_path / f'res_v1.2_{suffix}'}\n" in done.output
    assert {r["path"] for r in llm_server.log} == {"/V1/chat/completions"}
    assert "Marker genes (3)" in llm_server.log[0]["user"]
    llm_server.log.clear()
    again = ["--engine", "llm", "--provider", llm_server.url + "/V1", "--model", "m"]
    done = invoke(lists, *again, "--option", "n_genes=3", "--species", "human", "--out",
                  tmp_path / "res_v1.2")  # fmt: skip
    assert done.exit_code == 0
    assert llm_server.log == []


def test_a_dry_run_of_a_model_tells_its_cost_and_makes_no_call(tmp_path, lists, llm_server):
    done = invoke(
        lists, "--engine", "llm", "--provider", "openai", "--model", "m", "--base-url",
        llm_server.url, "--option", 'prices={"input": 3, "output": 15}', "--dry-run", "--out",
        tmp_path / "x",
    )  # fmt: skip
    assert "4 calls" in done.output
    assert "tokens in" in done.output
    assert "cost $0.0" in done.output
    assert llm_server.log == []
    assert list(tmp_path.glob("x*")) == []


def test_a_cluster_that_failed_gives_the_exit_code_3(tmp_path, lists, llm_server):
    llm_server.script = {("B cell", "*"): ["refusal"]}
    done = invoke(
        lists, "--engine", "llm", "--provider", llm_server.url, "--model", "m", "--species",
        "human", "--out", tmp_path / "x",
    )  # fmt: skip
    assert done.exit_code == 3


def test_the_name_of_the_files_is_said_once(lists):
    done = CliRunner().invoke(group, ["annotate", str(lists), "--option", "output_name=x"])
    assert done.exit_code == 2
    assert "--out" in done.output


def test_columns_of_other_names_by_the_options_that_the_message_names(tmp_path, capsys):
    path = tmp_path / "m.csv"
    path.write_text("group_final,hgnc,avg_log2FC\n0,CD79A,3\n0,MS4A1,2\n1,CD3D,3\n1,CD3E,2\n")
    monkey = pytest.MonkeyPatch()
    monkey.setattr("sys.argv", ["cellferry", "annotate", str(path)])
    with pytest.raises(SystemExit):
        main()
    monkey.undo()
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == '  Name the columns: --cluster-column "group_final" --gene-column "hgnc"'
    out = tmp_path / "out"
    done = invoke(path, "--cluster-column", "group_final", "--gene-column", "hgnc", "--out", out)
    assert done.exit_code == 0, done.output
    assert "wrote" in done.output


def test_an_object_is_written_only_with_a_name(tmp_path, monkeypatch, lists):
    adata = anndata.AnnData(
        np.ones((4, 2)), obs=pd.DataFrame({"k": ["10", "10", "2", "2"]}, index=list("abcd")),
        var=pd.DataFrame(index=["CD79A", "CD3D"]),
    )  # fmt: skip
    adata.write_h5ad(tmp_path / "x.h5ad")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    done = invoke(tmp_path / "x.h5ad", "--markers", lists, "--group-key", "k")
    assert done.exit_code == 0, done.output
    assert {p.name for p in (tmp_path / "work").iterdir() if p.is_file()} == {
        "x_annotations.csv", "x_annotations.json", "x_report.html", "x_cells.csv"
    }  # fmt: skip


def test_subclusters_are_annotated_within_labels(tmp_path, blood):
    from cellferry import annotate_clusters

    largest = blood.obs["louvain"].value_counts().index[0]
    annotate_clusters(blood, group_key="louvain", progress=False)
    sub = blood.obs["louvain"].astype(object)
    at = np.flatnonzero(sub == largest)
    sub.iloc[at[::2]], sub.iloc[at[1::2]] = f"{largest}_0", f"{largest}_1"
    blood.obs["sub"] = pd.Categorical(sub)
    blood.write_h5ad(tmp_path / "in.h5ad")
    given = (tmp_path / "in.h5ad", "--group-key", "sub", "--within", "cell_type")
    with _quiet():
        done = invoke(*given, "--out", tmp_path / "out")
    assert done.exit_code == 0
    labelled = anndata.read_h5ad(tmp_path / "out.h5ad")
    outside = (blood.obs["louvain"] != largest).to_numpy()
    assert list(labelled.obs["cell_type"][outside]) == list(blood.obs["cell_type"][outside])
    record = (tmp_path / "out_annotations.json").read_text(encoding="utf-8")
    assert set(Annotations.from_json(record).labels()) == set(sub)
    assert "2 clusters" in invoke(*given, "--dry-run").output
    refused = CliRunner().invoke(group, ["annotate", *map(str, given), "--cells"])
    assert refused.exit_code == 2
    assert "--within is for the clusters" in refused.output


@needs_rscript
def test_subclusters_of_an_rds_are_annotated_within_labels(tmp_path):
    code = (
        f"{PBMC} x$mine <- c('T cells', 'monocytes', 'B cells')[as.integer(Idents(x))];"
        "x$sub <- as.character(Idents(x)); at <- which(x$sub == '0');"
        "x$sub[at] <- paste0('0_', seq_along(at) %% 2);"
        f"saveRDS(x, '{tmp_path}/in.rds')"
    )
    r_script(code)
    given = (tmp_path / "in.rds", "--group-key", "sub", "--within", "mine")
    with _quiet():
        done = invoke(*given, "--out", tmp_path / "out")
    assert done.exit_code == 0
    labels = Annotations.from_json((tmp_path / "out_annotations.json").read_text("utf-8")).labels()
    assert (labels["1"], labels["2"]) == ("monocytes", "B cells")
    # Labels of ours are written under their key.
    given = (tmp_path / "out.rds", "--group-key", "sub2", "--within", "cell_type")
    r_script(
        f"x <- readRDS('{tmp_path}/out.rds'); x$sub2 <- x$sub; at <- which(x$sub == '1');"
        f"x$sub2[at] <- paste0('1_', seq_along(at) %% 2); saveRDS(x, '{tmp_path}/out.rds')"
    )
    with _quiet():
        done = invoke(*given, "--out", tmp_path / "again")
    assert done.exit_code == 0
    printed = r_script(
        f"x <- readRDS('{tmp_path}/again.rds'); cat(names(x@misc$cellferry), '|');"
        "cat(unique(as.character(x$cell_type[x$sub2 == '2'])))"
    )
    assert printed == "cell_type |B cells"


@contextlib.contextmanager
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.CellferryWarning)
        yield
