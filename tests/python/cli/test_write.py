import pandas as pd
import pytest
from click.testing import CliRunner

from cellferry import annotate_clusters
from cellferry.cli import group


def run(*arguments):
    return CliRunner().invoke(group, [str(a) for a in arguments])


@pytest.fixture
def labelled(blood, tmp_path):
    annotate_clusters(blood, group_key="louvain", tissue="blood", progress=False)
    path = tmp_path / "blood.h5ad"
    blood.write_h5ad(path)
    return path


def test_tables_are_written_of_a_run_and_of_a_record(tmp_path):
    found = annotate_clusters({"0": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]}, progress=False)
    record = tmp_path / "x_annotations.json"
    record.write_text(found.to_json(), encoding="utf-8")
    for source, name in ((found.provenance["run"], "a.tsv"), (record, "b.xlsx")):
        done = run("write", source, tmp_path / name)
        assert done.exit_code == 0, done.output
        assert f"wrote {tmp_path / name}" in done.output
    assert pd.read_csv(tmp_path / "a.tsv", sep="\t")["label"].tolist() == ["B cell"]
    again = run("write", record, tmp_path / "b.xlsx")
    assert again.exit_code == 1
    assert "`overwrite=True`" in again.exception.hint
    assert run("write", record, tmp_path / "b.xlsx", "--overwrite").exit_code == 0


def test_the_samples_of_an_object_are_counted(labelled, tmp_path):
    done = run("write", labelled, tmp_path / "x.csv", "--sample-key", "phase")
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) == 4
    assert pd.read_csv(tmp_path / "x_samples.csv")["total"].sum() == 700
    record = run("write", tmp_path, tmp_path / "y.csv", "--sample-key", "phase")
    assert record.exit_code == 2
    assert "--sample-key is about an object" in record.output


def test_the_report_of_an_object_has_the_embedding_that_was_asked_for(labelled, tmp_path):
    done = run("report", labelled, tmp_path / "r.html", "--coordinates-key", "X_pca")
    assert done.exit_code == 0, done.output
    assert "X_pca, 700 cells" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert run("report", labelled, tmp_path / "r.pdf").exit_code == 1
