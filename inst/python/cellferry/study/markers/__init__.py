"""Marker tables: any known format in, one full table out, and the choice of genes."""

from .read import markers_from_ranking, read_markers
from .select import Selection
from .table import Markers

__all__ = ["Markers", "Selection", "markers_from_ranking", "read_markers"]
