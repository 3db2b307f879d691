"""One summary of a study that artifacts, payloads and engines share, made in one read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from .composition import SampledCoordinates, aggregate_metadata, sample_coordinates
from .expression.blocks import canonical
from .expression.statistics import ExpressionStatistics, Normalisation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .study import Study

    CellSummary: TypeAlias = tuple[dict[str, dict[str, dict[str, int]]], SampledCoordinates | None]


@dataclass(frozen=True)
class Summary:
    """What is known of a study after one read of its matrix.

    Attributes
    ----------
    clusters
        Names, in the order of the study.
    cells_per_cluster
        Cells of each.
    genes
        Names of the columns of ``percentages``; duplicates are kept, as they are.
    percentages
        Clusters x genes: percent of the cells whose value is not 0, to two decimals.
    metadata
        Cluster -> column -> value -> whole percent; see
        :func:`cellferry.study.composition.aggregate_metadata`.
    coordinates
        A sample of cells to draw, or None without an embedding.
    normalisation
        Whether the values are log-normalised, and what shows it.
    top_genes
        Cluster -> its best genes of the ranking stored in the object, if there is one.
    """

    clusters: tuple[str, ...]
    cells_per_cluster: dict[str, int]
    genes: tuple[str, ...]
    percentages: NDArray[np.float64]
    metadata: dict[str, dict[str, dict[str, int]]]
    coordinates: SampledCoordinates | None
    normalisation: Normalisation
    top_genes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SummaryOptions:
    """How a summary is made; names and defaults are CyteType's.

    Attributes
    ----------
    min_percentage
        See :func:`cellferry.study.composition.aggregate_metadata`.
    pcent_batch_size
        Most cells that are read at once.
    max_cells_per_group
        Cells of each cluster that are drawn.
    aggregate_metadata
        False leaves the metadata out.
    max_metadata_categories
        Columns with more different values are left out.
    columns
        Only these columns of the metadata; None is all.
    """

    min_percentage: int = 10
    pcent_batch_size: int = 2000
    max_cells_per_group: int = 1000
    aggregate_metadata: bool = True
    max_metadata_categories: int = 500
    columns: tuple[str, ...] | None = None


def summarise(
    study: Study,
    options: SummaryOptions | None = None,
    *,
    on_block: Callable[[int], None] | None = None,
) -> Summary:
    """Summarise a study in one read of its normalised matrix.

    Parameters
    ----------
    study
        Needs clusters with cells, and ``normalized``.
    options
        None is the defaults.
    on_block
        Called with how many rows (or columns, for a CSC matrix) have been read.

    Raises
    ------
    EngineNeedsError
        The study has no expression.
    ArtifactValuesError
        A value is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from cellferry.study.expression.matrix import MatrixSource
    >>> from cellferry.study.study import Clusters, Study
    >>> source = MatrixSource(np.array([[0.5, 0.0], [1.5, 0.7]]), ["CD3E", "CD79A"])
    >>> found = summarise(Study(Clusters.from_labels(["t", "t"]), normalized=source))
    >>> found.percentages.tolist(), found.normalisation.kind
    ([[100.0, 50.0]], 'log_normalised')
    """
    options = options or SummaryOptions()
    source = study.require("normalized", "summary")
    statistics = ExpressionStatistics(source.genes, study.clusters, study.cells)
    axis = source.axis
    for start, block in source.blocks(options.pcent_batch_size):
        read = canonical(block)
        statistics.add(statistics.of_block(start, read, axis))
        if on_block is not None:
            on_block(start + read.shape[0 if axis == "cells" else 1])
    return assemble(study, statistics, options)


def assemble(
    study: Study,
    statistics: ExpressionStatistics,
    options: SummaryOptions,
    top_genes: Mapping[str, Iterable[str]] | None = None,
    of_cells: CellSummary | None = None,
) -> Summary:
    """Return the summary of a study whose matrix has been read into ``statistics``.

    Parameters
    ----------
    study
        Has clusters with cells, and ``normalized``.
    statistics
        Of all blocks of that matrix.
    options
        How the summary is made.
    top_genes
        Cluster -> genes of a stored ranking, best first; None is none.
    of_cells
        What :func:`describe_cells` has returned, if it was called.
    """
    clusters, source = study.clusters, study.normalized
    assert source is not None
    metadata, coordinates = of_cells or describe_cells(study, options)
    return Summary(
        clusters.names,
        clusters.counts() or {},
        tuple(source.genes),
        statistics.percentages(),
        metadata,
        coordinates,
        statistics.normalisation(),
        {name: tuple(genes) for name, genes in (top_genes or {}).items()},
    )


def describe_cells(study: Study, options: SummaryOptions) -> CellSummary:
    """Return what a summary has that is not in the matrix: composition, and cells to draw.

    Parameters
    ----------
    study
        Has clusters with cells.
    options
        How the summary is made.
    """
    clusters = study.clusters
    metadata = {}
    if options.aggregate_metadata and study.obs is not None:
        metadata = aggregate_metadata(
            study.obs,
            clusters,
            study.group_key,
            min_percentage=options.min_percentage,
            max_categories=options.max_metadata_categories,
            columns=options.columns,
        )
    coordinates = None
    if study.coordinates is not None:
        coordinates = sample_coordinates(*study.coordinates, clusters, options.max_cells_per_group)
    return metadata, coordinates
