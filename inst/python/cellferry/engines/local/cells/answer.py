"""Scoring a whole source of cells: blocks in, one columnar answer out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....annotations.cells import OK, UNKNOWN_STATUS, CellAnnotations
from ....annotations.clusters import UNKNOWN
from ....annotations.texts import TextLists, Texts
from ....runs.parallel import bounded_map
from ..answer import ENGINE
from ..hierarchy import Hierarchy
from ..knowledge.types import SPECIES
from ..profiles import Profiles
from .choice import CellChoice, Chooser
from .scores import CellProfiles

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ....biology.genes import Species
    from ..knowledge.base import Knowledge

BLOCK_ROWS = 4_096
"""Cells whose fits are in memory at once: 4,096 x 250 types are 4 MB."""
WORKERS = 2

Fits = Callable[[int, int], "NDArray[np.float32]"]


class CellScorer:
    """Everything that is the same for all cells of a study.

    Parameters
    ----------
    knowledge, species
        Types, and the vocabulary of their markers.
    genes
        Names of the columns of the data.
    counts
        Whether the values are raw counts, or linear as CPM are: not logged yet.
    """

    def __init__(
        self, knowledge: Knowledge, species: Species, genes: Sequence[str], *, counts: bool
    ) -> None:
        self.hierarchy = hierarchy_of(knowledge, species)
        self._profiles = CellProfiles.for_genes(self.hierarchy.profiles, genes)
        self._chooser = Chooser(self.hierarchy, self._profiles)
        self._counts = counts

    @property
    def n_types(self) -> int:
        """How many types are scored."""
        return len(self.hierarchy.profiles.names)

    @property
    def n_markers(self) -> int:
        """How many of the markers are among the genes."""
        return len(self._profiles.genes)

    def fits(self, block: csr_matrix) -> NDArray[np.float32]:
        """Return cells x types."""
        return self._profiles.fits(self._profiles.strengths(block, counts=self._counts))

    def choose(self, block: csr_matrix, fits: NDArray[np.float32] | None = None) -> CellChoice:
        """Answer the cells of one block, from fits that may have been smoothed."""
        strengths = self._profiles.strengths(block, counts=self._counts)
        return self._chooser.choose(
            self._profiles.fits(strengths) if fits is None else fits, strengths
        )

    def choices(
        self, source: Iterable[tuple[int, csr_matrix]], fits: Fits | None = None
    ) -> Iterator[tuple[int, CellChoice]]:
        """Answer all blocks, two at a time, in the order of rows.

        ``fits`` gives those of the rows from a start to a stop where they were made before.
        """

        def answer(given: tuple[int, csr_matrix]) -> tuple[int, CellChoice]:
            start, block = given
            stop = start + block.shape[0]
            return start, self.choose(block, None if fits is None else fits(start, stop))

        return bounded_map(answer, row_blocks(source), WORKERS, ahead=WORKERS + 1)

    def answer(
        self, cells: tuple[str, ...], choices: Sequence[CellChoice], notes: Mapping[str, object]
    ) -> CellAnnotations:
        """Return the choices of all blocks as one answer."""
        names, knowledge = self.hierarchy.profiles.names, self.hierarchy.knowledge
        label = _joined([c.label for c in choices])
        detail = _joined([c.detail for c in choices])
        others = np.concatenate([np.zeros((0, 3), np.int32), *(c.alternatives for c in choices)])
        lengths = [np.diff(c.gene_starts) for c in choices]
        starts = np.concatenate([[0], np.cumsum(np.concatenate([[], *lengths]))]).astype(np.int64)
        known = Texts((*names, UNKNOWN), np.where(label < 0, len(names), label).astype(np.int32))
        known = known.compact()
        return CellAnnotations(
            cells,
            known,
            np.where(label < 0, UNKNOWN_STATUS, OK).astype(np.uint8),
            np.concatenate([np.zeros(0), *(c.confidence for c in choices)]),
            Texts(names, detail).compact(),
            Texts.none(len(cells)),
            TextLists(
                names,
                np.concatenate([[0], np.cumsum((others >= 0).sum(axis=1))]).astype(np.int64),
                others[others >= 0].astype(np.int32),
            ),
            TextLists(self._profiles.genes, starts, _joined([c.genes for c in choices])),
            confidence_kind="graded",
            engine=ENGINE,
            ontology={x: knowledge.ontology(x) for x in known.levels if x != UNKNOWN},
            provenance=dict(notes),
        )


def best_species(knowledge: Knowledge, genes: Iterable[str]) -> Species:
    """Return the species whose markers match the genes best."""
    names = set(genes)
    found = {s: len(knowledge.names_of_genes(s).keys() & names) for s in SPECIES}
    return max(SPECIES, key=lambda s: found[s])


def row_blocks(source: Iterable[tuple[int, csr_matrix]]) -> Iterator[tuple[int, csr_matrix]]:
    """Yield the blocks of a source in pieces of at most :data:`BLOCK_ROWS` rows."""
    for start, block in source:
        for first in range(0, block.shape[0], BLOCK_ROWS):
            piece = block[first : first + BLOCK_ROWS] if block.shape[0] > BLOCK_ROWS else block
            yield start + first, piece


_hierarchies: dict[tuple[str, str], Hierarchy] = {}


def hierarchy_of(knowledge: Knowledge, species: Species) -> Hierarchy:
    """Return the relations of the types of a species; the latest is kept for the next call."""
    key = (knowledge.digest, species)
    if key not in _hierarchies:
        _hierarchies.clear()
        profiles = Profiles.from_knowledge(knowledge, species)
        _hierarchies[key] = Hierarchy.build(knowledge, profiles)
    return _hierarchies[key]


def _joined(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate([np.zeros(0, dtype=np.int32), *parts])
