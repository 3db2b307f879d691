"""The OpenAPI document of the server: what each address takes and answers."""

from __future__ import annotations

from functools import cache

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from ..._version import __version__
from ..bodies import Schema, or_empty
from ..comparing import Comparison
from ..failures import CODES
from ..jobs.decisions import Decided, Decisions
from ..jobs.llm_configs import Credentials
from ..jobs.payload import Submission
from ..jobs.records import Status
from ..jobs.remarks import LONGEST
from ..lookup.counts import CountsRequest
from ..settings import FILE_KINDS
from ..uploads.signed import SIGNED_PATH
from . import bodies, cells

TEXT: Schema = {"type": "string"}
ID: Schema = {"type": "string", "format": "uuid"}
POSITION: Schema = {"type": "integer", "minimum": 0, "maximum": 10**9}
REFERENCE = "#/components/schemas/{model}"
BODIES = (
    Submission, Credentials, Decided, Decisions, Comparison, CountsRequest, cells.Cells,
    cells.Calls, cells.LabelledCells, cells.MarkerGenes, cells.Embedding, bodies.Initiate,
    bodies.Initiated, bodies.Chunk, bodies.Complete, bodies.Uploaded, bodies.Upload, bodies.Job,
    Status, bodies.Results, bodies.Expression, bodies.Counts, bodies.Health, bodies.Failure,
)  # fmt: skip


class _Untitled(GenerateJsonSchema):
    """Schemas whose fields have no title beside their name."""

    def field_title_should_be_set(self, _schema: object) -> bool:
        return False


@cache
def schemas() -> dict[str, Schema]:
    """Return name -> schema of every body, made from the models."""
    _, found = TypeAdapter.json_schemas(
        [(body, "validation", TypeAdapter(body)) for body in BODIES],
        ref_template=REFERENCE,
        schema_generator=_Untitled,
    )
    return found["$defs"]  # type: ignore[no-any-return]


def ref(name: str) -> Schema:
    """Return a reference to a schema of :func:`schemas`."""
    return {"$ref": REFERENCE.format(model=name)}


def document() -> Schema:
    """Return the document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cellferry serve",
            "version": __version__,
            "description": "Cell-type annotation by the CyteType job protocol, on this machine.",
        },
        "security": [{"bearer": []}, {}],
        "paths": _paths(),
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> Schema:
    kind = _parameter("file_kind", {"enum": list(FILE_KINDS)})
    upload, job = _parameter("upload_id", ID), _parameter("job_id", ID)
    position = _parameter("idx", POSITION)
    begin, end = or_empty(ref("Initiate")), or_empty(ref("Complete"))
    return {
        "/health": {"get": _operation("Whether the server is there", "Health")},
        "/openapi.json": {"get": _operation("This document", {"type": "object"})},
        "/upload/{file_kind}/initiate": {
            "post": _operation("Begin an upload", "Initiated", [kind], begin, optional=True)
        },
        "/upload/{upload_id}/chunk/{idx}": {
            "put": {
                **_operation("Send one chunk, counted from 0", "Chunk", [upload, position]),
                "requestBody": {"content": {"application/octet-stream": {}}},
            }
        },
        SIGNED_PATH + "{upload_id}/{idx}": {
            "put": {
                **_operation(
                    "Send one chunk to a signed address", {}, [upload, position, *_signature()]
                ),
                "security": [{}],
                "requestBody": {"content": {"application/octet-stream": {}}},
            }
        },
        "/upload/{upload_id}/complete": {
            "post": _operation("End an upload", "Uploaded", [upload], end, optional=True)
        },
        "/upload/{upload_id}": {"get": _operation("What has arrived", "Upload", [upload])},
        "/annotate": {
            "post": _operation("Submit a job", "Job", [_idempotency()], ref("Submission"))
        },
        cells.PATH: {"post": _operation("A call for each cell", "Calls", body=ref("Cells"))},
        cells.MARKERS_PATH: {
            "post": {
                **_operation(
                    "Marker genes of each label", "MarkerGenes", body=ref("LabelledCells")
                ),
                "description": cells.OURS,
                "x-cellferry": True,
            }
        },
        cells.EMBEDDING_PATH: {
            "post": {
                **_operation("An embedding of each cell", "Embedding", body=ref("Cells")),
                "description": cells.OURS,
                "x-cellferry": True,
            }
        },
        "/reannotate": {
            "post": _operation(
                "Ask about one cluster again",
                "Job",
                _remark(),
                or_empty(ref("Credentials")),
                optional=True,
            )
        },
        "/status/{job_id}": {"get": _operation("How far a job is", "Status", [job])},
        "/results/{job_id}": {"get": _operation("Results of a job", "Results", [job])},
        "/report/{job_id}": {"get": _page("The report of a job, a page", [job])},
        "/jobs/{job_id}/credentials": {
            "post": _operation("Give keys again", "Job", [job], ref("Credentials"))
        },
        "/jobs/{job_id}/decisions": {
            "get": _operation("What persons decided", "Decisions", [job]),
            "post": {
                **_operation("Decide about clusters", "Decisions", [job], ref("Decided")),
                "description": "All decisions are taken, or none; none is ever removed.",
            },
        },
        "/data/{job_id}/page/decisions": {
            "get": _operation("What persons decided, for the page", {"type": "object"}, [job]),
            "post": _operation("Decide on the page", {"type": "object"}, [job], ref("Decided")),
        },
        "/data/{job_id}/page/compare": {
            "post": _operation(
                "Two sets of cells compared", {"type": "object"}, [job], ref("Comparison")
            )
        },
        "/data/{job_id}/page/{kind}": {"get": _block([job, _parameter("kind", TEXT)])},
        "/data/{job_id}/page/{kind}/{number}": {
            "get": _block([job, _parameter("kind", TEXT), _parameter("number", POSITION)])
        },
        "/data/{job_id}/expression": {
            "get": _operation("A gene over the embedding", "Expression", [job, *_gene()])
        },
        "/data/{job_id}/counts": {
            "post": _operation("Cells that pass a filter", "Counts", [job], ref("CountsRequest"))
        },
    }


def _block(parameters: list[Schema]) -> Schema:
    made = _operation("Numbers that the page of a job draws, little-endian", {}, parameters)
    content: Schema = {"application/octet-stream": {}}
    made["responses"]["200"] = {"description": "A block, as the page reads it", "content": content}
    return made


def _gene() -> list[Schema]:
    most = {"type": "integer", "minimum": 1, "maximum": 200_000, "default": 20_000}
    gene = {"name": "gene", "in": "query", "required": True, "schema": {**TEXT, "minLength": 1}}
    return [gene, {"name": "max_cells", "in": "query", "schema": most}]


def _remark() -> list[Schema]:
    schemas = (ID, {**TEXT, "minLength": 1}, {**TEXT, "minLength": 1, "maxLength": LONGEST})
    return [
        {"name": name, "in": "query", "required": True, "schema": schema}
        for name, schema in zip(bodies.REANNOTATE, schemas, strict=True)
    ]


def _signature() -> list[Schema]:
    return [
        {"name": name, "in": "query", "required": True, "schema": TEXT}
        for name in ("expires", "signature")
    ]


def _idempotency() -> Schema:
    schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]{1,200}$"}
    return {"name": "Idempotency-Key", "in": "header", "schema": schema}


def _parameter(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation(
    summary: str,
    answer: str | Schema,
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
    *,
    optional: bool = False,
) -> Schema:
    schema = ref(answer) if isinstance(answer, str) else answer
    found: Schema = {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {"200": _response("Done", schema), **_failures()},
    }
    if body is not None:
        content = {"application/json": {"schema": body}}
        found["requestBody"] = {"content": content, "required": not optional}
    return found


def _page(summary: str, parameters: list[Schema]) -> Schema:
    page = {"description": "The page", "content": {"text/html": {"schema": TEXT}}}
    return {
        "summary": summary,
        "parameters": parameters,
        "responses": {"200": page, **_failures()},
    }


def _failures() -> Schema:
    by_status: dict[int, list[str]] = {}
    for name, code in CODES.items():
        by_status.setdefault(code.status, []).append(f"{name}: {code.text}")
    return {
        str(status): _response(" ".join(meanings), ref("Failure"))
        for status, meanings in sorted(by_status.items())
    }


def _response(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
