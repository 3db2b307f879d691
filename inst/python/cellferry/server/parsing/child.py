"""The helper process that parses large bodies: ``python -m cellferry.server.parsing.child``.

On standard input a line of JSON (operation, bytes, and what is needed of the settings) and the
body; on standard output a line of JSON (bytes, or code and message of what is wrong) and the
result. The server is its only client, and it has nothing that the server does not have.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import orjson

from ..bodies import parsed, read
from ..failures import Code, Failure
from ..http.cells import ANSWERS
from ..jobs.llm_configs import allowed
from ..jobs.payload import JobInput, Submission, job_of
from ..processes import limit_memory
from ..settings import Settings

Parsed = tuple[JobInput, object, dict[str, str], str]
"""The job, ``llm_configs`` as it was sent, kind -> upload, and the visibility."""


def submission(body: bytes, settings: Settings) -> bytes:
    """Return a checked job, pickled: :data:`Parsed`."""
    content = parsed(body)
    sent = read(Submission, content)
    job = job_of(sent.input_data, settings)
    allowed(sent.llm_configs, settings)
    configs = content.get("llm_configs") if isinstance(content, dict) else None
    found: Parsed = (
        job,
        configs,
        sent.uploaded_files.model_dump(exclude_none=True),
        sent.visibility or "private",
    )
    return pickle.dumps(found, protocol=5)


def answer(request: Mapping[str, Any], body: bytes) -> tuple[dict[str, object], bytes]:
    """Return the line and the bytes of an answer."""
    settings = Settings(Path(), clusters=request["clusters"], base_urls=tuple(request["base_urls"]))
    try:
        about_cells = ANSWERS.get(request["operation"])
        found = submission(body, settings) if about_cells is None else about_cells(body)
    except Failure as failure:
        headers = failure.headers
        return {"code": failure.code.value, "error": failure.message, "headers": headers}, b""
    except MemoryError:
        code, message = Code.PAYLOAD_TOO_LARGE, "To read the body takes too much memory."
        return {"code": code.value, "error": message, "headers": {}}, b""
    return {"size": len(found)}, found


def exactly(stream: IO[bytes], size: int) -> bytes:
    """Read so many bytes.

    Raises
    ------
    EOFError
        The other end is gone.
    """
    content = stream.read(size)
    if len(content) != size:
        raise EOFError
    return content


def main() -> None:
    """Answer until standard input ends."""
    limit_memory()
    for line in iter(sys.stdin.buffer.readline, b""):
        request = orjson.loads(line)
        head, found = answer(request, exactly(sys.stdin.buffer, request["size"]))
        sys.stdout.buffer.write(orjson.dumps(head) + b"\n" + found)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
