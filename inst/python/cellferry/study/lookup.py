"""Figures of a few genes, and the composition of a column, looked up when somebody asks.

Whoever asks need not know where the matrix is: :class:`ObjectLookup` reads the study's own
expression and metadata; a study whose matrix is elsewhere, such as in artifacts that a client
sent, brings a lookup of its own (``Study.lookup``).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .composition import count_values
from .expression.lookup import Composition, Figures
from .expression.statistics import cluster_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .expression.lookup import Lookup
    from .expression.source import ExpressionSource
    from .study import Study

MOST_KEPT = 20_000_000
"""Clusters x genes of which all figures are kept after one read: 240 MB."""


class ObjectLookup:
    """Looks up in the expression and the metadata of a study. Threads may share it.

    The matrix is read once, with the first question about genes: reading some of its genes takes
    as long as reading all. Only for very many clusters are those of the question read alone.

    Parameters
    ----------
    study
        With ``normalized`` (cells x genes) and clusters with cells; ``obs`` if it is there.

    Examples
    --------
    >>> import numpy as np
    >>> from cellferry.study.clusters import Clusters
    >>> from cellferry.study.expression.matrix import MatrixSource
    >>> from cellferry.study.study import Study
    >>> source = MatrixSource(np.array([[2.0, 0], [0, 0], [0, 1]]), ["CD3D", "LYZ"])
    >>> lookup = ObjectLookup(Study(Clusters.from_labels(["a", "a", "b"]), normalized=source))
    >>> lookup.figures(["CD3D"]).share.tolist(), lookup.figures(["CD3D"]).mean.tolist()
    ([[0.5, 0.0]], [[1.0, 0.0]])
    """

    def __init__(self, study: Study) -> None:
        source: ExpressionSource = study.require("normalized", "lookup")
        self._study, self._source = study, source
        self._lock = threading.Lock()
        self._kept: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None
        self._impossible = False
        self._rows: dict[str, list[int]] = {}
        for position, gene in enumerate(source.genes):
            self._rows.setdefault(gene, []).append(position)
        self._by_letters: dict[str, str] = {}
        for gene in self._rows:
            self._by_letters.setdefault(gene.casefold(), gene)

    def figures(self, genes: Sequence[str]) -> Figures | None:
        """Return the figures of the genes that the matrix has, in any letter case.

        Of several rows of one name the one that most cells express counts. None for values below
        zero: those are scaled, and "expressed" says nothing.
        """
        clusters = self._study.clusters
        found = {gene: rows for gene in dict.fromkeys(genes) if (rows := self._find(gene))}
        positions = sorted({row for rows in found.values() for row in rows})
        sums = self._sums(positions)
        if sums is None or clusters.codes is None:
            return None
        expressed, total, place = sums
        chosen = [
            max((place[row] for row in rows), key=lambda at: int(expressed[:, at].sum()))
            for rows in found.values()
        ]
        codes = clusters.codes[clusters.codes >= 0]
        return Figures(
            tuple(found),
            clusters.names,
            np.bincount(codes, minlength=len(clusters.names)),
            expressed[:, chosen].T,
            total[:, chosen].T,
        )

    def composition(self, column: str) -> Composition | None:
        """Return how often each value of a column occurs in each cluster."""
        obs, clusters = self._study.obs, self._study.clusters
        if obs is None or clusters.codes is None or column not in obs.columns:
            return None
        counted = count_values(obs[column], clusters)
        if counted is None:
            return None
        table, texts = counted
        return Composition(column, tuple(texts), clusters.names, table.T)

    def _find(self, gene: str) -> list[int]:
        if gene in self._rows:
            return self._rows[gene]
        return self._rows.get(self._by_letters.get(gene.casefold(), ""), [])

    def _sums(
        self, positions: list[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[int, int]] | None:
        """Return clusters x genes twice, and where a gene is in them."""
        clusters = self._study.clusters
        all_genes = len(clusters.names) * self._source.shape[1] <= MOST_KEPT
        with self._lock:
            if self._impossible:
                return None
            if self._kept is not None:
                return (*self._kept, {p: p for p in positions})
            found = cluster_sums(self._source, clusters, None if all_genes else positions)
            if found is None:
                self._impossible = True
                return None
            if not all_genes:
                return (*found, {p: i for i, p in enumerate(positions)})
            self._kept = found
            return (*found, {p: p for p in positions})


def lookup_of(study: Study) -> Lookup | None:
    """Return where figures of a study are looked up; None where it has no expression.

    Parameters
    ----------
    study
        Its own lookup counts, else one of its expression is made.
    """
    if study.lookup is not None:
        return study.lookup
    if study.normalized is None or study.clusters.codes is None:
        return None
    return ObjectLookup(study)
