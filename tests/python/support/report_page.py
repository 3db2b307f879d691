"""Helpers of the report's tests: a parsed page, and annotations to put into it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np

from cellferry.annotations import report
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.report import Embedding
from cellferry.study.study import Clusters

VOID = {"meta", "rect", "path", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """The parsed page: elements with their text, and whether tags nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.open = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        element = {
            "tag": tag,
            "attrs": dict(attrs),
            "text": "",
            "within": [e["tag"] for e in self.open],
        }
        assert len(attrs) == len(element["attrs"])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, within=None, **attrs):
        return [
            e
            for e in self.elements
            if e["tag"] == tag
            and (within is None or within in e["within"])
            and all(e["attrs"].get(k.rstrip("_").replace("_", "-")) == v for k, v in attrs.items())
        ]

    def texts(self, tag, within=None, **attrs):
        return [plain(e["text"]) for e in self.all(tag, within, **attrs)]


def plain(text):
    """Return the text as a browser shows it: only ASCII white space is joined."""
    return " ".join(re.split(r"[ \t\r\n\f]+", text.strip(" \t\r\n\f")))


ROWS = (
    Annotation(
        "0",
        "ok",
        n_cells=1200,
        label="B cell",
        detail="Naive B cell",
        state="resting",
        ontology_id="CL:0000236",
        ontology_label="B lymphocyte",
        confidence=0.925,
        confidence_kind="graded",
        supporting=("MS4A1", "CD79A"),
        conflicting=("CD3D",),
        missing=("CD19",),
        alternatives=("plasma cell",),
        mixed=("T cell",),
        justification="Many of its markers.",
    ),
    Annotation(
        "1 a", "unknown", n_cells=30, label="Unknown", confidence=0.1, confidence_kind="graded"
    ),
    Annotation("2", "failed", n_cells=20, error="The service did not answer."),
    Annotation("3", "skipped", n_cells=0, error="No markers."),
)
PROVENANCE = {
    "run": "20250301T123059Z-local-1a2b3c",
    "created": "2025-03-01T12:30:59.1+00:00",
    "engine": "local",
    "options": {"n_genes": 50, "api_key": "sk-secret"},
    "llm_configs": [
        {"provider": "openai", "apiKey": "sk-secret", "base_url": "http://me:sk-secret@host/v1"}
    ],
    "group_key": "seurat_clusters",
    "tissue": "blood",
    "species": "human",
    "versions": {"cellferry": "0.0.7"},
}
MARKERS = {
    "cluster": ["0"] * 12 + ["2"],
    "gene": [f"G{i}" for i in range(12)] + ["CD3D"],
    "avg_log2FC": [2.5] * 12 + [None],
    "p_val_adj": [0.0] + [3e-50] * 12,
    "pct.1": [0.9] * 13,
}
FOUND = Annotations(ROWS, {}, PROVENANCE, MARKERS)


def cells(labels):
    values = np.arange(2.0 * len(labels)).reshape(-1, 2)
    return Embedding("X_umap", values, Clusters.from_labels(labels))


def page(annotations=FOUND, **options):
    return Page(report.render(annotations, **options))


def table_rows(found, section):
    table = _cells(found, section)
    return [[plain(c) for c in row] for row in table]


def _cells(found, section):
    """Return the rows of the first table of a section, as texts of cells."""
    rows, seen = [], False
    for element in found.elements:
        if element["attrs"].get("id") == section:
            seen = True
        if not seen:
            continue
        if element["tag"] == "table" and rows:
            return rows
        if element["tag"] == "tr" and "tbody" in element["within"]:
            rows.append([])
        if element["tag"] in {"th", "td"} and "tbody" in element["within"]:
            rows[-1].append(element["text"])
    return rows
