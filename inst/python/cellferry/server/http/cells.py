"""The address of the Cell Atlas API: cells in, a call for each, by the embedded engine.

The work is :mod:`cellferry.engines.local.cells.requests`; this is its way through HTTP. A
request is one answer: no job, nothing on disk. Bodies are taken as they are: the server does
not say that it takes gzip, so that clients send none.
"""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ...errors import InvalidOptionError
from ..failures import fail

PATH = "/v1/singlecell/annotate"

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


def answer_cells(body: bytes) -> bytes:
    """Return the calls for the cells of a request, as JSON.

    Raises
    ------
    Failure
        The request is not as specified.
    """
    from ...engines.local.cells.requests import answer_request

    try:
        return answer_request(body)
    except InvalidOptionError as error:
        fail(error.message, error)
