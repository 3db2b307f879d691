"""Pages: nothing that a client sent becomes markup."""

import re

import pytest

from cellferry.server.pages import waiting_page
from server_process import ServerProcess, submit

SCRIPT = "<script>alert(1)</script>"


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
    assert answer.text.count("<script") == 1
    assert "&lt;script&gt;" in answer.text
    assert 'href="javascript' not in answer.text
    assert not re.search(r"\son\w+=", answer.text)
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


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
