"""The consensus of several annotators, as annotations: one row per cluster, or one per cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...biology.lineage import row_of
from ...biology.ontology import cell_ontology
from ...errors import counted, listing
from ..cells import CellAnnotations
from ..clusters import STATUSES, UNKNOWN, Annotation, Annotations
from ..texts import TextLists, Texts
from .rule import SAME, Answers, answers
from .terms import TEXT, broader, ontology_term
from .votes import LEAST_SHARE, Votes, of_groups, shares, tuples, vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENGINE = "consensus"
"""What the rows say of who answered."""
NOBODY = "no engine answered"
ONE_VOTE = "Only one annotator voted, and nothing confirms it."
ONE_FAMILY = "Only annotators of one family voted, and nothing confirms them."
MOST_ALTERNATIVES = 5
KEPT_LABELS = 5
"""Labels of one annotator that the evidence of a cluster has."""


def name_of(term: str, texts: Mapping[str, str]) -> str:
    """Return what a term is called: its usual name, else its label with a capital letter.

    Parameters
    ----------
    term
        An id, or a text of :mod:`.terms`.
    texts
        Text -> how it is written.

    Examples
    --------
    >>> name_of("CL:0000624", {}), name_of("CL:0000094", {}), name_of("text:my cell", {})
    ('CD4 T cell', 'Granulocyte', 'my cell')
    """
    if ontology_term(term) is None:
        return texts.get(term, term.removeprefix(TEXT))
    row = row_of(term)
    if row is not None:
        return row.label
    label = cell_ontology()[term].label
    return label[0].upper() + label[1:] if label[:2].islower() else label


@dataclass(frozen=True, eq=False)
class _Counted:
    """What one annotator says in rows: units by row and level, and their mean confidence."""

    votes: Votes
    counts: NDArray[np.int64]
    sure: NDArray[np.float64]

    @classmethod
    def of(cls, votes: Votes, rows: NDArray[np.intp], n_rows: int) -> _Counted:
        """Count units by row and label."""
        n = len(votes.labels.levels)
        at = (rows >= 0) & (votes.labels.codes >= 0)
        both = rows[at] * n + votes.labels.codes[at]
        counts = np.bincount(both, minlength=n_rows * n).reshape(n_rows, n)
        sure = np.full(counts.shape, np.nan)
        if votes.confidence is not None:
            known = at & ~np.isnan(votes.confidence)
            both = rows[known] * n + votes.labels.codes[known]
            total = np.bincount(both, votes.confidence[known], n_rows * n).reshape(counts.shape)
            times = np.bincount(both, minlength=n_rows * n).reshape(counts.shape)
            np.divide(total, times, out=sure, where=times > 0)
        return cls(votes, counts, sure)


def of_clusters(
    several: Sequence[Votes],
    rows: NDArray[np.intp],
    names: Sequence[str],
    weights: Mapping[str, float] | None = None,
    *,
    with_sizes: bool = True,
) -> Annotations:
    """Return one answer per cluster.

    Parameters
    ----------
    several
        Annotators, of the same units: of cells, or of the clusters themselves.
    rows
        The cluster of each unit, -1 without one.
    names
        Of the clusters, in their order.
    weights
        Group -> its weight, 1 for the others.
    with_sizes
        Whether the units are cells, which are counted.

    Returns
    -------
    Annotations
        ``evidence[cluster]`` has ``agreement``, ``compatible``, ``entropy`` (bits), ``dissent``
        (who says something incompatible, and its weight), and ``votes``: of each annotator the
        label, its term, confidence, status, the share of the cluster, and whether it agrees.

    Examples
    --------
    >>> from .terms import Resolver
    >>> def says(name, label):
    ...     return Votes(name, name, Texts.of([label]), (Resolver().term(label),))
    >>> votes = [says("a", "CD4 T cells"), says("b", "T cell"), says("c", "Memory CD4 T cell")]
    >>> found = of_clusters(votes, np.array([0]), ["0"])
    >>> found["0"].label, found.evidence["0"]["agreement"]
    ('CD4 T cell', 1.0)
    """
    terms = vocabulary(several)
    place = {t: i for i, t in enumerate(terms)}
    n = len(names)
    parts = [shares(votes, rows, n, place) for votes in several]
    groups = of_groups(several, parts, weights or {})
    counted_votes = [_Counted.of(votes, rows, n) for votes in several]
    sure = _sureness(counted_votes, n, place)
    found = answers(terms, groups, sure)
    texts = _spellings(counted_votes)
    sizes = np.bincount(rows[rows >= 0], minlength=n)
    made, evidence = [], {}
    for i, cluster in enumerate(names):
        row = _Row(i, cluster, found, counted_votes, parts, texts, int(sizes[i]))
        size = int(sizes[i]) if with_sizes else None
        made.append(row.annotation(size))
        evidence[cluster] = row.evidence()
    return Annotations(tuple(made), evidence)


def _sureness(
    counted_votes: Sequence[_Counted], n: int, place: Mapping[str, int]
) -> NDArray[np.float64]:
    """Return rows x terms: the highest mean confidence with which somebody says a term."""
    sure = np.full((n, len(place)), np.nan)
    for one in counted_votes:
        for level, term in enumerate(one.votes.terms):
            if term is not None:
                sure[:, place[term]] = np.fmax(sure[:, place[term]], one.sure[:, level])
    return sure


def _spellings(counted_votes: Sequence[_Counted]) -> dict[str, str]:
    """Return for each text how it is written by most, then by order of letters.

    What two of one group write alike counts once, as their votes do.
    """
    of_group: dict[tuple[str, str, str], int] = {}
    for one in counted_votes:
        for level, term in enumerate(one.votes.terms):
            if term is not None and ontology_term(term) is None:
                way = one.votes.group, term, one.votes.labels.levels[level]
                of_group[way] = max(of_group.get(way, 0), int(one.counts[:, level].sum()))
    counts: dict[tuple[str, str], int] = {}
    for (_, term, text), n in of_group.items():
        counts[term, text] = counts.get((term, text), 0) + n
    order = sorted(counts, key=lambda pair: (counts[pair], [-ord(c) for c in pair[1]]))
    return dict(order)


@dataclass(frozen=True, eq=False)
class _Row:
    """One cluster: its answer, and who said what."""

    at: int
    cluster: str
    found: Answers
    several: Sequence[_Counted]
    parts: Sequence[NDArray[np.float64]]
    texts: Mapping[str, str]
    size: int

    @property
    def answer(self) -> str | None:
        return self.found.answer[self.at]

    def annotation(self, size: int | None) -> Annotation:
        """Return the row."""
        n_groups = int(self.found.n_groups[self.at])
        others = self._others()
        if not n_groups:
            return Annotation(self.cluster, "skipped", size, error=NOBODY, engine=ENGINE)
        if self.answer is None:
            return Annotation(
                self.cluster, "unknown", size, UNKNOWN, alternatives=others, engine=ENGINE,
                justification=self._undecided(),
            )  # fmt: skip
        term = ontology_term(self.answer)
        alone = n_groups == 1
        agreement = None if alone else float(self.found.agreement[self.at])
        return Annotation(
            self.cluster, "ok", size, self._label(), ontology_id=term,
            ontology_label=None if term is None else cell_ontology()[term].label,
            confidence=agreement, confidence_kind=None if alone else "graded",
            alternatives=others, supporting=self._supporting(), engine=ENGINE,
            justification=self._alone() if alone else self._agreed(),
        )  # fmt: skip

    def _label(self) -> str:
        assert self.answer is not None
        if int(self.found.n_groups[self.at]) == 1:
            labels = [v["label"] for v in self.votes if v["key"] == self.answer]
            if labels:
                return str(min(labels))
        return name_of(self.answer, self.texts)

    def _others(self) -> tuple[str, ...]:
        ranked = [t for t, _ in self.found.ranked(self.at) if t != self.answer]
        names = dict.fromkeys(name_of(t, self.texts) for t in ranked)
        return tuple(names)[:MOST_ALTERNATIVES]

    @property
    def votes(self) -> list[dict[str, Any]]:
        """Of each annotator what most of the cluster has; ``key`` is its term, or its text."""
        return [self._vote(one) for one in self.several]

    def _vote(self, one: _Counted) -> dict[str, Any]:
        counts, votes = one.counts[self.at], one.votes
        labels = votes.labels.levels
        voting = [i for i in range(len(labels)) if votes.terms[i] is not None and counts[i]]
        kept = [i for i in voting if counts[i] >= LEAST_SHARE * self.size]
        order = sorted(kept, key=lambda i: (-counts[i], labels[i]))
        said: dict[str, Any] = {"engine": votes.name, "group": votes.group}
        if not order:
            return {**said, **self._silent(one), "term": None, "agrees": None, "key": None}
        best = order[0]
        key = votes.terms[best]
        sure = one.sure[self.at, best]
        said |= {
            "label": labels[best],
            "confidence": None if np.isnan(sure) else float(sure),
            "status": "ok",
            "term": ontology_term(key),
            "agrees": self._agrees(str(key)),
            "share": float(counts[best] / self.size),
            "key": key,
        }
        if len(order) > 1:
            said["labels"] = [
                {"label": labels[i], "share": float(counts[i] / self.size),
                 "term": ontology_term(votes.terms[i])}
                for i in order[:KEPT_LABELS]
            ]  # fmt: skip
        return said

    def _silent(self, one: _Counted) -> dict[str, Any]:
        """Return what is known of an annotator that has no vote: the label, status and reason."""
        record = one.votes.record
        row = None
        if record is not None:
            row = next((r for r in record if r.cluster == self.cluster), None)
        if row is not None:
            found = {"label": row.label, "confidence": row.confidence, "status": row.status}
            return {**found, "error": row.error} if row.error else found
        says_unknown = bool(one.counts[self.at].any())
        status = "unknown" if says_unknown else "skipped"
        return {"label": UNKNOWN if says_unknown else None, "confidence": None, "status": status}

    def _agrees(self, key: str) -> bool | None:
        """Whether a term is the answer or a kind of it; None where it is broader."""
        if self.answer is None:
            return False
        if self.answer in broader([key])[key]:
            return True
        return None if key in broader([self.answer])[self.answer] else False

    def _dissent(self) -> list[dict[str, Any]]:
        """Return who says something incompatible, the most first."""
        made = []
        for one, part in zip(self.several, self.parts, strict=True):
            said = [
                (float(w), t)
                for t, w in zip(self.found.terms, part[self.at], strict=True)
                if w > SAME and self._agrees(t) is False
            ]
            if said:
                weight, _ = sum(w for w, _ in said), None
                term = max(said, key=lambda pair: (pair[0], pair[1]))[1]
                made.append({
                    "engine": one.votes.name, "group": one.votes.group, "weight": weight,
                    "label": name_of(term, self.texts), "term": ontology_term(term),
                })  # fmt: skip
        return sorted(made, key=lambda d: (-float(d["weight"]), str(d["engine"])))

    def _alone(self) -> str:
        return ONE_VOTE if sum(v["key"] is not None for v in self.votes) < 2 else ONE_FAMILY

    def _agreed(self) -> str:
        agree = [v["engine"] for v in self.votes if v["agrees"]]
        broad = [v["engine"] for v in self.votes if v["agrees"] is None and v["key"]]
        text = f"{name_of(str(self.answer), self.texts)}, or a kind of it: {listing(agree)}."
        if broad:
            text += f" Something broader: {listing(broad)}."
        for other in self._dissent():
            share = f" ({other['weight']:.0%} of its cells)" if other["weight"] < 1 - SAME else ""
            text += f' Against it: "{other["engine"]}" says {other["label"]}{share}.'
        return text

    def _undecided(self) -> str:
        ranked = self.found.ranked(self.at)[:MOST_ALTERNATIVES]
        leaders = ", ".join(f"{name_of(t, self.texts)} ({w:.2g})" for t, w in ranked)
        n = counted(int(self.found.n_groups[self.at]), "group")
        return (
            f"No type has more votes for it than against it, two thirds that are compatible, and "
            f"two groups behind it. Weight of the leaders, of {n}: {leaders}."
        )

    def _supporting(self) -> tuple[str, ...]:
        """Return the genes that support the labels of those that agree."""
        genes: dict[str, None] = {}
        for one in self.several:
            record = one.votes.record
            row = None if record is None else self._own_row(record, one)
            if row is not None:
                genes |= dict.fromkeys(row.supporting)
        return tuple(genes)

    def _own_row(self, record: Annotations, one: _Counted) -> Annotation | None:
        vote = self._vote(one)
        if not vote["agrees"]:
            return None
        same = (r for r in record if r.cluster == self.cluster and r.label == vote["label"])
        return next(same, None)

    def evidence(self) -> dict[str, Any]:
        """Return what is known beyond the columns."""
        numbers = {
            name: _number(getattr(self.found, name)[self.at])
            for name in ("agreement", "compatible", "entropy")
        }
        votes = [{k: v for k, v in vote.items() if k != "key"} for vote in self.votes]
        return {
            **numbers, "n_groups": int(self.found.n_groups[self.at]),
            "dissent": self._dissent(), "votes": votes,
        }  # fmt: skip


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def of_cells(
    several: Sequence[Votes],
    cells: Sequence[str],
    weights: Mapping[str, float] | None = None,
) -> CellAnnotations:
    """Return one answer per cell; each distinct combination of votes is judged once.

    Parameters
    ----------
    several
        Annotators, of the cells.
    cells
        Their names.
    weights
        Group -> its weight, 1 for the others.

    Examples
    --------
    >>> from .terms import Resolver
    >>> votes = [
    ...     Votes(n, n, Texts.of(["NK", None]), (Resolver().term("NK"),)) for n in ("a", "b")
    ... ]
    >>> of_cells(votes, ["x", "y"]).summary_line()
    '2 cells: 1 ok, 1 skipped; 1 label'
    """
    from scipy.sparse import csr_array

    terms = vocabulary(several)
    place = {t: i for i, t in enumerate(terms)}
    found, of_cell = tuples(several, place, alike=_are_alike(several, weights or {}))
    n = len(found)

    def voted(codes: NDArray[np.intp]) -> Any:
        rows = np.flatnonzero(codes >= 0)
        return csr_array((np.ones(len(rows)), (rows, codes[rows])), shape=(n, len(terms)))

    ones = [voted(codes) for codes in found.T]
    judged = answers(terms, of_groups(several, ones, weights or {}))
    whole = np.zeros(len(cells), dtype=np.intp)
    texts = _spellings([_Counted.of(votes, whole, 1) for votes in several])
    return _cells(cells, judged, of_cell, texts)


def _are_alike(several: Sequence[Votes], weights: Mapping[str, float]) -> bool:
    """Whether it is of no matter who of the annotators says what."""
    groups = {votes.group for votes in several}
    return len(groups) == len(several) and len({weights.get(g, 1.0) for g in groups}) == 1


def _cells(
    cells: Sequence[str],
    judged: Answers,
    of_cell: NDArray[np.intp],
    texts: Mapping[str, str],
) -> CellAnnotations:
    answered = judged.answer
    names = {t: name_of(t, texts) for t in {*answered, *judged.terms} - {None} if t is not None}
    voted = judged.n_groups > 0
    labels = Texts.of(
        names[t] if t is not None else (UNKNOWN if v else None)
        for t, v in zip(answered, voted.tolist(), strict=True)
    )
    status = np.array(
        [STATUSES.index("ok" if t else "unknown" if v else "skipped")
         for t, v in zip(answered, voted.tolist(), strict=True)],
        dtype=np.uint8,
    )  # fmt: skip
    sure = np.where(judged.n_groups > 1, judged.agreement, np.nan)
    errors = Texts.of(None if v else NOBODY for v in voted.tolist())
    n = len(cells)
    ontology: dict[str, tuple[str | None, str | None]] = {}
    for term in filter(None, answered):
        identifier = ontology_term(term)
        if identifier is not None:
            ontology[names[term]] = identifier, cell_ontology()[identifier].label
    alternatives = _alternatives(judged, names)
    return CellAnnotations(
        tuple(cells),
        Texts(labels.levels, labels.codes[of_cell]),
        status[of_cell],
        sure[of_cell],
        Texts.none(n),
        Texts(errors.levels, errors.codes[of_cell]),
        _spread(alternatives, of_cell),
        TextLists.none(n),
        confidence_kind="graded",
        engine=ENGINE,
        ontology=ontology,
    )


def _alternatives(judged: Answers, names: Mapping[str, str]) -> TextLists:
    """Return for each combination of votes the leaders that are not the answer."""
    table = judged.leaders.tocoo()
    (rows, columns), weights = table.coords, np.round(table.data, 9)
    place = {t: i for i, t in enumerate(judged.terms)}
    answer = np.array([place.get(t or "", -1) for t in judged.answer], dtype=np.intp)
    other = columns != answer[rows]
    rows, columns, weights = rows[other], columns[other], weights[other]
    order = np.lexsort((columns, -weights, rows))
    rows, columns = rows[order], columns[order]
    n = len(judged.answer)
    starts = np.searchsorted(rows, np.arange(n + 1))
    kept = np.arange(len(rows)) - starts[rows] < MOST_ALTERNATIVES
    lengths = np.bincount(rows[kept], minlength=n)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    labels = Texts.of(names[t] for t in judged.terms)
    return TextLists(labels.levels, ends, labels.codes[columns[kept]])


def _spread(lists: TextLists, of_cell: NDArray[np.intp]) -> TextLists:
    """Return the list of each cell, given the lists of its combination."""
    lengths = np.diff(lists.starts)[of_cell]
    starts = np.zeros(len(of_cell) + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    return TextLists(
        lists.levels, starts, lists.codes[np.repeat(lists.starts[:-1][of_cell], lengths) + within]
    )
