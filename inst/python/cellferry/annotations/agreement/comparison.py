"""Two sets of labels of the same cells beside each other, over the Cell Ontology."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...biology.lineage import levels_of
from ...biology.ontology import cell_ontology
from ...errors import listing
from ...study.clusters import Clusters
from ..levels import lineage_order
from ..printed import html_table, shown, table
from ..texts import Texts
from .terms import is_text, ontology_term
from .votes import Votes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Relation = Literal["exact", "descendant", "ancestor", "sibling", "other_lineage", "no_term", "none"]
RELATIONS: tuple[Relation, ...] = (
    "exact", "descendant", "ancestor", "sibling", "other_lineage", "no_term", "none"
)  # fmt: skip
"""``descendant``: the first is a kind of the second. ``sibling``: of one type of the table of
levels, or with a parent in common. ``no_term``: one is no term of the ontology, and they are not
the same text. ``none``: one has no label."""
AGREE: tuple[Relation, ...] = ("exact", "descendant", "ancestor")
MOSTLY = 0.8
"""A cluster with a smaller part of agreeing cells wants a look."""


@functools.lru_cache(maxsize=100_000)
def relation(one: str | None, other: str | None) -> Relation:
    """Return how a term stands to another one.

    Parameters
    ----------
    one, other
        Ids, or texts as :class:`.terms.Resolver` makes them; None is no label.

    Examples
    --------
    >>> relation("CL:0000624", "CL:0000084"), relation("CL:0000624", "CL:0000625")
    ('descendant', 'sibling')
    >>> relation("CL:0000084", "CL:0000057"), relation("CL:0000084", "text:my cell")
    ('other_lineage', 'no_term')
    """
    if one is None or other is None:
        return "none"
    if one == other:
        return "exact"
    if is_text(one) or is_text(other):
        return "no_term"
    ontology = cell_ontology()
    if ontology.is_a(one, other):
        return "descendant"
    if ontology.is_a(other, one):
        return "ancestor"
    parents = set(ontology[one].parents) & set(ontology[other].parents)
    types = {levels_of(one)[1], levels_of(other)[1]}
    return "sibling" if parents or len(types) == 1 else "other_lineage"


def distance(one: str | None, other: str | None) -> int | None:
    """Return the is-a steps between two terms; None where one is none.

    Examples
    --------
    >>> distance("CL:0000084", "CL:0000084"), distance("CL:0000084", None)
    (0, None)
    """
    if one is None or other is None or is_text(one) or is_text(other):
        return 0 if one is not None and one == other else None
    return cell_ontology().distance(one, other)


def adjusted_rand(counts: NDArray[np.int64]) -> float | None:
    """Return the adjusted Rand index of two partitions; 1 is the same, 0 is chance.

    Hubert and Arabie 1985, formula 5: ``(sum C(n_ij, 2) - e) / ((a + b) / 2 - e)`` with ``a`` and
    ``b`` the sums over rows and columns of ``C(n, 2)`` and ``e = a b / C(n, 2)``. None without
    two cells. Two partitions that are both of one part, or both of parts of one cell, are the same.

    Parameters
    ----------
    counts
        Cells by label of one and of the other.

    Examples
    --------
    >>> adjusted_rand(np.array([[3, 0], [0, 2]]))
    1.0
    """

    def pairs(n: NDArray[np.int64]) -> float:
        wide = n.astype(np.float64)
        return float((wide * (wide - 1) / 2).sum())

    total = pairs(counts.sum(keepdims=True))
    if total == 0:
        return None
    both, one, other = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    expected = one * other / total
    most = (one + other) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


@dataclass(frozen=True)
class ComparedRow:
    """One cluster: its label, and what most of its cells have in the other labels.

    Attributes
    ----------
    cluster, n_cells, label, ontology_id
        Of the first labels.
    other, other_ontology_id, share
        Of the second: the label that most cells of the cluster have, its term, and the part of
        the cells that are labelled there.
    relation, distance
        How the first stands to the second, and the is-a steps between them.
    agreeing
        The part of the cells with a label in both whose labels agree: exact, or one a kind of the
        other; None without such cells.
    look
        Why the cluster wants a look; empty where it does not.
    """

    cluster: str
    n_cells: int
    label: str | None
    ontology_id: str | None
    other: str | None
    other_ontology_id: str | None
    share: float | None
    relation: Relation
    distance: int | None
    agreeing: float | None
    look: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sets of labels beside each other.

    Attributes
    ----------
    key, with_
        What they are called.
    rows
        One per cluster.
    cells
        The relation of each cell's labels.
    labels, others
        Of the confusion table, in lineage order.
    confusion
        Labels x others: cells.
    adjusted_rand
        Of the labels of the cells that have both; None without two such cells.

    Examples
    --------
    >>> from .terms import Resolver
    >>> from .votes import read
    >>> one = Votes("a", "a", *read(Texts.of(["T cell", "B cell"]), None, Resolver()))
    >>> other = Votes("b", "b", *read(Texts.of(["CD4 T cell", "B"]), None, Resolver()))
    >>> found = compared(one, other)
    >>> [row.relation for row in found.rows], found.adjusted_rand
    (['exact', 'ancestor'], 1.0)
    """

    key: str
    with_: str
    rows: tuple[ComparedRow, ...]
    cells: Texts
    labels: tuple[str, ...]
    others: tuple[str, ...]
    confusion: NDArray[np.int64]
    adjusted_rand: float | None

    @property
    def shares(self) -> dict[str, float]:
        """Relation -> its part of the cells that have both labels, those that occur."""
        counts = dict(zip(self.cells.levels, self.cells.counts().tolist(), strict=True))
        counts.pop("none", None)
        total = sum(counts.values())
        return {r: counts[r] / total for r in RELATIONS if counts.get(r)}

    @property
    def to_look_at(self) -> list[str]:
        """Clusters that want a look."""
        return [row.cluster for row in self.rows if row.look]

    def summary_line(self) -> str:
        """Return for example ``exact 80 %, sibling 20 %; adjusted Rand 0.71; look at "3"``."""
        parts = [f"{r.replace('_', ' ')} {s:.0%}" for r, s in self.shares.items()]
        said = [", ".join(parts) or "no cell has both labels"]
        if self.adjusted_rand is not None:
            said.append(f"adjusted Rand {self.adjusted_rand:.2f}")
        if self.to_look_at:
            said.append(f"look at {listing(self.to_look_at)}")
        return "; ".join(said)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per cluster, with the fields of :class:`ComparedRow`."""
        import pandas as pd

        names = list(ComparedRow.__dataclass_fields__)
        frame = pd.DataFrame([[getattr(r, n) for n in names] for r in self.rows], columns=names)
        return frame.astype(_DTYPES)

    def confusion_frame(self) -> pd.DataFrame:
        """Return the confusion table: labels x other labels, with numbers of cells."""
        import pandas as pd

        rows = pd.Index(self.labels, dtype="object", name=self.key)
        columns = pd.Index(self.others, dtype="object", name=self.with_)
        return pd.DataFrame(self.confusion, index=rows, columns=columns)

    def _printed(self) -> list[list[str]]:
        return [[shown(getattr(row, name)) for name in _PRINTED] for row in self.rows]

    def __repr__(self) -> str:
        text = table(_PRINTED, self._printed(), right=("n_cells", "distance", "agreeing"), most=20)
        title = f'"{self.key}" with "{self.with_}": {self.summary_line()}'
        return f"<cellferry Comparison: {title}>\n{text}"

    def _repr_html_(self) -> str:
        return html_table(_PRINTED, self._printed(), self.summary_line())


_PRINTED = ("cluster", "n_cells", "label", "other", "relation", "distance", "agreeing", "look")
_DTYPES: dict[str, Any] = {"distance": "Int64", "share": "Float64", "agreeing": "Float64"}


def compared(one: Votes, other: Votes, clusters: Clusters | None = None) -> Comparison:
    """Compare the labels of cells.

    Parameters
    ----------
    one, other
        Labels and terms of the same cells.
    clusters
        One code per cell; None: the labels of ``one`` are the clusters.
    """
    if clusters is None:
        clusters = Clusters.from_labels(one.labels.values().tolist())
    assert clusters.codes is not None
    terms, others = [*one.terms, None], [*other.terms, None]
    table = np.array([[RELATIONS.index(relation(a, b)) for b in others] for a in terms])
    codes = table[one.labels.codes, other.labels.codes]
    cells = Texts(RELATIONS, codes.astype(np.int32))
    confusion, names, other_names = _confusion(one, other)
    rows = tuple(
        _row(name, np.flatnonzero(clusters.codes == i), one, other, codes)
        for i, name in enumerate(clusters.names)
    )
    rand = adjusted_rand(confusion)
    return Comparison(one.name, other.name, rows, cells, names, other_names, confusion, rand)


def _confusion(
    one: Votes, other: Votes
) -> tuple[NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    """Return cells by label and other label, of cells that have both, in lineage order."""
    tables = []
    for votes in (one, other):
        voting = [x for x, t in zip(votes.labels.levels, votes.terms, strict=True) if t is not None]
        ids = [ontology_term(t) for t in votes.terms if t is not None]
        order = lineage_order(voting, ids)
        place = {x: i for i, x in enumerate(order)}
        own = [
            -1 if t is None else place[x]
            for x, t in zip(votes.labels.levels, votes.terms, strict=True)
        ]
        tables.append((order, np.array([*own, -1], dtype=np.int64)[votes.labels.codes]))
    (names, rows), (others, columns) = tables
    at = (rows >= 0) & (columns >= 0)
    n = max(len(others), 1)
    flat = np.bincount(rows[at] * n + columns[at], minlength=len(names) * n)
    counts = flat.reshape(len(names), n)[:, : len(others)]
    kept_rows = np.asarray(counts.sum(axis=1) > 0)
    kept_columns = np.asarray(counts.sum(axis=0) > 0)
    return (
        counts[kept_rows][:, kept_columns],
        tuple(x for x, k in zip(names, kept_rows.tolist(), strict=True) if k),
        tuple(x for x, k in zip(others, kept_columns.tolist(), strict=True) if k),
    )


def _most(votes: Votes, at: NDArray[np.intp]) -> tuple[str | None, str | None, float | None]:
    """Return the label that most of some cells have, its term, and its part of those with one."""
    voting = np.array([t is not None for t in votes.terms] + [False])
    codes = votes.labels.codes[at]
    counts = np.bincount(codes[voting[codes]], minlength=len(votes.terms))
    if not counts.any():
        return None, None, None
    best = min(np.flatnonzero(counts).tolist(), key=lambda i: (-counts[i], votes.labels.levels[i]))
    return votes.labels.levels[best], votes.terms[best], float(counts[best] / counts.sum())


def _row(
    cluster: str, at: NDArray[np.intp], one: Votes, other: Votes, relations: NDArray[np.intp]
) -> ComparedRow:
    label, term, _ = _most(one, at)
    said, other_term, share = _most(other, at)
    both = relations[at][relations[at] != RELATIONS.index("none")]
    agree = np.isin(both, [RELATIONS.index(r) for r in AGREE])
    agreeing = float(agree.mean()) if len(both) else None
    found = relation(term, other_term)
    return ComparedRow(
        cluster, len(at), label, ontology_term(term), said, ontology_term(other_term), share,
        found, distance(term, other_term), agreeing, _look(found, agreeing),
    )  # fmt: skip


def _look(found: Relation, agreeing: float | None) -> str:
    if found in {"sibling", "other_lineage", "no_term"}:
        return found
    return "mixed" if agreeing is not None and agreeing < MOSTLY else ""
