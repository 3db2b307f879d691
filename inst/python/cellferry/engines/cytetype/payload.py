"""The ``input_data`` of a job: what the service reads of a study.

Equal to what cytetype 0.19.4 sends for the same AnnData, but for the entries of
:data:`~cellferry.engines.cytetype.differences.DIFFERENCES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._version import __version__
from ...errors import MarkersRequiredError
from ...study import natural_key
from .statistics import metadata_percentages, percentages, sampled_coordinates, texts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...markers import Markers
    from ...study import Study
    from .options import Options

LONGEST_OWN_ID = 3
"""Clusters are their own ids when no name is longer."""

CLIENT_VERSION = f"cellferry {__version__}"


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


def build_payload(study: Study, options: Options, client: str = "anndata") -> dict[str, Any]:
    """Return the ``input_data`` of a study.

    Parameters
    ----------
    client
        ``clientType``: ``"anndata"`` or ``"seurat"``.

    Raises
    ------
    MarkersRequiredError
        No cluster has a marker.
    """
    ids = ClusterIds.of(study.clusters.names)
    markers = marker_genes(study, options.n_top_genes)
    aggregated: dict[str, Any] = {}
    if options.aggregate_metadata:
        aggregated = metadata_percentages(
            study,
            min_percentage=options.min_percentage,
            max_categories=options.max_metadata_categories,
            columns=options.obs_columns,
        )
    sampled = sampled_coordinates(study, options.max_cells_per_group)
    return {
        "studyInfo": study_info(study),
        "infoTags": texts_of({**study.context.metadata, **(options.metadata or {})}),
        "clusterLabels": {own: cluster for cluster, own in ids.by_cluster.items()},
        "clusterMetadata": {ids.by_cluster[c]: v for c, v in aggregated.items()},
        "markerGenes": {ids.by_cluster[c]: list(g) for c, g in markers.items()},
        "visualizationData": {
            "coordinates": None if sampled is None else sampled[0],
            "clusters": [] if sampled is None else [ids.by_cluster[c] for c in sampled[1]],
        },
        "expressionData": _expression(study, ids),
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
        raise MarkersRequiredError(message, "Rank the genes of these clusters, or pass markers=.")
    return kept


def _expression(study: Study, ids: ClusterIds) -> dict[str, dict[str, float]]:
    found = percentages(study)
    if found is None:
        return {}
    genes, table = found
    own = [ids.by_cluster[c] for c in study.clusters.names]
    return {
        g: dict(zip(own, row, strict=True)) for g, row in zip(genes, table.tolist(), strict=True)
    }
