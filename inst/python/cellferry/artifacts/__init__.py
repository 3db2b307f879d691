"""The two artifacts, vars.h5 and obs.duckdb, and the statistics computed beside them.

Layout, rounding and selection are those of CyteType 0.19.4. Where this differs:

- obs.duckdb has the names of the cells (``__cell_name``), columns can be chosen, and every
  categorical is an ENUM; the published file has a number where the categories are numbers.
- obs.duckdb is of storage version v1.0.0, so that any duckdb from 1.0 reads it.
- Entries of one cell are in the order of genes, and duplicates are summed.
- Chunks have 262,144 values, not up to ten million, so that one gene is read fast.
- NaN and infinite values are refused; small matrices do not crash the writer.
- Counts are written only if all of them are whole numbers from 0, not 200 cells of them.
- ``vars`` is ``raw`` or a layer where ``X`` is not log-normalised or has fewer genes.
- An unused category makes no cluster in the composition of clusters; values that are shown
  are at most those of the chosen columns.
- Cells whose coordinates are not finite are not sampled; an embedding may be a data frame.
- Files appear complete or not at all, and files of another kind are not replaced.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidOptionError, UnsupportedObjectError
from ..runs.worker import run_in_worker
from ..study.inputs.kinds import file_kind
from ..study.inputs.readers import reader_of_r
from .build import Artifacts, Build, BuildOptions, warn_of_values
from .inputs import open_inputs

if TYPE_CHECKING:
    import anndata

    from ..runs.worker import Event, Events
    from ..study.study import Study
    from .inputs import Inputs


def build_artifacts(
    data: anndata.AnnData | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Study,
    *,
    group_key: str | None = None,
    vars_h5_path: str | Path = "vars.h5",
    obs_duckdb_path: str | Path = "obs.duckdb",
    coordinates_key: str = "X_umap",
    gene_symbols_column: str | None = None,
    rank_key: str = "rank_genes_groups",
    n_top_genes: int = 50,
    aggregate_metadata: bool = True,
    min_percentage: int = 10,
    pcent_batch_size: int = 2000,
    max_cells_per_group: int = 1000,
    max_metadata_categories: int = 500,
    obs_columns: Sequence[str] | None = None,
    cell_names: bool = True,
    require_artifacts: bool = True,
    overwrite: bool = False,
    markers: bool = False,
    scheduler: object = None,
    resume: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Artifacts:
    """Build vars.h5 and obs.duckdb, and all statistics, in one read of the matrix.

    Parameters
    ----------
    data
        AnnData (in memory, or opened with ``backed="r"``), the path of an .h5ad (read piece
        by piece), of a zarr folder or of an .rds (read by Rscript; ``group_key`` None is its
        active identity), a list of paths (but .rds), which are read as one object as by
        :func:`cellferry.annotate_cells`, or a :class:`cellferry.Study`. Log-normalised values are
        read from ``X``, or from ``raw`` where X is scaled or has fewer genes, or from a layer of a
        usual name (``log1p``, ...); the object is not changed.
    group_key
        Column of ``obs`` with the clusters.
    vars_h5_path, obs_duckdb_path
        Where the files go. Earlier artifacts are replaced, in one step, when the new one is
        complete; other files only with ``overwrite``.
    coordinates_key
        Embedding in ``obsm``; without it UMAP, else t-SNE, PCA or the first is taken.
    gene_symbols_column
        Column of ``var`` with gene symbols; None looks for one of a usual name.
    rank_key, n_top_genes
        The stored ranking, and how many genes of each cluster to take from it.
    aggregate_metadata, min_percentage, max_metadata_categories
        Composition of the clusters: values that more than this percentage of cells have, of
        columns with at most so many different values.
    pcent_batch_size
        Most cells that are read at once.
    max_cells_per_group
        Cells of each cluster whose coordinates are sampled.
    obs_columns
        Only these columns of ``obs`` (and the clusters) go into obs.duckdb and the
        statistics. None is all: metadata can contain what must not leave the building.
    cell_names
        Whether obs.duckdb holds the names of the cells, an extension of the layout.
    require_artifacts
        False: a file that fails is None in the result, its error in ``errors``.
    markers
        Find the positive markers of the clusters in the same read; see
        :func:`cellferry.find_markers`. They are ``markers`` of the result.
    scheduler
        A cluster of dask that reads the file, of which every worker sees the path: the address of
        a scheduler, a client of ``distributed``, or ``"local"``. One process writes both files,
        which are the same to the byte whatever the number of workers.
    resume
        Id of a run whose cluster was lost: what it had done is not done again. The error names it.
    progress
        Show a progress bar on a terminal or in a notebook.

    Raises
    ------
    ArtifactBuildError
        A file cannot be built (disk full, no permission, missing folder); nothing is left
        under its name. The hint ends with the link for reporting an issue.
    ArtifactValuesError
        A value is NaN or infinite; names the gene and the cell.
    CellferryError
        Another class of :mod:`cellferry.errors`: there is no such column, ...

    Examples
    --------
    >>> import anndata, numpy as np, tempfile
    >>> adata = anndata.AnnData(np.array([[0.0, 1.5], [0.7, 0.0]], dtype="float32"))
    >>> adata.obs["leiden"], adata.obsm["X_umap"] = ["0", "1"], np.zeros((2, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     built = build_artifacts(
    ...         adata, group_key="leiden", vars_h5_path=f"{folder}/vars.h5",
    ...         obs_duckdb_path=f"{folder}/obs.duckdb", progress=False)
    >>> built.summary.percentages.tolist()
    [[0.0, 100.0], [100.0, 0.0]]
    """
    from ..runs.progress import progress_events

    given: dict[str, Any] = {
        "vars_h5_path": vars_h5_path,
        "obs_duckdb_path": obs_duckdb_path,
        "gene_symbols_column": gene_symbols_column,
        "n_top_genes": n_top_genes,
        "aggregate_metadata": aggregate_metadata,
        "min_percentage": min_percentage,
        "pcent_batch_size": pcent_batch_size,
        "max_cells_per_group": max_cells_per_group,
        "max_metadata_categories": max_metadata_categories,
        "obs_columns": obs_columns,
        "cell_names": cell_names,
        "require_artifacts": require_artifacts,
        "overwrite": overwrite,
        "markers": markers,
    }
    if scheduler is None and resume is not None:
        message = "`resume` goes on with what a cluster had done, and there is no `scheduler`."
        raise InvalidOptionError(message, "Give the address of one, or leave `resume` out.")
    if isinstance(data, str | os.PathLike) and file_kind(data).is_of_r:
        if scheduler is not None:
            message = "The workers of a cluster cannot read an .rds."
            raise UnsupportedObjectError(message, "Write the object as .h5ad, and give its path.")
        read: Callable[..., Artifacts] = reader_of_r("artifacts", data)
        return read(
            Path(data).expanduser(), group_key=group_key,
            # In R the default is the same embedding, if there is one.
            coordinates_key=None if coordinates_key == "X_umap" else coordinates_key,
            progress=progress, **given,
        )  # fmt: skip
    options = BuildOptions(**given).checked()
    with open_inputs(
        data, group_key=group_key, coordinates_key=coordinates_key, rank_key=rank_key
    ) as inputs:
        build = Build(inputs, options)
        with progress_events(show=progress, title="Building artifacts") as on_event:
            if scheduler is None:
                built = run_in_worker(build.run, on_event)
            else:
                built = _built_on(scheduler, inputs, build, on_event, resume)
    warn_of_values(built)
    return built


def _built_on(
    scheduler: object,
    inputs: Inputs,
    build: Build,
    on_event: Callable[[Event], None] | None,
    resume: str | os.PathLike[str] | None,
) -> Artifacts:
    """Build by a cluster that reads the matrices."""
    from ..runs.units import opened_cluster
    from .ranges.by_gene import required_origin
    from .ranges.remembered import remembered
    from .ranges.vars_h5 import FarMatrices

    required_origin(inputs.study.require("normalized", "artifacts"))
    build.check_targets()
    with remembered("artifacts", resume) as run:

        def work(events: Events) -> Artifacts:
            with opened_cluster(scheduler) as cluster:
                return build.run(events, FarMatrices(cluster, run, events))

        return run_in_worker(work, on_event)


__all__ = ["Artifacts", "Build", "BuildOptions", "build_artifacts", "warn_of_values"]
