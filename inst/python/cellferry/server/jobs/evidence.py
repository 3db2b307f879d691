"""Expression behind the answers: looked up on demand in the artifacts, else in the payload."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...annotations.clusters import Annotation, Annotations
from ..failures import Failure
from .lookup import ArtifactLookup

if TYPE_CHECKING:
    from ...files import Json
    from ..lookup.obs_duckdb import GroupColumn
    from ..lookup.process import Readers
    from ..lookup.queries import Prevalence
    from .payload import JobInput

MOST_GENES = 25
"""Genes that are looked up for a cluster."""


class Evidence:
    """What the data say of the genes that an answer names.

    Parameters
    ----------
    readers
        The processes that read files of clients.
    artifacts
        Kind -> file of the uploads of the job.
    job
        Its percentages are reported where the files have no answer.

    Attributes
    ----------
    sizes
        Cells per cluster id, where the metadata have a column with exactly the labels of
        the job; None otherwise.
    notes
        What could not be looked up, and why.
    """

    def __init__(self, readers: Readers, artifacts: Mapping[str, Path], job: JobInput) -> None:
        self._readers = readers
        self._job = job
        self._vars = artifacts.get("vars_h5")
        self._obs = artifacts.get("obs_duckdb")
        self.notes: list[str] = []
        self.sizes: dict[str, int] | None = None
        self._column = self._find_column()

    def _find_column(self) -> str | None:
        if self._obs is None:
            return None
        labels = list(self._job.labels.values())
        try:
            found: GroupColumn | None = self._readers.call(
                "group_column", path=str(self._obs), labels=labels
            )
        except Failure as failure:
            self.notes.append(failure.message)
            return None
        if found is None:
            message = "No column of obs.duckdb has exactly the clusters of this job."
            self.notes.append(f"{message} Expression is reported from the request.")
            return None
        by_label = found["sizes"]
        self.sizes = {name: by_label[label] for name, label in self._job.labels.items()}
        return found["column"]

    @property
    def lookup(self) -> ArtifactLookup | None:
        """Where an engine looks figures up; None without the cells of the clusters."""
        if self._obs is None or self._column is None or self.sizes is None:
            return None
        return ArtifactLookup(
            self._readers,
            vars_path=self._vars,
            obs_path=self._obs,
            column=self._column,
            labels=self._job.labels,
            sizes=self.sizes,
            note=self._add_note,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a language model may ask for: those whose shares the client sent."""
        named = {c: None for columns in self._job.metadata.values() for c in columns}
        return tuple(c for c in named if c != self._column)

    def _add_note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def of(self, found: Annotations, parallel: int, check: Callable[[], None]) -> dict[str, Json]:
        """Return cluster -> expression of the genes of its answer.

        Percentages are 0 to 100, of the cells of the cluster and of all others; means are of
        the values in ``vars.h5``.

        Parameters
        ----------
        found
            Clusters without a label are left out.
        parallel
            Clusters at once.
        check
            Called between clusters; may raise to stop.
        """
        rows = [row for row in found if row.label is not None]
        with ThreadPoolExecutor(parallel, thread_name_prefix="cellferry-evidence") as pool:

            def one(row: Annotation) -> dict[str, Json] | None:
                check()
                return self._of_cluster(row.cluster, self._genes(row))

            expressions = dict(zip((row.cluster for row in rows), pool.map(one, rows), strict=True))
        return {cluster: value for cluster, value in expressions.items() if value is not None}

    def _genes(self, row: Annotation) -> list[str]:
        named = (*row.supporting, *row.conflicting, *row.missing)
        best = self._job.markers.get(row.cluster, [])[:5]
        return list(dict.fromkeys((*named, *best)))[:MOST_GENES]

    def _of_cluster(self, cluster: str, genes: list[str]) -> dict[str, Json] | None:
        if self._vars is not None and self._obs is not None and self._column is not None:
            try:
                return self._measured(cluster, genes)
            except Failure as failure:
                self._add_note(failure.message)
        return self._sent(cluster, genes)

    def _measured(self, cluster: str, genes: list[str]) -> dict[str, Json]:
        names = list(self._job.labels)
        found: dict[str, Prevalence] = self._readers.call(
            "prevalence",
            vars_path=str(self._vars),
            obs_path=str(self._obs),
            column=self._column,
            labels=list(self._job.labels.values()),
            genes=genes,
        )
        position = names.index(cluster)
        size = np.array([(self.sizes or {})[name] for name in names], dtype=np.float64)
        rest = size.sum() - size[position]
        entries = []
        for gene in genes:
            if gene not in found:
                continue
            cells = np.array(found[gene]["cells"], dtype=np.float64)
            sums = np.array(found[gene]["sums"], dtype=np.float64)
            entries.append(
                _known(
                    gene,
                    percent=_share(100 * cells[position], size[position]),
                    percentElsewhere=_share(100 * (cells.sum() - cells[position]), rest),
                    mean=_share(sums[position], size[position]),
                    meanElsewhere=_share(sums.sum() - sums[position], rest),
                )
            )
        return {"source": "vars.h5", "genes": entries}

    def _sent(self, cluster: str, genes: list[str]) -> dict[str, Json] | None:
        if not self._job.genes:
            return None
        row_of = {gene: i for i, gene in enumerate(self._job.genes)}
        position = list(self._job.labels).index(cluster)
        entries = []
        for gene in genes:
            if gene not in row_of:
                continue
            percent = self._job.percentages[row_of[gene]].astype(np.float64)
            others = np.delete(percent, position)
            others = others[np.isfinite(others)]
            # Elsewhere is of clusters, not of cells: their sizes are not known here.
            entries.append(
                _known(
                    gene,
                    percent=_rounded(percent[position]),
                    percentElsewhere=_rounded(others.mean()) if len(others) else None,
                )
            )
        return {"source": "expressionData", "genes": entries}


def _known(gene: str, **values: float | None) -> dict[str, Json]:
    return {"gene": gene, **{k: v for k, v in values.items() if v is not None}}


def _share(part: float, whole: float) -> float | None:
    return _rounded(part / whole) if whole > 0 else None


def _rounded(value: float) -> float | None:
    return round(float(value), 3) if math.isfinite(value) else None
