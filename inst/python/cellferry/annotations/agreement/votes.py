"""Votes: what annotators say of cells, and its share in clusters or in distinct tuples of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...biology.ontology import cell_ontology
from ..texts import Texts
from .terms import Resolver, is_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..clusters import Annotations
    from .rule import Weights

LEAST_SHARE = 0.05
"""Labels of fewer cells of a cluster are no vote."""


@dataclass(frozen=True, eq=False)
class Votes:
    """What one annotator says of each unit: of cells, or of the rows of a table.

    Attributes
    ----------
    name, group
        Of the annotator, and of those with which it has one weight.
    labels
        One per unit, also those that are no vote, such as "Unknown".
    terms
        The term of each level of ``labels``, None where it is no vote.
    confidence
        One per unit between 0 and 1, NaN without one; None: there are none.
    record
        The table of the labels, where cellferry wrote them.
    """

    name: str
    group: str
    labels: Texts
    terms: tuple[str | None, ...]
    confidence: NDArray[np.float64] | None = None
    record: Annotations | None = None

    def codes(self, place: Mapping[str, int]) -> NDArray[np.intp]:
        """Return for each unit the place of its term, -1 without a vote."""
        of_level = [-1 if t is None else place[t] for t in self.terms]
        return np.array([*of_level, -1], dtype=np.intp)[self.labels.codes]


def read(
    labels: Texts, ids: Texts | None, resolver: Resolver
) -> tuple[Texts, tuple[str | None, ...]]:
    """Return the labels of a column and the term of each of their levels.

    Parameters
    ----------
    labels, ids
        One label, and one id of a term if there are such, per unit.
    resolver
        Finds the terms.
    """
    if ids is None:
        return labels, tuple(resolver.term(x) for x in labels.levels)
    # A label may stand beside several ids: each pair is a level.
    n = len(ids.levels) + 1
    pairs = np.where(labels.codes < 0, -1, labels.codes.astype(np.int64) * n + ids.codes % n)
    kinds, codes = np.unique(pairs, return_inverse=True)
    if len(kinds) and kinds[0] < 0:
        kinds, codes = kinds[1:], codes - 1
    found, terms_of = [], []
    for kind in kinds.tolist():
        label, term = divmod(kind, n)
        found.append(labels.levels[label])
        terms_of.append(resolver.term(found[-1], [*ids.levels, None][term]))
    return Texts(tuple(found), codes.reshape(-1).astype(np.int32)), tuple(terms_of)


def finest(name: str, levels: Sequence[Votes]) -> Votes:
    """Return the votes of several levels of one tool: of each unit the finest consistent label.

    A finer label counts where it is a kind of the broader one, or where that has no term. Where
    it contradicts the broader one, or has no term itself, the broader one stays.

    Parameters
    ----------
    name
        Of the tool.
    levels
        The broadest first.
    """
    found = levels[0]
    ontology = cell_ontology()

    def takes(before: str | None, term: str | None) -> bool:
        if term is None or before is None:
            return term is not None
        if is_text(before):
            return True
        return not is_text(term) and ontology.is_a(term, before)

    for finer in levels[1:]:
        take = np.array(
            [[takes(a, b) for b in (*finer.terms, None)] for a in (*found.terms, None)], dtype=bool
        )
        chosen = take[found.labels.codes, finer.labels.codes]
        offset = len(found.labels.levels)
        codes = np.where(chosen, finer.labels.codes + offset, found.labels.codes)
        labels = Texts((*found.labels.levels, *finer.labels.levels), codes.astype(np.int32))
        sure = None
        if found.confidence is not None or finer.confidence is not None:
            none = np.full(len(codes), np.nan)
            one, other = (none if v.confidence is None else v.confidence for v in (found, finer))
            sure = np.where(chosen, other, one)
        found = Votes(name, found.group, labels, (*found.terms, *finer.terms), sure)
    return Votes(name, found.group, found.labels, found.terms, found.confidence, found.record)


def vocabulary(several: Sequence[Votes]) -> list[str]:
    """Return all terms that somebody votes for, in order."""
    return sorted({t for votes in several for t in votes.terms if t is not None})


def shares(
    votes: Votes, rows: NDArray[np.intp], n_rows: int, place: Mapping[str, int]
) -> NDArray[np.float64]:
    """Return rows x terms: the part of the units of each row that votes for each term.

    Terms with less than :data:`LEAST_SHARE` of a row are dropped.

    Parameters
    ----------
    votes
        Of units.
    rows
        The row of each unit, -1 without one.
    n_rows
        How many rows there are.
    place
        Term -> its place.
    """
    codes, n = votes.codes(place), len(place)
    at = (rows >= 0) & (codes >= 0)
    counts = np.bincount(rows[at] * n + codes[at], minlength=n_rows * n).reshape(n_rows, n)
    sizes = np.bincount(rows[rows >= 0], minlength=n_rows)[:, None]
    made = np.divide(counts, sizes, out=np.zeros(counts.shape), where=sizes > 0)
    made[made < LEAST_SHARE] = 0
    return made


def tuples(
    several: Sequence[Votes], place: Mapping[str, int], *, alike: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the distinct combinations of votes, and which one each unit has.

    Parameters
    ----------
    several
        Of the same units.
    place
        Term -> its place.
    alike
        Whether it is of no matter who says what: combinations that differ in that are one.

    Returns
    -------
    tuple
        Combinations x annotators, places of terms and -1 for none; and one number per unit.
    """
    import pandas as pd

    n = len(place) + 1
    codes = np.stack([votes.codes(place) + 1 for votes in several], axis=1).astype(np.int32)
    if alike:
        codes.sort(axis=1)
    of_unit = np.zeros(len(codes), dtype=np.int64)
    found = np.zeros((1, 0), dtype=np.intp)
    for column in codes.T:
        of_unit, kinds = pd.factorize(of_unit * n + column)
        before, code = np.divmod(np.asarray(kinds), n)
        found = np.column_stack([found[before], code - 1])
    return found, of_unit.astype(np.intp)


def of_groups(
    several: Sequence[Votes],
    weights: Sequence[Weights],
    of_group: Mapping[str, float],
) -> dict[str, Any]:
    """Return the weights of groups: the distinct terms of a group share its weight.

    What two of one group say alike counts once.

    Parameters
    ----------
    several
        Annotators.
    weights
        Of each, rows x terms (sparse).
    of_group
        Group -> its weight; 1 for those that are not named.
    """
    from scipy.sparse import csr_array, diags_array

    made: dict[str, Any] = {}
    for group in dict.fromkeys(votes.group for votes in several):
        own = [
            csr_array(w) for votes, w in zip(several, weights, strict=True) if votes.group == group
        ]
        most, total = own[0], np.asarray(own[0].sum(axis=1))
        for more in own[1:]:
            most = most.maximum(more)
            total = np.maximum(total, np.asarray(more.sum(axis=1)))
        sums = np.asarray(most.sum(axis=1))
        rate = np.divide(total, sums, out=np.zeros_like(total), where=sums > 0)
        made[group] = csr_array(diags_array(rate * of_group.get(group, 1.0)) @ most)
    return made
