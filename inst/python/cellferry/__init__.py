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
    from . import engines, errors, runs, seurat
    from .annotate import annotate_clusters
    from .annotations import Annotations
    from .artifacts import build_artifacts
    from .cell_annotations import CellAnnotations
    from .cells import annotate_cells
    from .inventory import study_report
    from .markers import Markers, read_markers
    from .results import annotation_report, read_annotations
    from .study import Study

_WHERE = {
    "Annotations": "annotations",
    "CellAnnotations": "cell_annotations",
    "Markers": "markers",
    "Study": "study",
    "annotate_cells": "cells",
    "annotate_clusters": "annotate",
    "annotation_report": "results",
    "build_artifacts": "artifacts",
    "engines": "",
    "errors": "",
    "read_annotations": "results",
    "read_markers": "markers",
    "runs": "",
    "seurat": "",
    "study_report": "inventory",
}

__all__ = [
    "Annotations",
    "CellAnnotations",
    "Markers",
    "Study",
    "__version__",
    "annotate_cells",
    "annotate_clusters",
    "annotation_report",
    "build_artifacts",
    "engines",
    "errors",
    "read_annotations",
    "read_markers",
    "runs",
    "seurat",
    "study_report",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module = importlib.import_module(f".{_WHERE[name] or name}", __name__)
    return getattr(module, name) if _WHERE[name] else module


def __dir__() -> list[str]:
    return sorted(__all__)
