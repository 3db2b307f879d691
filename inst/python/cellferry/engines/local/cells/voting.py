"""What most cells of a small group are: votes over an over-clustering of the object.

A single cell misses many of its genes, and its neighbours have them. The groups are those of
:mod:`.groups`, of the object's neighbour graph, else of its UMAP or t-SNE; without either nothing
votes, because groups by the genes that gave the calls would only repeat them. The vote counts the
call of each cell by itself, by the rule of
:meth:`cellferry.annotations.cells.CellAnnotations.most`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ....annotations.texts import Texts
from ....errors import in_language
from ....study.clusters import Clusters
from .groups import over_clustering

if TYPE_CHECKING:
    from ....annotations.cells import CellAnnotations
    from ....study.study import Study

MAPS = ("umap", "tsne")
"""Embeddings on which neighbours are alike, by what is in their names.

Of the components of a PCA there are only two here, and places in a tissue are of many types.
"""


def votes_over(study: Study) -> str | None:
    """Return of what the groups are made: the graph or the map, by its name; None without both."""
    if study.graph is not None:
        return study.graph[0]
    if study.coordinates is not None:
        name = study.coordinates[0]
        plain = name.lower().replace("-", "")
        if any(kind in plain for kind in MAPS):
            return name
    return None


def without_votes() -> str:
    """Say why there are none, and how to get them."""
    run = in_language(
        python="scanpy.pp.neighbors(adata)",
        r="FindNeighbors(x)",
        cli="scanpy.pp.neighbors() or FindNeighbors()",
    )
    return (
        "majority voting: none, because the object has no neighbour graph and no UMAP or t-SNE. "
        f"{run} makes a graph."
    )


def voting_groups(study: Study) -> Clusters | None:
    """Return the groups whose cells vote, of their graph or map alone; None without both."""
    if votes_over(study) is None or not study.cells:
        return None
    codes = over_clustering(
        study.cells,
        None if study.graph is None else study.graph[1],
        None if study.coordinates is None else study.coordinates[1],
    )
    return Clusters(tuple(map(str, range(int(codes.max()) + 1))), codes)


def with_votes(found: CellAnnotations, study: Study, groups: Clusters | None) -> CellAnnotations:
    """Return the calls with what most cells of the group of each are, as ``voted``.

    Parameters
    ----------
    found
        The call of each cell by itself.
    study
        The same cells in the same order, with their graph or map.
    groups
        What :func:`voting_groups` returned of it; without them nothing votes.
    """
    if groups is None or groups.codes is None or not len(found):
        return found
    voted = Texts(found.label.levels, found.most(groups)[groups.codes])
    differ = int(np.count_nonzero(voted.codes != found.label.codes))
    note = {"of": votes_over(study), "groups": len(groups.names), "differ": differ}
    return replace(found.with_notes(over_clustering=note), voted=voted.compact())
