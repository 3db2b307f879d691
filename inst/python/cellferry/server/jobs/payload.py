"""The body of ``/annotate``: checked, and reduced to what a job needs.

Published clients differ (null or absent, ``[]`` where R means an empty map, text where R
means a missing number), so these are taken; what could do harm or makes no sense is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ...study.clusters import natural_key
from ..failures import Code, Failure, fail, shown
from ..settings import FILE_KINDS, Settings
from ..store import is_id
from .llm_configs import LLMConfig, read_llm_configs

VISIBILITIES: tuple[str, ...] = ("private", "org", "public")
LONGEST_NAME = 1000
"""Characters of an id, label, gene or column name."""
LONGEST_TEXT = 100_000
MOST_GENES = 200_000
MOST_PARALLEL = 50


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
    metadata: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
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
class Submission:
    """A whole body of ``/annotate``. ``llm_configs`` holds keys: never stored, never shown."""

    job: JobInput
    llm_configs: tuple[LLMConfig, ...] = field(repr=False)
    uploads: dict[str, str]
    visibility: str


def read_submission(body: bytes, settings: Settings) -> Submission:
    """Parse and check a body; raises :class:`Failure` that names what is wrong."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Failure(Code.BAD_REQUEST, f"The body is not valid JSON: {error}.") from error
    envelope = _map(content, "the body", empty_list=False)
    if "input_data" not in envelope:
        fail("The body must have `input_data`.")
    visibility = envelope.get("visibility")
    if visibility is not None and visibility not in VISIBILITIES:
        fail(f"`visibility` must be one of {VISIBILITIES}, not {shown(visibility)}.")
    return Submission(
        job=read_job(_map(envelope["input_data"], "input_data", empty_list=False), settings),
        llm_configs=read_llm_configs(envelope.get("llm_configs"), settings),
        uploads=_uploads(envelope.get("uploaded_files")),
        visibility=visibility or "private",
    )


def read_job(data: Mapping[str, Any], settings: Settings) -> JobInput:
    """Return what ``input_data`` says; raises :class:`Failure`."""
    markers = {
        _name(cluster, "markerGenes"): _genes(genes, f"markerGenes[{shown(cluster)}]")
        for cluster, genes in _map(data.get("markerGenes"), "markerGenes").items()
    }
    given = {
        _name(cluster, "clusterLabels"): _text(label, "clusterLabels", LONGEST_NAME)
        for cluster, label in _map(data.get("clusterLabels"), "clusterLabels").items()
    }
    names = sorted({*given, *markers}, key=natural_key)
    if len(names) > settings.clusters:
        message = f"The job has {len(names)} clusters; this server takes {settings.clusters}."
        raise Failure(Code.PAYLOAD_TOO_LARGE, message)
    if not any(markers.values()):
        fail("`markerGenes` must have genes for at least one cluster.")
    genes, percentages = _percentages(data.get("expressionData"), names)
    coordinates, points = _points(data.get("visualizationData"), names)
    client = _map(data.get("clientInfo"), "clientInfo")
    study = data.get("studyInfo")
    return JobInput(
        study_info=_text("" if study is None else study, "studyInfo", LONGEST_TEXT),
        tags=_tags(data.get("infoTags")),
        labels={name: given.get(name, name) for name in names},
        markers={name: markers[name] for name in names if markers.get(name)},
        metadata=_metadata(data.get("clusterMetadata"), set(names)),
        genes=genes,
        percentages=percentages,
        coordinates=coordinates,
        points=points,
        parallel=_parallel(data.get("nParallelClusters")),
        client=" ".join(str(client.get(k) or "")[:50] for k in ("clientType", "clientVersion")),
    )


def _map(value: Any, what: str, *, empty_list: bool = True) -> Mapping[str, Any]:
    # R writes an empty named list as [].
    if value is None or (empty_list and value == []):
        return {}
    if not isinstance(value, dict):
        fail(f"`{what}` must be an object, not {shown(value)}.")
    return value


def _text(value: Any, what: str, most: int) -> str:
    if not isinstance(value, str):
        fail(f"`{what}` must be text, not {shown(value)}.")
    if len(value) > most:
        fail(f"`{what}` may have {most} characters, not {len(value)}.")
    return value


def _name(value: str, what: str) -> str:
    if not value:
        fail(f"A cluster of `{what}` has an empty id.")
    return _text(value, what, LONGEST_NAME)


def _genes(value: Any, what: str) -> list[str]:
    genes = [value] if isinstance(value, str) else value
    if genes is None:
        return []
    if not isinstance(genes, list) or len(genes) > MOST_GENES:
        fail(f"`{what}` must be a list of at most {MOST_GENES} genes.")
    named = [_text(gene, what, LONGEST_NAME).strip() for gene in genes]
    return [gene for gene in named if gene]


def _tags(value: Any) -> dict[str, str]:
    tags = _map(value, "infoTags")
    return {
        _text(name, "infoTags", LONGEST_NAME): _text(text, f"infoTags[{shown(name)}]", LONGEST_TEXT)
        for name, text in tags.items()
    }


def _metadata(value: Any, names: set[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Keep what is of our clusters; clients also send unused categories."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for cluster, columns in _map(value, "clusterMetadata").items():
        where = f"clusterMetadata[{shown(cluster)}]"
        kept = {}
        for column, shares in _map(columns, where).items():
            numbers = _map(shares, f"{where}[{shown(column)}]")
            kept[column] = {k: v for k, v in numbers.items() if isinstance(v, int | float)}
        if cluster in names:
            found[cluster] = kept
    return found


def _percentages(value: Any, names: list[str]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    by_gene = _map(value, "expressionData")
    if len(by_gene) > MOST_GENES:
        fail(f"`expressionData` may have {MOST_GENES} genes, not {len(by_gene)}.")
    position = {name: i for i, name in enumerate(names)}
    table = np.full((len(by_gene), len(names)), np.nan, dtype=np.float32)
    for row, (gene, of_clusters) in enumerate(by_gene.items()):
        where = f"expressionData[{shown(gene)}]"
        _text(gene, "expressionData", LONGEST_NAME)
        for cluster, percent in _map(of_clusters, where).items():
            if cluster in position:
                table[row, position[cluster]] = _percent(percent, where)
    return tuple(by_gene), table


def _percent(value: Any, where: str) -> float:
    if value is None or value in ("NaN", "NA"):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        fail(f"`{where}` must have percentages from 0 to 100, not {shown(value)}.")
    return float(value)


def _points(
    value: Any, names: list[str]
) -> tuple[NDArray[np.float32] | None, NDArray[np.int32] | None]:
    picture = _map(value, "visualizationData")
    pairs, clusters = picture.get("coordinates"), picture.get("clusters")
    if pairs is None or pairs == []:
        return None, None
    if not isinstance(pairs, list) or not isinstance(clusters, list) or len(pairs) != len(clusters):
        fail("`visualizationData` must have as many `clusters` as `coordinates`.")
    try:
        table = np.array(pairs, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        fail("`visualizationData.coordinates` must be pairs of numbers.", error)
    if table.ndim != 2 or table.shape[1] != 2:
        fail("`visualizationData.coordinates` must be pairs of numbers.")
    position = {name: i for i, name in enumerate(names)}
    codes = [position.get(c, -1) if isinstance(c, str) else -1 for c in clusters]
    return table, np.array(codes, dtype=np.int32)


def _parallel(value: Any) -> int:
    if value is None:
        return 2
    if isinstance(value, bool) or value not in range(1, MOST_PARALLEL + 1):
        fail(f"`nParallelClusters` must be 1 to {MOST_PARALLEL}, not {shown(value)}.")
    return int(value)


def _uploads(value: Any) -> dict[str, str]:
    found = {}
    for kind, identifier in _map(value, "uploaded_files").items():
        if kind not in FILE_KINDS:
            fail(f"`uploaded_files` may name {FILE_KINDS}, not {shown(kind)}.")
        if identifier is None:
            continue
        if not isinstance(identifier, str) or not is_id(identifier):
            fail(f"`uploaded_files.{kind}` is no id of an upload: {shown(identifier)}.")
        found[kind] = identifier
    return found
