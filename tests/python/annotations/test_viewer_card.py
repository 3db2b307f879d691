"""The page in a real browser: worklist, card, pictures, comparison, decisions, by keyboard."""

from __future__ import annotations

import base64
import csv
import http.server
import io
import json
import os
import threading
import xml.etree.ElementTree as ET
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import browser_page
import cellferry
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.report import Content, Live, render, write_report
from cellferry.annotations.report.content import Page
from page_objects import TYPES, labelled_cells, typed_cells

AXE = os.environ.get("CELLFERRY_AXE")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(browser_page.CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning"),
]

MARKUP = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>\"'"
BIDI = "T\u202ecell"
FORMULA = "=1+1"


@pytest.fixture(scope="module")
def browser():
    with browser_page.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def labelled():
    return labelled_cells(1200, 8, 400)


@pytest.fixture(scope="module")
def file(labelled, tmp_path_factory):
    target = tmp_path_factory.mktemp("page") / "page.html"
    return cellferry.annotation_report(labelled, target, obs_columns=["sample"], progress=False)


@pytest.fixture
def opened(browser):
    """Return a function that opens a file, which is watched for trouble until the test ends."""
    with ExitStack() as pages:
        yield lambda file, **options: pages.enter_context(
            browser_page.opened(browser, file, **options)
        )


@pytest.fixture
def page(opened, file):
    return opened(file)


def rows(page):
    return page.locator("#cluster-table tbody tr")


def row_of(page, cluster):
    return rows(page).filter(has=page.locator(f"th a:text-is('{cluster}')"))


def choose(page, cluster):
    row_of(page, cluster).locator("td").nth(1).click()
    page.locator("#card").wait_for()


def downloaded(page, act):
    with page.expect_download() as waiting:
        act()
    return Path(waiting.value.path()).read_text(encoding="utf-8")


def decisions_of(page):
    button = page.locator("#progress").get_by_role("button", name="Download decisions")
    return json.loads(downloaded(page, button.click))


def table_of(page, section):
    """Return the figures of a picture, from its CSV."""
    figure = page.locator(f"{section} figure").first
    text = downloaded(page, figure.get_by_role("button", name="CSV").click)
    return list(csv.DictReader(io.StringIO(text)))


def draw(page, gene):
    page.fill("#gene-box", gene)
    page.press("#gene-box", "Enter")
    page.locator("#pictures figure").first.wait_for()


def test_one_decides_by_keyboard_alone_and_the_file_is_applied(page, labelled, tmp_path):
    page.keyboard.press("j")
    first = page.locator("tr[aria-selected=true] th").inner_text()
    page.keyboard.press("a")
    page.keyboard.press("ArrowDown")
    second = page.locator("tr[aria-selected=true] th").inner_text()
    page.keyboard.press("r")
    page.keyboard.type("Kupffer")
    page.locator("#type-box-options li").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    row_of(page, second).get_by_text("relabelled").wait_for()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    third = page.locator("tr[aria-selected=true] th").inner_text()
    page.keyboard.press("u")
    page.locator("#progress", has_text="3 of 8 decided").wait_for()
    assert "3 not downloaded" in page.locator("#progress").inner_text()

    content = decisions_of(page)
    assert content["schema"] == "cellferry.decisions/1"
    assert [d["action"] for d in content["decisions"]] == ["accepted", "relabelled", "unknown"]
    assert "not downloaded" not in page.locator("#progress").inner_text()
    target = tmp_path / "decisions.json"
    target.write_text(json.dumps(content), encoding="utf-8")
    adata = labelled.copy()
    before = adata.obs["cell_type"].astype(str)
    found = cellferry.apply_decisions(adata, target)
    assert found[first].decision == "accepted"
    assert (found[second].label, found[second].ontology_id) == ("Kupffer cell", "CL:0000091")
    after, leiden = adata.obs["cell_type"].astype(str), adata.obs["leiden"].astype(str)
    assert set(after[leiden == second]) == {"Kupffer cell"}
    assert set(after[leiden == third]) == {"Unknown"}
    others = ~leiden.isin([second, third])
    assert (after[others] == before[others]).all()


def test_free_text_is_marked_reasons_and_initials_are_kept(page, labelled, tmp_path):
    choose(page, "1")
    page.fill("#initials-box", "AB")
    page.fill("#reason-box", "seen on the slide")
    page.fill("#type-box", "My own type")
    page.get_by_text("free text, unless one is chosen").wait_for()
    page.press("#type-box", "Enter")
    page.locator("#decisions td", has_text="My own type").wait_for()
    assert page.locator("#decisions .free").count() == 1
    assert page.input_value("#initials-box") == "AB"
    assert page.input_value("#reason-box") == ""
    page.fill("#type-box", "nk cells")
    page.get_by_role("button", name="Doublets").click()
    page.locator("#decisions td", has_text="Doublet").wait_for()
    target = tmp_path / "decisions.json"
    target.write_text(json.dumps(decisions_of(page)), encoding="utf-8")
    adata = labelled.copy()
    cellferry.apply_decisions(adata, target)
    made = cellferry.decisions(adata)
    assert made["label"].tolist() == ["My own type", "Doublet"]
    assert made["by"].tolist() == ["AB", "AB"]
    assert made["reason"].tolist()[0] == "seen on the slide"
    assert made["state"].tolist() == ["replaced", "in force"]


def test_undo_puts_back_what_was_in_force_and_history_keeps_all(page):
    choose(page, "2")
    label = row_of(page, "2").locator(".label").inner_text()
    page.keyboard.press("u")
    page.keyboard.press("w")
    row_of(page, "2").get_by_text("needs work").wait_for()
    page.keyboard.press("z")
    row_of(page, "2").locator(".decision", has_text="unknown").wait_for()
    page.keyboard.press("z")
    row_of(page, "2").locator(".label", has_text=label).wait_for()
    assert row_of(page, "2").locator(".decision").count() == 0
    lines = page.locator("#decisions tbody tr").all_inner_texts()
    assert [line.split("\t")[2] for line in lines] == [
        "withdrawn",
        "unknown",
        "needs work",
        "unknown",
    ]
    assert [line.rstrip().split("\t")[-1] for line in lines] == [
        "in force", "withdrawn", "replaced", "replaced",
    ]  # fmt: skip
    page.keyboard.press("z")
    page.locator("#said", has_text="nothing of yours").wait_for(state="attached")


def test_decisions_that_were_not_downloaded_are_warned_of(browser, file):
    context = browser.new_context()
    page = context.new_page()
    page.goto(file.as_uri())
    choose(page, "2")
    page.keyboard.press("u")
    row_of(page, "2").locator(".decision").wait_for()
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.close(run_before_unload=True)
    row_of(page, "2").locator(".decision").wait_for()
    decisions_of(page)
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    context.close()


@pytest.mark.parametrize("gene", ["cd3d", None, "NKG7"])
def test_the_dot_plot_of_any_gene_is_of_all_cells(page, labelled, gene):
    # Of a gene that is no marker of any cluster the page has no more than the summary.
    gene = gene or labelled.var_names[-50]
    draw(page, gene)
    found = {(line["gene"], line["cluster"]): line for line in table_of(page, "#pictures")}
    name = gene.upper()
    values = labelled[:, name].X.toarray()[:, 0]
    for cluster in labelled.obs["leiden"].cat.categories:
        own = values[labelled.obs["leiden"] == cluster]
        line = found[name, cluster]
        assert float(line["share of cells"]) == pytest.approx((own > 0).mean(), abs=0.005)
        assert float(line["mean"]) == pytest.approx(np.expm1(own).mean(), rel=0.04, abs=1e-9)


def test_a_gene_is_found_by_an_alias_and_the_nearest_are_offered(page):
    draw(page, "MS4A2X")
    page.locator("#gene-note", has_text="There is no gene").wait_for()
    page.fill("#gene-box", "CD20")
    page.locator("#gene-box-options li", has_text="MS4A1").wait_for()
    page.press("#gene-box", "Enter")
    page.locator("#pictures .chips", has_text="MS4A1").wait_for()
    page.fill("#gene-box", "NKG77")
    page.press("#gene-box", "Enter")
    page.locator("#gene-note").get_by_role("button", name="NKG7").click()
    page.locator("#pictures .chips", has_text="NKG7").wait_for()


def test_the_violin_says_what_the_values_are(page, labelled):
    draw(page, "CD3D")
    figure = page.locator("#pictures figure").nth(1)
    text = downloaded(page, figure.get_by_role("button", name="CSV").click)
    values = labelled[:, "CD3D"].X.toarray()[:, 0]
    for line in csv.DictReader(io.StringIO(text)):
        own = values[labelled.obs["leiden"] == line["cluster"]]
        assert int(line["cells"]) == len(own)
        assert float(line["share without"]) == pytest.approx((own == 0).mean())
        assert sum(int(v) for k, v in line.items() if k.startswith("to ")) == (own > 0).sum()


def test_pictures_are_handed_out_as_svg_and_png(page):
    draw(page, "CD3D")
    figure = page.locator("#pictures figure").first
    svg = ET.fromstring(downloaded(page, figure.get_by_role("button", name="SVG").click))
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert all(part.text for part in svg[:2])
    with page.expect_download() as waiting:
        figure.get_by_role("button", name="PNG").click()
    head = Path(waiting.value.path()).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(head[16:20], "big") > 3 * 300
    figure.get_by_role("button", name="Show as table").click()
    assert figure.get_by_role("table").is_visible()


def test_two_clusters_are_compared_from_the_summary(page, labelled):
    page.select_option("#compare-a", "0")
    page.select_option("#compare-b", "3")
    page.locator("#compared caption", has_text="Higher in 3 ·").wait_for()
    text = downloaded(page, page.locator("#compare").get_by_role("button", name="CSV").click)
    lines = {line["gene"]: line for line in csv.DictReader(io.StringIO(text))}
    assert "without a test" in page.locator("#compared").inner_text()
    leiden = labelled.obs["leiden"]
    for gene in ["CD3D", "MS4A1", "CD79A", "IL7R"]:
        values = labelled[:, gene].X.toarray()[:, 0]
        one, other = values[leiden == "0"], values[leiden == "3"]
        change = np.log2((np.expm1(one).mean() + 1) / (np.expm1(other).mean() + 1))
        assert float(lines[gene]["log2_fold_change"]) == pytest.approx(change, abs=0.1)
        assert float(lines[gene]["share_a"]) == pytest.approx((one > 0).mean(), abs=0.005)
    assert (
        float(lines["CD3D"]["log2_fold_change"])
        > 1
        > -1
        > float(lines["CD79A"]["log2_fold_change"])
    )
    page.select_option("#compare-b", "rest")
    page.locator("#compared", has_text="all other cells").wait_for()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("T cells\tna\tCD3D\tCD3E\nB cells\thttp://x\tMS4A1\tCD79A\n", ["T cells", "B cells"]),
        ("T cells: CD3D, CD3E\nB cells: MS4A1 CD79A", ["T cells", "B cells"]),
        ('cluster,gene,score\nT,CD3D,1\nT,CD3E,2\n"B, naive",MS4A1,1\n', ["T", "B, naive"]),
        ("Gene Symbol\tcell type\nCD3D\tT\nMS4A1\tB\n", ["T", "B"]),
        ("CD3D, CD3E\nMS4A1 NOT_HERE", ["list 1"]),
    ],
)
def test_lists_are_read_drawn_and_kept_with_the_decisions(page, text, names):
    page.locator("#pictures summary").click()
    page.fill("#list-text", text)
    page.get_by_role("button", name="Draw them").click()
    page.locator("#pictures .chips", has_text=names[-1]).wait_for()
    genes = {line["gene"] for line in table_of(page, "#pictures")}
    assert {"CD3D", "MS4A1"} <= genes
    if "NOT_HERE" in text:
        page.locator("#gene-missing", has_text="Not here: NOT_HERE").wait_for()
    choose(page, "0")
    page.keyboard.press("a")
    page.locator("#progress strong").wait_for()
    content = decisions_of(page)
    assert [one["name"] for one in content["lists"]] == names
    assert "CD3D" in content["lists"][0]["genes"]


def test_a_list_is_read_from_a_file(page, tmp_path):
    target = tmp_path / "sets.gmt"
    target.write_text("T cells\tna\tCD3D\tCD3E\n", encoding="utf-8")
    page.locator("#pictures summary").click()
    page.set_input_files("#list-file", target)
    page.locator("#pictures .chips", has_text="T cells (2)").wait_for()


def test_the_card_shows_what_is_expected_and_moves_the_evidence(page, labelled):
    choose(page, "0")
    card = page.locator("#card")
    row = cellferry.read_annotations(labelled)["0"]
    own = json.loads(page.locator("#page-index").text_content())["rows"][0]["expected"]
    shown = card.locator(".expected")
    assert shown.count() == len(own) >= 1
    for place, expected in enumerate(own):
        for one in expected["genes"]:
            chip = shown.nth(place).locator(
                "li", has=page.locator(f"button:text-is('{one['gene']}')")
            )
            assert chip.get_attribute("class") == one["state"].replace(" ", "-")
            assert (one["gene"] in labelled.var_names) == (one["state"] != "not measured")
    assert card.locator("article#cluster-1").count() == 1
    card.locator(".card-dots figure").wait_for()
    card.locator(".card-spread figure").wait_for()
    card.locator(".expected button", has_text=row.supporting[1]).click()
    card.locator("#card-violin svg", has_text=f"{row.supporting[1]} in each").wait_for()
    page.keyboard.press("Escape")
    choose(page, "1")
    assert card.locator("article").count() == 1
    assert page.locator("main > section article#cluster-1").count() == 1
    near = card.get_by_role("button", name="Compare with").first
    near.click()
    assert page.input_value("#compare-a") == "1"


def test_the_worklist_begins_with_what_needs_a_look(opened, tmp_path):
    found = Annotations((
        Annotation("sure", "ok", label="B cell", confidence=0.9, confidence_kind="stated"),
        Annotation("low", "ok", label="T cell", confidence=0.2, confidence_kind="stated"),
        Annotation("failed", "failed", error="Nobody answered."),
        Annotation(
            "mixed", "ok", label="NK cell", confidence=0.8, confidence_kind="stated",
            mixed=("T cell", "NK cell"),
        ),
    ))  # fmt: skip
    page = opened(write_report(found, tmp_path / "x.html"))
    assert page.locator("tbody th[scope=row] a").all_inner_texts() == [
        "failed",
        "mixed",
        "low",
        "sure",
    ]
    chip = row_of(page, "low").locator(".reasons li")
    assert chip.inner_text() == "low confidence"
    assert chip.get_attribute("title") == "The confidence is 0.20."
    choose(page, "low")
    assert page.locator("#card .why").inner_text() == "The confidence is 0.20."
    page.keyboard.press("a")
    row_of(page, "low").locator(".decision").wait_for()
    page.get_by_label("undecided only").check()
    assert page.locator("#cluster-table tbody tr:visible").count() == 3
    choose(page, "failed")
    assert page.get_by_role("button", name="Accept").is_disabled()
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")


def test_the_table_is_downloaded_with_what_was_decided(page):
    choose(page, "3")
    page.keyboard.press("u")
    row_of(page, "3").locator(".decision").wait_for()
    text = downloaded(page, page.get_by_role("button", name="Download CSV").click)
    lines = {line["cluster"]: line for line in csv.DictReader(io.StringIO(text))}
    assert (lines["3"]["label"], lines["3"]["status"], lines["3"]["decision"]) == (
        "Unknown",
        "unknown",
        "unknown",
    )
    assert lines["3"]["engine_label"] == "B cell"
    assert lines["2"]["decision"] == ""


def hostile():
    names = [MARKUP, BIDI, FORMULA, "a\nb", "Ω" * 300]
    markers = {
        "cluster": [n for n in names for _ in range(4)],
        "gene": [
            f"{g}{i}" if i else g for n, g in zip(names, names, strict=True) for i in range(4)
        ],
        "avg_log2FC": [2.0, 1.0, 0.5, -1.0] * len(names),
        "pct.1": [0.5] * 4 * len(names),
    }
    found = [
        Annotation(
            n, "ok", label=n, confidence=0.3, confidence_kind="stated", supporting=(n, "-2+3"),
            alternatives=(MARKUP, BIDI), mixed=(n,),
        )
        for n in names
    ]  # fmt: skip
    return Annotations(tuple(found), {}, {"engine": MARKUP, "run": MARKUP}, markers)


def test_hostile_names_are_shown_and_do_nothing(opened, tmp_path):
    page = opened(write_report(hostile(), tmp_path / "x.html"))
    for i in range(5):
        rows(page).nth(i).locator("td").nth(1).click()
        page.locator("#card .card-dots figure").wait_for()
    row_of(page, FORMULA).locator("td").nth(1).click()
    page.locator("#card .choices button").first.click()
    page.locator("#decisions td", has_text="onerror").first.wait_for()
    # A label that would be refused when it is applied is refused here, and says so.
    page.locator("#card .choices button").nth(1).click()
    page.locator("#card [role=alert]", has_text="not text").wait_for()
    figure = page.locator("#pictures figure").first
    figure.wait_for()
    ET.fromstring(downloaded(page, figure.get_by_role("button", name="SVG").click))
    text = downloaded(page, figure.get_by_role("button", name="CSV").click)
    assert all(
        not cell.startswith(("=", "-2+")) for line in csv.reader(io.StringIO(text)) for cell in line
    )
    figure.get_by_role("button", name="Show as table").click()
    page.fill("#gene-box", "onerror")
    page.locator("#gene-box-options li").first.wait_for()
    content = decisions_of(page)
    assert content["decisions"][0]["label"] == MARKUP


def test_a_marker_table_has_pictures_and_is_decided(opened, tmp_path):
    import pandas as pd

    lines = [
        (str(c), gene, 5 - i / 2, 0.9 - i / 10, 0.1, 1e-9)
        for c, genes in enumerate(TYPES.values())
        for i, gene in enumerate(genes)
    ]
    names = ["cluster", "gene", "avg_log2FC", "pct.1", "pct.2", "p_val_adj"]
    found = cellferry.annotate_clusters(pd.DataFrame(lines, columns=names))
    page = opened(write_report(found, tmp_path / "x.html"))
    assert not page.locator("#compare").is_visible()
    draw(page, "cd79a")
    figures = table_of(page, "#pictures")
    own = next(line for line in figures if line["gene"] == "CD79A" and line["cluster"] == "3")
    assert (float(own["log2 fold change"]), float(own["share here"]), own["evidence"]) == (
        5,
        0.9,
        "for",
    )
    choose(page, "3")
    assert "– not in the table" in page.locator(".expected-markers .note").inner_text()
    page.keyboard.press("u")
    row_of(page, "3").locator(".decision").wait_for()
    target = tmp_path / "decisions.json"
    target.write_text(json.dumps(decisions_of(page)), encoding="utf-8")
    assert cellferry.apply_decisions(found, target)["3"].label == "Unknown"


def test_labels_of_cells_are_decided_by_the_positions_of_their_cells(opened, tmp_path):
    adata = typed_cells(500, 4, 300)
    cellferry.annotate_cells(adata, progress=False)
    page = opened(cellferry.annotation_report(adata, tmp_path / "x.html", progress=False))
    choose(page, "B cell")
    page.keyboard.press("u")
    row_of(page, "B cell").locator(".decision").wait_for()
    content = decisions_of(page)
    (entry,) = content["decisions"]
    assert "cluster" not in entry
    own = (adata.obs["cell_type_cell"] == "B cell").to_numpy()
    mask = np.frombuffer(base64.b64decode(entry["cells_at"]["mask"]), np.uint8)
    assert np.array_equal(np.unpackbits(mask, bitorder="little")[: len(own)].astype(bool), own)
    assert entry["n_cells"] == own.sum()
    target = tmp_path / "decisions.json"
    target.write_text(json.dumps(content), encoding="utf-8")
    before = adata.obs["cell_type_cell"].astype(str)
    cellferry.apply_decisions(adata, target)
    after = adata.obs["cell_type_cell"].astype(str)
    assert set(after[own]) == {"Unknown"}
    assert (after[~own] == before[~own]).all()


@pytest.fixture
def inside(browser, file, tmp_path):
    """Return a page whose parts a test reaches, as the map does: its script has another hash."""
    text = file.read_text(encoding="utf-8")
    last = 'document.documentElement.classList.add("scripted");'
    assert text.count(last) == 1
    target = tmp_path / "inside.html"
    target.write_text(
        text.replace(last, last + "window.viewer = {change, state, showGene};"), encoding="utf-8"
    )
    context = browser.new_context(bypass_csp=True, accept_downloads=True)
    page = context.new_page()
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(target.as_uri())
    yield page
    assert trouble == []
    context.close()


def test_chosen_cells_are_compared_and_decided(inside, labelled, tmp_path):
    page = inside
    own = (labelled.obs["leiden"] == "3").to_numpy()
    page.evaluate(
        "bits => viewer.change({chosen: Uint8Array.from(bits)})", own.astype(int).tolist()
    )
    n = int(own.sum())
    page.locator("#card h2", has_text=f"{n} chosen cells").wait_for()
    page.locator("#compare").scroll_into_view_if_needed()
    page.locator("#compared", has_text="genes that this file has values of").wait_for()
    assert page.locator("#compared tbody th").first.inner_text() in TYPES["B cell"]
    page.fill("#type-box", "memory B cell")
    page.press("#type-box", "Enter")
    page.locator("#decisions td", has_text="memory B cell").wait_for()
    choose(page, "1")
    assert page.get_by_role("radio", name="cluster 1").is_checked()
    page.keyboard.press("u")
    row_of(page, "1").locator(".decision", has_text="unknown").wait_for()
    page.get_by_role("radio", name=f"{n} chosen cells").check()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("u")
    page.locator("#decisions td", has_text=f"{n} cells").nth(1).wait_for()
    content = decisions_of(page)
    cells, row, again = content["decisions"]
    mask = np.frombuffer(base64.b64decode(cells["cells_at"]["mask"]), np.uint8)
    assert np.array_equal(np.unpackbits(mask, bitorder="little")[: len(own)].astype(bool), own)
    assert (cells["label"], cells["ontology_id"], cells["n_cells"]) == (
        "memory B cell",
        "CL:0000787",
        n,
    )
    assert row["cluster"] == "1"
    assert "cells_at" not in row
    assert again["action"] == "unknown"
    assert again["cells_at"] == cells["cells_at"]
    states = page.locator("#decisions .state").all_inner_texts()
    assert states == ["in force", "in force", "replaced"]
    content["decisions"].pop()
    target = tmp_path / "decisions.json"
    target.write_text(json.dumps(content), encoding="utf-8")
    adata = labelled.copy()
    cellferry.apply_decisions(adata, target)
    assert set(adata.obs["cell_type"][own]) == {"memory B cell"}
    assert "memory B cell" not in set(adata.obs["cell_type"][~own])
    page.evaluate("viewer.change({chosen: null})")
    page.evaluate("viewer.showGene(3)")
    page.locator("#pictures .chips", has_text=labelled.var_names[3]).wait_for()


def test_a_stale_decision_is_taken_over(opened, tmp_path):
    adata = labelled_cells(600, 4, 300)
    cellferry.set_labels(adata, {"1": "Plasma cell"}, by="CD")
    joined = adata.obs["leiden"].isin(["1", "2"])
    adata.obs["two"] = np.where(joined, "joined", adata.obs["leiden"].astype(str))
    cellferry.annotate_clusters(adata, group_key="two", progress=False)
    page = opened(cellferry.annotation_report(adata, tmp_path / "x.html", progress=False))
    assert row_of(page, "joined").locator(".reasons li").first.inner_text() == "stale"
    choose(page, "joined")
    page.locator("#card").get_by_role("button", name="take over").click()
    row_of(page, "joined").locator(".label", has_text="Plasma cell").wait_for()
    target = tmp_path / "decisions.json"
    target.write_text(json.dumps(decisions_of(page)), encoding="utf-8")
    assert cellferry.apply_decisions(adata, target)["joined"].label == "Plasma cell"


def many(n):
    found = [
        Annotation(
            str(i),
            "ok",
            label=f"type {i}",
            confidence=i / n,
            confidence_kind="stated",
            supporting=(f"G{i}",),
        )
        for i in range(n)
    ]
    markers = {"cluster": [r.cluster for r in found], "gene": [f"G{i}" for i in range(n)]}
    return Annotations(tuple(found), {}, {"engine": "local"}, markers)


@pytest.mark.parametrize("n", [1, 200])
def test_one_and_two_hundred_rows(opened, tmp_path, n):
    page = opened(write_report(many(n), tmp_path / "x.html"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.locator("#progress", has_text=f"1 of {n} decided").wait_for()
    page.locator("#pictures").scroll_into_view_if_needed()
    page.locator("#pictures figure").wait_for()


def test_on_paper_there_are_decisions_and_no_controls(page):
    choose(page, "1")
    page.keyboard.press("u")
    page.locator("#decisions td").first.wait_for()
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#decisions table").is_visible()
    assert not page.get_by_role("button", name="Download decisions").is_visible()
    assert not page.locator("#card").is_visible()
    assert page.locator("article#cluster-2").is_visible()
    assert "Unknown" in page.locator("article#cluster-2 h3").inner_text()


def test_nothing_is_wider_than_a_phone(opened, file):
    page = opened(file, viewport={"width": 375, "height": 700})
    choose(page, "1")
    page.locator("#card .card-dots figure").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.skipif(AXE is None, reason="CELLFERRY_AXE names no axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, file, scheme):
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(file.as_uri())
    choose(page, "1")
    page.keyboard.press("w")
    draw(page, "CD3D")
    page.locator("#pictures summary").click()
    page.locator("#compared table").first.wait_for()
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (v["id"], v["nodes"][0]["html"][:200])
        for v in found["violations"]
        if v["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    context.close()


class Server:
    """A served page: its blocks, decisions in memory, and one comparison for all."""

    def __init__(self, found, content):
        live = Live(base="blocks/", decisions="decisions", compare=True, done=True)
        self.page = render(found, content=content, live=live).encode()
        self.genes = content.genes.genes
        self.blocks = dict(Page(found, content).blocks())
        self.decisions, self.asked, self.fails, self.finished = [], [], False, False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, body, status=200):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                name = self.path.lstrip("/")
                if not name:
                    self.answer(outer.page)
                elif name == "decisions":
                    self.answer({"decisions": outer.decisions})
                elif name.removeprefix("blocks/") in outer.blocks:
                    self.answer(outer.blocks[name.removeprefix("blocks/")])
                else:
                    self.answer({"message": "There is none."}, 404)

            def do_POST(self):
                length = int(self.headers["Content-Length"] or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                if outer.fails:
                    self.answer({"message": "The disk is full."}, 500)
                elif self.path == "/decisions":
                    outer.take(body["decisions"])
                    self.answer({"decisions": outer.decisions})
                elif self.path == "/blocks/compare":
                    outer.asked.append(body)
                    gene = {
                        "gene": "CD3D",
                        "lfc": 2.5,
                        "here": 0.9,
                        "elsewhere": 0.1,
                        "p": 1e-9,
                        "p_adj": 1e-8,
                    }
                    self.answer({"genes": [gene], "n_a": 7, "n_b": 9, "note": "Wilcoxon."})
                else:
                    outer.finished = True
                    self.answer({})

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def take(self, wishes):
        for wish in wishes:
            for one in self.decisions:
                if one["cluster"] == wish.get("cluster"):
                    one["state"] = "replaced"
            made = {
                "id": str(len(self.decisions)),
                "at": "2030-01-01T00:00:00+00:00",
                "n_cells": 3,
                "state": "in force",
            }
            empty = dict.fromkeys(["cluster", "label", "ontology_id", "by", "reason"])
            self.decisions.append(empty | wish | made)


@pytest.fixture
def served(labelled):
    from cellferry.annotate.pages import cells_of, genes_of_object
    from cellferry.annotations.stored import present_annotations

    now = present_annotations(labelled, None)
    genes, values = genes_of_object(labelled, now.found, now.clusters)
    content = Content(cells_of(labelled, now.clusters, [], ["sample"]), genes, values)
    server = Server(now.found, content)
    yield server
    server.server.shutdown()


def test_two_served_pages_see_each_other_and_nothing_is_lost(browser, served):
    context = browser.new_context()
    one, other = context.new_page(), context.new_page()
    trouble = []
    for page in (one, other):
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(served.url)
    choose(one, "1")
    one.keyboard.press("u")
    row_of(other, "1").locator(".decision", has_text="unknown").wait_for(timeout=2500)
    served.fails = True
    one.keyboard.press("j")
    one.keyboard.press("w")
    one.locator("#progress [role=alert]", has_text="The disk is full.").wait_for()
    served.fails = False
    one.get_by_role("button", name="Try again").click()
    other.locator("#decisions td", has_text="needs work").wait_for(timeout=2500)
    one.keyboard.press("z")
    other.locator("#decisions td", has_text="withdrawn").wait_for(timeout=2500)
    one.reload()
    row_of(one, "1").locator(".decision", has_text="unknown").wait_for(timeout=2500)
    draw(one, list(served.genes)[-7])
    one.locator("#gene-missing", has_text="There is none.").wait_for()
    draw(one, "CD3D")
    one.locator("#pictures figure").nth(1).wait_for()
    one.select_option("#compare-a", "2")
    one.get_by_role("button", name="Test", exact=True).click()
    one.locator("#compared", has_text="Wilcoxon.").wait_for()
    assert served.asked[0]["a"] == {"rows": [2]}
    one.get_by_role("button", name="Done").click()
    one.locator("#progress", has_text="Finished").wait_for()
    assert served.finished
    assert trouble == []
    context.close()
