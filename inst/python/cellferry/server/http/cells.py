"""The address of the Cell Atlas API: cells in, a call for each, by the embedded engine.

The work is :mod:`cellferry.engines.local.cells.requests`; this is its way through HTTP. A
request is one answer: no job, nothing on disk. Bodies are taken as they are: the server does
not say that it takes gzip, so that clients send none.
"""

from __future__ import annotations

from ...errors import InvalidOptionError
from ..failures import fail
from .schemas import Schema, object_of

PATH = "/v1/singlecell/annotate"


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


def cell_schemas() -> dict[str, Schema]:
    """Return the schemas of the request and of the answer."""
    from ...engines.local.cells.requests import MOST_CELLS

    text: Schema = {"type": "string"}
    texts: Schema = {"type": "array", "items": text}
    position: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    positions: Schema = {"type": "array", "items": position}
    optional: Schema = {"anyOf": [text, {"type": "null"}]}
    size: Schema = {**position, "description": f"Cells (at most {MOST_CELLS}), then genes."}
    shape: Schema = {"type": "array", "items": size, "minItems": 2, "maxItems": 2}
    values: Schema = {"type": "array", "items": {"type": "number", "minimum": 0}}
    matrix = object_of(
        {"indptr": {**positions, "minItems": 1}, "indices": positions, "data": values,
         "shape": shape},
        every=True,
    )  # fmt: skip
    call = object_of(
        {"label": text, "confidence": {"type": "number", "minimum": 0, "maximum": 1},
         "alternates": texts, "markers": texts},
        every=True,
    )  # fmt: skip
    return {
        "Cells": object_of(
            {"genes": {**texts, "uniqueItems": True}, "matrix": matrix, "model": optional,
             "reference_atlas": optional},
            required=("genes", "matrix"),
        ),
        "Calls": object_of(
            {"calls": {"type": "array", "items": call}, "engine": {"type": "object"}}, every=True
        ),
    }  # fmt: skip
