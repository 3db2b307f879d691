"""The HTML report: everything is in it, and it is written whole or not at all."""

from __future__ import annotations

import base64
import csv
import io
import os
import re
import stat

import numpy as np
import pytest

from cellferry.annotations import report
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.report import Embedding, check_report_file, write_report
from cellferry.annotations.report.details import csv_base64
from cellferry.errors import OutputError
from cellferry.study.study import Clusters
from report_page import FOUND, PROVENANCE, ROWS, Page, cells, page, plain, table_rows


def test_every_cluster_has_a_row():
    rows = table_rows(page(), "clusters")
    assert rows[:4] == [
        ["0", "1\u202f200", "B cell", "CL:0000236", "0.93", "✓ ok"],
        ["1 a", "30", "Unknown", "–", "0.10", "? unknown"],
        ["2", "20", "no label", "–", "–", "✕ failed"],
        ["3", "0", "no label", "–", "–", "– skipped"],
    ]


def test_every_cluster_has_a_card_with_its_evidence():
    found = page()
    cards = found.texts("article")
    assert [re.match(r"Cluster .*?: (no label|[\w ]+cell|Unknown)", c)[0] for c in cards] == [
        "Cluster 0: B cell",
        "Cluster 1 a: Unknown",
        "Cluster 2: no label",
        "Cluster 3: no label",
    ]
    expected = "Detail Naive B cell State resting Cell Ontology B lymphocyte, CL:0000236"
    expected += " Supporting genes MS4A1CD79A Conflicting genes CD3D Missing genes CD19"
    expected += " Alternatives plasma cell Mixed with T cell"
    assert expected in cards[0]
    assert "Many of its markers." in cards[0]
    assert "The service did not answer." in cards[2]
    assert "No markers." in cards[3]


@pytest.mark.parametrize(
    "identifier", ["CL:12", "javascript:alert(1)", "CL:0000236\n", "CL:０００0236"]
)
def test_what_is_no_ontology_id_is_text_and_no_link(identifier):
    found = page(Annotations((Annotation("0", "ok", label="x", ontology_id=identifier),)))
    assert all(e["attrs"]["href"].startswith("#") for e in found.all("a"))
    assert table_rows(found, "clusters")[0][3] == plain(identifier)


def test_the_overview_counts_clusters_and_cells():
    values = page().texts("dd")
    start = values.index("4")
    assert values[start : start + 6] == ["4", "1", "1", "1", "1", "1\u202f200 of 1\u202f250 (96 %)"]


def test_without_cells_nothing_is_claimed_of_them():
    found = page(Annotations((Annotation("0", "ok", label="B cell"),)))
    assert "– no cells given" in found.texts("dd")
    assert table_rows(found, "clusters") == [["0", "–", "B cell", "–", "–", "✓ ok"]]


def test_the_header_tells_what_was_annotated_and_how():
    found = page()
    assert found.texts("h1") == ["Cell types of seurat_clusters"]
    header = found.texts("header")[0]
    for fact in ("Engine local", "Species human", "Tissue blood", "Date 2025-03-01 12:30 UTC"):
        assert fact in header
    assert "Run 20250301T123059Z-local-1a2b3c cellferry 0.0.7" in header
    bare = page(Annotations(()))
    assert bare.texts("h1") == ["Cell types"]
    assert "Species not stated Tissue not stated" in bare.texts("header")[0]
    assert page(title="Mine").texts("title")[0] == "Mine"


def test_markers_are_told_with_their_statistics_and_the_many_are_folded():
    found = page()
    tables = [e for e in found.all("table") if "article" in e["within"]]
    assert [e["attrs"]["class"] for e in tables] == ["figures"] * 3
    first, folded, other = (plain(e["text"]) for e in tables)
    assert first.startswith("Best markers of cluster 0 gene")
    assert "G0" in first
    assert "G9" in first
    assert "2.50 0.900" not in first
    assert "G10" in folded
    assert "details" in tables[1]["within"]
    assert found.texts("summary") == ["2 more markers"]
    assert "CD3D–0.903.0e-50" in other
    heads = ["gene", "avg_log2FC", "pct.1", "p_val_adj"]
    assert found.texts("th", "article", scope="col") == heads * 3


@pytest.mark.parametrize("markers", [{}, {"gene": ["A"]}, {"cluster": [], "gene": []}])
def test_no_markers_no_table(markers):
    assert not page(Annotations(ROWS, {}, PROVENANCE, markers)).all("table", "article")


def test_confidence_is_explained_by_its_kind():
    assert "not a probability" in " ".join(page().texts("p"))
    stated = Annotation("0", "ok", label="x", confidence=1.0, confidence_kind="stated")
    found = page(Annotations((stated,)))
    assert any("stated by the model itself" in text for text in found.texts("p"))
    assert [e["attrs"]["width"] for e in found.all("rect", **{"class": "bar"})] == ["100", "100"]


def test_provenance_is_told_and_no_secret():
    text = report.render(FOUND)
    assert "sk-secret" not in text
    rows = dict(table_rows(Page(text), "provenance"))
    assert rows["options.n_genes"] == "50"
    assert rows["options.api_key"] == "not shown"
    assert rows["llm_configs.1.apiKey"] == "not shown"
    assert rows["llm_configs.1.base_url"] == "http://host/v1"
    assert rows["versions.cellferry"] == "0.0.7"


def test_the_embedding_is_drawn_with_a_legend_when_there_is_one():
    found = page(embedding=cells(["0", "0", "1 a", "2", None]))
    assert found.texts("li", "figure") == [
        "B cellcluster 0 · 2 cells",
        "Unknowncluster 1 a · 1 cell",
        "No labelcluster 2 · 2 cells",
    ]
    assert sum(e["attrs"]["d"].count("M") for e in found.all("path", class_="dots")) == 5
    assert found.texts("figcaption")[1:] == [
        "X_umap, 5 cells coloured by label. Labels are at the median of each cluster."
    ]
    assert not page().all("path", class_="dots")


def test_a_sample_is_said_to_be_one_and_the_file_stays_small():
    values = np.random.default_rng(0).normal(size=(25_000, 2))
    values[0] = np.nan
    embedding = Embedding("X_umap", values, Clusters(("0",), np.zeros(25_000, np.int32)))
    text = report.render(FOUND, embedding=embedding)
    (_, caption) = Page(text).texts("figcaption")
    assert "A sample of 20\u202f000 cells is drawn" in caption
    assert "1 cell has no coordinates" in caption
    assert len(text.encode()) < 600_000


def test_an_embedding_without_cells_makes_no_trouble():
    found = page(embedding=Embedding("X_umap", np.zeros((0, 2)), Clusters((), np.zeros(0, int))))
    assert "0 cells" in found.texts("figcaption")[-1]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    embedding = cells(["0", "1 a", "2"])
    one = write_report(FOUND, tmp_path / "one.html", embedding=embedding)
    two = write_report(FOUND, str(tmp_path / "two.html"), embedding=embedding)
    assert one == tmp_path / "one.html"
    assert one.read_bytes() == two.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.html", "two.html"]


def test_an_existing_file_is_kept_when_asked(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_report(FOUND, path, overwrite=False)
    assert path.read_text() == "mine"
    write_report(FOUND, path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("where", ["", "absent/report.html", "file/report.html", "x" * 300])
def test_where_it_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path, where):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_report(FOUND, tmp_path / where)
    assert caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_report(tmp_path, monkeypatch):
    path = write_report(FOUND, tmp_path / "report.html")
    before = path.read_bytes()

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_report(FOUND, path, title="Other")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")
def test_the_file_gets_ordinary_rights_and_a_link_stays_a_link(tmp_path):
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "real.html")
    write_report(FOUND, link)
    assert link.is_symlink()
    usual = tmp_path / "usual"
    usual.touch()
    mode = stat.S_IMODE((tmp_path / "real.html").stat().st_mode)
    assert mode == stat.S_IMODE(usual.stat().st_mode)


def test_a_name_that_utf8_cannot_hold_costs_only_its_letter(tmp_path):
    found = Annotations((Annotation("a\udc80b", "ok", label="x"),))
    text = write_report(found, tmp_path / "report.html").read_text(encoding="utf-8")
    assert table_rows(Page(text), "clusters")[0][0] == "a?b"


def test_tags_are_told_and_only_web_addresses_become_links():
    tags = {"cohort": "<b>A</b>", "paper": "https://example.org/?a=1&b=2", "x": "javascript:1"}
    text = report.render(FOUND, tags=tags)
    assert "&lt;b&gt;A&lt;/b&gt;" in text
    assert 'href="https://example.org/?a=1&amp;b=2"' in text
    assert 'href="javascript' not in text


def test_expression_that_was_looked_up_is_told_with_the_cluster():
    row = Annotation("0", "ok", label="B cell")
    genes = [{"gene": "CD79A", "percent": 81.25, "percentElsewhere": 2.0}, {"gene": "<i>"}]
    found = Annotations((row,), {"0": {"expression": {"source": "vars.h5", "genes": genes}}})
    table = report.expression_table(found, "0")
    assert table.statistics == ("% of cells", "% elsewhere")
    assert table.rows == (("CD79A", "81.25", "2.00"), ("<i>", "–", "–"))
    assert "&lt;i&gt;" in report.render(found)
    assert report.expression_table(Annotations((row,)), "0") is None


def of_cells():
    rows = (
        Annotation("T cell", "ok", label="T cell", n_cells=95, supporting=("CD3E",)),
        Annotation("B cell", "ok", label="B cell", n_cells=5),
        Annotation("Unknown", "unknown", label="Unknown", n_cells=3),
    )
    evidence = {"cells": {"ok": 100, "unknown": 3, "skipped": 7}}
    provenance = {"engine": "local", "level": "cells", "group_key": "cell_type_cell"}
    return Annotations(rows, evidence, provenance)


def test_the_report_of_cells_speaks_of_cells():
    found = page(of_cells(), embedding=cells(["T cell", "B cell", None]))
    assert found.texts("h1") == ["Cell types of single cells"]
    assert table_rows(found, "clusters")[0][:3] == ["T cell", "95", "–"]
    visible = " ".join(t for tag in ("h2", "h3", "dt", "th", "p", "li", "figcaption", "a", "small")
                       for t in found.texts(tag))  # fmt: skip
    assert "luster" not in visible
    assert "Evidence by label" in visible
    values = found.texts("dd")
    start = values.index("3")
    assert values[start : start + 6] == ["3", "100", "3", "0", "7", "100 of 110 (91 %)"]
    assert found.texts("h3") == ["T cell", "B cell", "Unknown"]
    assert found.texts("li", "figure") == ["T cell1 cell", "B cell1 cell", "No label1 cell"]


def test_clusters_that_are_gone_are_named():
    rows = (Annotation("0", "ok", label="B cell", n_cells=5), ok_without_cells("7"))
    assert 'No longer in the object: "7".' in page(Annotations(rows)).texts("p")
    assert not any("No longer" in text for text in page().texts("p"))


def ok_without_cells(name):
    return Annotation(name, "ok", label="T cell", n_cells=0)


def test_the_table_to_download_has_no_formulas():
    row = Annotation("=1+1", "ok", label="@SUM(A1)", justification="-2", supporting=("+A", "B"))
    csv_text = base64.b64decode(csv_base64(Annotations((row,)))).decode()
    (found,) = csv.DictReader(io.StringIO(csv_text))
    assert found["cluster"] == "'=1+1"
    assert found["label"] == "'@SUM(A1)"
    assert found["justification"] == "'-2"
    assert found["supporting"] == "'+A; B"


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.txt", "report.html.gz"])
def test_a_name_that_is_not_of_an_html_file_is_refused(tmp_path, name):
    with pytest.raises(OutputError, match="one HTML file") as caught:
        check_report_file(tmp_path / name)
    assert '.html"' in caught.value.hint
    check_report_file(tmp_path / "Report.HTM")


def test_a_report_is_replaced_and_no_other_file(tmp_path):
    path = tmp_path / "report.html"
    check_report_file(path)
    path.write_text("<html>my thesis</html>")
    with pytest.raises(OutputError, match="is no report of cellferry"):
        check_report_file(path)
    check_report_file(path, overwrite=True)
    write_report(FOUND, path)
    check_report_file(path)
