"""What is proven and added before an answer leaves the verb: for clusters and for cells."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from .._version import __version__
from ..annotations import delivery
from ..annotations.cells import CELLS_FILE, CellAnnotations
from ..annotations.clusters import Annotation, Annotations
from ..errors import ISSUE_URL, InternalError

if TYPE_CHECKING:
    from ..annotations.delivery import Level
    from ..engines.base import AnyEngine
    from ..runs.run import Run
    from ..study.markers.table import Markers
    from ..study.study import Study

KEPT_MARKERS = 50
"""Markers per cluster that travel with the annotations."""

Found = TypeVar("Found", Annotations, CellAnnotations)


def complete(found: Found, study: Study, engine: AnyEngine[Any], run: Run) -> Found:
    """Prove that everything asked has exactly its own answer, and add what only we know.

    The answer is stored in the run before it is returned.
    """
    finish: Any = _complete_cells if isinstance(found, CellAnnotations) else _complete_clusters
    answered: Found = finish(found, study, engine, run)
    return answered


def _complete_clusters(
    found: Annotations, study: Study, engine: AnyEngine[Any], run: Run
) -> Annotations:
    names = tuple(row.cluster for row in found)
    if names != study.clusters.names:
        message = f'The engine "{engine.name}" answered {names}, not {study.clusters.names}.'
        raise InternalError(message, f"Please report it at {ISSUE_URL}.")
    counts = study.clusters.counts() or {}

    def filled(row: Annotation) -> Annotation:
        return replace(row, n_cells=counts.get(row.cluster), engine=row.engine or engine.name)

    provenance = {**_provenance(study, engine, run, "clusters"), **dict(found.provenance)}
    if study.gene_names:
        named = {g for row in found for g in row.supporting} & study.gene_names.keys()
        provenance["gene_names"] = {g: study.gene_names[g] for g in sorted(named)}
    markers = found.markers or kept_markers(study.markers)
    answered = Annotations(tuple(map(filled, found)), found.evidence, provenance, markers)
    run.store("annotations.json", answered.to_dict())
    return answered


def _complete_cells(
    found: CellAnnotations, study: Study, engine: AnyEngine[Any], run: Run
) -> CellAnnotations:
    from ..annotations.delivery import has_clusters
    from ..annotations.diagnoses import diagnose

    if found.cells != study.cells:
        message = f'The engine "{engine.name}" did not answer every cell in its place.'
        raise InternalError(message, f"Please report it at {ISSUE_URL}.")
    provenance = {
        **_provenance(study, engine, run, "cells"),
        "clusters_of": study.group_key if has_clusters(study.clusters) else None,
        **dict(found.provenance),
    }
    answered = replace(found, engine=found.engine or engine.name, provenance=provenance)
    answered = answered.with_notes(diagnoses=[d.to_dict() for d in diagnose(found, study)])
    if has_clusters(study.clusters):
        most = answered.majority(study.clusters)
        table = {
            row.cluster: {"label": row.label, **most.evidence.get(row.cluster, {})} for row in most
        }
        answered = answered.with_notes(clusters=table)
    answered.save(run.folder / CELLS_FILE)
    run.store("annotations.json", answered.summary().to_dict())
    return answered


def _provenance(study: Study, engine: AnyEngine[Any], run: Run, level: Level) -> dict[str, Any]:
    key = str(run.content["provenance"].get("key", ""))
    columns = delivery.column_names(key, level) if key else []
    if level == "cells":
        from ..annotations.delivery import has_clusters

        columns = columns if has_clusters(study.clusters) else columns[:5]
    return {
        "run": run.id,
        "created": run.content["created"],
        "level": level,
        "engine": engine.name,
        "options": dict(engine.describe()),
        # The summary of cells has one row per label: its clusters are the labels.
        "group_key": study.group_key if level == "clusters" else key or None,
        "tissue": study.context.tissue,
        "species": study.context.species,
        "study_context": study.context.study_context,
        "columns": columns,
        "versions": {"cellferry": __version__},
        **run.content["provenance"],
    }


def kept_markers(markers: Markers | None) -> dict[str, list[Any]]:
    """Return the best markers per cluster as plain columns with Seurat's names."""
    if markers is None:
        return {}
    # Not every table has fold changes; lists are ranked by their order whatever the method.
    method = next(iter(markers.ranking_methods), "avg_log2FC")
    chosen = markers.select(method, n_genes=KEPT_MARKERS)
    rows = [int(r) for selection in chosen.values() for r in selection.rows]
    frame = markers.to_frame().iloc[rows]
    plain: dict[str, list[Any]] = {}
    for name in frame.columns:
        values = frame[name].tolist()
        # JSON has neither NaN nor infinity.
        plain[str(name)] = [
            (v if math.isfinite(v) else None) if isinstance(v, float) else str(v) for v in values
        ]
    return plain
