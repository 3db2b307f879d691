"""Annotations of cells, summed up: one row per label, and one row per cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .annotations import UNKNOWN, Annotation, Annotations
from .ontology import cell_ontology

if TYPE_CHECKING:
    from .cell_annotations import CellAnnotations
    from .study import Clusters

LISTED = 10
DISAGREES = 0.5
"""A cluster of which no label has more than this share of the answered cells disagrees."""


def summary(found: CellAnnotations) -> Annotations:
    """Return one row per label, most cells first; the label is the row's ``cluster``.

    ``confidence`` is the mean over its cells. Cells without a label are in no row: how many
    there are is in ``evidence["cells"]``.
    """
    rows = []
    counts = found.label.counts()
    order = sorted(
        (i for i in range(len(counts)) if counts[i]),
        key=lambda i: (-int(counts[i]), found.label.levels[i]),
    )
    for i in order:
        label, chosen = found.label.levels[i], found.label.codes == i
        identifier, ontology_label = found.ontology.get(label, (None, None))
        confidence = _mean(found, chosen)
        rows.append(
            Annotation(
                label,
                "unknown" if label == UNKNOWN else "ok",
                n_cells=int(counts[i]),
                label=label,
                ontology_id=identifier,
                ontology_label=ontology_label,
                confidence=confidence,
                confidence_kind=None if confidence is None else found.confidence_kind,
                alternatives=tuple(found.alternatives.most_common(chosen, 3)),
                supporting=tuple(found.supporting.most_common(chosen, LISTED)),
                justification=_detail_text(found, chosen),
                engine=found.engine,
                model=found.model,
                provider=found.provider,
            )
        )
    evidence = {**found.evidence, "cells": found.counts()}
    return Annotations(tuple(rows), evidence, found.provenance)


def majority(found: CellAnnotations, clusters: Clusters) -> Annotations:
    """Return one row per cluster, in its order: what most of its cells are.

    A cell counts for its label and for every label that its own is a kind of in the Cell
    Ontology. The narrowest label with more than half of the answered cells is named; where
    there is none, the one that most cells have by name, and Unknown only where nothing else is
    as often. ``evidence[cluster]`` holds ``share`` (of the answered cells), ``answered``,
    ``disagreement`` (no label has more than half) and the ``labels`` with their cells. A
    cluster without an answered cell is skipped.
    """
    counts = _table(found, clusters)
    kinds = _kinds(found)
    support = counts @ kinds.T
    rows, evidence = [], {}
    sizes = clusters.counts() or {}
    labels = found.label.levels
    for k, name in enumerate(clusters.names):
        answered = int(counts[k].sum())
        order = sorted(
            (i for i in range(len(labels)) if counts[k, i]),
            key=lambda i: (-int(counts[k, i]), labels[i] == UNKNOWN, labels[i]),
        )
        if not order:
            error = "None of its cells was answered."
            rows.append(Annotation(name, "skipped", n_cells=sizes.get(name), error=error))
            continue
        most = [i for i in order if support[k, i] > DISAGREES * answered]
        best = min(most, key=lambda i: (int(support[k, i]), order.index(i)), default=order[0])
        share = int(support[k, best]) / answered
        assert clusters.codes is not None
        inside = (clusters.codes == k) & np.append(kinds[best], False)[found.label.codes]
        confidence = _mean(found, inside)
        identifier, ontology_label = found.ontology.get(labels[best], (None, None))
        rows.append(
            Annotation(
                name,
                "unknown" if labels[best] == UNKNOWN else "ok",
                n_cells=sizes.get(name),
                label=labels[best],
                ontology_id=identifier,
                ontology_label=ontology_label,
                confidence=confidence,
                confidence_kind=None if confidence is None else found.confidence_kind,
                alternatives=tuple(labels[i] for i in order if not kinds[best, i])[:3],
                mixed=tuple(labels[i] for i in order[:2]) if share <= DISAGREES else (),
                supporting=tuple(found.supporting.most_common(inside, LISTED)),
                justification=f"{int(support[k, best])} of {answered} answered cells.",
                engine=found.engine,
                model=found.model,
                provider=found.provider,
            )
        )
        evidence[name] = {
            "share": round(share, 4),
            "answered": answered,
            "disagreement": share <= DISAGREES,
            "labels": {labels[i]: int(counts[k, i]) for i in order},
        }
    return Annotations(tuple(rows), evidence, found.provenance)


def _kinds(found: CellAnnotations) -> Any:
    """Return whether the column's label is the row's, or a kind of it (labels x labels)."""
    labels, ontology = found.label.levels, cell_ontology()
    ids = [(found.ontology.get(x) or (None, None))[0] for x in labels]
    made = np.eye(len(labels), dtype=bool)
    for j, narrow in enumerate(ids):
        if narrow is None or narrow not in ontology:
            continue
        above = ontology.ancestors(narrow)
        made[:, j] |= [wide is not None and wide in above for wide in ids]
    return made


def _table(found: CellAnnotations, clusters: Clusters) -> Any:
    """Return the cells of each cluster (row) with each label (column)."""
    shape = (len(clusters.names), len(found.label.levels))
    if clusters.codes is None:
        message = "Clusters without cells have no majority."
        raise ValueError(message)
    both = (clusters.codes >= 0) & (found.label.codes >= 0)
    flat = clusters.codes[both].astype(np.int64) * shape[1] + found.label.codes[both]
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)


def _mean(found: CellAnnotations, chosen: Any) -> float | None:
    values = found.confidence[chosen]
    values = values[~np.isnan(values)]
    return round(float(values.mean()), 4) if len(values) else None


def _detail_text(found: CellAnnotations, chosen: Any) -> str | None:
    """Say which finer types are suggested for the cells of a label."""
    codes = found.detail.codes[chosen]
    counts = np.bincount(codes[codes >= 0], minlength=len(found.detail.levels))
    order = sorted(
        (i for i in range(len(counts)) if counts[i]),
        key=lambda i: (-int(counts[i]), found.detail.levels[i]),
    )
    told = ", ".join(f"{found.detail.levels[i]} ({int(counts[i])} cells)" for i in order[:5])
    return f"Suggested finer types: {told}." if told else None
