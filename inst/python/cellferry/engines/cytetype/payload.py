"""The ``input_data`` of a job: what the service reads of a study.

Equal to what cytetype 0.19.4 sends for the same AnnData, but for the entries of
:data:`~cellferry.engines.cytetype.payload.DIFFERENCES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ..._version import __version__
from ...errors import MarkersRequiredError
from ...study.clusters import natural_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...study.markers.table import Markers
    from ...study.study import Study
    from ...study.summary import Summary
    from .options import Options

LONGEST_OWN_ID = 3
"""Clusters are their own ids when no name is longer."""

CLIENT_VERSION = f"cellferry {__version__}"


class Visualization(TypedDict):
    """Sampled cells: x and y of each, None without an embedding, and the id of its cluster."""

    coordinates: list[list[float]] | None
    clusters: list[str]


class InputData(TypedDict):
    """The ``input_data`` of a job; keys of the records are ids of clusters but for genes."""

    studyInfo: str
    infoTags: dict[str, str]
    clusterLabels: dict[str, str]
    clusterMetadata: Mapping[str, Mapping[str, object]]
    markerGenes: dict[str, list[str]]
    visualizationData: Visualization
    expressionData: dict[str, dict[str, float]]
    nParallelClusters: int
    clientInfo: dict[str, str]


@dataclass(frozen=True)
class ClusterIds:
    """The id of each cluster on the wire. The way back is exact, by :meth:`cluster`."""

    by_cluster: Mapping[str, str]

    @classmethod
    def of(cls, names: tuple[str, ...]) -> ClusterIds:
        """Return the names themselves if all are short, else their places in natural order.

        Examples
        --------
        >>> dict(ClusterIds.of(("T cell", "B cell")).by_cluster)
        {'B cell': '0', 'T cell': '1'}
        >>> dict(ClusterIds.of(("NK", "10", "2")).by_cluster)
        {'2': '2', '10': '10', 'NK': 'NK'}
        """
        ordered = sorted(names, key=natural_key)
        if all(len(name) <= LONGEST_OWN_ID for name in ordered):
            return cls({name: name for name in ordered})
        return cls({name: str(i) for i, name in enumerate(ordered)})

    def cluster(self, identifier: str) -> str | None:
        """Return the cluster of an id, or None."""
        for cluster, own in self.by_cluster.items():
            if own == identifier:
                return cluster
        return None


def build_payload(
    study: Study, options: Options, summary: Summary | None, client: str = "anndata"
) -> InputData:
    """Return the ``input_data`` of a study.

    Parameters
    ----------
    summary
        The statistics of the study's expression, made with these options; None without
        expression.
    client
        ``clientType``: ``"anndata"`` or ``"seurat"``.

    Raises
    ------
    MarkersRequiredError
        No cluster has a marker.
    """
    ids = ClusterIds.of(study.clusters.names)
    markers = marker_genes(study, options.n_top_genes)
    # Without columns every cluster has an empty record; switched off, there is none at all.
    aggregated: dict[str, Mapping[str, object]] = {}
    if options.aggregate_metadata:
        aggregated = {name: {} for name in study.clusters.names}
        aggregated.update(summary.metadata if summary is not None else {})
    sampled = None if summary is None else summary.coordinates
    return {
        "studyInfo": study_info(study),
        "infoTags": texts_of({**study.context.metadata, **(options.metadata or {})}),
        "clusterLabels": {own: cluster for cluster, own in ids.by_cluster.items()},
        "clusterMetadata": {ids.by_cluster[c]: v for c, v in aggregated.items()},
        "markerGenes": {ids.by_cluster[c]: list(g) for c, g in markers.items()},
        "visualizationData": {
            "coordinates": None if sampled is None else sampled.values.tolist(),
            "clusters": [] if sampled is None else [ids.by_cluster[c] for c in sampled.clusters],
        },
        "expressionData": {} if summary is None else _expression(summary, ids),
        "nParallelClusters": options.n_parallel_clusters,
        "clientInfo": {"clientType": client, "clientVersion": CLIENT_VERSION},
    }


def study_info(study: Study) -> str:
    """Return the study context, with tissue and species where it does not name them."""
    said = study.context.study_context.strip()
    known = {"Tissue": study.context.tissue, "Species": study.context.species}
    added = [f"{k}: {v}." for k, v in known.items() if v and v.lower() not in said.lower()]
    return " ".join([said, *added]).strip()


def marker_genes(study: Study, n_genes: int) -> dict[str, tuple[str, ...]]:
    """Return the best genes per cluster, best first, each once; clusters without are left out.

    A ranking of scanpy and a list keep their order; a table of Seurat is ranked by fold
    change, and its genes that are lower in the cluster are no markers.

    Raises
    ------
    MarkersRequiredError
    """
    markers: Markers | None = study.markers
    if markers is None:
        message = "The CyteType protocol needs a ranking of genes for every cluster."
        raise MarkersRequiredError(message, "Pass markers=, or rank the genes first.")
    if markers.source == "seurat" and markers.avg_log2fc is not None:
        chosen = markers.select(
            "avg_log2FC", n_genes=n_genes, max_p_val_adj=None, min_avg_log2fc=0.0, min_pct=None
        )
        found = {c: s.genes for c, s in chosen.items()}
    else:
        found = {}
        for code, cluster in enumerate(markers.clusters):
            rows = np.flatnonzero(markers.cluster == code)
            found[cluster] = tuple(dict.fromkeys(markers.gene[rows]))[:n_genes]
    kept = {c: found[c] for c in study.clusters.names if found.get(c)}
    if not kept:
        message = "No cluster has a marker gene."
        raise MarkersRequiredError(message, "Rank the genes of these clusters, or pass `markers`.")
    return kept


def _expression(summary: Summary, ids: ClusterIds) -> dict[str, dict[str, float]]:
    """Return gene -> cluster -> percentage; of several genes of one symbol the highest."""
    if summary.normalisation.smallest is not None and summary.normalisation.smallest < 0:
        return {}
    position: dict[str, int] = {}
    for gene in summary.genes:
        position.setdefault(gene, len(position))
    table = np.zeros((len(position), len(summary.clusters)))
    np.maximum.at(table, [position[g] for g in summary.genes], summary.percentages.T)
    own = [ids.by_cluster[c] for c in summary.clusters]
    return {
        gene: dict(zip(own, row, strict=True))
        for gene, row in zip(position, table.tolist(), strict=True)
    }


def texts_of(metadata: Mapping[str, object]) -> dict[str, str]:
    """Return ``metadata`` with every value as text, as people write it.

    Examples
    --------
    >>> texts_of({"ok": True, "n": 3.0, "link": "https://example.org"})
    {'ok': 'true', 'n': '3', 'link': 'https://example.org'}
    """

    def text(value: object) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

    return {str(k): text(v) for k, v in metadata.items()}


DIFFERENCES: dict[str, str] = {
    "client_version": "clientVersion names cellferry and its version, not a release of cytetype.",
    "tissue_and_species": "Tissue and species follow the study context where it does not name "
    "them; there is no place for them in the published client.",
    "raw_is_read": "Where an AnnData has .raw, expression comes from it as the markers do; there "
    "markers of genes that X lacks are dropped.",
    "blank_symbols": "A gene without a symbol keeps its name; there all of them share the key ''.",
    "duplicate_symbols": "Of several genes with one symbol the highest percentage is sent; there "
    "the last one in the table overwrites the others.",
    "duplicate_markers": "A symbol is named once among the markers of a cluster.",
    "scaled_values": "Scaled data (negative values) send no expression; there every value that is "
    "not zero counts as expressed, so that every gene is in about all cells.",
    "unused_categories": "Only clusters that have cells are in clusterMetadata; there unused "
    "categories appear as extra ids.",
    "missing_coordinates": "Cells without finite coordinates are left out; there the request "
    "cannot be sent.",
    "cells_without_cluster": "Cells without a cluster are left out; there they are an error.",
    "metadata_values": "Numbers and flags in `metadata` are sent as text; there they are an error.",
}
