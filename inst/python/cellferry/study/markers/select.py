"""The choice of genes from a marker table: filter, rank, once each, the first n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...errors import MarkersStatisticError, listing
from ..options import flag, number, one_of, or_none, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MarkerColumns(Protocol):
    """The columns of a marker table that genes are chosen by; see :class:`.table.Markers`."""

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters, in order."""

    @property
    def cluster(self) -> NDArray[np.int32]:
        """Per row, its position in ``clusters``."""

    @property
    def gene(self) -> NDArray[np.object_]:
        """Per row, the name of its gene."""

    @property
    def gene_codes(self) -> NDArray[np.int64]:
        """Per row, the position of its gene among the sorted names."""

    @property
    def avg_log2fc(self) -> NDArray[np.float64] | None:
        """Per row, or None where the table has no such column; so are the following."""

    @property
    def p_val(self) -> NDArray[np.float64] | None:
        """P-values."""

    @property
    def p_val_adj(self) -> NDArray[np.float64] | None:
        """Adjusted p-values."""

    @property
    def pct_1(self) -> NDArray[np.float64] | None:
        """Fraction of the cluster's cells that express the gene."""

    @property
    def pct_2(self) -> NDArray[np.float64] | None:
        """Fraction of the other cells."""

    @property
    def score(self) -> NDArray[np.float64] | None:
        """Another score; larger is better."""


ASCENDING: dict[str, bool] = {
    "avg_log2FC": False,
    "p_val_adj": True,
    "pct_diff": False,
    "Score": False,
}
"""Ranking method -> whether the smallest value comes first by default."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen genes of one cluster, best first.

    Attributes
    ----------
    genes
        Each gene once.
    rows
        Their positions in the marker table, in the same order.
    """

    genes: tuple[str, ...]
    rows: NDArray[np.intp]


def check_selection(
    ranking_method: str,
    ascending: bool | None,
    n_genes: int,
    **thresholds: float | None,
) -> int:
    """Return the number of genes; raises ``InvalidOptionError`` for what is not valid.

    Parameters
    ----------
    ranking_method, ascending, n_genes, thresholds
        As of :meth:`cellferry.study.markers.table.Markers.select`.
    """
    one_of("ranking_method", ranking_method, tuple(ASCENDING))
    usual = "None takes the usual direction of the ranking method."
    or_none(flag, "ascending", ascending, hint=usual)
    found = whole_number("n_genes", n_genes, 1, hint="The default is 50.")
    for name, value in thresholds.items():
        or_none(number, name, value, hint="None switches the filter off.")
    return found


def ranking_values(markers: MarkerColumns, method: str) -> NDArray[np.float64]:
    """Return the statistic of a ranking method, or raise :class:`MarkersStatisticError`."""
    values = _statistic(markers, method)
    if values is not None:
        return values
    needed = {
        "avg_log2FC": "a fold change (avg_log2FC, avg_logFC or logfoldchanges)",
        "p_val_adj": "p-values (p_val_adj, pvals_adj or p_val)",
        "pct_diff": "both percentages (pct.1 and pct.2, or pct_nz_group and pct_nz_reference)",
        "Score": "a score (Score, scores or power)",
    }[method]
    possible = possible_methods(markers)
    message = f'Ranking by "{method}" needs {needed}, and the marker table has none.'
    hint = f"This table can be ranked by {listing(possible)}: set ranking_method=."
    if not possible:
        hint = "This table has nothing to rank genes by; find the markers again."
    raise MarkersStatisticError(message, hint, possible=list(possible))


def possible_methods(markers: MarkerColumns) -> tuple[str, ...]:
    """Return the ranking methods for which the table has the statistic."""
    return tuple(method for method in ASCENDING if _statistic(markers, method) is not None)


def _statistic(markers: MarkerColumns, method: str) -> NDArray[np.float64] | None:
    if method == "avg_log2FC":
        return markers.avg_log2fc
    if method == "Score":
        return markers.score
    if method == "p_val_adj":
        # Within one cluster the adjusted p-values of Bonferroni and of Benjamini and Hochberg
        # are in the order of the p-values.
        return markers.p_val if markers.p_val_adj is None else markers.p_val_adj
    if markers.pct_1 is None or markers.pct_2 is None:
        return None
    return markers.pct_1 - markers.pct_2


def passes_filter(
    markers: MarkerColumns,
    max_p_val_adj: float | None,
    min_avg_log2fc: float | None,
    min_pct: float | None,
) -> NDArray[np.intp]:
    """Return the rows that pass; a missing column is no filter, a missing value fails.

    Parameters
    ----------
    markers
        The table.
    max_p_val_adj, min_avg_log2fc, min_pct
        Thresholds, see :meth:`cellferry.study.markers.table.Markers.select`; None is no filter.
    """
    keep = np.ones(len(markers.gene), dtype=bool)
    # NaN fails each comparison, which is what the docstring promises.
    if max_p_val_adj is not None and markers.p_val_adj is not None:
        keep &= markers.p_val_adj < max_p_val_adj
    if min_avg_log2fc is not None and markers.avg_log2fc is not None:
        keep &= markers.avg_log2fc > min_avg_log2fc
    if min_pct is not None and markers.pct_1 is not None:
        keep &= markers.pct_1 >= min_pct
    return np.flatnonzero(keep)


def rank_rows(
    markers: MarkerColumns, rows: NDArray[np.intp], method: str, ascending: bool | None
) -> NDArray[np.intp]:
    """Return the rows sorted by cluster, and best first within each; see Markers.select.

    Parameters
    ----------
    markers
        The table.
    rows
        Positions of the rows that are ranked.
    method, ascending
        By what; whether the smallest comes first, where None is the method's usual direction.

    Raises
    ------
    MarkersStatisticError
        The table lacks the statistic of the method.
    """
    upward = ASCENDING[method] if ascending is None else bool(ascending)
    value = ranking_values(markers, method)[rows]
    keys: list[NDArray[np.float64] | NDArray[np.int64] | NDArray[np.int32]] = []
    # For lexsort, the last key counts most; NaN sorts last in every key. The keys before the
    # gene decide only which of several rows of one gene is kept.
    for statistic, sign in (
        (markers.pct_2, 1),
        (markers.pct_1, -1),
        (markers.p_val, 1),
        (markers.p_val_adj, 1),
    ):
        if statistic is not None:
            keys.append(sign * statistic[rows])
    keys.append(markers.gene_codes[rows])
    for statistic in (markers.score, _statistic(markers, "pct_diff"), markers.avg_log2fc):
        if statistic is not None:
            keys.append(-statistic[rows])
    keys.append(value if upward else -value)
    keys.append(markers.cluster[rows])
    return rows[np.lexsort(keys)]


def top_n(markers: MarkerColumns, order: NDArray[np.intp], n_genes: int) -> dict[str, Selection]:
    """Return the first `n_genes` different genes of each cluster; `order` is by cluster.

    Parameters
    ----------
    markers
        The table.
    order
        Positions of rows, by cluster, best first in each.
    n_genes
        Most genes of a cluster.
    """
    codes = markers.gene_codes[order]
    pairs = markers.cluster[order].astype(np.int64) * (len(markers.gene) + 1) + codes
    _, first = np.unique(pairs, return_index=True)
    kept = order[np.sort(first)]
    borders = np.searchsorted(markers.cluster[kept], np.arange(len(markers.clusters) + 1))
    chosen = {}
    for i, name in enumerate(markers.clusters):
        rows = kept[borders[i] : borders[i + 1]][:n_genes]
        chosen[name] = Selection(tuple(markers.gene[rows].tolist()), rows)
    return chosen
