"""The body of ``/annotate``: checked, and reduced to what a job needs.

Published clients differ (null or absent, ``[]`` where R means an empty map, text where R
means a missing number), so these are taken; what could do harm or makes no sense is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from ...study.clusters import natural_key
from ..bodies import (
    FIRST_ERROR,
    LONGEST_NAME,
    ONE_OR_MORE,
    OR_EMPTY,
    WHOLE,
    Body,
    Id,
    Map,
    Name,
    Text,
    must,
    one_of,
    parsed,
    read,
    refuse,
)
from ..failures import Code, Failure, fail
from ..settings import Settings
from .llm_configs import LLMConfig, LLMConfigs, allowed

VISIBILITIES: tuple[str, ...] = ("private", "org", "public")
MOST_GENES = 200_000
MOST_PARALLEL = 50

ClusterId = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Genes = Annotated[list[Name], Field(max_length=MOST_GENES), FIRST_ERROR, ONE_OR_MORE]
Percent = Annotated[
    Annotated[float, Field(ge=0, le=100)] | Literal["NaN", "NA"] | None,
    must("must be a percentage from 0 to 100, not {given}"),
]
Parallel = Annotated[
    int,
    Field(ge=1, le=MOST_PARALLEL),
    WHOLE,
    must(f"must be 1 to {MOST_PARALLEL}, not {{given}}"),
]
Pair = Annotated[list[float | None], Field(min_length=2, max_length=2), FIRST_ERROR]


class VisualizationData(Body):
    """Cells of an embedding: two coordinates of each, and its cluster."""

    model_config = ConfigDict(strict=False)

    coordinates: Annotated[
        Annotated[list[Pair], FIRST_ERROR] | None,
        must("must be pairs of numbers, as many as `clusters`, not {given}"),
    ] = None
    clusters: list[object] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _without_cells(cls, given: object) -> object:
        nothing = isinstance(given, dict) and given.get("coordinates") in (None, [])
        return {} if nothing else given

    @model_validator(mode="after")
    def _as_many(self) -> VisualizationData:
        if len(self.coordinates or ()) != len(self.clusters):
            refuse("must have as many `clusters` as `coordinates`")
        return self


class InputData(Body):
    """What a job is about; ``markerGenes`` must have genes for at least one cluster.

    Genes are ranked, best first. ``expressionData`` has percentages of cells by gene and
    cluster; "NaN", "NA" and null are unknown.
    """

    model_config = ConfigDict(alias_generator=to_camel)

    study_info: Text | None = None
    info_tags: Map[Name, Text] = Field(default_factory=dict)
    cluster_labels: Map[ClusterId, Name] = Field(default_factory=dict)
    cluster_metadata: Map[str, Map[str, Map[str, object]]] = Field(default_factory=dict)
    marker_genes: Annotated[dict[ClusterId, Genes], Field(min_length=1), FIRST_ERROR]
    visualization_data: Annotated[VisualizationData, OR_EMPTY] = VisualizationData()
    expression_data: Annotated[
        dict[Name, Map[str, Percent]], Field(max_length=MOST_GENES), FIRST_ERROR, OR_EMPTY
    ] = Field(default_factory=dict)
    n_parallel_clusters: Parallel | None = None
    client_info: Map[str, object] = Field(default_factory=dict)


class UploadedFiles(Body):
    """The uploads that belong to a job."""

    model_config = ConfigDict(extra="forbid")

    obs_duckdb: Id | None = None
    vars_h5: Id | None = None


class Submission(Body):
    """A job. ``llm_configs`` has keys: they are never stored and never shown."""

    visibility: Annotated[str, one_of(VISIBILITIES)] | None = None
    input_data: InputData
    llm_configs: LLMConfigs = Field(default_factory=list, repr=False)
    uploaded_files: Annotated[UploadedFiles, OR_EMPTY] = UploadedFiles()


@dataclass(frozen=True)
class JobInput:
    """What a job is about.

    Attributes
    ----------
    labels
        Cluster id -> the user's name of it, in natural order of the ids.
    markers
        Cluster id -> genes, best first; clusters may be absent.
    genes, percentages
        Genes and float32 array genes x clusters, percent of cells 0..100, NaN where
        unknown. No gene when the client sent none.
    coordinates, points
        float32 n x 2 and, per point, the position of its cluster; None without.
    """

    study_info: str
    tags: dict[str, str]
    labels: dict[str, str]
    markers: dict[str, list[str]]
    metadata: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    genes: tuple[str, ...] = ()
    percentages: NDArray[np.float32] = field(
        default_factory=lambda: np.empty((0, 0), dtype=np.float32)
    )
    coordinates: NDArray[np.float32] | None = None
    points: NDArray[np.int32] | None = None
    parallel: int = 2
    client: str = ""

    def save(self, folder: Path) -> None:
        """Write ``input.json`` and ``arrays.npz``."""
        text = {
            "study_info": self.study_info,
            "tags": self.tags,
            "labels": self.labels,
            "markers": self.markers,
            "metadata": self.metadata,
            "genes": self.genes,
            "parallel": self.parallel,
            "client": self.client,
            "has_points": self.coordinates is not None,
        }
        (folder / "input.json").write_bytes(orjson.dumps(text))
        none = np.empty(0, dtype=np.float32)
        np.savez(
            folder / "arrays.npz",
            percentages=self.percentages,
            coordinates=none if self.coordinates is None else self.coordinates,
            points=none if self.points is None else self.points,
        )

    @classmethod
    def load(cls, folder: Path) -> JobInput:
        """Read what :meth:`save` wrote."""
        stored = orjson.loads((folder / "input.json").read_bytes())
        has_points = stored.pop("has_points")
        stored["genes"] = tuple(stored["genes"])
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            return cls(
                **stored,
                percentages=arrays["percentages"],
                coordinates=arrays["coordinates"] if has_points else None,
                points=arrays["points"] if has_points else None,
            )


@dataclass(frozen=True)
class JobRequest:
    """A whole submission, reduced. ``llm_configs`` has keys: never stored, never shown."""

    job: JobInput
    llm_configs: tuple[LLMConfig, ...] = field(repr=False)
    uploads: dict[str, str]
    visibility: str


def read_submission(body: bytes, settings: Settings) -> JobRequest:
    """Parse and check a body.

    Parameters
    ----------
    body
        JSON as :class:`Submission` describes it.
    settings
        Has the most clusters of a job, and the origins that may be called.

    Raises
    ------
    Failure
        Something is wrong with the body; the message names it.
    """
    sent = read(Submission, parsed(body))
    return JobRequest(
        job=job_of(sent.input_data, settings),
        llm_configs=allowed(sent.llm_configs, settings),
        uploads=sent.uploaded_files.model_dump(exclude_none=True),
        visibility=sent.visibility or "private",
    )


def job_of(data: InputData, settings: Settings) -> JobInput:
    """Return what a job needs of ``input_data``; raises :class:`Failure`."""
    markers = {
        cluster: [name for gene in genes if (name := gene.strip())]
        for cluster, genes in data.marker_genes.items()
    }
    names = sorted({*data.cluster_labels, *markers}, key=natural_key)
    if len(names) > settings.clusters:
        message = f"The job has {len(names)} clusters; this server takes {settings.clusters}."
        raise Failure(Code.PAYLOAD_TOO_LARGE, message)
    if not any(markers.values()):
        fail("`markerGenes` must have genes for at least one cluster.")
    position = {name: i for i, name in enumerate(names)}
    coordinates, points = _points(data.visualization_data, position)
    client = (data.client_info.get(name) for name in ("clientType", "clientVersion"))
    return JobInput(
        study_info=data.study_info or "",
        tags=data.info_tags,
        labels={name: data.cluster_labels.get(name, name) for name in names},
        markers={name: markers[name] for name in names if markers.get(name)},
        metadata={
            cluster: {column: _numbers(shares) for column, shares in columns.items()}
            for cluster, columns in data.cluster_metadata.items()
            # Clients also send unused categories.
            if cluster in position
        },
        genes=tuple(data.expression_data),
        percentages=_percentages(data.expression_data, position),
        coordinates=coordinates,
        points=points,
        parallel=data.n_parallel_clusters or 2,
        client=" ".join(str(text or "")[:50] for text in client),
    )


def _numbers(shares: Mapping[str, object]) -> dict[str, float]:
    return {name: share for name, share in shares.items() if isinstance(share, int | float)}


def _percentages(
    by_gene: dict[str, dict[str, float | Literal["NaN", "NA"] | None]], position: dict[str, int]
) -> NDArray[np.float32]:
    table = np.full((len(by_gene), len(position)), math.nan, dtype=np.float32)
    for row, of_clusters in zip(table, by_gene.values(), strict=True):
        for cluster, percent in of_clusters.items():
            if isinstance(percent, float) and cluster in position:
                row[position[cluster]] = percent
    return table


def _points(
    sent: VisualizationData, position: dict[str, int]
) -> tuple[NDArray[np.float32] | None, NDArray[np.int32] | None]:
    if sent.coordinates is None:
        return None, None
    codes = [position.get(c, -1) if isinstance(c, str) else -1 for c in sent.clusters]
    return np.array(sent.coordinates, dtype=np.float32), np.array(codes, dtype=np.int32)
