"""The report in a real browser, opened from disk: search, sort, cards, download, hostile text."""

from __future__ import annotations

import csv
import os
import shutil

import pytest

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.report import write_report

CHROMIUM = os.environ.get("CELLFERRY_CHROMIUM") or shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

HOSTILE = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>\"'"


def hundred():
    rows = [
        Annotation(
            str(i), "ok", n_cells=(i * 37) % 501, label=f"{'B' if i % 3 else 'T'} cell {i}",
            confidence=((i * 7) % 100) / 100, confidence_kind="stated", supporting=(f"GENE{i}",),
            justification="Because. " * 20,
        )
        for i in range(98)
    ]  # fmt: skip
    rows.append(Annotation(HOSTILE, "ok", label=HOSTILE, n_cells=5, supporting=(HOSTILE,)))
    rows.append(Annotation("last", "failed", error="Nobody answered."))
    messages = [
        {"stage": "annotator", "round": 1, "role": "user", "content": HOSTILE + "word " * 500}
    ]
    markers = {
        "cluster": [r.cluster for r in rows for _ in range(30)],
        "gene": [f"M{i}" for i in range(3000)],
        "avg_log2FC": [1.5] * 3000,
    }
    evidence = {r.cluster: {"conversation": messages * 4, "rounds": []} for r in rows}
    return Annotations(tuple(rows), evidence, {"engine": "llm"}, markers)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_report(hundred(), tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def page(browser, file):
    context = browser.new_context(offline=True, accept_downloads=True)
    opened = context.new_page()
    trouble = []
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    requested = []
    opened.on("request", lambda request: requested.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    assert trouble == []
    assert requested == [file.as_uri()]
    assert opened.evaluate("window.hit") is None
    context.close()


def shown(page):
    return page.locator("#cluster-table tbody tr:visible")


def test_search_narrows_rows_and_cards_together(page):
    assert shown(page).count() == 100
    page.fill("#search", "gene42")
    assert shown(page).count() == 1
    assert page.locator("article:visible").count() == 1
    assert page.locator("#count").inner_text() == "1 of 100 clusters"
    page.fill("#search", "B CELL gene4")
    assert shown(page).count() > 1
    page.keyboard.press("Escape")
    assert shown(page).count() == 100
    page.fill("#search", "nobody answered")
    assert shown(page).count() == 1


def column(page, number):
    return page.locator(f"#cluster-table tbody tr > :nth-child({number})").all_inner_texts()


def test_columns_sort_by_number_by_name_and_missing_values_stay_last(page):
    assert column(page, 1)[:2] == ["last", "0"]
    head = page.locator("#cluster-table th", has_text="Cells")
    head.get_by_role("button").click()
    sizes = [int(x.replace("\u202f", "")) for x in column(page, 2)[:-1]]
    assert sizes == sorted(sizes)
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 2)[-1] == "–"
    page.locator("#cluster-table th", has_text="Cluster").get_by_role("button").click()
    assert [c for c in column(page, 1) if c.isdigit()] == [str(i) for i in range(98)]
    assert page.locator("[aria-sort]").count() == 1


def test_everything_can_be_done_with_the_keyboard(page):
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("gene7")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "undecided"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "download"
    head = page.locator("#cluster-table th button").first
    head.focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=ascending]").count() == 1


def test_a_card_opens_from_its_row_and_unfolds_its_conversation(page):
    page.locator("#cluster-table tbody a", has_text="42").first.click()
    assert page.url.endswith("#cluster-43")
    card = page.locator("#cluster-43")
    assert card.is_visible()
    assert not card.locator("pre").first.is_visible()
    card.locator("details.conversation summary").click()
    assert card.locator("pre").first.is_visible()
    page.evaluate("location.hash = '#clusters'")
    page.fill("#search", "gene7")
    page.evaluate("location.hash = '#cluster-43'")
    card.wait_for(state="visible")


def test_the_table_can_be_downloaded_whole(page, tmp_path):
    with page.expect_download() as waiting:
        page.click("#download")
    target = tmp_path / "x.csv"
    waiting.value.save_as(target)
    assert waiting.value.suggested_filename == "annotations.csv"
    with target.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 100
    assert rows[98]["label"] == HOSTILE


def test_hostile_text_is_shown_and_does_nothing(page):
    page.fill("#search", "onerror")
    assert HOSTILE in shown(page).first.inner_text()
    page.locator("article:visible details.conversation summary").click()
    assert "window.hit" in page.locator("article:visible pre").first.inner_text()


def test_a_hundred_clusters_stay_smooth(page):
    spent = page.evaluate(
        """() => {
          const search = document.getElementById("search");
          const began = performance.now();
          for (const word of ["b", "b c", "b cell 4", "gene77", ""]) {
            search.value = word;
            search.dispatchEvent(new Event("input"));
            document.body.getBoundingClientRect();
          }
          for (const head of document.querySelectorAll("#cluster-table th button")) {
            head.click();
            document.body.getBoundingClientRect();
          }
          return performance.now() - began;
        }"""
    )
    # Eleven interactions, each with a layout; a tenth of a second is felt as at once.
    assert spent / 11 < 100


def test_dark_mode_and_print_style_differ(page):
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.emulate_media(media="print", color_scheme="light")
    assert not page.locator("#tools").is_visible()
    assert page.locator("#cluster-table").is_visible()


def test_screen_readers_get_names_and_roles(page):
    assert page.get_by_role("searchbox", name="Search").is_visible()
    assert page.get_by_role("button", name="Download CSV").is_visible()
    assert page.get_by_role("columnheader", name="Cells").is_visible()
    assert page.get_by_role("img", name="Confidence of the labels").is_visible()
    assert page.locator("#count[role=status]").count() == 1


def test_without_script_everything_is_still_there(browser, file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("#cluster-table tbody tr:visible").count() == 100
    assert not page.locator("#tools").is_visible()
    context.close()
