"""The page itself: what users wrote is inert, nothing is loaded, anyone can read it."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.annotations import report
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.report import Embedding
from cellferry.study.study import Clusters
from report_page import FOUND, Page, cells, page, plain, table_rows

VISIBLE = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"])
MARKUP = ("<b>", "</td>", "<", "&lt;", "&", '"', "'", "<!--", "-->", "{{", "}}", "{%")
HOSTILE = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>&amp;{{ 7*7 }}]]>--></style>"


def hostile(text):
    row = Annotation(
        text,
        "ok",
        n_cells=1,
        label=text,
        detail=text,
        state=text,
        ontology_id=text,
        ontology_label=text,
        supporting=(text,),
        conflicting=(text,),
        missing=(text,),
        alternatives=(text,),
        mixed=(text,),
        justification=text,
        model=text,
        confidence=0.5,
        confidence_kind="graded",
    )
    names = ("run", "created", "engine", "group_key", "tissue", "species", "study_context", text)
    markers = {"cluster": [text], "gene": [text], "avg_log2FC": [text]}
    failed = Annotation(text + "2", "failed", error=text)
    return Annotations((row, failed), {}, dict.fromkeys(names, text), markers)


def test_links_lead_to_the_cards_and_to_the_ontology():
    found = page()
    ids = [e["attrs"]["id"] for e in found.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    links = [e["attrs"]["href"] for e in found.all("a")]
    inner = {link[1:] for link in links if link.startswith("#")}
    assert {"cluster-1", "cluster-2", "cluster-3", "cluster-4"} <= inner <= set(ids)
    outer = {link for link in links if not link.startswith("#")}
    term = "http%253A%252F%252Fpurl.obolibrary.org%252Fobo%252FCL_0000236"
    assert outer == {f"https://www.ebi.ac.uk/ols4/ontologies/cl/classes/{term}"}


def test_hostile_text_is_text_everywhere():
    embedding = Embedding(HOSTILE, np.eye(2), Clusters.from_labels([HOSTILE, HOSTILE + "2"]))
    found = page(hostile(HOSTILE), title=HOSTILE, embedding=embedding)
    assert not {"img", "iframe", "link", "object"} & {e["tag"] for e in found.elements}
    *data, script = found.all("script")
    assert {s["attrs"]["type"] for s in data} == {"application/json", "application/octet-stream"}
    assert script["attrs"] == {}
    assert not any(HOSTILE in s["text"] for s in (*data, script))
    assert json.loads(data[0]["text"])["rows"][0]["cluster"] == HOSTILE
    assert not [a for e in found.elements for a in e["attrs"] if a.startswith("on")]
    assert len(found.all("style")) == 1
    assert found.texts("h1") == [HOSTILE]
    assert found.texts("title")[0] == HOSTILE
    row = table_rows(found, "clusters")[0]
    assert (row[0], row[2], row[3]) == (HOSTILE, HOSTILE, HOSTILE)
    # The picture cuts long labels; its <title> elements are whole.
    assert f"{HOSTILE}: {HOSTILE}" in found.texts("title", "text")
    assert any(HOSTILE in text for text in found.texts("li"))
    assert found.texts("p", "article").count(HOSTILE) == 2


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(MARKUP) | st.text(VISIBLE), min_size=1).map("".join).filter(len))
def test_any_text_comes_out_as_it_went_in(text):
    embedding = Embedding(text, np.eye(2), Clusters.from_labels([text, text + "2"]))
    found = page(hostile(text), title=text, embedding=embedding)
    usual = page(hostile("x"), title="x", embedding=cells(["x", "x2"]))
    assert [e["tag"] for e in found.elements] == [e["tag"] for e in usual.elements]
    assert found.texts("h1") == [text]
    assert table_rows(found, "clusters")[0][2] == text


def test_nothing_is_loaded_from_anywhere():
    text = report.render(FOUND, embedding=cells(["0", "1 a", "2", None]))
    found = Page(text)
    loading = {"src", "srcset", "data", "poster", "background", "action", "xlink:href", "ping"}
    assert not [a for e in found.elements for a in e["attrs"] if a in loading]
    assert {e["tag"] for e in found.elements if "href" in e["attrs"]} == {"a"}
    assert not re.search(r"url\(|@import|@font-face", text)
    (policy,) = found.all("meta", http_equiv="Content-Security-Policy")
    assert policy["attrs"]["content"].startswith("default-src 'none'")
    # The one script that may run is the one that is there.
    script = found.all("script")[-1]
    digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy["attrs"]["content"]
    # Only a served page fetches, and in one place: a file has nothing to fetch.
    before, _ = script["text"].split("fetch(")
    assert "if (!index.live) throw" in before.rpartition("async function answerOf(")[2]
    assert not re.search(
        r"https?:(?!//www.w3.org/)|XMLHttp|import\(|eval|innerHTML", script["text"]
    )


def test_the_page_can_be_read_with_a_screen_reader():
    found = page(embedding=cells(["0", "1 a"]))
    assert found.all("html")[0]["attrs"]["lang"] == "en"
    levels = [int(e["tag"][1]) for e in found.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) == 1
    assert all(e["attrs"].get("scope") in {"col", "row"} for e in found.all("th"))
    pictures = [e for e in found.all("svg") if e["attrs"].get("aria-hidden") != "true"]
    ids = {e["attrs"]["id"]: e["text"] for e in found.elements if "id" in e["attrs"]}
    assert len(pictures) == 2
    assert {p["attrs"]["role"] for p in pictures} == {"img"}
    named = [
        e["attrs"]["aria-labelledby"] for e in found.elements if "aria-labelledby" in e["attrs"]
    ]
    assert all(plain(ids[i]) for name in named for i in name.split())
