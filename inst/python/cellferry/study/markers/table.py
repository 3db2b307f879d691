"""Marker tables: one full table, and the choice of genes from it.

The full table is kept; each engine calls :meth:`Markers.select` with its own ranking,
filter and number of genes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MarkersClustersError, MarkersFormatError, counted, listing
from ...files import Json
from .select import Selection, check_selection, passes_filter, possible_methods, rank_rows, top_n

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray


SCHEMA = "cellferry.markers/1"
SAMPLES = ("n_samples", "n_samples_same")

STATISTICS: dict[str, str] = {
    "p_val": "p_val",
    "avg_log2fc": "avg_log2FC",
    "pct_1": "pct.1",
    "pct_2": "pct.2",
    "p_val_adj": "p_val_adj",
    "score": "Score",
    "n_samples": "n_samples",
    "n_samples_same": "n_samples_same",
}
"""Field of :class:`Markers` -> name of its column in :meth:`Markers.to_frame`."""

SHOWN = 5
"""Rows that are shown of a table."""


@dataclass(frozen=True, eq=False, repr=False)
class Markers:
    """A marker table, one row per cluster and gene, in the order it was given.

    Attributes
    ----------
    clusters
        The clusters of the table as text: factor or categorical order if the input had
        one, else natural order.
    cluster
        Per row, int32: position in ``clusters``.
    gene
        Per row: gene name.
    avg_log2fc, p_val, p_val_adj, pct_1, pct_2, score
        Per row, float64 with NaN where missing, or None when the table has no such
        column. ``pct_1`` and ``pct_2`` are fractions 0..1 of cells that express the gene
        inside and outside of the cluster.
    n_samples, n_samples_same
        Per row, float64, or None: how many samples have cells of the cluster and of others, and in
        how many of these the difference has the same direction.
    source
        ``"seurat"``, ``"scanpy"`` or ``"list"``.
    details
        Of a table that we made: test, rules, thresholds, and why clusters were left out.
    """

    clusters: tuple[str, ...]
    cluster: NDArray[np.int32]
    gene: NDArray[np.object_]
    avg_log2fc: NDArray[np.float64] | None = None
    p_val: NDArray[np.float64] | None = None
    p_val_adj: NDArray[np.float64] | None = None
    pct_1: NDArray[np.float64] | None = None
    pct_2: NDArray[np.float64] | None = None
    score: NDArray[np.float64] | None = None
    n_samples: NDArray[np.float64] | None = None
    n_samples_same: NDArray[np.float64] | None = None
    source: str = "seurat"
    details: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.gene)

    def __repr__(self) -> str:
        return f"<cellferry Markers: {self._summary()}>\n{self._head().to_string(index=False)}"

    def _repr_html_(self) -> str:
        from html import escape

        head = self._head().to_html(index=False)
        return f"{head}<p>{escape(self._summary())}</p>"

    def _summary(self) -> str:
        more = f", the first {SHOWN} are shown" if len(self) > SHOWN else ""
        of = f"{counted(len(self.clusters), 'cluster')}, from {self.source}"
        return f"{counted(len(self), 'row')} of {of}{more}"

    def _head(self) -> pd.DataFrame:
        """Return the first rows as a frame, without making one of the whole table."""
        first = slice(SHOWN)
        part = Markers(self.clusters, self.cluster[first], self.gene[first], source=self.source)
        statistics: dict[str, Any] = {k: v[first] for k, v in self._statistics().items()}
        return replace(part, **statistics).to_frame()

    @property
    def ranking_methods(self) -> tuple[str, ...]:
        """The values of ``ranking_method`` for which this table has the statistic.

        Empty for lists, which are ranked by their order whatever the method.
        """
        return possible_methods(self)

    @cached_property
    def gene_codes(self) -> NDArray[np.int64]:
        """Per row, the position of its gene among the sorted names of all genes."""
        genes = self.gene.tolist()
        position = {gene: i for i, gene in enumerate(sorted(set(genes)))}
        return np.fromiter((position[g] for g in genes), dtype=np.int64, count=len(genes))

    def select(
        self,
        ranking_method: str = "avg_log2FC",
        *,
        ascending: bool | None = None,
        n_genes: int = 50,
        max_p_val_adj: float | None = 0.05,
        min_avg_log2fc: float | None = 0.25,
        min_pct: float | None = 0.1,
    ) -> dict[str, Selection]:
        """Choose the best genes of every cluster.

        The default thresholds, ranking methods and directions are those of CASSIA's batch
        processing. Its code also keeps a gene that is in 10 % of the *other* cells only;
        here ``min_pct`` is about the cluster's own cells, because a gene that is absent
        from a cluster is no marker of it.

        Parameters
        ----------
        ranking_method
            ``"avg_log2FC"``, ``"p_val_adj"``, ``"pct_diff"`` (``pct_1 - pct_2``) or
            ``"Score"``. Without adjusted p-values, ``"p_val_adj"`` ranks by ``p_val``.
        ascending
            Whether the smallest value comes first. None: for ``"p_val_adj"`` only.
        n_genes
            At most so many genes per cluster, in lists too.
        max_p_val_adj
            Keep genes with an adjusted p-value below it.
        min_avg_log2fc
            Keep genes with a log2 fold change above it.
        min_pct
            Keep genes that at least this fraction of the cluster's cells express.
            Each threshold may be None, which switches it off.

        Returns
        -------
        dict of str to Selection
            Every cluster of the table in its order, also those without any gene left.

        Raises
        ------
        MarkersStatisticError
            The table lacks the statistic of ``ranking_method``; names what is possible.
        InvalidOptionError
            A value is not valid.

        Notes
        -----
        *Missing columns.* A filter on a column that the table lacks is not applied. Lists
        have no statistics: they are ranked by their order, whatever ``ranking_method`` and
        ``ascending`` say.

        *Missing values.* A row without a value fails a filter on it, and ranks last.

        *Infinite fold changes* (a gene that no other cell expresses) are kept and count as
        what they are: larger than every finite one, and equal to each other.

        *Ties* are decided by larger fold change, then larger ``pct_diff``, then larger
        score, then the name of the gene in the order of its characters. The order of the
        rows never counts, so that sorting the table changes nothing.

        *A gene that occurs several times* in a cluster counts once, before the cut, where
        it ranks best.

        Examples
        --------
        >>> from cellferry import read_markers
        >>> markers = read_markers({"0": ["CD79A", "MS4A1", "CD79A"], "1": ["IL7R"]})
        >>> {name: chosen.genes for name, chosen in markers.select(n_genes=2).items()}
        {'0': ('CD79A', 'MS4A1'), '1': ('IL7R',)}
        """
        n_genes = check_selection(
            ranking_method,
            ascending,
            n_genes,
            max_p_val_adj=max_p_val_adj,
            min_avg_log2fc=min_avg_log2fc,
            min_pct=min_pct,
        )
        if self.source == "list":
            order: NDArray[np.intp] = np.argsort(self.cluster, kind="stable")
        else:
            rows = passes_filter(self, max_p_val_adj, min_avg_log2fc, min_pct)
            order = rank_rows(self, rows, ranking_method, ascending)
        return top_n(self, order, n_genes)

    def subset(self, clusters: Iterable[str]) -> Markers:
        """Return the table of some clusters only, in this table's order.

        Raises
        ------
        MarkersClustersError
            The table has no such cluster.
        """
        wanted = {*clusters}
        codes = [i for i, name in enumerate(self.clusters) if name in wanted]
        names = tuple(self.clusters[i] for i in codes)
        self._check_clusters(sorted(wanted - {*names}))
        rows = np.flatnonzero(np.isin(self.cluster, codes))
        position = np.full(len(self.clusters), -1, dtype=np.int32)
        position[codes] = np.arange(len(codes), dtype=np.int32)
        statistics = {k: v[rows] for k, v in self._statistics().items()}
        return replace(
            self,
            clusters=names,
            cluster=position[self.cluster[rows]],
            gene=self.gene[rows],
            **statistics,  # type: ignore[arg-type]
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the table with Seurat's column names, without columns it does not have.

        Columns: ``p_val, avg_log2FC, pct.1, pct.2, p_val_adj`` (float64), ``cluster``
        (ordered categorical), ``gene`` (object), ``Score`` (float64).
        """
        import pandas as pd

        columns: dict[str, ArrayLike | pd.api.extensions.ExtensionArray] = dict(self._named())
        columns["cluster"] = pd.Categorical.from_codes(
            self.cluster, categories=pd.Index(self.clusters, dtype=object), ordered=True
        )
        for name in SAMPLES:
            if name in columns:
                columns[name] = pd.Series(columns[name]).astype("Int64").array
        return pd.DataFrame(columns)

    def columns(self, rows: Sequence[int]) -> dict[str, list[Any]]:
        """Return some rows as :meth:`to_frame` has them, as plain values and without pandas.

        Importing pandas takes as long as annotating a table. Missing numbers of samples are None.

        Examples
        --------
        >>> from cellferry import read_markers
        >>> read_markers({"0": ["CD79A", "MS4A1"]}).columns([1])
        {'cluster': ['0'], 'gene': ['MS4A1']}
        """
        found = {name: values[np.asarray(rows, np.intp)].tolist() for name, values in self._named()}
        found["cluster"] = [self.clusters[code] for code in found["cluster"]]
        for name in SAMPLES:
            if name in found:
                found[name] = [None if math.isnan(x) else int(x) for x in found[name]]
        return found

    def _named(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the columns in the order of Seurat, with ours after them."""
        statistics = self._statistics()
        last = ("score", *SAMPLES)
        yield from ((STATISTICS[k], v) for k, v in statistics.items() if k not in last)
        yield "cluster", self.cluster
        yield "gene", self.gene
        yield from ((STATISTICS[k], statistics[k]) for k in last if k in statistics)

    def fingerprint(self, cluster: str) -> str:
        """Return a hash of all that the table says of one cluster, as 64 hex digits.

        The order of the rows does not count, except in lists, where it is the rank.
        """
        self._check_clusters([] if cluster in self.clusters else [cluster])
        rows = np.flatnonzero(self.cluster == self.clusters.index(cluster))
        statistics = self._statistics()
        table = np.zeros((len(rows), len(statistics)), dtype=">f8")
        for i, values in enumerate(statistics.values()):
            table[:, i] = values[rows] + 0.0  # -0.0 and 0.0 are one number
        table[np.isnan(table)] = np.nan  # and NaN has one pattern of bits
        digits, width = table.tobytes().hex().encode(), 16 * len(statistics)
        lines = [
            gene.encode("utf-8", "surrogatepass") + b"\x1f" + digits[i * width : (i + 1) * width]
            for i, gene in enumerate(self.gene[rows].tolist())
        ]
        head = json.dumps([SCHEMA, cluster, self.source, list(statistics)])
        ordered = lines if self.source == "list" else sorted(lines)
        return hashlib.sha256(b"\x1e".join([head.encode(), *ordered])).hexdigest()

    def to_dict(self) -> dict[str, Json]:
        """Return the table as plain data for JSON: NaN is None, infinity is text."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "clusters": list(self.clusters),
            "cluster": self.cluster.tolist(),
            "gene": self.gene.tolist(),
            **{k: _all_to_plain(v) for k, v in self._statistics().items()},
            **({} if self.details is None else {"details": dict(self.details)}),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Markers:
        """Read what :meth:`to_dict` wrote; raises :class:`MarkersFormatError`."""
        try:
            if stored["schema"] != SCHEMA:
                raise ValueError(stored["schema"])
            clusters = tuple(stored["clusters"])
            codes = np.array(stored["cluster"], dtype=np.int32)
            genes = np.array(stored["gene"], dtype=object)
            statistics: dict[str, Any] = {
                k: np.array([_from_plain(x) for x in stored[k]], dtype=np.float64)
                for k in STATISTICS
                if k in stored
            }
            lengths = {len(codes), len(genes), *map(len, statistics.values())}
            if len(lengths) > 1 or not np.isin(codes, range(len(clusters))).all():
                raise ValueError(lengths)
            source, details = str(stored["source"]), stored.get("details")
            return cls(clusters, codes, genes, source=source, details=details, **statistics)
        except (KeyError, TypeError, ValueError) as error:
            message = f"The stored marker table is damaged, or of another version: {error}."
            raise MarkersFormatError(message, "Give the markers again.") from error

    def _statistics(self) -> dict[str, NDArray[np.float64]]:
        found = {k: getattr(self, k) for k in STATISTICS}
        return {k: v for k, v in found.items() if v is not None}

    def _check_clusters(self, unknown: list[str]) -> None:
        if unknown:
            message = f"The marker table has no cluster {listing(unknown)}."
            raise MarkersClustersError(message, f"It has {listing(self.clusters)}.")


def _all_to_plain(values: NDArray[np.float64]) -> list[Json]:
    return values.tolist() if np.isfinite(values).all() else [*map(_to_plain, values.tolist())]


def _to_plain(number: float) -> float | str | None:
    if math.isfinite(number):
        return number
    return None if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _from_plain(number: float | str | None) -> float:
    return math.nan if number is None else float(number)
