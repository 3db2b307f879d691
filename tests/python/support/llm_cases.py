"""Helpers of the LLM engine's tests: clusters the test server knows, and a short way to ask."""

from __future__ import annotations

import cellferry
from cellferry.engines.llm import LLM
from cellferry.engines.llm.questions import make_questions
from cellferry.study.build import study_from_markers
from llm_server import TYPES

GENES = {
    "B cell": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"],
    "T cell": ["CD3D", "CD3E", "TRAC", "IL7R", "LTB"],
    "Natural killer cell": ["NKG7", "GNLY", "KLRD1", "PRF1", "KLRF1"],
    "Monocyte": ["LYZ", "S100A8", "S100A9", "CD14", "FCN1"],
    "Platelet": ["PPBP", "PF4", "GP9", "TUBB1", "GNG11"],
}
LISTS = {str(i): genes for i, genes in enumerate(GENES.values())}
LABELS = {str(i): label for i, label in enumerate(GENES)}
TWO = {name: LISTS[name] for name in ("0", "1")}


def many(n):
    """n clusters, each of one of the types the server knows, all different."""
    first = list(TYPES)
    return {f"c{i}": [first[i % len(first)], f"GENE{i}A", f"GENE{i}B"] for i in range(n)}


def engine(server, **options):
    return LLM(**{"provider": "openai", "model": "test-model", "base_url": server.url, **options})


def ask(server, lists=LISTS, /, **options):
    context = {k: options.pop(k) for k in ("tissue", "species", "study_context") if k in options}
    context = {"species": "human", **context}
    return cellferry.annotate_clusters(
        lists, engine=engine(server, **options), progress=False, **context
    )


def question(genes=("CD79A", "MS4A1", "CD79B"), **options):
    study = study_from_markers({"0": list(genes)})
    given = {"ranking_method": "avg_log2FC", "additional_info": None, "others": True}
    given = {**given, "settings": {}, **options}
    return make_questions(study, study.markers.select(), **given)["0"]


def answer(of=None, **changes):
    """A right answer to a question about B cells."""
    from cellferry.engines.llm.replies import Answer

    of = of or question()
    return Answer.model_validate(
        {
            "cluster_token": of.token,
            "main_type": "B cell",
            "subtypes": ["Naive B cell"],
            "state": None,
            "mixed_types": [],
            "supporting_genes": ["CD79A", "MS4A1"],
            "conflicting_genes": [],
            "ontology_id": "CL:0000236",
            "ontology_label": "B cell",
            "possible_tissues": [],
            "confidence": 0.9,
            "reasoning": "CD79A.",
            **changes,
        }
    )
