"""Markers of clusters from their cells: Seurat's test, from an AnnData, a file or a study."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..biology.genes import require_names
from ..errors import (
    ClustersWithoutMarkersWarning,
    InvalidOptionError,
    MarkersRequiredError,
    UnsupportedObjectError,
    counted,
    in_language,
    listing,
)
from ..runs.worker import run_in_worker
from ..study.build import RANKING, assemble_study, group_key_of
from ..study.clustering import metadata_column
from ..study.clusters import Clusters
from ..study.inputs.lazy import read_of_lazy
from ..study.inputs.objects import anndata_of, check_has_clusters
from ..study.inputs.readers import path_of_r, reader_of_r
from ..study.inputs.several import opened_place, place_of
from ..study.layers import AnnDataLike, choose_matrices
from ..study.markers.contrasts import Contrast, one_against_rest, two_groups, within_parents
from ..study.markers.rules import MarkerOptions
from ..study.markers.testable import check_testable
from ..study.markers.tested import MarkerTable
from ..study.pseudobulk import Pseudobulk, pseudobulk_of
from ..study.study import Study
from .marker_sums import OF_ANNOTATION, MarkerSums, marker_sums_of, read_marker_sums

if TYPE_CHECKING:
    import anndata
    import numpy as np
    from numpy.typing import NDArray

    from ..runs.worker import Event, Events
    from ..study.expression.source import ExpressionSource
    from ..study.markers.table import Markers

logger = logging.getLogger("cellferry")

SLOW_VALUES = 200_000_000
"""From so many stored values on it takes more than some ten seconds, which is said before."""


def find_markers(
    data: anndata.AnnData | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Study,
    group_key: str | None = None,
    *,
    rules: str | None = None,
    only_pos: bool = False,
    logfc_threshold: float | None = None,
    min_pct: float | None = None,
    min_diff_pct: float = -math.inf,
    return_thresh: float = 0.01,
    min_cells_group: int = 3,
    min_cells_feature: int = 3,
    features: Sequence[str] | None = None,
    pseudocount_use: float = 1.0,
    base: float = 2.0,
    max_cells_per_ident: int | None = None,
    random_seed: int = 1,
    ident_1: str | Sequence[str] | None = None,
    ident_2: str | Sequence[str] | None = None,
    within: str | None = None,
    sample_key: str | None = None,
    key_added: str | None = None,
    assay: str | None = None,
    scheduler: object = None,
    resume: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Markers:
    """Find the markers of clusters, as Seurat's ``FindAllMarkers()`` does.

    The Wilcoxon rank sum test of every gene between each cluster and all other cells, with
    Seurat's thresholds, fold change and order. Its p-values rank genes: the clusters were made from
    the same values, so that they test nothing.

    Parameters
    ----------
    data
        AnnData (in memory or backed), a :class:`cellferry.Study`, or the path of a file: an .h5ad,
        which is read piece by piece, zarr, or an .rds, which R reads; or a list of paths (but
        .rds), which are read as one object as by :func:`cellferry.annotate_cells`. Cells x genes,
        log-normalised (natural logarithm): ``X``, or ``raw`` where X is scaled, or a layer of a
        usual name.
    group_key
        Column of ``obs`` with the clusters; None: that of the stored ranking, else one of a usual
        name; of an .rds the active identity.
    rules
        Version of Seurat whose defaults, fold change and order hold: ``"4.3"``, ``"4.4"``,
        ``"5.0.0"`` or ``"5.0.1"`` (valid to 5.5). None is ``"5.0.1"``, of an .rds the Seurat that
        is installed.
    only_pos, logfc_threshold, min_pct, min_diff_pct, return_thresh
        As in Seurat; None is the default of the rules. ``logfc_threshold`` is in the units of the
        fold change, ``min_pct`` a fraction of cells.
    min_cells_group, min_cells_feature, features, pseudocount_use, base
        As in Seurat.
    max_cells_per_ident, random_seed
        At most so many cells of each side are ranked. They are drawn by NumPy: another draw than
        Seurat's, which is R's.
    ident_1, ident_2
        Only this cluster (or these) against that, or against all others, without ``return_thresh``,
        as ``FindMarkers()``.
    within
        Column of ``obs`` with parents: clusters are compared with the other cells of theirs.
    sample_key
        Column of ``obs`` with samples: the table says in how many a marker holds, and in how many
        of these in the same direction.
    key_added
        Write the ranking of all genes to ``uns[key_added]`` of an AnnData, in the form of
        ``scanpy.tl.rank_genes_groups``: ordered by z, with ``pts`` and ``pts_rest``.
    assay
        Of an .rds; None is its default assay.
    scheduler
        A cluster of dask that reads the file, of which every worker sees the path: the address of
        a scheduler, a client of ``distributed``, or ``"local"``. The table is the same to the bit.
    resume
        Id of a run whose cluster was lost: what it had done is not done again. The error names it.
    progress
        Show a progress bar on a terminal or in a notebook.

    Returns
    -------
    Markers
        One row per cluster and gene; ``to_frame()`` has Seurat's columns.

    Raises
    ------
    MarkersRequiredError
        There is one cluster, or the values are no log-normalised ones.
    GroupMissingError, InvalidOptionError, InputError

    Examples
    --------
    >>> import anndata, numpy as np
    >>> x = np.log1p(np.array([[9, 0], [7, 0], [8, 1], [0, 9], [0, 8], [0, 7.5]], "float32"))
    >>> adata = anndata.AnnData(x)
    >>> adata.var_names, adata.obs["leiden"] = ["CD3D", "CD79A"], ["0", "0", "0", "1", "1", "1"]
    >>> found = find_markers(adata, "leiden", only_pos=True, return_thresh=1, progress=False)
    >>> found.to_frame()[["cluster", "gene", "pct.1"]].values.tolist()
    [['0', 'CD3D', 1.0], ['1', 'CD79A', 1.0]]
    """
    from ..runs.progress import progress_events

    asked = MarkerOptions(
        rules=rules or "5.0.1",
        only_pos=only_pos,
        logfc_threshold=logfc_threshold,
        min_pct=min_pct,
        min_diff_pct=min_diff_pct,
        return_thresh=return_thresh if ident_1 is None else None,
        min_cells_group=min_cells_group,
        min_cells_feature=min_cells_feature,
        features=features,
        pseudocount_use=pseudocount_use,
        base=base,
        max_cells_per_ident=max_cells_per_ident,
        random_seed=random_seed,
    )
    options = asked.checked()
    if key_added is not None and not hasattr(data, "uns"):
        message = "`key_added` needs an AnnData, whose `uns` it writes to."
        raise InvalidOptionError(message, "Leave it out, or read the file: anndata.read_h5ad().")
    if scheduler is None and resume is not None:
        message = "`resume` goes on with what a cluster had done, and there is no `scheduler`."
        raise InvalidOptionError(message, "Give the address of one, or leave `resume` out.")
    path = path_of_r(data, assay)
    if path is not None and scheduler is not None:
        message = "The workers of a cluster cannot read an .rds."
        raise UnsupportedObjectError(message, "Write the object as .h5ad, and give its path.")
    if path is not None:
        read: Callable[..., MarkerTable] = reader_of_r("markers", path)
        of_r = read(
            path, group_key=group_key, assay=assay, ident_1=ident_1, ident_2=ident_2,
            within=within, sample_key=sample_key, progress=progress,
            **{**vars(asked), "rules": rules},
        )  # fmt: skip
        return of_r.markers()
    with opened_study(data, group_key) as study:
        with progress_events(show=progress, title="Finding markers") as on_event:
            sums = compared(
                study, options, on_event, ident_1=ident_1, ident_2=ident_2, within=within,
                sample_key=sample_key, scheduler=scheduler, resume=resume,
            )  # fmt: skip
        found = sums.table(study.clusters.names)
        warn_of_left_out(found)
        if key_added is not None:
            from ..study.markers.ranking import ranking_of

            every = sums.table(study.clusters.names, everything=True)
            data.uns[key_added] = ranking_of(every, str(study.group_key))  # type: ignore[union-attr]
    return found.markers()


def pseudobulk(
    data: anndata.AnnData | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Study,
    group_key: str | None = None,
    *,
    sample_key: str | None = None,
    columns: Sequence[str] = (),
    min_cells: int = 1,
    assay: str | None = None,
) -> Pseudobulk:
    """Sum the raw counts of clusters, apart for each sample, for DESeq2 or edgeR.

    Parameters
    ----------
    data
        AnnData, a study, or the path of a file (.h5ad, zarr, .rds) or a list of paths: cells x
        genes, with raw counts in ``layers["counts"]``, ``raw`` or ``X``.
    group_key
        Column of ``obs``: clusters, labels, or a level of labels. None as in :func:`find_markers`.
    sample_key, columns, min_cells
        As in :func:`cellferry.study.pseudobulk.pseudobulk_of`.
    assay
        Of an .rds; None is its default assay.

    Returns
    -------
    Pseudobulk
        ``counts`` (genes x columns, int64), ``samples`` (one row a column), ``to_frame()``.

    Raises
    ------
    EngineNeedsError
        There are no raw counts.
    GroupMissingError, InvalidOptionError, InputError

    Examples
    --------
    >>> import anndata, numpy as np
    >>> adata = anndata.AnnData(np.array([[1.0, 0], [2, 0], [0, 5]]))
    >>> adata.layers["counts"] = adata.X.copy()
    >>> adata.var_names, adata.obs["label"] = ["CD3D", "CD79A"], ["T cell", "T cell", "B cell"]
    >>> pseudobulk(adata, "label").to_frame().T.values.tolist()
    [[0, 5], [3, 0]]
    """
    path = path_of_r(data, assay)
    if path is not None:
        read: Callable[..., Pseudobulk] = reader_of_r("pseudobulk", path)
        return read(
            path, group_key=group_key, assay=assay, sample_key=sample_key, columns=columns,
            min_cells=min_cells,
        )  # fmt: skip
    with opened_study(data, group_key) as study:
        return pseudobulk_of(study, sample_key=sample_key, columns=columns, min_cells=min_cells)


def with_markers(
    study: Study,
    on_event: Callable[[Event], None] | None = None,
    options: MarkerOptions = OF_ANNOTATION,
) -> Study:
    """Return a study with the markers that nobody gave: positive ones, by the latest rules.

    The read that finds them also gives the figures of every gene.

    Parameters
    ----------
    study
        With clusters and log-normalised values.
    on_event
        Called in this thread with progress.
    options
        Those of an annotation, but for what is known of the values.

    Raises
    ------
    MarkersRequiredError
        They cannot be computed, or there are none; says why, and what to do.
    GeneIdentifiersError
        The genes have no names.
    """
    require_names(study.genes or ())
    names = study.clusters.names
    if len(names) < 2:
        message = "Markers compare clusters, and there is only one cluster."
        raise MarkersRequiredError(message, "Cluster the cells, or pass `markers`.")
    check_testable(study.normalized, study.counts_in, for_labels=True)
    source = study.require("normalized", "markers")
    slow = (source.stored_values or 0) > SLOW_VALUES
    logger.info(
        "No markers were given: they are found for %d clusters of %s cells by the Wilcoxon test "
        "(rules of Seurat %s)%s.",
        len(names),
        f"{source.shape[0]:,}",
        options.rules,
        ", which may take a minute" if slow else "",
    )
    sums = marker_sums_of(study, options)
    run_in_worker(lambda events: read_marker_sums(source, sums, events), on_event)
    found = sums.table(names)
    if not len(found.gene):
        raise _none_found(found, study.group_key)
    return study.with_parts(markers=found.markers(), figures=sums.figures())


def markers_of_sisters(
    study: Study,
    parents: Clusters,
    on_event: Callable[[Event], None] | None = None,
    options: MarkerOptions = OF_ANNOTATION,
) -> Markers | None:
    """Return the markers of subclusters against the other cells of their parent.

    None, which is said, where the values cannot give them or no parent has two clusters.

    Parameters
    ----------
    study
        With clusters and log-normalised values.
    parents
        The parent of each cell.
    on_event
        Called in this thread with progress.
    options
        Those of an annotation, but for what is known of the values.
    """
    contrasts = within_parents(study.clusters, parents)
    if not contrasts:
        return None
    try:
        check_testable(study.normalized, study.counts_in)
    except MarkersRequiredError as error:
        logger.info("No markers against sisters: %s", error.message)
        return None
    return (
        read_study(study, contrasts, options.checked(), on_event)
        .table(study.clusters.names)
        .markers()
    )


def _none_found(found: MarkerTable, group_key: str | None) -> MarkersRequiredError:
    n = len(found.clusters)
    if len(found.left_out) == n:
        why = listing([f"{name}: {reason}" for name, reason in found.left_out.items()], 3)
        message = f"None of the {n} clusters can be tested for markers: {why}."
        hint = (
            "A test needs three cells in the cluster and three others: use the cells, not their "
            "sums, or pass `markers`."
        )
        return MarkersRequiredError(message, hint)
    of = " that can be tested" if found.left_out else ""
    message = (
        f"No marker was found for the {n - len(found.left_out)} clusters{of}: no gene differs by "
        "the thresholds."
    )
    key = group_key or "ident"
    line = in_language(
        python=f'annotate_clusters(adata, find_markers(adata, "{key}", only_pos=True, '
        f'logfc_threshold=0.1), group_key="{key}")',
        r=f'AnnotateClusters(x, FindClusterMarkers(x, "{key}", only.pos = TRUE, '
        f'logfc.threshold = 0.1), group.by = "{key}")',
        cli=f"cellferry markers INPUT --group-key {key} --only-pos --logfc-threshold 0.1 --out "
        "markers.csv, and then --markers markers.csv",
    )
    hint = f"The clusters may be alike, or the genes too few. With other thresholds: {line}"
    return MarkersRequiredError(message, hint)


@contextmanager
def opened_study(
    data: anndata.AnnData | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Study,
    group_key: str | None,
) -> Iterator[Study]:
    """Yield the study of what is given, with clusters, values and metadata; a file is closed after.

    Parameters
    ----------
    data
        AnnData, a study, or the path of a file that an AnnData is read from, or several paths.
    group_key
        Column of ``obs`` with the clusters.
    """
    data = read_of_lazy(anndata_of(data))
    if isinstance(data, Study):
        yield data
    elif (place := place_of(data)) is not None:
        with opened_place(place, [RANKING]) as opened:
            check_has_clusters(opened, place)
            yield _study_of(opened, group_key)
    else:
        yield _study_of(data, group_key)


def _study_of(adata: AnnDataLike, group_key: str | None) -> Study:
    key = group_key_of(adata, group_key)
    return assemble_study(adata, key, choose_matrices(adata, any_kind=True))


def compared(
    study: Study,
    options: MarkerOptions,
    on_event: Callable[[Event], None] | None = None,
    *,
    ident_1: str | Sequence[str] | None = None,
    ident_2: str | Sequence[str] | None = None,
    within: str | None = None,
    sample_key: str | None = None,
    scheduler: object = None,
    resume: str | os.PathLike[str] | None = None,
) -> MarkerSums:
    """Check what is compared, and return the sums of it; see :func:`find_markers`.

    Parameters
    ----------
    study
        With clusters, values and metadata.
    options
        Checked.
    on_event
        Called in this thread with progress.
    ident_1, ident_2, within, sample_key, scheduler, resume
        As of :func:`find_markers`.
    """
    contrasts = contrasts_of(study, ident_1, ident_2, within)
    samples = None if sample_key is None else _column(study, sample_key)
    check_testable(study.normalized, study.counts_in)
    if scheduler is None:
        return read_study(study, contrasts, options, on_event, samples=samples)
    source = study.require("normalized", "markers")
    sums = MarkerSums(source.genes, contrasts, options, samples=samples)
    return _read_on(scheduler, source, sums, on_event, resume)


def _read_on(
    scheduler: object,
    source: ExpressionSource,
    sums: MarkerSums,
    on_event: Callable[[Event], None] | None,
    resume: str | os.PathLike[str] | None,
) -> MarkerSums:
    """Read the values of a file by a cluster."""
    from ..runs.units import opened_cluster
    from .ranges.by_gene import required_origin
    from .ranges.remembered import remembered
    from .ranges.sums import read_sums_on

    required_origin(source)
    with remembered("markers", resume) as run:

        def work(events: Events) -> MarkerSums:
            with opened_cluster(scheduler) as cluster:
                return read_sums_on(cluster, source, sums, run, events)

        return run_in_worker(work, on_event)


def contrasts_of(
    study: Study,
    ident_1: str | Sequence[str] | None,
    ident_2: str | Sequence[str] | None,
    within: str | None,
) -> list[Contrast]:
    """Return what is compared; see :func:`find_markers`.

    Raises
    ------
    InvalidOptionError
        The options contradict each other.
    MarkersRequiredError
        There is nothing to compare.
    """
    if ident_1 is None and ident_2 is not None:
        message = "`ident_2` is given without `ident_1`."
        raise InvalidOptionError(message, "Name the clusters of both sides.")
    if ident_1 is not None and within is not None:
        message = "`within` compares all clusters, and `ident_1` names some."
        raise InvalidOptionError(message, "Give one of them.")
    if ident_1 is not None:
        second = None if ident_2 is None else _names(ident_2)
        return [two_groups(study.clusters, _names(ident_1), second)]
    if within is None:
        return [one_against_rest(study.clusters)]
    found = within_parents(study.clusters, _column(study, within))
    if not found:
        message = f'No value of "{within}" has two clusters to compare.'
        raise MarkersRequiredError(message, "Name the column with the parents of the clusters.")
    return found


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else [str(name) for name in given]


def _column(study: Study, name: str) -> Clusters:
    return Clusters.from_column(metadata_column(study.obs, name))


def read_study(
    study: Study,
    contrasts: Sequence[Contrast],
    options: MarkerOptions,
    on_event: Callable[[Event], None] | None = None,
    *,
    samples: Clusters | None = None,
    draws: Sequence[Sequence[NDArray[np.integer]]] | None = None,
) -> MarkerSums:
    """Read the values of a study in a worker thread; see :func:`read_marker_sums`."""
    source = study.require("normalized", "markers")
    sums = MarkerSums(source.genes, contrasts, options, draws=draws, samples=samples)
    return run_in_worker(lambda events: read_marker_sums(source, sums, events), on_event)


def warn_of_left_out(found: MarkerTable) -> None:
    """Warn of clusters that were not tested, which Seurat leaves out of its table in silence."""
    if found.left_out:
        first = next(iter(found.left_out.items()))
        message = (
            f"{counted(len(found.left_out), 'cluster')} could not be tested and have no markers: "
            f'{listing(list(found.left_out))}. For example "{first[0]}": {first[1]}'
        )
        hint = "A test needs three cells on either side (min_cells_group)."
        warnings.warn(ClustersWithoutMarkersWarning(message, hint), stacklevel=3)


__all__ = ["find_markers", "markers_of_sisters", "pseudobulk", "with_markers"]
