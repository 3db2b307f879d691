"""A second pass over finished calls of cells: which of them their surroundings support.

The first pass looks at one cell alone, so that among ten thousand cells of blood some few genes
give a spermatid. Here all calls are there, and only they are read; the division into blocks or
chunks changes nothing. Counting a type with its kinds:

1. A type is *supported* where it is at least :data:`SHARE` of a cluster, or where
   :data:`FEWEST` of its cells have it in :data:`AROUND` of their neighbourhood in the graph of the
   object, or where most of its cells are sure (:data:`SURE`). Without clusters and graph it is
   :data:`OF_SAMPLE` of all cells.
2. A call of another type stays where the cell itself is sure, and some others of its kin are as
   well (:data:`ALONE` suffices for one): rare cells are found. Else it becomes the narrowest
   supported type that it is a kind of, and the call is the ``detail``; with none it is Unknown.
3. A call below :data:`LOW` is Unknown, unless most of the cluster or neighbourhood is of its kin.

``raw`` keeps the first call of every cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ....annotations.cells import OK, UNKNOWN_STATUS
from ....annotations.clusters import UNKNOWN
from ....annotations.texts import Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ....annotations.cells import CellAnnotations
    from ....study.clusters import Clusters
    from ..hierarchy import Hierarchy

FEWEST_CELLS = 50
"""Cells below which there is no context."""
FEWEST = 3
SHARE = 0.1
AROUND = 0.2
OF_SAMPLE = 0.01
SURE = 0.7
ALONE = 0.9
LOW = 0.4
KIN = 0.5
MOST = 0.5
"""Part of the cells of a type that is sure where the type is not noise."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Where the calls of a study are: in clusters, in a graph, or only together.

    Attributes
    ----------
    types
        Row of the hierarchy per cell, -1 for Unknown.
    sure
        Whether the confidence of the call is high.
    clusters
        Code per cell, -1 for none; None without a clustering.
    graph
        Cells x cells, without its diagonal; None without one.
    """

    hierarchy: Hierarchy
    types: NDArray[np.int32]
    sure: NDArray[np.bool_]
    clusters: NDArray[np.int32] | None
    graph: csr_matrix | None

    @classmethod
    def of(
        cls,
        hierarchy: Hierarchy,
        types: NDArray[np.int32],
        sure: NDArray[np.bool_],
        clusters: Clusters,
        graph: csr_matrix | None,
    ) -> Surroundings:
        """Take what the study has of both."""
        codes = clusters.codes if len(clusters.names) > 1 else None
        if graph is not None:
            graph = graph.tocsr().astype(np.float32)
            # Seurat's graphs have each cell as its own neighbour.
            graph.setdiag(0)
            graph.eliminate_zeros()
        return cls(hierarchy, types, sure, codes, graph)

    def supported(self, candidates: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return per type of the hierarchy whether a cluster or neighbourhood supports it."""
        found = np.zeros(len(self.hierarchy.profiles.names), dtype=bool)
        together = np.zeros(len(self.types), dtype=np.int32)
        whole, of_all = self._counts(together, 1)
        surely, _ = self._counts(np.where(self.sure, together, -1), 1)
        enough = (surely[0] >= FEWEST) & (surely[0] >= MOST * whole[0])
        found[candidates] = enough[candidates]
        if self.clusters is not None:
            counts, sizes = self._counts(self.clusters, int(self.clusters.max(initial=-1)) + 1)
            least = np.maximum(SHARE * sizes, FEWEST)
            found[candidates] |= (counts[:, candidates] >= least[:, None]).any(axis=0)
        if self.graph is not None:
            for i in candidates[~found[candidates]]:
                members = self._members(i)
                found[i] = int((self.around(members)[members] >= AROUND).sum()) >= FEWEST
        if self.clusters is None and self.graph is None:
            found[candidates] |= whole[0, candidates] >= max(OF_SAMPLE * of_all[0], FEWEST)
        return found

    def kin(self, which: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return for some cells whether most of their cluster, or neighbours, are of their kin."""
        related, found = self.hierarchy.related, np.zeros(len(self.types), dtype=bool)
        named = self.types >= 0
        for i in np.unique(self.types[which]):
            mine = which & (self.types == i)
            same = named & related[self.types, i]
            if self.clusters is not None:
                n = int(self.clusters.max(initial=-1)) + 1
                in_cluster = self.clusters >= 0
                sizes = np.bincount(self.clusters[in_cluster], minlength=n)
                of_kin = np.bincount(self.clusters[in_cluster & same], minlength=n)
                most = np.append(of_kin >= KIN * np.maximum(sizes, 1), False)
                found |= mine & most[self.clusters]
            if self.graph is not None:
                found |= mine & (self.around(same) >= KIN)
        return found

    def around(self, members: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return per cell which part of its neighbourhood is among the members, by weight."""
        assert self.graph is not None
        total = np.asarray(self.graph.sum(axis=1), dtype=np.float64).ravel()
        inside = np.asarray(self.graph @ members.astype(np.float32), dtype=np.float64).ravel()
        return np.where(total > 0, inside / np.maximum(total, 1e-9), 0.0)

    def _members(self, i: int) -> NDArray[np.bool_]:
        return np.asarray((self.types >= 0) & self.hierarchy.inside[self.types, i])

    def _counts(
        self, codes: NDArray[np.int32], n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the cells of each cluster by type with its kinds, and all cells of it."""
        types = len(self.hierarchy.profiles.names)
        sizes = np.bincount(codes[codes >= 0], minlength=n).astype(np.float64)
        both = (codes >= 0) & (self.types >= 0)
        flat = codes[both].astype(np.int64) * types + self.types[both]
        counts = np.bincount(flat, minlength=n * types).reshape(n, types).astype(np.float64)
        return counts @ self.hierarchy.inside.astype(np.float64), sizes


def in_context(
    found: CellAnnotations,
    hierarchy: Hierarchy,
    clusters: Clusters,
    graph: csr_matrix | None = None,
) -> CellAnnotations:
    """Return the calls as their surroundings support them; ``raw`` has those of each cell alone.

    Parameters
    ----------
    found
        One call per cell, by the types of the hierarchy.
    hierarchy
        Who is a kind of whom.
    clusters
        Of the same cells, in the same order; one cluster alone, or none, is no clustering.
    graph
        Neighbours of the same cells (n x n), weights at least 0.
    """
    if len(found) < FEWEST_CELLS:
        return replace(found, raw=found.label)
    names = hierarchy.profiles.names
    place = np.array([*(hierarchy.positions.get(x, -1) for x in found.label.levels), -1])
    types = place[found.label.codes].astype(np.int32)
    confidence = np.nan_to_num(found.confidence, nan=0.0)
    around = Surroundings.of(hierarchy, types, confidence >= SURE, clusters, graph)
    called = np.unique(types[types >= 0]).astype(np.intp)
    answers = _answers(hierarchy)
    above = {int(i): _above(hierarchy, int(i), answers) for i in called}
    candidates = np.unique([*called.tolist(), *(j for up in above.values() for j in up)])
    supported = around.supported(candidates.astype(np.intp))
    kept = _kept(around, confidence, called[~supported[called]])
    target = np.full(len(names) + 1, -1, dtype=np.int32)
    for i in called:
        target[i] = i if supported[i] else next((j for j in above[int(i)] if supported[j]), -1)
    made = np.where(kept, types, target[types]).astype(np.int32)
    left = (names[i] for i in np.unique(types[(types >= 0) & (made < 0)]))
    note: dict[str, object] = {"not_supported": sorted(left)}
    low = (made >= 0) & (confidence < LOW)
    made[low & ~around.kin(low)] = -1
    return _changed(found, hierarchy, types, made, note)


def _kept(
    around: Surroundings, confidence: NDArray[np.float64], unsupported: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return which cells of types without support are sure of themselves."""
    types = len(around.hierarchy.profiles.names)
    surely = np.bincount(around.types[around.sure & (around.types >= 0)], minlength=types)
    company = surely @ around.hierarchy.related[:, unsupported]
    # No cell of a type with support, or of none, reaches what is asked of it.
    least = np.full(types + 1, np.inf)
    least[unsupported] = np.where(company >= FEWEST, SURE, ALONE)
    kept: NDArray[np.bool_] = confidence >= least[around.types]
    return kept


def _answers(hierarchy: Hierarchy) -> NDArray[np.bool_]:
    """Return which types may be an answer: those with markers, and no compartments or states."""
    marked = np.asarray(hierarchy.profiles.positive.any(axis=1))
    return marked & ~hierarchy.compartment & ~hierarchy.state


def _above(hierarchy: Hierarchy, i: int, answers: NDArray[np.bool_]) -> list[int]:
    """Return what a type is a kind of, nearest first."""
    steps = hierarchy.knowledge.ancestors[hierarchy.profiles.names[i]]
    order = sorted(steps, key=lambda name: (steps[name], name))
    rows = [hierarchy.positions[name] for name in order if name in hierarchy.positions]
    return [j for j in rows if answers[j]]


def _changed(
    found: CellAnnotations,
    hierarchy: Hierarchy,
    types: NDArray[np.int32],
    made: NDArray[np.int32],
    note: dict[str, object],
) -> CellAnnotations:
    names = hierarchy.profiles.names
    changed = made != types
    folded, silent = changed & (made >= 0), changed & (made < 0)
    codes = np.where(made >= 0, made, len(names)).astype(np.int32)
    label = Texts((*names, UNKNOWN), codes).compact()
    place = np.array([*(hierarchy.positions[x] for x in found.detail.levels), -1])
    detail = np.where(folded, types, np.where(silent, -1, place[found.detail.codes]))
    counts = {"broader": int(folded.sum()), "unanswered": int(silent.sum())}
    return replace(
        found,
        label=label,
        raw=found.label,
        status=np.where(made >= 0, OK, UNKNOWN_STATUS).astype(np.uint8),
        confidence=np.where(silent, np.nan, found.confidence),
        detail=Texts(names, detail.astype(np.int32)).compact(),
        ontology={
            **found.ontology,
            **{x: hierarchy.knowledge.ontology(x) for x in label.levels if x != UNKNOWN},
        },
        evidence={**found.evidence, "context": {**counts, **note}},
    )
