"""What every engine returns, one row per cluster or per cell, and its way home."""

from .cells import CellAnnotations
from .clusters import Annotation, Annotations
from .stored import label_colors, read_annotations

__all__ = [
    "Annotation",
    "Annotations",
    "CellAnnotations",
    "label_colors",
    "read_annotations",
]
