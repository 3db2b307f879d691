"""One cluster's answer in words and columns, from what was scored and chosen."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...annotations.clusters import UNKNOWN
from ...errors import counted
from ...files import Json
from ..base import Payload
from .decision.choose import choose
from .decision.floor import MIN_FIT, MIN_SIGNIFICANCE, OWN_SIGNIFICANCE, supporters
from .decision.mixture import residual
from .decision.rivals import AGREED
from .score import SUPPORT, Lookup, Signal, score_types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .decision.choice import Choice
    from .evidence import Evidence
    from .hierarchy import Hierarchy
    from .score import Scores

LISTED_GENES = 10
ALTERNATIVES = 3
ALTERNATIVE_RATIO = 0.25
"""Part of the fit that a runner-up needs to be mentioned."""
CANDIDATES = 8
EXPECTED = 15
"""Markers of a type that are compared with what was found."""
CONFLICT = 0.3
"""Strength from which a negative marker is reported."""
ENGINE = "local"


@dataclass(frozen=True)
class Reader:
    """What answers need that is the same for all clusters of a run."""

    hierarchy: Hierarchy
    evidence: Evidence
    species: str

    @functools.cached_property
    def lookup(self) -> Lookup:
        """Where the genes of the profiles are in the evidence."""
        return Lookup.build(self.hierarchy.profiles, self.evidence)

    def in_tissues(self, tissues: frozenset[str]) -> Reader:
        """Return the same for a sample of tissues.

        Parameters
        ----------
        tissues
            As of :meth:`.profiles.Profiles.from_knowledge`.
        """
        made = replace(self, hierarchy=self.hierarchy.in_tissues(tissues))
        made.__dict__["lookup"] = self.lookup
        return made

    def answer(
        self,
        cluster: str,
        column: int,
        n_cells: int | None,
        broader: Callable[[str], str | None] | None = None,
    ) -> Payload:
        """Return the row and the evidence of a cluster as plain data.

        Parameters
        ----------
        column
            The cluster's position in the evidence.
        broader
            Gives what is answered in place of what was chosen, which is a kind of it; None is
            Unknown.
        """
        return self.find(column, broader).payload(cluster, n_cells)

    def find(self, column: int, broader: Callable[[str], str | None] | None = None) -> Findings:
        """Return what is chosen for a cluster, before it is put into words.

        Parameters
        ----------
        column, broader
            As of :meth:`answer`.
        """
        profiles = self.hierarchy.profiles
        scores = score_types(profiles, Signal.read(profiles, self.evidence, column, self.lookup))
        choice = choose(self.hierarchy, scores)
        if broader is not None:
            choice = self._broader(choice, broader)
        return Findings(self, scores, choice, column)

    def _broader(self, choice: Choice, broader: Callable[[str], str | None]) -> Choice:
        if choice.label is None or choice.confidence is None:
            return choice
        name = broader(self.hierarchy.profiles.names[choice.label])
        if name not in self.hierarchy.positions or choice.partner is not None:
            return replace(choice, label=None)
        above, sure = self.hierarchy.positions[name], min(choice.confidence, AGREED)
        return replace(choice, label=above, detail=choice.label, confidence=sure)

    def names(self, types: Iterable[int]) -> list[str]:
        """Return the names of types."""
        return [self.hierarchy.profiles.names[i] for i in types]


@dataclass(frozen=True)
class Findings:
    """What was scored and chosen for a cluster."""

    reader: Reader
    scores: Scores
    choice: Choice
    column: int

    @property
    def label(self) -> str | None:
        """The name of the type that is answered; None is Unknown."""
        label = self.choice.label
        return None if label is None else self.reader.hierarchy.profiles.names[label]

    def payload(self, cluster: str, n_cells: int | None) -> Payload:
        """Return the row and the evidence of the cluster as plain data."""
        choice = self.choice
        annotation = self._unknown() if choice.label is None else self._known(choice.label)
        annotation.update(
            cluster=cluster,
            n_cells=n_cells,
            state="; ".join(self.reader.names(choice.states)) or None,
            mixed=self._mixed(),
            engine=ENGINE,
            n_markers=int(self.reader.evidence.listed[self.column]),
        )
        return {"annotation": annotation, "evidence": self._evidence()}

    def _known(self, label: int) -> dict[str, Json]:
        hierarchy, choice = self.reader.hierarchy, self.choice
        name = hierarchy.profiles.names[label]
        identifier, ontology_label = hierarchy.knowledge.ontology(name)
        return {
            "status": "ok",
            "label": name,
            "detail": None if choice.detail is None else hierarchy.profiles.names[choice.detail],
            "ontology_id": identifier,
            "ontology_label": ontology_label,
            "confidence": choice.confidence,
            "confidence_kind": self._confidence_kind(label),
            "alternatives": self.reader.names(self._alternatives(label)),
            "supporting": self._symbols(self._support(label)[:LISTED_GENES]),
            "conflicting": self._symbols(self._conflicts(label)[:LISTED_GENES]),
            "missing": self._missing(label),
            "justification": self._why(label),
        }

    def _confidence_kind(self, label: int) -> str:
        """Packaged types were compared with the truth; those of a user never were."""
        compared = [i for i in (label, self.choice.rival, self.choice.partner) if i is not None]
        return "graded" if self.reader.hierarchy.own[compared].any() else "calibrated"

    def _unknown(self) -> dict[str, Json]:
        best = self.choice.begun
        return {
            "status": "unknown",
            "label": UNKNOWN,
            "alternatives": self.reader.names(self._alternatives(None)),
            "supporting": [] if best is None else self._symbols(self._support(best)[:LISTED_GENES]),
            "justification": self._why_not(),
        }

    def _mixed(self) -> list[str]:
        parts = (self.choice.label, self.choice.partner)
        return [] if None in parts else self.reader.names(p for p in parts if p is not None)

    def _support(self, label: int) -> list[int]:
        """Return supporting genes; where the answer backed off, also those of the subtypes."""
        profiles = self.reader.hierarchy.profiles
        found = list(supporters(profiles, self.scores, label))
        if self.choice.begun is not None:
            found += list(supporters(profiles, self.scores, self.choice.begun))
        return [int(g) for g in dict.fromkeys(found)]

    def _conflicts(self, label: int) -> list[int]:
        hierarchy, strength = self.reader.hierarchy, self.scores.signal.strength
        found = np.flatnonzero((hierarchy.profiles.negative[label] > 0) & (strength >= CONFLICT))
        genes = [int(g) for g in found[np.argsort(-strength[found], kind="stable")]]
        if self.choice.partner is not None:
            genes += self._partner_genes(label, self.choice.partner)
        return list(dict.fromkeys(genes))

    def _partner_genes(self, label: int, partner: int) -> list[int]:
        """Return the genes of the second type of a mixture that the label does not explain."""
        hierarchy = self.reader.hierarchy
        left = residual(hierarchy, self.scores, label)
        return [int(g) for g in supporters(hierarchy.profiles, left, partner)]

    def _missing(self, label: int) -> list[str]:
        """Return the most specific markers of the type that the data do not have.

        Where the genes of the data are not known: that no cluster of the table names.
        """
        profiles, signal = self.reader.hierarchy.profiles, self.scores.signal
        own = profiles.own[label]
        known = self.reader.evidence.measured is not None
        found = np.flatnonzero((own > 0) & ~(signal.measured if known else signal.seen))
        found = found[np.argsort(-own[found], kind="stable")]
        return [profiles.genes[g] for g in found[: LISTED_GENES // 2]]

    def _silent(self, label: int) -> list[str]:
        """Return markers of the type that the data have, but not as raised here."""
        profiles, signal = self.reader.hierarchy.profiles, self.scores.signal
        own = profiles.own[label]
        known = self.reader.evidence.measured is not None
        there = signal.measured if known else signal.seen
        found = np.flatnonzero((own > 0) & there & (signal.strength <= 0))
        return self._symbols(found[np.argsort(-own[found], kind="stable")][:LISTED_GENES])

    def _symbols(self, genes: Iterable[int]) -> list[str]:
        """Return the names by which the table knows genes."""
        return [self._symbol(int(g)) for g in genes]

    def _symbol(self, gene: int) -> str:
        profiles, evidence = self.reader.hierarchy.profiles, self.reader.evidence
        known = [s for s in profiles.symbols[profiles.genes[gene]] if s in evidence.genes]
        strongest = evidence.strength[:, self.column]
        by_strength = sorted(known, key=lambda s: (-abs(strongest[evidence.genes[s]]), s))
        return by_strength[0] if by_strength else profiles.genes[gene]

    def _alternatives(self, label: int | None) -> list[int]:
        """Return the runners-up that are not compatible with the label, best first."""
        hierarchy, scores = self.reader.hierarchy, self.scores
        usable = ~hierarchy.state & ~hierarchy.compartment & (scores.fit > 0)
        usable &= scores.own_significance >= OWN_SIGNIFICANCE
        usable &= scores.fit >= ALTERNATIVE_RATIO * self.choice.fit
        if label is not None:
            usable &= ~hierarchy.compatible[label]
        order = [int(i) for i in np.argsort(-scores.fit, kind="stable") if usable[i]]
        return order[:ALTERNATIVES]

    def _figures(self, genes: Iterable[int]) -> str:
        parts = []
        for gene in genes:
            fold, part = self.scores.signal.fold[gene], self.scores.signal.prevalence[gene]
            figures = [f"log2 fold change {fold:.1f}"] if np.isfinite(fold) else []
            figures += [f"in {100 * part:.0f} % of cells"] if np.isfinite(part) else []
            parts.append(self._symbol(gene) + (f" ({', '.join(figures)})" if figures else ""))
        return ", ".join(parts)

    def _why(self, label: int) -> str:
        hierarchy, choice = self.reader.hierarchy, self.choice
        names = hierarchy.profiles.names
        genes = self._support(label)
        count = f"{len(genes)} marker{' is' if len(genes) == 1 else 's are'} raised"
        text = f"{names[label]}: {count}, led by {self._figures(genes[:3])}."
        if choice.rival is not None:
            text += (
                f" Fit {choice.fit:.2f}; the closest other answer, {names[choice.rival]}, "
                f"has {self.scores.fit[choice.rival]:.2f}."
            )
        else:
            text += f" Fit {choice.fit:.2f}; no other answer has evidence of its own."
        if choice.begun is not None and not hierarchy.inside[label, choice.begun]:
            text += f" {names[choice.begun]} is suggested but not clear of its neighbours."
        if choice.partner is not None:
            others = ", ".join(self._symbols(self._partner_genes(label, choice.partner)[:3]))
            text += (
                f" Markers of {names[choice.partner]} ({others}) are raised too: "
                "a mixture of cells, or doublets."
            )
        return text

    def _why_not(self) -> str:
        choice, profiles = self.choice, self.reader.hierarchy.profiles
        listed = int(self.reader.evidence.listed[self.column])
        if choice.begun is None:
            known = int((self.scores.signal.strength >= SUPPORT).sum())
            return (
                f"Of {listed} raised genes, {known} are {self.reader.species} markers in the "
                "knowledge table, and they do not point to any cell type."
            )
        best, genes = profiles.names[choice.begun], self._support(choice.begun)
        text = f"{best} fits best with {choice.fit:.2f} on {len(genes)} genes"
        if choice.few and listed <= 2:
            return f"{text}, which is too little: other genes are as good by chance."
        if choice.few:
            return (
                f"{text}, which is too little for a list of {listed} raised genes: where they are "
                "all that is raised, more markers of a type are among them."
            )
        if choice.rival is not None:
            rival = profiles.names[choice.rival]
            return f"{text}, but {rival} fits nearly as well: either could be wrong."
        if choice.fit < MIN_FIT:
            return f"{text}, which is too little: at least {MIN_FIT} on several genes is needed."
        significance = float(self.scores.significance[choice.begun])
        if significance < MIN_SIGNIFICANCE:
            n = int(self.scores.signal.measured.sum())
            return (
                f"{text}, which may be chance: its significance is {significance:.1f}, and at "
                f"least {MIN_SIGNIFICANCE:g} is needed; {counted(n, 'marker gene')} of any type "
                f"{'was' if n == 1 else 'were'} measured."
            )
        return f"{text}, but too few of its own markers are raised: it may be another type."

    def _evidence(self) -> dict[str, Json]:
        hierarchy, scores, choice = self.reader.hierarchy, self.scores, self.choice
        usable = ~hierarchy.state & ~hierarchy.compartment
        order = [int(i) for i in np.argsort(-scores.fit, kind="stable") if usable[i]]
        return {
            "species": self.reader.species,
            "fit": round(choice.fit, 4),
            "margin": round(choice.margin, 4),
            "seen": round(choice.seen, 2),
            "explained": round(choice.explained, 3),
            "doubted": round(choice.doubted, 3),
            "candidates": [self._candidate(i) for i in order[:CANDIDATES]],
            "silent": [] if choice.label is None else self._silent(choice.label),
            "expected": [self._expected(i) for i in self._compared()],
        }

    def _compared(self) -> list[int]:
        """Return the label and its best alternative, or what would have been the label."""
        choice = self.choice
        answer = choice.begun if choice.label is None else choice.label
        others = [choice.rival] if choice.rival is not None else self._alternatives(choice.label)
        known = [i for i in (answer, *others[:1]) if i is not None]
        return list(dict.fromkeys(known))

    def _expected(self, i: int) -> dict[str, Json]:
        """Return the most specific markers of a type, and whether each is found here.

        Where the genes of the data are not known, one that no cluster of the table names is not
        listed: whether it is silent or was not measured cannot be told.
        """
        profiles, signal = self.reader.hierarchy.profiles, self.scores.signal
        own = profiles.own[i]
        genes = np.flatnonzero(own > 0)
        genes = genes[np.argsort(-own[genes], kind="stable")][:EXPECTED]
        known = self.reader.evidence.measured is not None
        there = signal.measured if known else signal.seen

        def state(gene: int) -> str:
            if signal.strength[gene] >= SUPPORT:
                return "found"
            if there[gene]:
                return "silent"
            return "not measured" if known else "not listed"

        listed = [{"gene": self._symbol(int(g)), "state": state(int(g))} for g in genes]
        return {"label": profiles.names[i], "genes": listed}

    def _candidate(self, i: int) -> dict[str, Json]:
        profiles, scores = self.reader.hierarchy.profiles, self.scores
        genes = supporters(profiles, scores, i)
        return {
            "name": profiles.names[i],
            "fit": round(float(scores.fit[i]), 4),
            "own_fit": round(float(scores.own_fit[i]), 4),
            "significance": round(float(scores.significance[i]), 2),
            "negative": round(float(scores.against[i]), 4),
            "genes": {
                self._symbol(int(g)): round(
                    float(profiles.positive[i, g] * scores.signal.strength[g]), 4
                )
                for g in genes
            },
        }
