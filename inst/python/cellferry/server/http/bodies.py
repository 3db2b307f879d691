"""What is sent about uploads, and what this server answers."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ..bodies import FIRST_ERROR, WHOLE, Body, Id, must, one_of
from ..failures import CODES
from ..settings import FILE_KINDS

Count = Annotated[int, Field(ge=0)]
Kind = Annotated[str, one_of(FILE_KINDS)]
Numbers = list[float | None]


class Initiate(Body):
    """How large the file is, where the client knows."""

    file_size_bytes: (
        Annotated[int, Field(ge=0), WHOLE, must("must be a whole number, not {given}")] | None
    ) = None


class Part(Body):
    """A part that was sent to a signed address."""

    etag: str = Field(alias="ETag")
    number: Annotated[
        int, Field(ge=1), WHOLE, must("must be a whole number from 1, not {given}")
    ] = Field(alias="PartNumber")


class Complete(Body):
    """The parts of the file, after signed addresses."""

    parts: Annotated[list[Part], FIRST_ERROR] | None = None


class FailureDetail(TypedDict):
    """What was wrong."""

    error_code: Annotated[str, one_of([*CODES])]
    message: str


class Failure(TypedDict):
    """A request that was not served."""

    detail: FailureDetail


class Health(TypedDict):
    """Which server this is."""

    status: str
    server: str
    version: str


class Initiated(TypedDict):
    """An upload that was begun."""

    upload_id: Id
    chunk_size_bytes: Count
    max_size_bytes: Count
    expires_at: str
    r2_upload_id: NotRequired[str]
    presigned_urls: NotRequired[list[Annotated[str, Field(json_schema_extra={"format": "uri"})]]]


class Chunk(TypedDict):
    """A chunk that was taken."""

    upload_id: Id
    chunk: Count
    size_bytes: Count


class Uploaded(TypedDict):
    """A file that is whole."""

    upload_id: Id
    file_kind: Kind
    file_name: str
    size_bytes: Count
    expires_at: str


class Upload(TypedDict):
    """What has arrived of an upload."""

    upload_id: Id
    file_kind: Kind
    state: Annotated[str, one_of(["open", "complete"])]
    size_bytes: Count | None
    chunk_size_bytes: Count
    received_chunks: list[Count]
    expires_at: str


class Job(TypedDict):
    """The job."""

    job_id: Id


REANNOTATE = ("job_id", "cluster_id", "feedback")
"""The query of `/reannotate`, as the service of the protocol documents it."""


class Results(TypedDict):
    """What was found."""

    annotations: dict[str, object]
    summary: dict[str, object]
    clusterCategories: list[object]
    studyContext: str
    failures: dict[str, object]
    provenance: dict[str, object]


class Expression(TypedDict):
    """A gene over the embedding."""

    gene: str
    n_cells: Count
    n_expressing: Count
    mean: NotRequired[float | None]
    embedding: NotRequired[str | None]
    x: NotRequired[Numbers]
    y: NotRequired[Numbers]
    values: Numbers
    cells: list[Count]


class Counts(TypedDict):
    """How many cells pass, and of which group they are."""

    total: Count
    count: Count
    groups: NotRequired[list[object]]
    truncated: NotRequired[bool]
