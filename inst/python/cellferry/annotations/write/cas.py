"""Annotations in the Cell Annotation Schema, which the Cell Annotation Platform and others read.

Version 1 of https://github.com/cellannotation/cell-annotation-schema. Its definition of a review
asks for a field that it does not allow (``verdict``, where the property is called ``review``), so
that no review is valid: decisions of persons are in ``author_annotation_fields``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..._version import __version__
from ...biology.lineage import LEVELS
from ...errors import ISSUE_URL, InvalidOptionError
from ..clusters import UNKNOWN, Annotation, Annotations
from ..levels import SUFFIXES, levels

if TYPE_CHECKING:
    from ..texts import Texts

SCHEMA_VERSION = "1.1.0"
LONGEST_RATIONALE = 2000
REPOSITORY = ISSUE_URL.removesuffix("/issues")
_ARTICLES = {"title": "a", "author": "an"}
_RESERVED = {UNKNOWN: "unknown"}
"""Label -> the word that the schema reserves for it."""


def cas_text(
    found: Annotations,
    title: str | None,
    author: str | None,
    labels: Mapping[str, tuple[Sequence[str], Texts]] | None = None,
    key: str | None = None,
) -> str:
    """Return annotations as JSON of the Cell Annotation Schema.

    Parameters
    ----------
    found
        Annotations.
    title, author
        Of the data set, and who answers for it. The schema asks for both.
    labels
        Labelset -> the names of the cells and the label of each; None leaves the cells out.
    key
        Name of the labelset; None is that of the record.

    Returns
    -------
    str
        One labelset for the labels and one for each broader level that is another one; one
        annotation for each label of a labelset.

    Raises
    ------
    InvalidOptionError
        There is no title or no author.

    Examples
    --------
    >>> row = Annotation("0", "ok", label="Naive B cell", ontology_id="CL:0000788")
    >>> made = json.loads(cas_text(Annotations((row,)), "Blood", "A. Author", key="cell_type"))
    >>> [x["name"] for x in made["labelsets"]]
    ['cell_type', 'cell_type_fine', 'cell_type_medium', 'cell_type_broad']
    >>> made["annotations"][2]["cell_label"]
    'B cell'
    """
    for name, value in (("title", title), ("author", author)):
        if not isinstance(value, str) or not value.strip():
            message = (
                f"The Cell Annotation Schema asks for {_ARTICLES[name]} {name}, and none is given."
            )
            raise InvalidOptionError(
                message,
                f'Give it, for example {name}="Blood of 8 donors".'
                if name == "title"
                else 'Give it: author="Jane Doe".',
            )
    name = key or str(found.provenance.get("key") or "cell_type")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    labelsets: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    content = {
        "title": title, "author_name": author, "cellannotation_schema_version": SCHEMA_VERSION,
        "cellannotation_timestamp": now, "labelsets": labelsets, "annotations": annotations,
    }  # fmt: skip
    sets: list[tuple[str, int | None]] = [
        (name, None),
        *((name + end, i) for i, end in reversed(list(enumerate(SUFFIXES)))),
    ]
    for rank, (labelset, level) in enumerate(sets):
        described = (
            "Labels of clusters." if level is None else f"The level {LEVELS[level]} of them."
        )
        labelsets.append({
            "name": labelset, "description": described, "rank": rank,
            "annotation_method": _method(found), "automated_annotation": _algorithm(found),
        })  # fmt: skip
        cells = _cells_of((labels or {}).get(labelset))
        annotations += _annotations(found, labelset, level, cells)
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)


def _method(found: Annotations) -> str:
    return "both" if any(row.engine_status is not None for row in found) else "algorithmic"


def _algorithm(found: Annotations) -> dict[str, str]:
    version = dict(found.provenance.get("versions") or {}).get("cellferry", __version__)
    engine = found.provenance.get("engine") or next((r.engine for r in found if r.engine), "")
    return {
        "algorithm_name": f"cellferry {engine}".strip(), "algorithm_version": str(version),
        "algorithm_repo_url": REPOSITORY,
    }  # fmt: skip


def _cells_of(given: tuple[Sequence[str], Texts] | None) -> dict[str, list[str]]:
    """Return label -> names of its cells."""
    if given is None:
        return {}
    names, labels = given
    made: dict[str, list[str]] = {label: [] for label in labels.levels}
    for cell, code in zip(names, labels.codes.tolist(), strict=True):
        if code >= 0:
            made[labels.levels[code]].append(str(cell))
    return made


def _annotations(
    found: Annotations, labelset: str, level: int | None, cells: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    rows: dict[str, list[tuple[Annotation, str | None]]] = {}
    for row in found:
        label, term = row.label, row.ontology_id
        if level is not None:
            at = levels(row.label, row.ontology_id)[level]
            label, term = at.label, at.ontology_id
        if label is not None:
            rows.setdefault(label, []).append((row, term))
    made = []
    for label, members in rows.items():
        one: dict[str, Any] = {"labelset": labelset, "cell_label": _RESERVED.get(label, label)}
        term = next((t for _, t in members if t is not None), None)
        if term is not None:
            one |= {"cell_ontology_term_id": term, "cell_ontology_term": _name(term)}
        one["cell_fullname"] = one["cell_label"]
        if cells.get(label):
            one["cell_ids"] = cells[label]
        if level is None:
            one |= _evidence([row for row, _ in members])
        made.append(one)
    return made


def _name(term: str) -> str:
    from ...biology.ontology import cell_ontology

    ontology = cell_ontology()
    return ontology[term].label if term in ontology else term


def _evidence(rows: Sequence[Annotation]) -> dict[str, Any]:
    said = dict.fromkeys(row.justification for row in rows if row.justification)
    genes = list(dict.fromkeys(gene for row in rows for gene in row.supporting))
    fields: dict[str, str] = {"clusters": ", ".join(row.cluster for row in rows)}
    decided = [row for row in rows if row.decision is not None and row.engine_status is not None]
    for name, of in (
        ("review_decision", "decision"), ("review_by", "decided_by"), ("review_at", "decided_at"),
        ("review_reason", "reason"), ("review_of", "engine_label"),
    ):  # fmt: skip
        values = dict.fromkeys(str(getattr(r, of)) for r in decided if getattr(r, of))
        if values:
            fields[name] = "; ".join(values)
    sure = [row.confidence for row in rows if row.confidence is not None]
    if sure:
        fields["confidence"] = f"{min(sure):.3g}"
    made: dict[str, Any] = {"author_annotation_fields": fields}
    if said:
        text = " ".join(str(s) for s in said)
        made["rationale"] = text if len(text) <= LONGEST_RATIONALE else text[:1996] + " ..."
    if genes:
        made["marker_gene_evidence"] = genes
    return made
