"""The helper process that reads uploaded files: ``python -m cellferry.server.lookup.child``.

One request per line on standard input, one answer per line on standard output, as JSON.
It limits itself before it reads anything: memory, open files, no file may be written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import orjson

from ..failures import Failure
from ..processes import limit_memory, limit_to

OPEN_FILES = 64


def limit() -> None:
    """Limit this process where the system has limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limit_memory()
    limit_to(resource.RLIMIT_FSIZE, 0)
    limit_to(resource.RLIMIT_NOFILE, OPEN_FILES)


class Answer(TypedDict, total=False):
    """A result, or the code and the message of what is wrong."""

    result: Any
    code: str
    error: str


def answer(request: Mapping[str, object]) -> Answer:
    """Return the answer to one request."""
    arguments = dict(request)
    try:
        return {"result": operations()[str(arguments.pop("operation"))](**arguments)}
    except Failure as failure:
        return {"code": failure.code.value, "error": failure.message}
    except MemoryError:
        message = "Reading the uploaded file takes too much memory."
        return {"code": "INVALID_ARTIFACT", "error": message}
    except Exception as error:
        message = f"The uploaded file cannot be read ({type(error).__name__})."
        return {"code": "INVALID_ARTIFACT", "error": message}


def operations() -> dict[str, Callable[..., object]]:
    """Return name -> function; the libraries are loaded with the first request."""
    from . import comparing, obs_duckdb, pages, vars_h5
    from . import queries as artifact_queries

    return {
        "inspect_vars_h5": vars_h5.inspect,
        "inspect_obs_duckdb": obs_duckdb.inspect,
        "group_column": obs_duckdb.group_column,
        "counts": obs_duckdb.counts,
        "crosstab": obs_duckdb.crosstab,
        "page_cells": pages.page_cells,
        "page_genes": pages.page_genes,
        "page_block": pages.page_block,
        "page_sums": pages.page_sums,
        "page_compare": comparing.page_compare,
        "expression": artifact_queries.expression,
        "prevalence": artifact_queries.prevalence,
    }


def main() -> None:
    """Answer until standard input ends."""
    limit()
    for line in sys.stdin.buffer:
        reply = answer(orjson.loads(line))
        sys.stdout.buffer.write(orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
