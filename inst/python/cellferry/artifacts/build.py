"""One build: both files and the statistics, from inputs that are open, in the worker thread."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import (
    ArtifactBuildError,
    CellferryError,
    CountsWarning,
    InvalidOptionError,
    NormalisationWarning,
)
from ..files import publish
from ..study.options import flag, path, whole_number
from .inputs import Inputs
from .marker_sums import OF_ANNOTATION, MarkerSums, marker_sums_of, read_marker_sums
from .packages import check_packages
from .targets import as_build_error, check_target

if TYPE_CHECKING:
    from ..runs.worker import Events
    from ..study.expression.source import Block
    from ..study.expression.statistics import ExpressionStatistics
    from ..study.markers.rules import MarkerOptions
    from ..study.markers.tested import MarkerTable
    from ..study.study import Study
    from ..study.summary import Summary, SummaryOptions
    from .ranges.vars_h5 import FarMatrices
    from .vars_h5.counts import CountsVerdict

OnGenes: TypeAlias = "Callable[[int, Block], None]"


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
    markers
        Positive markers of the clusters from the same read, where they were asked for.
    """

    vars_h5: Path | None
    obs_duckdb: Path | None
    summary: Summary
    counts: tuple[CountsVerdict, ...]
    errors: Mapping[str, ArtifactBuildError] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    markers: MarkerTable | None = None


@dataclass(frozen=True)
class BuildOptions:
    """How artifacts are built; what each means is said in :func:`cellferry.build_artifacts`."""

    vars_h5_path: str | Path = "vars.h5"
    obs_duckdb_path: str | Path = "obs.duckdb"
    gene_symbols_column: str | None = None
    n_top_genes: int = 50
    aggregate_metadata: bool = True
    min_percentage: int = 10
    pcent_batch_size: int = 2000
    max_cells_per_group: int = 1000
    max_metadata_categories: int = 500
    obs_columns: Sequence[str] | None = None
    cell_names: bool = True
    require_artifacts: bool = True
    overwrite: bool = False
    markers: bool = False

    @property
    def targets(self) -> dict[str, Path]:
        """Name of each artifact -> its path."""
        return {"vars.h5": Path(self.vars_h5_path), "obs.duckdb": Path(self.obs_duckdb_path)}

    def checked(self) -> BuildOptions:
        """Return the options with their types settled.

        Raises
        ------
        InvalidOptionError
            Names the option and what is valid; or both files have one name.
        DependencyError
            The packages of the extra ``artifacts`` are not installed.
        """
        check_packages()
        given: dict[str, Any] = {}
        for name in ("vars_h5_path", "obs_duckdb_path"):
            given[name] = path(name, getattr(self, name))
        for name, least in LEAST.items():
            given[name] = whole_number(name, getattr(self, name), least)
        for name in _FLAGS:
            given[name] = flag(name, getattr(self, name))
        found = replace(self, **given)
        if len({target.resolve() for target in found.targets.values()}) < 2:
            message = "`vars_h5_path` and `obs_duckdb_path` name the same file."
            raise InvalidOptionError(message)
        return found


LEAST = {
    "min_percentage": 0,
    "pcent_batch_size": 1,
    "max_cells_per_group": 1,
    "max_metadata_categories": 1,
    "n_top_genes": 1,
}
"""Options that are whole numbers, and the least of each."""
_FLAGS = ("aggregate_metadata", "cell_names", "require_artifacts", "overwrite", "markers")


class Build:
    """A build whose options were checked against its inputs.

    Parameters
    ----------
    inputs
        Open.
    options
        Checked.
    test
        How markers are found, where they are asked for.
    on_genes
        Called, on any thread, with the first gene of each run of genes and its normalised values,
        cells x genes: the same read feeds whoever wants them.

    Raises
    ------
    CellferryError
        There is no such column.
    """

    def __init__(
        self,
        inputs: Inputs,
        options: BuildOptions,
        test: MarkerOptions = OF_ANNOTATION,
        on_genes: OnGenes | None = None,
    ) -> None:
        from ..biology.symbols import choose_symbols
        from ..study.summary import SummaryOptions
        from .obs_duckdb import check_columns, warn_of_renamed

        self._inputs, self._options, self._targets = inputs, options, options.targets
        self._test, self._on_genes = test, on_genes
        genes = tuple(inputs.study.genes or ())
        self._symbols = choose_symbols(genes, inputs.var, options.gene_symbols_column).column
        self._summary: SummaryOptions = SummaryOptions(
            min_percentage=options.min_percentage,
            pcent_batch_size=options.pcent_batch_size,
            max_cells_per_group=options.max_cells_per_group,
            aggregate_metadata=options.aggregate_metadata,
            max_metadata_categories=options.max_metadata_categories,
            columns=check_columns(inputs.study, options.obs_columns),
        )
        warn_of_renamed(inputs.study, self._summary.columns, cell_names=options.cell_names)

    def check_targets(self) -> None:
        """Before minutes of work, know that both files can be begun.

        Raises
        ------
        ArtifactBuildError
            One cannot, and both are required.
        """
        if self._options.require_artifacts:
            for name, target in self._targets.items():
                check_target(name, target, overwrite=self._options.overwrite)

    def run(self, events: Events, far: FarMatrices | None = None) -> Artifacts:
        """Build both files; runs in the worker thread.

        Parameters
        ----------
        events
            Receives progress; stops the work when the user interrupts.
        far
            A cluster that reads the matrices; None reads them here.
        """
        from ..study.expression.statistics import ExpressionStatistics
        from ..study.summary import assemble, describe_cells, summarise
        from .inputs import top_genes

        study: Study = self._inputs.study
        source = study.require("normalized", "artifacts")
        errors: dict[str, ArtifactBuildError] = {}
        seconds: dict[str, float] = {}
        statistics = ExpressionStatistics(source.genes, study.clusters, study.cells)
        counts: tuple[CountsVerdict, ...] = ()
        self.check_targets()
        sums = marker_sums_of(study, self._test) if self._options.markers else None
        if far is not None and sums is not None:
            far.sums(source, sums)
        # The metadata needs the database and not the matrix: it is written beside it.
        with ExitStack() as spaces, ThreadPoolExecutor(1, "cellferry-obs") as beside:
            obs = beside.submit(self._obs, spaces, seconds, far is not None)
            of_cells = beside.submit(describe_cells, study, self._summary)
            with self._guarded("vars.h5", errors):
                counts = self._vars(statistics, events, seconds, sums, far)
            with self._guarded("obs.duckdb", errors):
                publish(obs.result(), self._targets["obs.duckdb"])
        top = top_genes(self._inputs.ranking, source.genes, self._options.n_top_genes, study)
        if "vars.h5" in errors:
            # The engine goes on without the file, but not without the statistics.
            summary = replace(summarise(study, self._summary), top_genes=top)
        else:
            summary = assemble(study, statistics, self._summary, top, of_cells.result())
        if sums is not None and "vars.h5" in errors:
            sums = read_marker_sums(source, marker_sums_of(study, self._test), events)
        markers = None if sums is None else sums.table(study.clusters.names)
        made = {n: None if n in errors else path for n, path in self._targets.items()}
        return Artifacts(
            made["vars.h5"], made["obs.duckdb"], summary, counts, errors, seconds, markers
        )

    def _vars(
        self,
        statistics: ExpressionStatistics,
        events: Events,
        seconds: dict[str, float],
        sums: MarkerSums | None,
        far: FarMatrices | None,
    ) -> tuple[CountsVerdict, ...]:
        from .targets import Workspace
        from .vars_h5.writer import VarsWriter

        target = self._targets["vars.h5"]
        check_target("vars.h5", target, overwrite=self._options.overwrite)
        with Workspace(target) as space:
            started = time.perf_counter()
            file = space.folder / "vars.h5"
            batch = self._options.pcent_batch_size
            writer = VarsWriter(
                self._inputs, statistics, space.folder, batch, events, self._symbols,
                on_genes=_both(None if sums is None else sums.take, self._on_genes), far=far,
            )  # fmt: skip
            counts = tuple(writer.write(file))
            written = time.perf_counter()
            publish(file, target)
            if far is not None:
                far.clear()
            seconds["read_and_write"] = written - started
            seconds["fsync"] = time.perf_counter() - written
        return counts

    def _obs(self, spaces: ExitStack, seconds: dict[str, float], reproducible: bool) -> Path:
        """Write the metadata and return the file, which nobody has named yet."""
        from .obs_duckdb import obs_table, write_obs_duckdb
        from .targets import Workspace

        started = time.perf_counter()
        target = self._targets["obs.duckdb"]
        check_target("obs.duckdb", target, overwrite=self._options.overwrite)
        names = self._options.cell_names
        table = obs_table(self._inputs.study, self._summary.columns, cell_names=names)
        space = spaces.enter_context(Workspace(target))
        file = space.folder / "obs.duckdb"
        write_obs_duckdb(file, table, space.folder / "spill", reproducible=reproducible)
        seconds["obs"] = time.perf_counter() - started
        return file

    @contextmanager
    def _guarded(self, name: str, errors: dict[str, ArtifactBuildError]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            from ..runs.worker import CancelledWork

            expected = isinstance(error, CellferryError) and not isinstance(
                error, ArtifactBuildError
            )
            if isinstance(error, CancelledWork) or expected:
                raise
            failure = as_build_error(error, name, self._targets[name])
            if self._options.require_artifacts:
                raise failure from error
            errors[name] = failure


def _both(first: OnGenes | None, second: OnGenes | None) -> OnGenes | None:
    """Return what calls both, or the one that there is."""
    if first is None or second is None:
        return first or second

    def take(start: int, block: Block) -> None:
        first(start, block)
        second(start, block)

    return take


def warn_of_values(built: Artifacts, stacklevel: int = 2) -> None:
    """Warn of values that are not log-normalised, and of counts that are none."""
    verdict = built.summary.normalisation
    if not verdict.is_log_normalized:
        hint = "X should have log-normalised values: scanpy.pp.normalize_total, then log1p."
        warnings.warn(NormalisationWarning(verdict.explanation, hint), stacklevel=stacklevel + 1)
    for place in built.counts:
        if place.name != "X" and place.refused_while_writing:
            message = f"{place.name} is no matrix of raw counts: {place.explanation}."
            warnings.warn(CountsWarning(message), stacklevel=stacklevel + 1)
