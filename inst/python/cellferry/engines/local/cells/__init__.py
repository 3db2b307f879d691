"""The embedded engine for cells: sparse, block by block, one read of the matrix."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ....errors import EngineNeedsError, InvalidOptionError
from ....runs.parallel import begun
from ....study.expression.kinds import NOT_LOGGED, Kind, look_at
from ....study.options import flag
from ...base import Capabilities, Plan, Understood
from .. import Local
from ..answer import ENGINE
from ..context import SpeciesRead, read_species, understand
from ..knowledge.types import SPECIES
from .answer import CellScorer, Fits, row_blocks
from .context import in_context
from .ranges import choices_of_ranges
from .voting import votes_over, voting_groups, with_votes, without_votes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ....annotations.cells import CellAnnotations
    from ....runs.run import Run
    from ....runs.worker import Events
    from ....study.expression.source import ExpressionSource
    from ....study.markers.table import Markers
    from ....study.study import Study
    from ..knowledge.base import Knowledge
    from .choice import CellChoice

VERSION = 5
"""Raised when the same cells get another answer."""
OWN_PART = 0.5
"""What a cell counts beside its neighbours when fits are smoothed."""


class LocalCells:
    """Annotate cells with the embedded engine.

    Parameters
    ----------
    smooth
        Average the fits of a cell with those of its neighbours in the object's own graph
        (``obsp["connectivities"]``, or the graph of ``FindNeighbors()``). Keeps cells x
        types numbers of 4 bytes, and reads the matrix twice.
    context
        Look at the finished calls once more, with the clusters and the neighbour graph that the
        object has (see :mod:`.context`): a type that nothing around supports is not answered, and
        a rare one becomes what it is a kind of, unless the cell is sure. False gives
        the call of each cell by itself, which is kept as ``raw`` otherwise.
    majority_voting
        Put what most cells of a small group of neighbours are beside the label, as ``voted``: by
        the neighbour graph of the object, else its UMAP or t-SNE; see :mod:`.voting`. Without
        either there is no vote, which is said. The label is not changed by it.
    tissue_only
        Consider only types that occur in the study's tissue.
    knowledge, knowledge_only
        A table of your own, as for clusters.
    scheduler
        A cluster of dask that answers ranges of cells, each worker reading the file by its path:
        the address of a scheduler, a client of ``distributed``, or ``"local"`` for a process of
        each processor. The answer is the same to the bit. No run remembers it.

    Raises
    ------
    InvalidOptionError, KnowledgeError

    Examples
    --------
    >>> LocalCells(smooth=True).describe()["smooth"]
    True
    """

    name = ENGINE

    def __init__(
        self,
        *,
        smooth: bool = False,
        context: bool = True,
        majority_voting: bool = True,
        tissue_only: bool = False,
        knowledge: str | os.PathLike[str] | None = None,
        knowledge_only: bool = False,
        scheduler: object = None,
    ) -> None:
        if scheduler is not None and smooth:
            message = "`smooth` needs all cells at once, so `scheduler` cannot be given."
            raise InvalidOptionError(message, "Leave one of them out.", option="scheduler")
        self.scheduler = scheduler
        self._local = Local(
            tissue_only=tissue_only, knowledge=knowledge, knowledge_only=knowledge_only
        )
        self.smooth = flag("smooth", smooth)
        self.context = flag("context", context)
        self.majority_voting = flag("majority_voting", majority_voting)

    @property
    def capabilities(self) -> Capabilities:
        """It answers cells from expression; nothing leaves the machine."""
        by_graph = self.smooth or self.context or self.majority_voting
        return Capabilities(
            answers=frozenset({"cells"}),
            needs=frozenset({"cells"}),
            uses=frozenset({"normalized", "counts"} | ({"graph"} if by_graph else set())),
            # Seurat 5 has no layer of values before NormalizeData(), where Seurat 4 has the counts.
            one_of=("normalized", "counts"),
            from_file=True,
            genes=self._names,
        )

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        table = self._local._table
        return tuple(dict.fromkeys(g for s in SPECIES for g in table.names_of_genes(s)))

    def describe(self) -> Mapping[str, object]:
        """Return the options, from which the same engine can be made again."""
        local = self._local
        return {
            "smooth": self.smooth,
            "context": self.context,
            "majority_voting": self.majority_voting,
            "tissue_only": local.tissue_only,
            "knowledge": local.knowledge,
            "knowledge_only": local.knowledge_only,
        }

    def plan(self, study: Study) -> Plan:
        """Return a plan without calls or cost."""
        species = self._species(study)
        known = self._knowledge(study).types
        types = sum(species.vocabulary in t.positive for t in known)
        n_cells = len(study.cells or ())
        note = f"{types} cell types, species {species.name}."
        return Plan(self.name, len(study.clusters.names), notes=(note,), cells=n_cells)

    def run(self, study: Study, run: Run, events: Events) -> CellAnnotations:
        """Answer every cell, in the study's order."""
        source, kind = expression_of(study, self.name)
        cells: tuple[str, ...] = study.require("cells", self.name)
        knowledge = self._knowledge(study)
        species = self._species(study)

        def made() -> CellScorer:
            counts = kind in NOT_LOGGED
            return CellScorer(knowledge, species.vocabulary, source.genes, counts=counts)

        # Groups are of the graph or the map alone, and need no calls.
        groups = begun(lambda: voting_groups(study), events) if self.majority_voting else None
        choices: list[CellChoice] = []
        if self.scheduler is not None:
            # What follows the calls of all cells is no part of a range.
            after = {"smooth", "context", "majority_voting"}
            shared = {
                "options": {k: v for k, v in self.describe().items() if k not in after},
                "tissue": study.context.tissue,
                "knowledge": knowledge.digest,
                "species": species.vocabulary,
                "counts": kind in NOT_LOGGED,
                "engine": VERSION,
            }
            scorer, choices = choices_of_ranges(
                source, shared, self.scheduler, run, events, meanwhile=made
            )
        else:
            scorer = made()
            fits = self._smoothed(scorer, source, study, events) if self.smooth else None
            for start, choice in scorer.choices(source, fits):
                events.check()
                choices.append(choice)
                done = start + len(choice.label)
                events.emit("progress", done=done, total=len(cells), unit="cell")
        provenance = {
            "engine_version": VERSION,
            "knowledge": knowledge.digest,
            **species.provenance(),
            "understood": dict(self.understand(study).record),
            "read": kind if kind in NOT_LOGGED else "normalized",
        }
        found = scorer.answer(cells, choices, provenance)
        if groups is not None:
            found = with_votes(found, study, groups())
        if self.context:
            graph = None if study.graph is None else study.graph[1]
            found = in_context(found, scorer.hierarchy, study.clusters, graph)
        return found.with_notes(
            genes={"genes": len(source.genes), "recognised": scorer.n_markers, "of": "markers"}
        )

    def marker_genes(self, study: Study, run: Run, events: Events) -> Markers:  # noqa: ARG002
        """Return the marker genes of each label: Seurat's Wilcoxon test, positive ones.

        Raises
        ------
        MarkersRequiredError
            There are not two labels, or no log-normalised values.
        """
        from ....artifacts.marker_sums import marker_sums_of, read_marker_sums
        from ....study.markers.testable import check_testable

        check_testable(study.normalized, study.counts_in)
        sums = read_marker_sums(
            study.require("normalized", self.name), marker_sums_of(study), events
        )
        return sums.table(study.clusters.names).markers()

    def embedding(self, study: Study, run: Run, events: Events) -> NDArray[np.float32]:  # noqa: ARG002
        """Return cells x 50: the fixed projection of :mod:`.projection`.

        Raises
        ------
        EngineNeedsError, InvalidObjectError
        """
        from .projection import Projection

        counts = study.normalized is None
        source = study.require("counts" if counts else "normalized", self.name)

        def blocks() -> Iterator[tuple[int, csr_matrix]]:
            for start, block in source:
                events.check()
                events.emit("progress", start + block.shape[0], source.shape[0], "cell")
                yield start, block

        linear = counts or look_at(source).kind in NOT_LOGGED
        return Projection.for_genes(source.genes).embed(blocks(), counts=linear)

    def _smoothed(
        self, scorer: CellScorer, source: ExpressionSource, study: Study, events: Events
    ) -> Fits:
        """Read the matrix once, and return what gives the smoothed fits of some rows."""
        if study.graph is None:
            message = "`smooth` needs the neighbour graph of the object, and it has none."
            hint = "Run scanpy.pp.neighbors(adata) or FindNeighbors(x), or leave `smooth` out."
            raise EngineNeedsError(message, hint, part="graph")
        fits = np.zeros((source.shape[0], scorer.n_types), dtype=np.float32)
        for start, block in row_blocks(source):
            events.check()
            fits[start : start + block.shape[0]] = scorer.fits(block)
        graph = study.graph[1].tocsr().astype(np.float32)
        sums = np.asarray(graph.sum(axis=1), dtype=np.float32).ravel()

        def smoothed(start: int, stop: int) -> NDArray[np.float32]:
            own, weight = fits[start:stop], sums[start:stop, None]
            around = np.asarray(graph[start:stop] @ fits) / np.maximum(weight, 1e-9)
            return np.where(weight > 0, OWN_PART * own + (1 - OWN_PART) * around, own)

        return smoothed

    def _knowledge(self, study: Study) -> Knowledge:
        return self._local._knowledge_for(study)

    def understand(self, study: Study) -> Understood:
        """Return what is made of the tissue and the species that the study states."""
        found = understand(study.context, self._local._table, study.genes or ())
        lines = list(found.lines)
        if lines and lines[0].startswith("tissue") and not self._local.tissue_only:
            lines[0] += " Cells are judged by their genes alone, unless tissue_only is TRUE."
        if self.majority_voting and votes_over(study) is None:
            lines.append(without_votes())
        return replace(found, lines=tuple(lines))

    def _species(self, study: Study) -> SpeciesRead:
        return read_species(study.context, self._local._table, study.genes or ())


def expression_of(study: Study, engine: str) -> tuple[ExpressionSource, Kind]:
    """Return the normalised values, else the counts, and their kind.

    A Seurat object that was not normalised has its counts in the place of the values.
    """
    if study.normalized is None and study.counts is not None:
        return study.counts, "counts"
    source: ExpressionSource = study.require("normalized", engine)
    return source, look_at(source).kind
