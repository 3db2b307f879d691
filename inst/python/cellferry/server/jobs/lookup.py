"""Figures that an engine asks for while it works on a job, looked up in the job's artifacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...study.expression.lookup import Composition, Figures
from ..failures import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from ..lookup.obs_duckdb import Crosstab
    from ..lookup.process import Readers
    from ..lookup.queries import Prevalence

AT_ONCE = 200
"""Genes of one call: a call has a time limit."""


class ArtifactLookup:
    """Looks up in ``vars.h5`` and ``obs.duckdb``, by the cluster ids of the job.

    Parameters
    ----------
    readers
        The processes that read files of clients.
    vars_path
        None where the client sent none: then there are no figures of genes.
    obs_path, column
        Where the clusters are.
    labels, sizes
        Cluster id -> its value in the column, and its cells.
    note
        Called with what could not be looked up, in words.
    """

    def __init__(
        self,
        readers: Readers,
        *,
        vars_path: Path | None,
        obs_path: Path,
        column: str,
        labels: dict[str, str],
        sizes: dict[str, int],
        note: Callable[[str], None],
    ) -> None:
        self._readers, self._vars, self._obs = readers, vars_path, obs_path
        self._column, self._labels, self._note = column, labels, note
        self._sizes = np.array([sizes[name] for name in labels], dtype=np.int64)

    def figures(self, genes: Sequence[str]) -> Figures | None:
        """Return the figures of those genes that ``vars.h5`` has; None where it can't be read."""
        if self._vars is None:
            return None
        wanted = list(dict.fromkeys(genes))
        found: dict[str, Prevalence] = {}
        for start in range(0, len(wanted), AT_ONCE):
            try:
                found |= self._readers.call(
                    "prevalence",
                    vars_path=str(self._vars),
                    obs_path=str(self._obs),
                    column=self._column,
                    labels=list(self._labels.values()),
                    genes=wanted[start : start + AT_ONCE],
                )
            except Failure as failure:
                self._note(failure.message)
                return None
        kept = [gene for gene in wanted if gene in found]
        shape = (len(kept), len(self._labels))
        cells = np.array([found[g]["cells"] for g in kept], dtype=np.int64).reshape(shape)
        sums = np.array([found[g]["sums"] for g in kept], dtype=np.float64).reshape(shape)
        return Figures(tuple(kept), tuple(self._labels), self._sizes, cells, sums)

    def composition(self, column: str) -> Composition | None:
        """Return how often each value of a column of ``obs.duckdb`` occurs in each cluster."""
        labels = list(self._labels.values())
        try:
            found: Crosstab = self._readers.call(
                "crosstab", path=str(self._obs), column=column, group=self._column, labels=labels
            )
        except Failure:
            return None
        counts = np.array(found["counts"], dtype=np.int64).reshape(-1, len(labels))
        return Composition(column, tuple(found["values"]), tuple(self._labels), counts)
