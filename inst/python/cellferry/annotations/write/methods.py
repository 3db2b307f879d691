"""A paragraph for the methods section of a paper, made of the record of annotations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ...biology.ontology import cell_ontology
from ...errors import counted
from ..agreement.consensus import ENGINE
from ..clusters import Annotations

ENGINES = {
    "local": "its embedded engine, which compares markers with tables of known markers",
    "llm": "a language model",
    "cytetype": "the service CyteType",
    "cellatlas": "the service CellAtlas",
    "reference": "a logistic regression that was trained on an annotated reference",
    "celltypist": "a model of CellTypist",
}
OF_FILES = ("reference", "celltypist")
"""Engines whose ``model`` is a path; where it was is nobody's business."""
OF_R = ("R", "Seurat", "SeuratObject", "SingleCellExperiment", "reticulate")
"""What a record has of R; R/bridge-call.R says it."""
TESTED = {
    "test": "test", "only_pos": "only.pos", "logfc_threshold": "logfc.threshold",
    "min_pct": "min.pct", "rules": "rules of",
}  # fmt: skip


def methods_text(found: Annotations) -> str:
    """Return how labels were made, as a paragraph for a paper.

    It has versions, the marker test with its thresholds, the engine or the annotators that voted,
    numbers, and how many decisions persons took. Nothing is said that the record does not have.

    Parameters
    ----------
    found
        Annotations with their record.

    Examples
    --------
    >>> import cellferry
    >>> made = cellferry.annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> print(methods_text(made).split(". ")[1])
    Of 1 cluster, 1 was given a cell type
    """
    known = found.provenance
    return " ".join(filter(None, (
        _who(known), _numbers(found), _markers(known), _context(known), _decided(found),
        _terms(found), _software(known),
    )))  # fmt: skip


def _who(known: Mapping[str, Any]) -> str:
    version = dict(known.get("versions") or {}).get("cellferry")
    by = f"cellferry{f' {version}' if version else ''}"
    what = "Cells" if known.get("level") == "cells" else "Clusters"
    if known.get("engine") == ENGINE:
        return f"{what} were annotated by {by} with the consensus of {_voters(known)}."
    engine = str(known.get("engine") or "an engine")
    options = dict(known.get("options") or {})
    named = ENGINES.get(engine, f'the engine "{engine}"')
    model, provider = options.get("model"), options.get("provider")
    if model and engine in OF_FILES:
        model = PurePath(str(model)).name
    if model:
        named += f" ({model}{f', by {provider}' if provider else ''})"
    return f"{what} were annotated by {by} with {named}."


def _voters(known: Mapping[str, Any]) -> str:
    said = dict(known.get("consensus") or {})
    voters = [dict(v) for v in said.get("from", ())]
    names = [
        str(v["name"]) + ("" if v.get("weight", 1) == 1 else f" (weight {v['weight']:g})")
        for v in voters
    ]
    groups = {v["group"] for v in voters}
    text = f"{counted(len(voters), 'annotator')} ({', '.join(names)})"
    if len(groups) != len(voters):
        text += f" of {counted(len(groups), 'family').replace('familys', 'families')}"
    return (
        f"{text}: the most specific term of the Cell Ontology with more votes for it or a kind of "
        "it than against it, two thirds of the weight compatible with it, and two families behind "
        "it"
    )


def _numbers(found: Annotations) -> str:
    counts = found.counts()
    n, ok = len(found), counts.get("ok", 0)
    what = "label" if found.provenance.get("level") == "cells" else "cluster"
    text = f"Of {counted(n, what)}, {ok} {'was' if ok == 1 else 'were'} given a cell type"
    if counts.get("unknown"):
        text += f", {counts['unknown']} stayed unknown"
    if counts.get("failed") or counts.get("skipped"):
        text += f", {counts.get('failed', 0) + counts.get('skipped', 0)} were not answered"
    cells = [row.n_cells for row in found]
    if all(n is not None for n in cells) and cells:
        text += f" ({counted(sum(n or 0 for n in cells), 'cell')})"
    return f"{text}."


def _markers(known: Mapping[str, Any]) -> str:
    test = known.get("marker_test")
    if not isinstance(test, Mapping) or not test:
        return ""
    parts = [f"{said} {test[name]}" for name, said in TESTED.items() if test.get(name) is not None]
    return f"Markers were found by cellferry ({', '.join(parts)})." if parts else ""


def _context(known: Mapping[str, Any]) -> str:
    parts = [f"{n} {known[n]}" for n in ("species", "tissue") if known.get(n)]
    return f"It was told: {', '.join(parts)}." if parts else ""


def _decided(found: Annotations) -> str:
    rows = [row for row in found if row.decision is not None and row.engine_status is not None]
    if not rows and not found.decisions:
        return ""
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row.decision)] = counts.get(str(row.decision), 0) + 1
    said = ", ".join(f"{n} {word}" for word, n in sorted(counts.items())) or "none in force"
    people = {d.by for d in found.decisions if d.by}
    by = f" by {counted(len(people), 'person').replace('persons', 'people')}" if people else ""
    return f"Labels were reviewed{by}: {said}."


def _terms(found: Annotations) -> str:
    if not any(row.ontology_id for row in found):
        return ""
    return f"Labels were mapped to the Cell Ontology (release {cell_ontology().version})."


def _software(known: Mapping[str, Any]) -> str:
    """Return with which versions it ran, those of R by themselves; records of 0.1.0 have none."""
    versions = {str(k): str(v) for k, v in dict(known.get("versions") or {}).items()}
    versions.pop("cellferry", None)
    of_r = {name: versions.pop(name) for name in OF_R if name in versions}
    parts = []
    for language, name in (("Python", "python"), ("R", "R")):
        have = of_r if name == "R" else versions
        if name in have:
            number = have.pop(name)
            rest = ", ".join(f"{package} {version}" for package, version in sorted(have.items()))
            parts.append(f"{language} {number}{f' ({rest})' if rest else ''}")
    return f"It ran with {' and '.join(parts)}." if parts else ""
