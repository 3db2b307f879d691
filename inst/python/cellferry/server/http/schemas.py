"""The JSON schemas of the OpenAPI document: what bodies look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...engines.service.llm_configs import AGENTS
from ...engines.service.providers import PROVIDERS
from ..failures import CODES
from ..jobs.payload import LONGEST_NAME, LONGEST_TEXT, MOST_PARALLEL, VISIBILITIES
from ..jobs.records import JOB_STATES
from ..lookup.counts import MOST_FILTERS, MOST_VALUES, OPERATORS
from ..settings import FILE_KINDS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
ID: Schema = {"type": "string", "format": "uuid"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}


def schemas() -> dict[str, Schema]:
    """Return name -> schema of every body."""
    states = {"enum": ["pending", "processing", "completed", "failed"]}
    genes = {"type": "array", "items": {"type": "string", "maxLength": LONGEST_NAME}}
    number = {"type": "integer", "minimum": 1}
    part = object_of({"ETag": TEXT, "PartNumber": number}, every=True)
    return {
        "Failure": object_of(
            {"detail": object_of({"error_code": {"enum": list(CODES)}, "message": TEXT})},
            every=True,
        ),
        "Health": object_of({"status": TEXT, "server": TEXT, "version": TEXT}, every=True),
        "Initiate": object_of({"file_size_bytes": _or_null(COUNT)}),
        "Initiated": object_of(
            {
                "upload_id": ID,
                "chunk_size_bytes": COUNT,
                "max_size_bytes": COUNT,
                "expires_at": TEXT,
                "r2_upload_id": TEXT,
                "presigned_urls": {"type": "array", "items": {"type": "string", "format": "uri"}},
            },
            ("upload_id", "chunk_size_bytes", "max_size_bytes", "expires_at"),
        ),
        "Complete": object_of({"parts": _or_null({"type": "array", "items": part})}),
        "Chunk": object_of({"upload_id": ID, "chunk": COUNT, "size_bytes": COUNT}, every=True),
        "Uploaded": object_of(
            {
                "upload_id": ID,
                "file_kind": {"enum": list(FILE_KINDS)},
                "file_name": TEXT,
                "size_bytes": COUNT,
                "expires_at": TEXT,
            },
            every=True,
        ),
        "Upload": object_of(
            {
                "upload_id": ID,
                "file_kind": {"enum": list(FILE_KINDS)},
                "state": {"enum": ["open", "complete"]},
                "size_bytes": _or_null(COUNT),
                "chunk_size_bytes": COUNT,
                "received_chunks": {"type": "array", "items": COUNT},
                "expires_at": TEXT,
            },
            every=True,
        ),
        "Submission": object_of(
            {
                "input_data": ref("InputData"),
                "llm_configs": _or_null({"type": "array", "items": ref("LLMConfig")}),
                "uploaded_files": _or_null(
                    {
                        **object_of({kind: _or_null(ID) for kind in FILE_KINDS}),
                        "additionalProperties": False,
                    }
                ),
                "visibility": _or_null({"enum": list(VISIBILITIES)}),
            },
            ("input_data",),
        ),
        "InputData": object_of(
            {
                "studyInfo": _or_null({"type": "string", "maxLength": LONGEST_TEXT}),
                "infoTags": _map({"type": "string", "maxLength": LONGEST_TEXT}),
                "clusterLabels": _map({"type": "string", "maxLength": LONGEST_NAME}),
                "clusterMetadata": _map(_map(_map({}))),
                "markerGenes": {**_map(genes, nullable=False), "minProperties": 1},
                "visualizationData": _or_null(
                    object_of(
                        {
                            "coordinates": _or_null({"type": "array", "items": _pair()}),
                            "clusters": {"type": "array"},
                        }
                    )
                ),
                "expressionData": _map(
                    _map({"type": ["number", "null"], "minimum": 0, "maximum": 100})
                ),
                "nParallelClusters": _or_null(
                    {"type": "integer", "minimum": 1, "maximum": MOST_PARALLEL}
                ),
                "clientInfo": _or_null({"type": "object"}),
            },
            ("markerGenes",),
        ),
        "LLMConfig": object_of(
            {
                "provider": {"enum": list(PROVIDERS)},
                "name": NAME,
                **{
                    name: _or_null(TEXT)
                    for name in (
                        "apiKey",
                        "baseUrl",
                        "awsAccessKeyId",
                        "awsSecretAccessKey",
                        "awsDefaultRegion",
                    )
                },
                "modelSettings": _or_null({"type": "object"}),
                "targetAgents": _or_null({"type": "array", "items": {"enum": list(AGENTS)}}),
                "skipValidation": _or_null({"type": "boolean"}),
                "allowFallback": _or_null({"type": "boolean"}),
            },
            ("provider", "name"),
        ),
        "Credentials": object_of(
            {"llm_configs": {"type": "array", "items": ref("LLMConfig"), "minItems": 1}},
            every=True,
        ),
        "Job": object_of({"job_id": ID}, every=True),
        "Status": object_of(
            {
                "jobStatus": {"enum": list(JOB_STATES)},
                "clusterStatus": {"type": "object", "additionalProperties": states},
                "message": TEXT,
            },
            ("jobStatus", "clusterStatus"),
        ),
        "Results": object_of(
            {
                "annotations": {"type": "object"},
                "summary": {"type": "object"},
                "clusterCategories": {"type": "array"},
                "studyContext": TEXT,
                "failures": {"type": "object"},
                "provenance": {"type": "object"},
            },
            every=True,
        ),
        "Expression": object_of(
            {
                "gene": TEXT,
                "n_cells": COUNT,
                "n_expressing": COUNT,
                "mean": {"type": ["number", "null"]},
                "embedding": _or_null(TEXT),
                **{
                    name: {"type": "array", "items": {"type": ["number", "null"]}}
                    for name in ("x", "y", "values")
                },
                "cells": {"type": "array", "items": COUNT},
            },
            ("gene", "n_cells", "n_expressing", "cells", "values"),
        ),
        "CountsRequest": {
            **object_of(
                {
                    "filters": _or_null(
                        {"type": "array", "items": ref("Filter"), "maxItems": MOST_FILTERS}
                    ),
                    "group_by": _or_null(TEXT),
                }
            ),
            "additionalProperties": False,
        },
        "Filter": {
            **object_of(
                {
                    "column": TEXT,
                    "op": {"enum": list(OPERATORS)},
                    "value": {
                        "anyOf": [
                            {"type": ["string", "number", "boolean"]},
                            {"type": "array", "minItems": 1, "maxItems": MOST_VALUES},
                        ]
                    },
                },
                ("column", "op"),
            ),
            "additionalProperties": False,
        },
        "Counts": object_of(
            {
                "total": COUNT,
                "count": COUNT,
                "groups": {"type": "array"},
                "truncated": {"type": "boolean"},
            },
            ("total", "count"),
        ),
    }


def _pair() -> Schema:
    number = {"type": ["number", "null"]}
    return {"type": "array", "items": number, "minItems": 2, "maxItems": 2}


def ref(name: str) -> Schema:
    """Return a reference to a schema of :func:`schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(
    properties: Mapping[str, Schema], required: tuple[str, ...] = (), *, every: bool = False
) -> Schema:
    """Return the schema of an object; unknown names are taken and ignored."""
    found: Schema = {"type": "object", "properties": dict(properties)}
    names = tuple(properties) if every else required
    return {**found, "required": list(names)} if names else found


def _map(values: Schema, *, nullable: bool = True) -> Schema:
    """A map; R writes an empty one as ``[]``."""
    names = {"minLength": 1, "maxLength": LONGEST_NAME}
    found: Schema = {"type": "object", "additionalProperties": values, "propertyNames": names}
    if not nullable:
        return found
    return {"anyOf": [found, {"type": "null"}, {"type": "array", "maxItems": 0}]}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
