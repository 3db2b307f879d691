"""The rule of a consensus: from weighted terms to one answer, for many rows at once.

Groups of annotators vote for terms. For a term t of a row: S is the weight of votes for t or a
kind of it, C of votes for something broader than t, K of the rest, W = S + C + K. t is a candidate
if S > K, S + C >= 2/3 W, and S comes from two groups (from one, if only one voted); terms that are
too general to be a label are none. The answer is the candidate with the highest information
content, then the highest S, then the highest confidence, then the lowest id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...biology.ontology import TOO_GENERAL, Ontology, cell_ontology
from .terms import broader, is_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Weights = Any
    """A sparse array of scipy: rows x terms."""

COMPATIBLE = 2 / 3
"""The part of all weight that must support an answer or be compatible with it."""
GROUPS = 2
"""Groups that must support an answer, where so many voted."""
SAME = 1e-9
"""Weights are sums of shares: what differs less is equal."""
CHUNK = 2048
"""Rows that are judged at once: rows x terms are in memory."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What the votes of each row come to.

    Attributes
    ----------
    terms
        Terms that were voted for.
    answer
        For each row the term, None without one.
    agreement, compatible, entropy
        S / (S + K) and (S + C) / W of the answer, NaN without one; and the entropy in bits of the
        leaders' weights, NaN without a vote.
    n_groups
        How many groups voted.
    leaders
        Rows x terms: the weight of the narrowest terms that were voted for, each with its part of
        the broader votes; 0 for all others.
    """

    terms: tuple[str, ...]
    answer: tuple[str | None, ...]
    agreement: NDArray[np.float64]
    compatible: NDArray[np.float64]
    entropy: NDArray[np.float64]
    n_groups: NDArray[np.int64]
    leaders: Weights

    def ranked(self, row: int) -> list[tuple[str, float]]:
        """Return the leaders of a row and their weights, the strongest first, then by id."""
        found = self.leaders[[row], :].tocoo()
        pairs = [
            (self.terms[j], float(w)) for j, w in zip(found.coords[1], found.data, strict=True)
        ]
        return sorted(pairs, key=lambda pair: (-round(pair[1], 9), pair[0]))


def answers(
    terms: Sequence[str],
    groups: Mapping[str, Weights],
    confidence: NDArray[np.float64] | None = None,
    *,
    ontology: Ontology | None = None,
    too_general: Collection[str] = TOO_GENERAL,
) -> Answers:
    """Return what is agreed on in each row.

    Parameters
    ----------
    terms
        V different ids of the ontology, or texts as :class:`.terms.Resolver` makes them.
    groups
        Group -> n x V weights of its votes (a sparse array). The order of groups changes nothing.
    confidence
        n x V: the highest confidence with which somebody voted for a term, NaN without one.
        Decides only between terms that are equal otherwise.
    ontology
        None is the Cell Ontology.
    too_general
        Terms that are no answer.

    Returns
    -------
    Answers

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> votes = csr_array([[1.0, 0.0]]), csr_array([[0.0, 1.0]])
    >>> found = answers(["CL:0000084", "CL:0000624"], {"a": votes[0], "b": votes[1]})
    >>> found.answer, found.agreement.tolist()  # two say T cell, and one of them more
    (('CL:0000084',), [1.0])
    """
    from scipy.sparse import csr_array, vstack

    order = sorted(range(len(terms)), key=lambda i: terms[i])
    names = tuple(terms[i] for i in order)
    sorted_groups = [csr_array(groups[g])[:, order] for g in sorted(groups)]
    if confidence is not None:
        confidence = confidence[:, order]
    n = sorted_groups[0].shape[0] if sorted_groups else 0
    judge = _Judge(names, cell_ontology() if ontology is None else ontology, too_general)
    parts = [
        judge.of(
            [g[i : i + CHUNK] for g in sorted_groups],
            None if confidence is None else confidence[i : i + CHUNK],
        )
        for i in range(0, n, CHUNK)
    ]
    if not parts:
        none = np.zeros(0)
        return Answers(names, (), none, none, none, np.zeros(0, int), csr_array((0, len(names))))
    best = np.concatenate([p[0] for p in parts])
    found = [*judge.candidates, None]
    agreement, compatible, entropy, n_groups = (
        np.concatenate([p[k] for p in parts]) for k in (1, 2, 3, 4)
    )
    leaders = vstack([p[5] for p in parts], format="csr")
    best_terms = tuple(found[i] for i in best)
    return Answers(names, best_terms, agreement, compatible, entropy, n_groups, leaders)


class _Judge:
    """Relations of the terms that were voted for, and the rule over rows of votes."""

    def __init__(self, terms: Sequence[str], ontology: Ontology, general: Collection[str]) -> None:
        above = broader(terms, ontology)
        found = {t for kinds in above.values() for t in kinds if t not in general}
        self.candidates = sorted(t for t in found if is_text(t) or t in ontology)
        sizes = [1 if is_text(t) else ontology.kinds(t) for t in self.candidates]
        self.kinds = np.array(sizes, dtype=np.int64)
        place = {t: i for i, t in enumerate(self.candidates)}
        self.supports = np.zeros((len(terms), len(place)))
        self.allows = np.zeros((len(terms), len(place)))
        self.narrower = np.zeros((len(terms), len(terms)))
        of_candidates = broader(self.candidates, ontology)
        for i, term in enumerate(terms):
            for other in above[term] & place.keys():
                self.supports[i, place[other]] = 1
            for other, j in place.items():
                self.allows[i, j] = term != other and term in of_candidates[other]
            for k, other in enumerate(terms):
                self.narrower[i, k] = term != other and term in above[other]

    def of(self, groups: Sequence[Weights], confidence: NDArray[np.float64] | None) -> Any:
        """Return the columns of :class:`Answers` for some rows, the answer as its place."""
        n = groups[0].shape[0]
        votes = np.sum([g.toarray() for g in groups], axis=0)
        leaders, entropy = self._leaders(votes)
        total = votes.sum(axis=1, keepdims=True)
        n_groups = np.sum([np.asarray(g.sum(axis=1)) > SAME for g in groups], axis=0)
        if not self.candidates:
            none = np.full(n, np.nan)
            return np.full(n, -1), none, none, entropy, n_groups, leaders
        support = np.zeros((n, len(self.candidates)))
        allow, backing = np.zeros_like(support), np.zeros(support.shape, dtype=np.int64)
        for group in groups:
            own = group @ self.supports
            support += own
            backing += own > SAME
            allow += group @ self.allows
        rest = total - support - allow
        fits = (support > rest + SAME) & (support + allow >= COMPATIBLE * total - SAME)
        fits &= (backing >= np.minimum(n_groups, GROUPS)[:, None]) & (n_groups > 0)[:, None]
        best = self._best(fits, support, confidence)
        at = np.arange(n), np.maximum(best, 0)
        none = best < 0
        with np.errstate(invalid="ignore", divide="ignore"):
            agreement = np.clip(support[at] / (support + rest)[at], 0, 1)
            compatible = np.clip((support + allow)[at] / total[:, 0], 0, 1)
        agreement, compatible = (
            np.where(none, np.nan, agreement),
            np.where(none, np.nan, compatible),
        )
        return best, agreement, compatible, entropy, n_groups, leaders

    def _best(
        self,
        fits: NDArray[np.bool_],
        support: NDArray[np.float64],
        confidence: NDArray[np.float64] | None,
    ) -> NDArray[np.intp]:
        """Return the place of the answer of each row, -1 without one."""
        none = ~fits.any(axis=1)
        sizes = np.where(fits, self.kinds, np.iinfo(np.int64).max)
        fits &= sizes == sizes.min(axis=1, keepdims=True)
        weight = np.where(fits, support, -1.0)
        fits &= weight >= weight.max(axis=1, keepdims=True) - SAME
        if confidence is not None:
            known = np.nan_to_num(confidence, nan=0.0)
            sure = np.zeros_like(support)
            for i, kinds in enumerate(self.supports):
                sure = np.maximum(sure, known[:, i : i + 1] * kinds)
            sure = np.where(fits, sure, -1.0)
            fits &= sure == sure.max(axis=1, keepdims=True)
        # Candidates are in order of their ids.
        return np.where(none, -1, fits.argmax(axis=1))

    def _leaders(self, votes: NDArray[np.float64]) -> tuple[Weights, NDArray[np.float64]]:
        """Return the weights of the narrowest terms of each row, and their entropy in bits.

        A broader vote is divided among the narrower ones, as their own weights are.
        """
        from scipy.sparse import csr_array

        there = votes > SAME
        # Few of the terms are in a row: BLAS, and its threads, would take longer.
        narrowest = there & ~((csr_array(there.astype(float)) @ self.narrower.T) > 0)
        own = np.where(narrowest, votes, 0.0)
        below = csr_array(own) @ self.narrower.T
        wide = np.where(there & ~narrowest, votes, 0.0)
        rate = np.divide(wide, below, out=np.zeros_like(wide), where=below > 0)
        leaders = own * (1 + csr_array(rate) @ self.narrower)
        total = leaders.sum(axis=1, keepdims=True)
        part = np.divide(leaders, total, out=np.zeros_like(leaders), where=total > 0)
        logs = np.log2(part, out=np.zeros_like(part), where=part > 0)
        entropy = np.abs(-(part * logs).sum(axis=1))
        return csr_array(leaders), np.where(total[:, 0] > 0, entropy, np.nan)
