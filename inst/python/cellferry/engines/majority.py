"""An engine that answers cells, asked for clusters: each is what most of its cells are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InternalError
from .base import Capabilities, Engine, Estimates, Extent, Plan, Prepares, ReadsContext, Understood

if TYPE_CHECKING:
    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations
    from ..runs.run import Run
    from ..runs.worker import Events
    from ..study.study import Study


class ByMajority:
    """Answers clusters by an engine that answers cells.

    The label, its confidence and the shares are those of
    :meth:`cellferry.annotations.cells.CellAnnotations.majority`; what every cell was called is kept
    in the run, as ``cells.npz``. Name and options are those of the engine of cells.

    Parameters
    ----------
    of_cells
        The engine of cells.

    Examples
    --------
    >>> from cellferry.engines.local.cells import LocalCells
    >>> sorted(by_majority(LocalCells()).capabilities.answers)
    ['clusters']
    """

    def __init__(self, of_cells: Engine[CellAnnotations]) -> None:
        self.of_cells = of_cells
        self.name = of_cells.name

    @property
    def capabilities(self) -> Capabilities:
        """Those of the engine of cells; without cells there is no majority."""
        own = self.of_cells.capabilities
        return replace(own, answers=frozenset({"clusters"}), needs=own.needs | {"cells"})

    def describe(self) -> Mapping[str, object]:
        """Return the options of the engine of cells."""
        return self.of_cells.describe()

    def plan(self, study: Study) -> Plan:
        """Return the plan of the engine of cells."""
        study.require("cells", self.name)
        return replace(self.of_cells.plan(study), clusters=len(study.clusters.names))

    def run(self, study: Study, run: Run, events: Events) -> Annotations:
        """Answer every cell, and return what most cells of each cluster are."""
        study.require("cells", self.name)
        found = self.of_cells.run(study, run, events)
        if found.cells != study.cells:
            message = f'The engine "{self.name}" did not answer every cell in its place.'
            raise InternalError(message)
        found = replace(found, engine=found.engine or self.name)
        found.keep(run.folder)
        most = found.majority(study.clusters)
        rows = tuple(replace(row, engine=row.engine or self.name) for row in most)
        return replace(most, rows=rows)


class _Estimating(ByMajority):
    def estimate(self, extent: Extent) -> Plan:
        """Return that of the engine of cells."""
        assert isinstance(self.of_cells, Estimates)
        return self.of_cells.estimate(extent)


class _Preparing(ByMajority):
    def prepare(self) -> None:
        """Check what the engine of cells checks before its first call."""
        assert isinstance(self.of_cells, Prepares)
        self.of_cells.prepare()


class _Understanding(ByMajority):
    def understand(self, study: Study) -> Understood:
        """Return what the engine of cells makes of the context."""
        assert isinstance(self.of_cells, ReadsContext)
        return self.of_cells.understand(study)


_MORE: tuple[tuple[type, type[ByMajority]], ...] = (
    (Estimates, _Estimating),
    (Prepares, _Preparing),
    (ReadsContext, _Understanding),
)


def by_majority(of_cells: Engine[CellAnnotations]) -> Engine[Annotations]:
    """Return the engine of clusters that is made of one of cells, with what else that one does.

    Parameters
    ----------
    of_cells
        The engine of cells.
    """
    bases = tuple(made for protocol, made in _MORE if isinstance(of_cells, protocol))
    found: Engine[Annotations] = type("ByMajority", bases or (ByMajority,), {})(of_cells)
    return found
