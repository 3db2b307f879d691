"""Sums by gene that the tests of markers need, from one read of the values."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..study.expression.gene_summary import GeneSummary
from ..study.markers.contrasts import Contrast, one_against_rest
from ..study.markers.rules import MarkerOptions
from ..study.markers.samples import SampleCounts
from ..study.markers.tested import ContrastSums, MarkerTable, table_of
from ..study.markers.wilcoxon import GroupSums, group_sums
from .by_gene import GeneReader
from .machine import processors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..runs.worker import Events
    from ..study.clusters import Clusters
    from ..study.expression.source import Block, ExpressionSource
    from ..study.study import Study

OF_ANNOTATION = MarkerOptions(only_pos=True, logfc_threshold=0.25, min_pct=0.1)
"""How markers are found that nobody gave: the same on every machine."""
BATCH = 4_000
"""Cells that are taken at once from a matrix that is kept by cell."""


class MarkerSums:
    """Collects, block by block of genes, what the tests of some contrasts need.

    Parameters
    ----------
    genes
        Names of all genes of the matrix.
    contrasts
        Which cells are compared.
    options
        Checked.
    draws
        Of each contrast: the cells of each group's test, where they were drawn already.
    samples
        The sample of each cell, where the table is to say in how many a marker holds.
    """

    def __init__(
        self,
        genes: Sequence[str],
        contrasts: Sequence[Contrast],
        options: MarkerOptions,
        *,
        draws: Sequence[Sequence[NDArray[np.integer]]] | None = None,
        samples: Clusters | None = None,
    ) -> None:
        self._genes, self._options, self._contrasts = genes, options, contrasts
        most, n_genes = options.max_cells_per_ident, len(genes)
        self._drawn: list[list[Contrast]] = [[] for _ in contrasts]
        if most is not None:
            self._drawn = [
                list(contrast.drawn(most, options.random_seed, None if draws is None else draws[i]))
                for i, contrast in enumerate(contrasts)
            ]
        self._all = [_empty(n_genes, c) for c in contrasts]
        self._ranked = [[_empty(n_genes, c) for c in drawn] for drawn in self._drawn]
        self.contrasts, self.options, self.samples = contrasts, options, samples
        self._samples: list[SampleCounts] = []
        if samples is not None:
            self._samples = [SampleCounts(n_genes, c, samples, options) for c in contrasts]

    def take(self, start: int, block: Block) -> None:
        """Take a block of genes, of which ``start`` is the first; may run on any thread.

        Each gene is written to rows of its own.
        """
        scale = self._options.scale
        for number, contrast in enumerate(self._contrasts):
            drawn = self._drawn[number]
            whole = group_sums(block, contrast.groups, scale=scale, ranks=not drawn)
            self._all[number].put(start, whole)
            for target, some in zip(self._ranked[number], drawn, strict=True):
                target.put(start, group_sums(block, some.groups, scale=None))
        for counts in self._samples:
            counts.take(start, block)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was taken, by name, as :meth:`put` takes it."""
        found: dict[str, NDArray[Any]] = {}
        for name, sums in self._named():
            found |= {f"{name}_{column}": values for column, values in vars(sums).items()}
        for number, counts in enumerate(self._samples):
            found |= {f"more_{number}": counts.more, f"less_{number}": counts.less}
        return found

    def put(self, start: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what :meth:`arrays` of other sums returned: of the genes from ``start`` on."""
        for name, sums in self._named():
            sums.put(start, GroupSums(**{c: arrays[f"{name}_{c}"] for c in vars(sums)}))
        for number, counts in enumerate(self._samples):
            rows = slice(start, start + len(arrays[f"more_{number}"]))
            counts.more[rows] = arrays[f"more_{number}"]
            counts.less[rows] = arrays[f"less_{number}"]

    def _named(self) -> Iterator[tuple[str, GroupSums]]:
        for number, whole in enumerate(self._all):
            yield f"all_{number}", whole
        for number, several in enumerate(self._ranked):
            yield from ((f"drawn_{number}_{i}", sums) for i, sums in enumerate(several))

    def figures(self) -> GeneSummary | None:
        """Return share and mean of every gene; None unless each cluster is compared with all."""
        (contrast, *others), whole = self._contrasts, self._all[0]
        if others or self._options.scale is None:
            return None
        n, sizes = len(contrast.names), contrast.sizes
        means = whole.sums[:, :n] / np.maximum(sizes[:n], 1)
        positive = whole.positive[:, :n]
        return GeneSummary(tuple(self._genes), contrast.names, sizes[:n], positive, means)

    def table(self, clusters: Sequence[str], *, everything: bool = False) -> MarkerTable:
        """Return the table of all that was taken.

        Parameters
        ----------
        clusters
            The order of the table; those that are in no contrast are left out of it.
        everything
            All genes of all clusters, whatever the thresholds.
        """
        options = self._options
        if everything:
            options = replace(
                options, only_pos=False, logfc_threshold=-math.inf, min_pct=0.0,
                min_diff_pct=-math.inf, return_thresh=None, features=None,
            )  # fmt: skip
        read = []
        for number, contrast in enumerate(self._contrasts):
            sizes, whole = contrast.sizes, self._all[number]
            tested = [
                (whole, i, int(sizes[i]), int(sizes.sum())) for i in range(len(contrast.names))
            ]
            if self._drawn[number]:
                pairs = zip(self._drawn[number], self._ranked[number], strict=True)
                tested = [(s, 0, int(d.sizes[0]), int(d.sizes.sum())) for d, s in pairs]
            counts = self._samples[number] if self._samples else None
            read.append(ContrastSums(contrast, whole, tested, counts))
        known = [name for contrast in self._contrasts for name in contrast.names]
        order = [name for name in clusters if name in known]
        return table_of(read, self._genes, options, order or known)


def marker_sums_of(study: Study, options: MarkerOptions = OF_ANNOTATION) -> MarkerSums:
    """Return empty sums for the markers that are found where nobody gave any.

    Parameters
    ----------
    study
        With clusters and values.
    options
        Those of an annotation, but for what is known of the values.

    Raises
    ------
    MarkersRequiredError
        There is one cluster.
    """
    source = study.require("normalized", "markers")
    contrasts = [one_against_rest(study.clusters)]
    return MarkerSums(source.genes, contrasts, options.checked())


def _empty(n_genes: int, contrast: Contrast) -> GroupSums:
    return GroupSums.empty(n_genes, contrast.groups.n_groups + 1)


def read_marker_sums(source: ExpressionSource, sums: MarkerSums, events: Events) -> MarkerSums:
    """Read a source once, gene by gene, into the sums; runs in the worker thread.

    Parameters
    ----------
    source
        Cells x genes, log-normalised.
    sums
        Filled, and returned.
    events
        Receives progress; stops the work when the user interrupts.
    """
    read_genes(source, sums.take, events, "Finding markers")
    return sums


def read_genes(
    source: ExpressionSource, take: Callable[[int, Block], None], events: Events, title: str
) -> None:
    """Read a source once, gene by gene; runs in the worker thread.

    Parameters
    ----------
    source
        Cells x genes.
    take
        Called with the first gene of a block and the block, on any thread.
    events
        Receives progress; stops the work when the user interrupts.
    title
        What is said of the work.
    """
    n_genes = source.shape[1]
    events.emit("started", 0, n_genes, "genes", title)
    with (
        tempfile.TemporaryDirectory(prefix="cellferry-genes-") as folder,
        ThreadPoolExecutor(processors(), thread_name_prefix="cellferry") as pool,
    ):
        reader = GeneReader(source, Path(folder), pool, BATCH, events)

        def work(start: int, block: Block, _: int) -> int:
            take(start, block)
            return start + int(block.shape[1])

        for done in reader.map(work):
            events.emit("progress", done, n_genes, "genes", title)
