"""The two artifacts, vars.h5 and obs.duckdb, and the statistics computed beside them.

Layout, rounding and selection are those of CyteType 0.19.4. Where this differs:

- obs.duckdb has the names of the cells (``__cell_name``), columns can be chosen, and every
  categorical is an ENUM; the published file has a number where the categories are numbers.
- obs.duckdb is of storage version v1.0.0, so that any duckdb from 1.0 reads it.
- Entries of one cell are in the order of genes, and duplicates are summed.
- Chunks hold 262,144 values, not up to ten million, so that one gene is read fast.
- NaN and infinite values are refused; small matrices do not crash the writer.
- Counts are written only if all of them are whole numbers from 0, not 200 cells of them.
- An unused category makes no cluster in the composition of clusters; values that are shown
  are at most those of the chosen columns.
- Cells whose coordinates are not finite are not sampled; an embedding may be a data frame.
- Files appear complete or not at all, and files of another kind are not replaced.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArtifactBuildError, CellferryError, CountsWarning, NormalisationWarning
from ..events import Events, run_in_worker
from .inputs import Inputs, open_inputs
from .refusals import as_build_error, check_target

if TYPE_CHECKING:
    from ..study import Study
    from ..summary import Summary, SummaryOptions
    from .counts import CountsVerdict


@dataclass(frozen=True)
class Artifacts:
    """What was built.

    Attributes
    ----------
    vars_h5, obs_duckdb
        The files; None for one that failed under ``require_artifacts=False``.
    summary
        The statistics of the same read: percentages, composition of clusters, sampled
        coordinates, the verdict on normalisation.
    counts
        Every place where raw counts may be, and what was found there.
    errors
        File -> why it failed; empty unless ``require_artifacts=False``.
    seconds
        How long each step took: ``read_and_write``, ``fsync``, ``obs``.
    """

    vars_h5: Path | None
    obs_duckdb: Path | None
    summary: Summary
    counts: tuple[CountsVerdict, ...]
    errors: Mapping[str, ArtifactBuildError] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def build_artifacts(
    data: Any,
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
    progress: bool = True,
) -> Artifacts:
    """Build vars.h5 and obs.duckdb, and all statistics, in one read of the matrix.

    Parameters
    ----------
    data
        AnnData (in memory, or opened with ``backed="r"``), the path of an .h5ad (read piece
        by piece), or a :class:`cellferry.Study`. ``X`` holds log-normalised values, cells x
        genes; the object is not changed.
    group_key
        Column of ``obs`` with the clusters.
    vars_h5_path, obs_duckdb_path
        Where the files go. Earlier artifacts are replaced, in one step, when the new one is
        complete; other files only with ``overwrite``.
    coordinates_key
        Embedding in ``obsm``; without it UMAP, t-SNE or PCA is taken.
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
        statistics. None is all: metadata can hold what must not leave the building.
    cell_names
        Whether obs.duckdb holds the names of the cells, an extension of the layout.
    require_artifacts
        False: a file that fails is None in the result, its error in ``errors``.
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
    from ..progress import progress_events
    from ..summary import SummaryOptions

    targets = {"vars.h5": Path(vars_h5_path), "obs.duckdb": Path(obs_duckdb_path)}
    check_settings(targets, min_percentage, pcent_batch_size, max_cells_per_group, n_top_genes)
    with open_inputs(
        data, group_key=group_key, coordinates_key=coordinates_key, rank_key=rank_key
    ) as inputs:
        from .obs_duckdb import check_columns
        from .var_metadata import symbols_column

        columns = check_columns(inputs.study, obs_columns)
        symbols = symbols_column(inputs.var, gene_symbols_column)
        options = SummaryOptions(
            min_percentage=min_percentage,
            pcent_batch_size=pcent_batch_size,
            max_cells_per_group=max_cells_per_group,
            aggregate_metadata=aggregate_metadata,
            max_metadata_categories=max_metadata_categories,
            columns=columns,
        )
        build = _Build(
            inputs, targets, options, symbols, cell_names, require_artifacts, overwrite, n_top_genes
        )
        with progress_events(show=progress, title="Building artifacts") as on_event:
            built = run_in_worker(build.run, on_event)
    _warn(built)
    return built


def check_settings(
    targets: Mapping[str, Path], low: int, batch: int, cells: int, genes: int
) -> None:
    """Refuse numbers that mean nothing, and two files of one name."""
    from ..errors import InvalidOptionError

    if len({path.resolve() for path in targets.values()}) < 2:
        message = "`vars_h5_path` and `obs_duckdb_path` name the same file."
        raise InvalidOptionError(message)
    given = {"min_percentage": (low, 0), "pcent_batch_size": (batch, 1)}
    given |= {"max_cells_per_group": (cells, 1), "n_top_genes": (genes, 1)}
    for name, (value, least) in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            message = f"`{name}` must be a whole number of at least {least}, not {value!r}."
            raise InvalidOptionError(message)


def _warn(built: Artifacts) -> None:
    verdict = built.summary.normalisation
    if not verdict.is_log_normalised:
        hint = "X should hold log-normalised values: scanpy.pp.normalize_total, then log1p."
        warnings.warn(NormalisationWarning(verdict.explanation, hint), stacklevel=3)
    for place in built.counts:
        if place.name != "X" and place.refused_while_writing:
            message = f"{place.name} is no matrix of raw counts: {place.explanation}."
            warnings.warn(CountsWarning(message), stacklevel=3)


@dataclass(frozen=True)
class _Build:
    inputs: Inputs
    targets: Mapping[str, Path]
    options: SummaryOptions
    symbols: str | None
    cell_names: bool
    require: bool
    overwrite: bool
    n_top_genes: int

    def run(self, events: Events) -> Artifacts:
        """Build both files; runs in the worker thread."""
        from ..summary import assemble, summarise
        from ..summary_expression import ExpressionStatistics
        from .ranking import top_genes

        study: Study = self.inputs.study
        source = study.require("normalized", "artifacts")
        errors: dict[str, ArtifactBuildError] = {}
        seconds: dict[str, float] = {}
        statistics = ExpressionStatistics(source.genes, study.clusters, study.cells)
        counts: tuple[CountsVerdict, ...] = ()
        if self.require:
            # Before the minutes of the first file, know that the second can be begun.
            for name, target in self.targets.items():
                check_target(name, target, overwrite=self.overwrite)
        with self._guarded("vars.h5", errors):
            counts = self._vars(statistics, events, seconds)
        with self._guarded("obs.duckdb", errors):
            self._obs(seconds)
        top = top_genes(self.inputs.ranking, source.genes, self.n_top_genes, study)
        if "vars.h5" in errors:
            # The engine goes on without the file, but not without the statistics.
            summary = replace(summarise(study, self.options), top_genes=top)
        else:
            summary = assemble(study, statistics, self.options, top)
        made = {n: None if n in errors else path for n, path in self.targets.items()}
        return Artifacts(made["vars.h5"], made["obs.duckdb"], summary, counts, errors, seconds)

    def _vars(
        self, statistics: Any, events: Events, seconds: dict[str, float]
    ) -> tuple[CountsVerdict, ...]:
        from .vars_h5_writer import VarsWriter
        from .workspace import Workspace

        target = self.targets["vars.h5"]
        check_target("vars.h5", target, overwrite=self.overwrite)
        with Workspace(target) as space:
            started = time.perf_counter()
            file = space.folder / "vars.h5"
            batch = self.options.pcent_batch_size
            writer = VarsWriter(self.inputs, statistics, space.folder, batch, events, self.symbols)
            counts = tuple(writer.write(file))
            written = time.perf_counter()
            space.publish(file, target)
            seconds["read_and_write"] = written - started
            seconds["fsync"] = time.perf_counter() - written
        return counts

    def _obs(self, seconds: dict[str, float]) -> None:
        from .obs_duckdb import obs_table, write_obs_duckdb
        from .workspace import Workspace

        started = time.perf_counter()
        target = self.targets["obs.duckdb"]
        check_target("obs.duckdb", target, overwrite=self.overwrite)
        table = obs_table(self.inputs.study, self.options.columns, cell_names=self.cell_names)
        with Workspace(target) as space:
            file = space.folder / "obs.duckdb"
            write_obs_duckdb(file, table, space.folder / "spill")
            space.publish(file, target)
        seconds["obs"] = time.perf_counter() - started

    @contextmanager
    def _guarded(self, name: str, errors: dict[str, ArtifactBuildError]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            from ..events import CancelledWork

            expected = isinstance(error, CellferryError) and not isinstance(
                error, ArtifactBuildError
            )
            if isinstance(error, CancelledWork) or expected:
                raise
            failure = as_build_error(error, name, self.targets[name])
            if self.require:
                raise failure from error
            errors[name] = failure


__all__ = ["Artifacts", "build_artifacts", "check_settings"]
