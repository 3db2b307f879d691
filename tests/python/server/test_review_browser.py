"""A person at the live page, in a real browser, over a real process: look, question, decide."""

from __future__ import annotations

import re
from contextlib import contextmanager

import anndata
import pytest

import cellferry
from browser_page import CHROMIUM, chromium
from page_objects import labelled_cells
from published import SCRIPT, client, plain
from server_process import ServerProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.process,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
DRAWN = "() => performance.getEntriesByName('cellferry:drawn').length > 0"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def adata(own_home):
    found = labelled_cells(500, 6, 200)
    found.obsm["protein"] = found.to_df().iloc[:, :3]
    return found


@pytest.fixture
def review(adata):
    page = cellferry.review(adata, open_browser=False, progress=False)
    yield page
    page.stop()


@contextmanager
def tab(browser, address):
    """Yield the page at an address once it is drawn; it complains of nothing, asks no other."""
    context = browser.new_context(accept_downloads=True, viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    trouble, asked = [], []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_function(DRAWN)
    yield page
    origin = re.match(r"https?://[^/]+/", address)[0]
    assert trouble == []
    assert [url for url in asked if not url.startswith((origin, "blob:"))] == []
    context.close()


def gene_box(page):
    return page.locator("#map").get_by_role("combobox", name="Gene")


def row_of(page, cluster):
    return page.locator("#cluster-table tbody tr").filter(
        has=page.get_by_role("link", name=cluster, exact=True)
    )


def test_a_gene_is_found_and_coloured_and_a_feature_of_another_assay_too(browser, review):
    with tab(browser, review.address) as page:
        gene_box(page).fill("cd79a")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "() => /CD79A/.test(document.querySelector('#map canvas').ariaLabel)"
        )
        gene_box(page).fill("protein_CD3D")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "() => /protein_CD3D/.test(document.querySelector('#map canvas').ariaLabel)"
        )


def test_lists_of_genes_are_there_again(browser, review):
    with tab(browser, review.address) as page:
        page.locator("#pictures summary").click()
        page.fill("#list-text", "T cells: CD3D CD3E")
        with page.expect_response(lambda answer: answer.url.endswith("/data/lists")) as kept:
            page.get_by_role("button", name="Draw them").click()
        assert kept.value.ok
        page.reload()
        page.wait_for_function(DRAWN)
        page.locator("#pictures .chips", has_text="T cells").wait_for()


def test_cells_are_filtered_by_a_column_with_counts(browser, review, adata):
    with tab(browser, review.address) as page:
        filters = page.locator("#filters")
        filters.get_by_role("combobox").first.select_option(label="sample")
        filters.get_by_role("checkbox", name=re.compile("donor 2")).uncheck()
        n = int((adata.obs["sample"] != "donor 2").sum())
        filters.get_by_text(re.compile(rf"\b{n} of 500 cells")).first.wait_for()


def test_two_clusters_are_compared_with_the_test(browser, review, adata):
    with tab(browser, review.address) as page:
        row_of(page, "3").click()
        page.locator("#compare").scroll_into_view_if_needed()
        selects = page.locator("#compare").get_by_role("combobox")
        selects.nth(1).select_option(value="rest")
        page.locator("#compare").get_by_role("button", name="Test").click()
        page.locator("#compare").get_by_text("Wilcoxon rank sum test").wait_for()
        shown = page.locator("#compare table").first.locator("tbody tr")
        found = cellferry.find_markers(adata, "leiden", ident_1="3", progress=False).to_frame()
        best = set(found.sort_values("p_val")["gene"].head(6))
        names = [row.locator("th").inner_text() for row in shown.all()]
        assert best <= set(names)


def test_decided_by_keyboard_alone_seen_by_another_page_and_applied(browser, review, adata):
    before = adata.obs["cell_type"].astype(str).to_numpy().copy()
    with tab(browser, review.address) as page, tab(browser, review.address) as other:
        page.locator("#cluster-table tbody tr").first.focus()
        first = page.evaluate("() => document.activeElement.querySelector('th').innerText.trim()")
        page.keyboard.press("a")
        page.keyboard.press("j")
        second = page.evaluate("() => document.activeElement.querySelector('th').innerText.trim()")
        page.keyboard.press("r")
        page.keyboard.type("Kupffer cell")
        page.keyboard.press("Enter")
        row_of(page, second).get_by_text("Kupffer cell").wait_for()
        # The other page asks every second and a half.
        row_of(other, second).get_by_text("Kupffer cell").wait_for(timeout=4000)
        row_of(other, first).get_by_text("accepted").wait_for(timeout=4000)
        page.reload()
        page.wait_for_function(DRAWN)
        row_of(page, second).get_by_text("Kupffer cell").wait_for()
    cellferry.apply_decisions(adata, review)
    here = (adata.obs["leiden"] == second).to_numpy()
    assert set(adata.obs["cell_type"][here]) == {"Kupffer cell"}
    assert adata.obs["cell_type"].astype(str).to_numpy()[~here].tolist() == before[~here].tolist()
    found = cellferry.read_annotations(adata)
    assert (found[first].decision, found[second].ontology_id) == ("accepted", "CL:0000091")
    review.stop()
    cellferry.apply_decisions(adata, review)
    assert len(cellferry.decisions(adata)) == 2


def test_chosen_cells_are_decided_about_and_only_they_get_the_label(browser, review, adata):
    with tab(browser, review.address) as page:
        filters = page.locator("#filters")
        filters.get_by_role("combobox").first.select_option(label="scDblFinder.class")
        filters.get_by_role("checkbox", name=re.compile("singlet")).uncheck()
        filters.get_by_role("button", name=re.compile("Choose these")).click()
        card = page.locator("#card, #decisions")
        card.get_by_role("button", name="Doublets").first.click()
        page.locator("#decisions").get_by_text("Doublet").first.wait_for()
        page.wait_for_timeout(500)
    cellferry.apply_decisions(adata, review)
    called = (adata.obs["scDblFinder.class"] == "doublet").to_numpy()
    labelled = (adata.obs["cell_type"] == "Doublet").to_numpy()
    assert labelled.tolist() == called.tolist()


def test_the_page_of_a_job_of_the_published_client_has_lookups_and_filters(
    browser, ranked_blood, tmp_path
):
    import subprocess

    adata = ranked_blood.raw.to_adata()
    adata.uns = {"rank_genes_groups": ranked_blood.uns["rank_genes_groups"]}
    adata.var = adata.var.assign(gene_symbols=adata.var_names.astype(str))
    path = tmp_path / "blood.h5ad"
    adata.write_h5ad(path)
    environment = {**plain(), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with ServerProcess(tmp_path / "data") as server:
        done = subprocess.run(
            [client("0.19.4"), "-c", SCRIPT, server.url, path, "0.19.4"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (job,) = [p.name for p in (tmp_path / "data" / "jobs").iterdir() if p.is_dir()]
        with tab(browser, f"{server.url}/report/{job}") as page:
            gene_box(page).fill("ms4a1")
            page.keyboard.press("Enter")
            page.wait_for_function(
                "() => /MS4A1/.test(document.querySelector('#map canvas').ariaLabel)"
            )
            filters = page.locator("#filters")
            filters.get_by_role("combobox").first.select_option(label="bulk_labels")
            filters.get_by_role("checkbox", name=re.compile("CD19")).uncheck()
            read = anndata.read_h5ad(path)
            n = int((~read.obs["bulk_labels"].astype(str).str.contains("CD19")).sum())
            filters.get_by_text(re.compile(rf"\b{n} of {read.n_obs} cells")).first.wait_for()
            page.locator("#compare").scroll_into_view_if_needed()
            page.locator("#compare").get_by_role("button", name="Test").click()
            page.locator("#compare").get_by_text("Wilcoxon rank sum test").wait_for()
            page.locator(".agreement tbody tr").first.wait_for()
