"""Tables of annotations: what is in them, exactly, and that no spreadsheet changes it."""

from __future__ import annotations

import csv
import io

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from cellferry import annotate_cells, annotate_clusters, errors, write_annotations
from cellferry.annotations.clusters import COLUMNS, Annotation, Annotations
from cellferry.annotations.write import (
    CUT,
    LONGEST_CELL,
    MOST_SAMPLES,
    Sheet,
    sample_counts,
    write_tables,
)
from cellferry.study.clusters import Clusters

FOUND = Annotations(
    (
        Annotation(
            "007", "ok", label="T cell, memory", n_cells=3, confidence=0.9,
            confidence_kind="graded", supporting=("MARCH1", "SEPT2"), alternatives=("a, b", "c"),
        ),
        Annotation("1", "failed", error="=cmd|' /C calc'!A0"),
    ),
    {},
    {"engine": "local", "options": {"api_key": "sk-secret"}, "tissue": "blood"},
    {"cluster": ["007", "007"], "gene": ["MARCH1", "DEC1"], "avg_log2FC": [2.5, None]},
)  # fmt: skip


def cells_of(page):
    return [[cell.value for cell in row] for row in page.iter_rows()]


def samples():
    return sample_counts(
        Clusters.from_labels(["T", "T", None, "B"]), Clusters.from_labels(["2", "10", "2", None]),
        "sample",
    )  # fmt: skip


def test_an_xlsx_has_labels_markers_samples_and_provenance(tmp_path):
    (file,) = write_tables(FOUND, tmp_path / "x.xlsx", samples=samples())
    book = load_workbook(file)
    assert book.sheetnames == ["Labels", "Markers", "Samples", "Provenance"]
    labels = pd.read_excel(file, sheet_name="Labels", dtype={"cluster": str})
    assert list(labels) == list(COLUMNS)
    assert list(labels["cluster"]) == ["007", "1"]
    assert list(labels["n_cells"]) == pytest.approx([3, np.nan], nan_ok=True)
    assert labels["supporting"][0] == "MARCH1; SEPT2"
    assert labels["confidence"][0] == 0.9
    assert cells_of(book["Markers"]) == [
        ["cluster", "label", "gene", "avg_log2FC"],
        ["007", "T cell, memory", "MARCH1", 2.5],
        ["007", "T cell, memory", "DEC1", None],
    ]
    assert cells_of(book["Samples"]) == [
        ["label", "2", "10", "(no sample)", "total"],
        ["B", 0, 0, 1, 1],
        ["T", 1, 1, 0, 2],
        ["(no label)", 1, 0, 0, 1],
    ]
    known = dict(cells_of(book["Provenance"]))
    assert known["engine"] == "local"
    assert known["options.api_key"] == "not shown"
    assert known["written by"].startswith("cellferry ")


def test_genes_are_text_and_nothing_is_a_formula(tmp_path):
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "#N/A", "1-Mar", "007", "1e5", "TRUE"]
    rows = tuple(Annotation(text, "ok", label=text, supporting=(text,)) for text in texts)
    (file,) = write_annotations(Annotations(rows), tmp_path / "x.xlsx")
    book = load_workbook(file)
    found = [cell for page in book for row in page.iter_rows(min_row=2) for cell in row]
    found = [cell for cell in found if cell.value is not None]
    assert {cell.value for cell in found} >= set(texts)
    for cell in found:
        if isinstance(cell.value, str):
            assert cell.data_type == "s"
            assert cell.number_format == "@"
    assert all(c.quotePrefix for c in found if str(c.value).startswith(("=", "+", "@", "-1")))


def test_text_that_an_xlsx_cannot_hold_is_marked_and_never_dropped_in_silence(tmp_path):
    rows = (Annotation("a\x00\ud800", "ok", label="x" * 40_000),)
    (file,) = write_annotations(Annotations(rows), tmp_path / "x.xlsx")
    _, (cluster, _, label, *_) = cells_of(load_workbook(file)["Labels"])
    assert cluster == "a\ufffd?"
    assert len(label) == LONGEST_CELL
    assert label.endswith(CUT)


@pytest.mark.parametrize(("kind", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_csv_and_tsv_are_exact_with_the_other_tables_beside_them(tmp_path, kind, delimiter):
    files = write_tables(FOUND, tmp_path / f"x.{kind}", samples=samples())
    assert [f.name for f in files] == [
        f"x.{kind}", f"x_markers.{kind}", f"x_samples.{kind}", f"x_provenance.{kind}",
    ]  # fmt: skip
    with files[0].open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text, delimiter=delimiter))
    assert rows[0]["cluster"] == "007"
    assert rows[0]["alternatives"] == "a, b; c"
    assert rows[1]["error"] == "=cmd|' /C calc'!A0"
    assert rows[1]["label"] == ""
    assert "sk-secret" not in "".join(f.read_text(encoding="utf-8") for f in files)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text(), st.none() | st.integers() | st.text()), max_size=5))
def test_any_table_is_read_back_as_it_was_written(tmp_path_factory, values):
    sheet = Sheet("Samples", ("a", "b"), tuple(values))
    file = tmp_path_factory.mktemp("t") / "x.csv"
    write_tables(Annotations(()), file, samples=sheet)
    if values:
        content = (file.parent / "x_samples.csv").read_bytes().decode()
        read = list(csv.reader(io.StringIO(content, newline="")))[1:]
        expected = [[a, "" if b is None else str(b)] for a, b in values]
        assert read == [[t.encode("utf-8", "replace").decode() for t in row] for row in expected]


def test_the_format_is_told_by_the_name_or_given(tmp_path):
    assert write_annotations(FOUND, tmp_path / "x.TSV")[0].read_text(encoding="utf-8")[:8] == (
        "cluster\t"
    )
    assert write_annotations(FOUND, tmp_path / "y", "csv")[0].name == "y"
    with pytest.raises(errors.InvalidOptionError, match="does not say how") as caught:
        write_annotations(FOUND, tmp_path / "x.docx")
    assert '"xlsx"' in caught.value.hint
    with pytest.raises(errors.InvalidOptionError, match='no format "excel"'):
        write_annotations(FOUND, tmp_path / "x.xlsx", "excel")
    with pytest.raises(errors.InvalidOptionError, match=r'"x\.csv" is that of a csv'):
        write_annotations(FOUND, tmp_path / "x.csv", "xlsx")
    assert sorted(p.suffix for p in tmp_path.iterdir()) == ["", "", "", ".TSV", ".TSV", ".TSV"]


def test_no_file_is_replaced_unasked_and_none_is_written_beside_it(tmp_path):
    mine = tmp_path / "x_markers.csv"
    mine.write_text("mine")
    with pytest.raises(errors.OutputError, match=r"x_markers\.csv\" exists"):
        write_annotations(FOUND, tmp_path / "x.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["x_markers.csv"]
    write_annotations(FOUND, tmp_path / "x.csv", overwrite=True)
    assert mine.read_text(encoding="utf-8").startswith("cluster,label,gene")
    with pytest.raises(errors.OutputError, match="cannot be written"):
        write_annotations(FOUND, tmp_path / "absent" / "x.xlsx")


def labelled(blood):
    annotate_clusters(blood, group_key="louvain", tissue="blood", progress=False)
    blood.obs["sample"] = np.where(np.arange(blood.n_obs) % 3 == 0, "s10", "s2")
    return blood


def test_the_cells_of_samples_are_those_of_the_object_as_it_is(blood, tmp_path):
    part = labelled(blood)[blood.obs["louvain"].isin(["0", "4"])].copy()
    (file,) = write_annotations(part, tmp_path / "x.xlsx", sample_key="sample")
    counted = pd.read_excel(file, sheet_name="Samples", index_col=0)
    expected = pd.crosstab(part.obs["cell_type"].astype(str), part.obs["sample"])
    assert list(counted.columns) == ["s2", "s10", "total"]
    assert counted["total"].sum() == part.n_obs
    for label in expected.index:
        assert counted.loc[label, ["s2", "s10"]].tolist() == expected.loc[label].tolist()[::-1]
    sizes = pd.read_excel(file, sheet_name="Labels", dtype={"cluster": str})
    assert sizes.set_index("cluster")["n_cells"]["4"] == (part.obs["louvain"] == "4").sum()
    assert sizes["n_cells"].sum() == part.n_obs


def test_samples_need_an_object_and_a_column_of_samples(blood, tmp_path):
    found = labelled(blood)
    with pytest.raises(errors.GroupMissingError, match='no column "sampel"') as caught:
        write_annotations(found, tmp_path / "x.csv", sample_key="sampel")
    assert 'Did you mean "sample"?' in caught.value.hint
    with pytest.raises(errors.EngineNeedsError, match="counted in an object"):
        write_annotations(FOUND, tmp_path / "x.csv", sample_key="sample")
    many = Clusters.from_labels(range(MOST_SAMPLES + 1))
    with pytest.raises(errors.InvalidOptionError, match="more than samples can be"):
        sample_counts(many, many, "n_genes")
    assert not list(tmp_path.glob("x*"))


def test_labels_of_cells_are_written_with_their_genes(tmp_path):
    adata = anndata.AnnData(np.array([[3.0, 2.5, 2.0, 1.5, 0.0]] * 3))
    adata.var_names = ["CD79A", "MS4A1", "CD79B", "CD19", "CD3E"]
    adata.obs["sample"] = ["a", "b", "a"]
    found = annotate_cells(adata, species="human", progress=False)
    files = write_annotations(adata, tmp_path / "x.csv", sample_key="sample")
    markers = pd.read_csv(files[1])
    assert list(markers) == ["cluster", "label", "gene", "rank"]
    assert set(markers["gene"]) <= set(adata.var_names)
    assert pd.read_csv(files[2]).to_numpy().tolist() == [["B cell", 2, 1, 3]]
    assert pd.read_csv(write_annotations(found, tmp_path / "y.csv")[0])["n_cells"].tolist() == [3]
