"""cellferry carries a Seurat object, an AnnData or a marker table to a cell-type annotation
engine and brings the labels home, exactly.

Public names are imported on first use (PEP 562): importing the package reads nothing,
touches no network and no global state.
"""

# No `from __future__ import annotations` here: it would hide the module of that name.
import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import engines, errors, plots, runs, seurat
    from .annotate import annotate_cells, annotate_clusters, resume
    from .annotate.agreement import compare_labels, consensus
    from .annotate.companions import embed_cells, export_markers
    from .annotate.decisions import (
        apply_decisions,
        carry_decisions,
        decisions,
        set_labels,
        withdraw_decision,
    )
    from .annotate.merging import merge_annotations
    from .annotate.pages import annotation_report
    from .annotate.reannotate import reannotate
    from .annotate.review import Review, review
    from .annotations.cells import CellAnnotations
    from .annotations.clusters import Annotations
    from .annotations.evidence import markers, supporting_markers
    from .annotations.stored import label_colors, read_annotations
    from .annotations.write import methods_text, write_annotations
    from .artifacts import build_artifacts
    from .artifacts.markers import find_markers, pseudobulk
    from .engines.local.knowledge.known import known_cell_types, known_tissues
    from .engines.reference import train_reference
    from .study.inventory import study_report
    from .study.markers.read import read_markers
    from .study.markers.table import Markers
    from .study.study import Study

_WHERE = {
    "Annotations": "annotations.clusters",
    "CellAnnotations": "annotations.cells",
    "Markers": "study.markers.table",
    "Review": "annotate.review",
    "Study": "study.study",
    "annotate_cells": "annotate.objects",
    "annotate_clusters": "annotate.objects",
    "annotation_report": "annotate.pages",
    "apply_decisions": "annotate.decisions",
    "build_artifacts": "artifacts",
    "carry_decisions": "annotate.decisions",
    "compare_labels": "annotate.agreement",
    "consensus": "annotate.agreement",
    "decisions": "annotate.decisions",
    "embed_cells": "annotate.companions",
    "engines": "",
    "errors": "",
    "export_markers": "annotate.companions",
    "find_markers": "artifacts.markers",
    "pseudobulk": "artifacts.markers",
    "known_cell_types": "engines.local.knowledge.known",
    "known_tissues": "engines.local.knowledge.known",
    "label_colors": "annotations.stored",
    "markers": "annotations.evidence",
    "merge_annotations": "annotate.merging",
    "methods_text": "annotations.write",
    "plots": "",
    "read_annotations": "annotations.stored",
    "read_markers": "study.markers.read",
    "reannotate": "annotate.reannotate",
    "resume": "annotate.objects",
    "review": "annotate.review",
    "runs": "",
    "set_labels": "annotate.decisions",
    "seurat": "",
    "study_report": "study.inventory",
    "supporting_markers": "annotations.evidence",
    "train_reference": "engines.reference.train",
    "withdraw_decision": "annotate.decisions",
    "write_annotations": "annotations.write",
}

__all__ = [
    "Annotations",
    "CellAnnotations",
    "Markers",
    "Review",
    "Study",
    "__version__",
    "annotate_cells",
    "annotate_clusters",
    "annotation_report",
    "apply_decisions",
    "build_artifacts",
    "carry_decisions",
    "compare_labels",
    "consensus",
    "decisions",
    "embed_cells",
    "engines",
    "errors",
    "export_markers",
    "find_markers",
    "known_cell_types",
    "known_tissues",
    "label_colors",
    "markers",
    "merge_annotations",
    "methods_text",
    "plots",
    "pseudobulk",
    "read_annotations",
    "read_markers",
    "reannotate",
    "resume",
    "review",
    "runs",
    "set_labels",
    "seurat",
    "study_report",
    "supporting_markers",
    "train_reference",
    "withdraw_decision",
    "write_annotations",
]


_READ_FILES = {
    "annotate_cells",
    "annotate_clusters",
    "annotation_report",
    "build_artifacts",
    "embed_cells",
    "export_markers",
    "find_markers",
    "markers",
    "pseudobulk",
    "read_annotations",
    "resume",
    "review",
    "study_report",
    "supporting_markers",
    "train_reference",
    "write_annotations",
}


def _give_readers() -> None:
    """Let the verbs read files of R and ask it, by the bridge, which stands above them."""
    readers = importlib.import_module(".study.inputs.readers", __name__)
    readers.give_readers_of(f"{__name__}.bridge.rds.readers")


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module = importlib.import_module(f".{_WHERE[name] or name}", __name__)
    if name in _READ_FILES:
        _give_readers()
    return getattr(module, name) if _WHERE[name] else module


def __dir__() -> list[str]:
    return sorted(__all__)
