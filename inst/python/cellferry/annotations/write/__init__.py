"""Annotations as files: tables for people, and what portals of data take."""

from .methods import methods_text
from .tables import (
    CUT,
    FORMATS,
    LONGEST_CELL,
    MOST_SAMPLES,
    Sheet,
    sample_counts,
    sheets,
    write_annotations,
    write_tables,
    written_files,
)

__all__ = [
    "CUT",
    "FORMATS",
    "LONGEST_CELL",
    "MOST_SAMPLES",
    "Sheet",
    "methods_text",
    "sample_counts",
    "sheets",
    "write_annotations",
    "write_tables",
    "written_files",
]
