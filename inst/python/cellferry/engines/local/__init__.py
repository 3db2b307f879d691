"""The embedded engine: cell types from a marker table alone, offline and deterministic.

``knowledge_table`` reads tables of cell types into ``knowledge``, ``evidence`` reads the
marker table, ``score`` fits one to the other, ``decision`` decides with the ``hierarchy``,
``answer`` explains.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...annotations.clusters import Annotation, Annotations
from ...biology.gene_tables import aliases
from ...errors import InvalidOptionError, KnowledgeError, RunDamagedError
from ...study.options import flag, whole_number
from ..base import Capabilities, Plan, Understood
from .answer import ENGINE, Findings, Reader
from .confined import InTissue
from .context import SpeciesRead, read_species, understand
from .evidence import Evidence, Prevalence, with_prevalence
from .hierarchy import Hierarchy
from .knowledge.base import Knowledge
from .knowledge.packaged import packaged_knowledge
from .knowledge.sources import plain, read_knowledge
from .knowledge.suggest import suggested_tissue
from .knowledge.tissues import tissues_of
from .knowledge.types import SPECIES
from .panel import check_listed, given_genes, measured_genes
from .profiles import Profiles

if TYPE_CHECKING:
    from ...biology.genes import Species
    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.markers.table import Markers
    from ...study.study import Study

VERSION = 12
"""Raised when the same input gives another answer, so that no old unit is reused."""

EXPRESSION_FILE = "prevalence.json"

KEPT = 200
"""Clusters of which what was found is kept for its words; it takes half a megabyte each."""


class Local:
    """Annotate clusters with the embedded engine.

    Parameters
    ----------
    n_genes
        How many of a cluster's strongest genes count in full; further down the ranking
        a gene counts less and less. All rows of the marker table are read.
    tissue_only
        Consider only types that occur in the study's tissue. Without it, a tissue that is
        stated makes types of other tissues less likely, and does not exclude them.
    knowledge
        Cell types of your own: path of a table in the format of the packaged one (``.tsv``)
        or of gene sets (``.gmt``), a data frame with the same columns (``name`` and ``positive``
        are enough), or lists of genes by type. In one text genes are separated by blanks, commas
        or semicolons; ``CD79A*3`` has a tier from 1 (supports) to 3 (defines), ``SDPR/CAVIN2``
        two names of one gene. Genes that are no known symbols are a
        warning. The types are merged with the packaged ones; one of the same name replaces ours,
        and yours win where both fit alike.
    knowledge_only
        Use your table alone.
    measured
        All genes that were measured, for the marker table of a panel (Xenium, CosMx, MERFISH):
        names, or the path of a text file with one on each line. A gene that was not measured is
        never taken for silent. Of an object they are read without it.

    Raises
    ------
    InvalidOptionError, KnowledgeError

    Examples
    --------
    >>> Local(n_genes=100).describe()["n_genes"]
    100
    """

    name = ENGINE

    def __init__(
        self,
        *,
        n_genes: int = 50,
        tissue_only: bool = False,
        knowledge: object = None,
        knowledge_only: bool = False,
        measured: object = None,
    ) -> None:
        self.n_genes = whole_number("n_genes", n_genes, 1)
        self.tissue_only = flag("tissue_only", tissue_only)
        self.knowledge_only = flag("knowledge_only", knowledge_only)
        if self.knowledge_only and knowledge is None:
            message = "`knowledge_only` needs a table of your own, and none is given."
            raise InvalidOptionError(message, "Give it as `knowledge`.", option="knowledge")
        self.knowledge = None if knowledge is None else plain(knowledge)
        self.measured = given_genes(measured)
        self._table = self._read()

    def _read(self) -> Knowledge:
        if self.knowledge is None:
            return packaged_knowledge()
        own = read_knowledge(self.knowledge)
        if self.knowledge_only:
            return Knowledge(own, frozenset(t.name for t in own))
        return packaged_knowledge().merged_with(own)

    @property
    def capabilities(self) -> Capabilities:
        """It answers clusters from markers; nothing leaves the machine.

        Expression is read when it is there: in how many cells the markers are expressed.
        """
        return Capabilities(uses=frozenset({"normalized"}), genes=self._gene_names)

    @functools.cached_property
    def _gene_names(self) -> tuple[str, ...]:
        found: set[str] = set()
        for species in SPECIES:
            current = self._table.names_of_genes(species)
            found |= current.keys()
            found |= {a for a, s in aliases(species).items() if s in current}
        return tuple(sorted(found))

    def describe(self) -> Mapping[str, object]:
        """Return the options, from which the same engine can be made again."""
        return {
            "n_genes": self.n_genes,
            "tissue_only": self.tissue_only,
            "knowledge": self.knowledge,
            "knowledge_only": self.knowledge_only,
            "measured": list(m) if isinstance(m := self.measured, tuple) else m,
        }

    def plan(self, study: Study) -> Plan:
        """Return a plan without calls or cost; raises where an option does not fit the study."""
        markers: Markers = study.require("markers", self.name)
        species = self._species(study, markers)
        if self.measured is not None:
            check_listed(self._measured(study) or (), markers.gene)
        known = self._knowledge_for(study).types
        types = sum(species.vocabulary in t.positive for t in known)
        return Plan(
            self.name,
            len(study.clusters.names),
            notes=(f"{types} cell types, species {species.name} ({species.how}).",),
        )

    def run(self, study: Study, run: Run, events: Events) -> Annotations:
        """Answer every cluster, in the study's order; one without markers is skipped."""
        markers: Markers = study.require("markers", self.name)
        knowledge = self._knowledge_for(study)
        read = self._species(study, markers)
        species = read.vocabulary
        tissues = self._tissues(study)
        measured = self._measured(study)
        evidence = Evidence.from_markers(markers, self.n_genes, measured)
        prevalence = self._prevalence(study, run)
        if prevalence is not None:
            evidence = with_prevalence(evidence, markers.clusters, prevalence)
        every = _reader(knowledge, evidence, species, tissues)
        reader: Reader | InTissue = every
        suggested = None
        first: dict[int, Findings] = {}
        if tissues:

            def confine(types: Knowledge) -> Reader:
                return _reader(types, evidence, species, tissues)

            reader = InTissue(every, confine, knowledge, tissues)
        if not tissues:
            # What most clusters are shows the tissue, and the tissue distinguishes siblings.
            first, answers = _first_look(every, sorted(set(markers.cluster.tolist())))
            suggested = suggested_tissue(answers, knowledge)
            if suggested is not None:
                tissues, first = tissues_of(suggested), {}
                reader = every.in_tissues(tissues)
        key = self._key(study, markers, knowledge, (species, measured), prevalence)
        finished = run.finished()
        sizes = study.clusters.counts() or {}
        with_rows = {markers.clusters[i] for i in set(markers.cluster.tolist())}
        rows: list[Annotation] = []
        details: dict[str, object] = {}
        names = study.clusters.names
        for done, cluster in enumerate(names, 1):
            events.check()
            if cluster in with_rows:
                unit = hashlib.sha256(f"{key}\x1f{cluster}".encode()).hexdigest()
                payload = finished.get(unit)
                if payload is None:
                    column, size = markers.clusters.index(cluster), sizes.get(cluster)
                    found = first.get(column)
                    payload = (
                        reader.answer(cluster, column, size)
                        if found is None
                        else found.payload(cluster, size)
                    )
                    run.record(cluster, unit, payload)
                rows.append(Annotation.from_dict(payload["annotation"]))
                details[cluster] = payload["evidence"]
            else:
                rows.append(_skipped(cluster, sizes.get(cluster)))
            events.emit("progress", done=done, total=len(names), unit=cluster)
        provenance = {
            "engine_version": VERSION,
            "knowledge": knowledge.digest,
            **read.provenance(),
            "understood": dict(self.understand(study).record),
            "tissues": sorted(tissues),
            "tissue_suggested": suggested
            or suggested_tissue(((row.label, row.confidence) for row in rows), knowledge),
        }
        return Annotations(tuple(rows), details, provenance)

    def _knowledge_for(self, study: Study) -> Knowledge:
        return self.knowledge_for(study.context.tissue)

    def knowledge_for(self, stated: str | None) -> Knowledge:
        """Return the types that are considered in a tissue; raises where it is not known."""
        if not self.tissue_only:
            return self._table
        tissue = (stated or "").strip()
        if not tissue:
            message = "`tissue_only` needs a tissue, and the study names none."
            raise InvalidOptionError(message, "Pass `tissue`, or leave `tissue_only` out.")
        try:
            return self._table.restricted_to(tissue)
        except KnowledgeError as error:
            error.add_to_hint("Or leave `tissue_only` out.")
            raise InvalidOptionError(error.message, error.hint, option="tissue_only") from error

    def understand(self, study: Study) -> Understood:
        """Return what is made of the tissue and the species that the study states."""
        genes = study.genes or () if study.markers is None else map(str, study.markers.gene)
        return understand(study.context, self._table, sorted(set(genes)))

    def _species(self, study: Study, markers: Markers) -> SpeciesRead:
        return read_species(study.context, self._table, map(str, markers.gene))

    def _measured(self, study: Study) -> tuple[str, ...] | None:
        return measured_genes(self.measured, study.genes, study.context.species)

    def _tissues(self, study: Study) -> frozenset[str]:
        return tissues_of(study.context.tissue or "", self._table.tissues)

    def _prevalence(self, study: Study, run: Run) -> Prevalence | None:
        """Read the expression, or what a run that is resumed kept of it."""
        found = Prevalence.from_study(study, self._gene_names)
        if found is not None:
            run.store(EXPRESSION_FILE, found.to_dict())
            return found
        if not run.has(EXPRESSION_FILE):
            return None
        try:
            return Prevalence.from_dict(run.load(EXPRESSION_FILE))
        except (RunDamagedError, KeyError, TypeError, ValueError) as error:
            # Without it the answers may be others.
            message = f'What the run "{run.id}" read of the expression is damaged.'
            hint = "Give the object again: cellferry.resume(run, data), ResumeAnnotation(x) in R."
            raise RunDamagedError(message, hint) from error

    def _key(
        self,
        study: Study,
        markers: Markers,
        knowledge: Knowledge,
        read: tuple[str, tuple[str, ...] | None],
        prevalence: Prevalence | None,
    ) -> str:
        """Hash everything that determines the answers; no order of rows or clusters in it."""
        parts = {
            "version": VERSION,
            "options": self.n_genes,
            "tissues": sorted(self._tissues(study)),
            "knowledge": knowledge.digest,
            "species": read[0],
            "expression": None if prevalence is None else prevalence.digest(),
            "genes": sorted(read[1]) if read[1] is not None else None,
            "sizes": study.clusters.counts(),
            "markers": {c: markers.fingerprint(c) for c in markers.clusters},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _reader(
    knowledge: Knowledge, evidence: Evidence, species: Species, tissues: frozenset[str]
) -> Reader:
    profiles = Profiles.from_knowledge(knowledge, species, tissues)
    return Reader(Hierarchy.build(knowledge, profiles), evidence, species)


def _first_look(
    reader: Reader, columns: list[int]
) -> tuple[dict[int, Findings], list[tuple[str | None, float | None]]]:
    """Return what is found of the first clusters, and label and confidence of all."""
    kept: dict[int, Findings] = {}
    answers = []
    for column in columns:
        found = reader.find(column)
        answers.append((found.label, found.choice.confidence))
        if len(kept) < KEPT:
            kept[column] = found
    return kept, answers


def _skipped(cluster: str, n_cells: int | None) -> Annotation:
    error = "The marker table has no rows for this cluster."
    return Annotation(cluster, "skipped", n_cells=n_cells, error=error, engine=ENGINE)
