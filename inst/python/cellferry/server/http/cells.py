"""The addresses of the Cell Atlas API: cells in, a call for each, by the embedded engine.

Beside annotation there are marker export and embedding, with bodies of our own. The work is
:mod:`cellferry.engines.local.cells.requests` and ``companions``; this is its way through HTTP. A
request is one answer: no job, nothing on disk. Bodies are taken as they are: the server does
not say that it takes gzip, so that clients send none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ...errors import InvalidOptionError
from ..failures import fail

PATH = "/v1/singlecell/annotate"
MARKERS_PATH = "/v1/singlecell/markers"
EMBEDDING_PATH = "/v1/singlecell/embed"
OURS = "Of cellferry; the Cell Atlas API has no public description of its own."
"""What the document says of the two addresses that no specification describes."""

Position = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Matrix(TypedDict):
    """Counts or normalized values, compressed by cell."""

    indptr: Annotated[list[Position], Field(min_length=1)]
    indices: list[Position]
    data: list[Annotated[float, Field(ge=0)]]
    shape: Annotated[
        list[Position],
        Field(min_length=2, max_length=2, description="Cells, then genes; send many in chunks."),
    ]


class Cells(TypedDict):
    """Cells to annotate. The engine itself checks them, without a copy of the matrix."""

    genes: Annotated[list[str], Field(json_schema_extra={"uniqueItems": True})]
    matrix: Matrix
    model: NotRequired[str | None]
    reference_atlas: NotRequired[str | None]


class LabelledCells(Cells):
    """Cells, and what each is; without labels the embedded engine says it first."""

    labels: NotRequired[list[str | None] | None]


class Call(TypedDict):
    """What a cell is."""

    label: str
    confidence: Annotated[float, Field(ge=0, le=1)]
    alternates: list[str]
    markers: list[str]


class Calls(TypedDict):
    """A call for each cell, and who made them."""

    calls: list[Call]
    engine: dict[str, object]


class Marker(TypedDict):
    """A gene that a label has more of than all other cells: Wilcoxon, as in Seurat."""

    label: str
    gene: str
    avg_log2FC: float
    pct_1: Annotated[float, Field(ge=0, le=1)]
    pct_2: Annotated[float, Field(ge=0, le=1)]
    p_val: Annotated[float, Field(ge=0, le=1)]
    p_val_adj: Annotated[float, Field(ge=0, le=1)]


class MarkerGenes(TypedDict):
    """The marker genes of each label, best first, and the labels that could not be tested."""

    markers: list[Marker]
    left_out: dict[str, str]
    engine: dict[str, object]


class Embedding(TypedDict):
    """Numbers of each cell, in the order that was sent: a fixed projection of marker genes."""

    embedding: list[list[float]]
    dimensions: Annotated[int, Field(ge=1)]
    engine: dict[str, object]


def answer_cells(body: bytes) -> bytes:
    """Return the calls for the cells of a request, as JSON.

    Raises
    ------
    Failure
        The request is not as specified.
    """
    from ...engines.local.cells.requests import answer_request

    return _answered(answer_request, body)


def answer_labels(body: bytes) -> bytes:
    """Return the marker genes of the labels of a request, as JSON; raises :class:`Failure`."""
    from ...engines.local.cells.companions import answer_markers

    return _answered(answer_markers, body)


def answer_places(body: bytes) -> bytes:
    """Return the embedding of the cells of a request, as JSON; raises :class:`Failure`."""
    from ...engines.local.cells.companions import answer_embedding

    return _answered(answer_embedding, body)


def _answered(answer: Callable[[bytes], bytes], body: bytes) -> bytes:
    try:
        return answer(body)
    except InvalidOptionError as error:
        fail(error.message, error)


ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "cells": answer_cells,
    "markers": answer_labels,
    "embedding": answer_places,
}
"""What may be asked about cells -> who answers it."""
