"""Pages: nothing that a client sent becomes markup."""

import os
import re
import shutil

import pytest

from cellferry.annotations.report import script_hash
from cellferry.server.http.pages import waiting_page
from server_process import ServerProcess, submit

SCRIPT = "<script>alert(1)</script>"
CHROMIUM = os.environ.get("CELLFERRY_CHROMIUM") or shutil.which("chromium")
HIT = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("pages") / "data") as found:
        yield found


def page(server, **parts):
    job = submit(server, **parts)
    server.wait_for(job)
    answer = server.client.get(f"/report/{job}")
    assert answer.headers["content-type"].startswith("text/html")
    return answer


@pytest.mark.slow
def test_the_report_shows_labels_evidence_and_the_picture(server):
    answer = page(
        server,
        infoTags={"Title": "My study", "link": "https://example.org/x?a=1&b=2", "note": "text"},
        visualizationData={"coordinates": [[0, 0], [1, 1], [2, 2]], "clusters": ["0", "1", "2"]},
        expressionData={"CD79A": {"0": 80, "1": 1, "2": 0}},
    )
    text = answer.text
    assert "<h1>My study</h1>" in text
    assert "Cluster cluster 0:</span> B cell" in text
    assert 'href="https://example.org/x?a=1&amp;b=2"' in text
    assert "Expression of these genes" in text
    assert 'class="dots"' in text


def test_script_in_every_field_stays_text(server):
    answer = page(
        server,
        markers={"0": ["CD79A", "MS4A1", "CD79B", SCRIPT, "CD19"], SCRIPT: ["CD3D"]},
        clusterLabels={"0": SCRIPT, SCRIPT: f"{SCRIPT}2"},
        studyInfo=SCRIPT,
        infoTags={SCRIPT: SCRIPT, "title": SCRIPT, "link": "javascript:alert(1)"},
        clusterMetadata={"0": {SCRIPT: {SCRIPT: 50}}},
    )
    # The report's own script is the only one.
    assert SCRIPT not in answer.text
    assert len(re.findall(r"<script(?![^>]*type=)", answer.text)) == 1
    types = set(re.findall(r'<script[^>]*type="([^"]*)"', answer.text))
    assert types <= {"application/json", "application/octet-stream"}
    assert "&lt;script&gt;" in answer.text
    assert 'href="javascript' not in answer.text
    assert not re.search(r"\son\w+=", answer.text)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert f"script-src '{script_hash()}'" in policy
    assert policy.endswith("frame-ancestors 'none'")


def test_two_clusters_of_one_name_are_told_apart_by_their_ids(server):
    text = page(server, clusterLabels={"0": "same", "1": "same", "2": "other"}).text
    assert "Cluster 0:</span> B cell" in text


def test_a_page_to_wait_on():
    status = {"jobStatus": "processing", "clusterStatus": {"0": "completed", "1": "pending"}}
    assert "1 of 2 clusters" in waiting_page(status)
    assert "refresh" in waiting_page(status)
    failed = waiting_page({**status, "jobStatus": "failed", "message": SCRIPT})
    assert "refresh" not in failed
    assert "<script" not in failed


def test_the_page_to_wait_on_may_run_nothing(server):
    many = {str(i): [f"GENE{j}" for j in range(50)] for i in range(500)}
    job = submit(server, many)
    answer = server.client.get(f"/report/{job}")
    if "refresh" in answer.text:
        assert "script-src" not in answer.headers["content-security-policy"]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(server, browser):
    """The served report of 40 clusters, one of them hostile, in a real browser."""
    markers = {str(i): ["CD79A", "MS4A1", "CD79B", f"GENE{i}"] for i in range(40)}
    markers["2"] = ["CD3D", "CD3E", "IL7R", "CD2", HIT]
    labels = {name: f"cluster {name}" for name in markers} | {"2": HIT}
    job = submit(server, markers, clusterLabels=labels, infoTags={"title": HIT})
    server.wait_for(job)
    context = browser.new_context()
    tab = context.new_page()
    trouble, requests = [], []
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    tab.on("request", lambda request: requests.append(request.url))
    answer = tab.goto(f"{server.url}/report/{job}")
    assert "script-src" in answer.headers["content-security-policy"]
    yield tab
    assert trouble == []
    assert requests == [f"{server.url}/report/{job}"]
    assert tab.evaluate("window.hit") is None
    context.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_in_a_browser_the_served_report_can_be_searched_sorted_and_saved(opened):
    rows = opened.locator("#cluster-table tbody tr:visible")
    assert rows.count() == 40
    opened.fill("#search", "gene17")
    assert rows.count() == 1
    opened.fill("#search", "")
    head = opened.locator("#cluster-table thead th", has_text="Cluster")
    head.get_by_role("button").click()
    if head.get_attribute("aria-sort") == "ascending":
        head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    first = opened.locator("#cluster-table tbody tr > :nth-child(1)").all_inner_texts()
    numbers = [int(name.split()[1]) for name in first if name.startswith("cluster ")]
    assert numbers == sorted(numbers, reverse=True)
    with opened.expect_download() as waiting:
        opened.click("#download")
    assert waiting.value.suggested_filename == "annotations.csv"


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_in_a_browser_hostile_names_are_shown_and_do_nothing(opened):
    assert HIT in opened.locator("h1").inner_text()
    opened.fill("#search", "onerror")
    shown = opened.locator("#cluster-table tbody tr:visible")
    assert HIT in shown.first.inner_text()
