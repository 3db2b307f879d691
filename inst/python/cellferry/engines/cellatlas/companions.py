"""Marker export and embedding by a service: one request for markers, chunks for an embedding.

Bodies and answers are those of ``cellferry serve``. A service that has its own paths is asked at
these, and its answers are read as far as they say what is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...errors import EngineNeedsError, ServiceAnswerError
from ...study.markers.read import read_markers
from .calls import unwrapped
from .payload import MOST_CELLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...study.markers.table import Markers
    from ...study.study import Study

_HINT = "The service speaks another protocol, or another version of it."
NAMES: dict[str, str] = {"label": "cluster", "pct_1": "pct.1", "pct_2": "pct.2"}
"""What of a record Seurat's table calls otherwise."""


def labels_of(study: Study) -> list[str | None]:
    """Return the label of each cell, None where it has none.

    Raises
    ------
    EngineNeedsError
        There are no labels, or too many cells for the one request that markers need.
    """
    codes, names = study.clusters.codes, study.clusters.names
    if codes is None or not names:
        message = "Marker genes are exported for labels, and there are none."
        raise EngineNeedsError(message, "Name their metadata column: `group_key`.")
    if len(codes) > MOST_CELLS:
        message = (
            f"Markers compare all cells, and a request has at most {MOST_CELLS:,} of the "
            f"{len(codes):,} there are."
        )
        raise EngineNeedsError(message, 'Use the engine "local", which has no such limit.')
    return [None if code < 0 else names[code] for code in codes.tolist()]


def check_markers(answer: object, _n_cells: int) -> None:
    """Raise :class:`ServiceAnswerError` unless an answer is a list of marker genes."""
    table_of(answer)


def table_of(answer: object) -> list[dict[str, object]]:
    """Return the records of an answer under the names of Seurat's table."""
    inner = unwrapped(answer, "markers")
    records = inner.get("markers") if isinstance(inner, Mapping) else None
    if not isinstance(records, list) or not all(isinstance(r, Mapping) for r in records):
        message = "The answer of the service has no `markers`."
        raise ServiceAnswerError(message, _HINT, whole=True)
    if not all("gene" in r and ("label" in r or "cluster" in r) for r in records):
        message = "The markers of the service do not all say a label and a gene."
        raise ServiceAnswerError(message, _HINT, whole=True)
    return [{NAMES.get(str(k), str(k)): v for k, v in r.items()} for r in records]


def markers_of(answer: object) -> Markers:
    """Return the marker table of an answer.

    Raises
    ------
    EngineNeedsError
        No label has a marker gene.
    """
    import pandas as pd

    records = table_of(answer)
    if not records:
        message = "No label has a marker gene."
        raise EngineNeedsError(message, "A label needs three cells, and others to compare with.")
    return read_markers(pd.DataFrame(records), cluster_column="cluster", gene_column="gene")


def check_embedding(answer: object, n_cells: int) -> None:
    """Raise :class:`ServiceAnswerError` unless an answer has one row of numbers for each cell."""
    rows_of(answer, n_cells)


def rows_of(answer: object, n_cells: int) -> NDArray[np.float32]:
    """Return the numbers of an answer, cells x dimensions; a cell without any is NaN.

    Parameters
    ----------
    answer
        The data that the service returned.
    n_cells
        Cells of the chunk.
    """
    inner = unwrapped(answer, "embedding")
    rows = inner.get("embedding") if isinstance(inner, Mapping) else None
    if not isinstance(rows, list):
        message = "The answer of the service has no `embedding`."
        raise ServiceAnswerError(message, _HINT, whole=True)
    if len(rows) != n_cells:
        message = f"The service answered {len(rows)} rows for {n_cells} cells."
        raise ServiceAnswerError(message, _HINT)
    width = next((len(row) for row in rows if isinstance(row, list) and row), 0)
    try:
        filled = [row if row else [np.nan] * width for row in rows]
        found = np.array(filled, dtype=np.float32).reshape(n_cells, -1 if n_cells else 0)
    except (TypeError, ValueError) as error:
        message = "The embedding of the service is not one row of as many numbers for each cell."
        raise ServiceAnswerError(message, _HINT, whole=True) from error
    if n_cells and not width:
        message = "The embedding of the service has no numbers."
        raise ServiceAnswerError(message, _HINT, whole=True)
    return found


def joined(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the rows of all chunks below one another; raises :class:`ServiceAnswerError`."""
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) > 1:
        message = f"The chunks have embeddings of {widths[0]} and of {widths[-1]} dimensions."
        raise ServiceAnswerError(message, "The model of the service must be the same for all.")
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
