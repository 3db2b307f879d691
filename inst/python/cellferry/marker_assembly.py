"""The last step of every reader: rows or lists of any origin become one Markers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import MarkersEmptyError
from .marker_files import WHY_EMPTY
from .marker_values import check_probabilities, fractions
from .study import cluster_text, natural_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .markers import Markers

logger = logging.getLogger("cellferry")


def assemble(
    what: str,
    labels: Sequence[Any] | NDArray[Any],
    levels: Sequence[Any] | None,
    genes: Sequence[str],
    statistics: dict[str, NDArray[np.float64]],
    *,
    source: str,
) -> Markers:
    """Build a table from one label, one gene and one value of each statistic per row.

    Rows without a cluster or a gene ("") are left out and counted in the log; a cluster
    that loses all of its rows stays. Statistics without any value are left out.

    Raises
    ------
    MarkersEmptyError, MarkersFormatError
    """
    from .markers import Markers  # here, because markers.py offers the readers again

    statistics = {k: v for k, v in statistics.items() if not np.isnan(v).all()}
    check_probabilities(statistics, what)
    statistics = fractions(statistics, what)
    texts = [cluster_text(label) or None for label in labels]
    clusters = cluster_order([t for t in texts if t is not None], levels)
    keep = np.array([t is not None and g != "" for t, g in zip(texts, genes, strict=True)], bool)
    if not keep.any():
        message = f"{what} has no row with both a cluster and a gene."
        raise MarkersEmptyError(message, WHY_EMPTY)
    if not keep.all():
        left_out = int((~keep).sum())
        logger.info("%s: %d rows without a cluster or a gene were left out.", what, left_out)
    position = {name: i for i, name in enumerate(clusters)}
    rows = np.flatnonzero(keep)
    codes = np.array([position[texts[i] or ""] for i in rows], dtype=np.int32)
    return Markers(
        clusters=clusters,
        cluster=codes,
        gene=np.array(genes, dtype=object)[rows],
        source=source,
        **{k: v[rows] for k, v in statistics.items()},
    )


def assemble_lists(
    what: str,
    labels: Sequence[Any] | NDArray[Any],
    levels: Sequence[Any] | None,
    lists: Sequence[Sequence[str]],
) -> Markers:
    """Build a table from lists of genes, best first; the lists of one cluster are joined.

    A cluster without genes stays as a cluster without rows, so that nobody loses it.

    Raises
    ------
    MarkersEmptyError
        No cluster has a gene.
    """
    from .markers import Markers  # here, because markers.py offers the readers again

    joined: dict[str, dict[str, None]] = {}
    without = 0
    for label, genes in zip(labels, lists, strict=True):
        text = cluster_text(label)
        if not text:
            without += 1
            continue
        joined.setdefault(text, {}).update(dict.fromkeys(genes))
    if without:
        logger.info("%s: %d rows without a cluster were left out.", what, without)
    if not any(joined.values()):
        message = f"{what} lists no gene for any cluster."
        raise MarkersEmptyError(message, "Give at least one gene for at least one cluster.")
    empty = [cluster for cluster, genes in joined.items() if not genes]
    if empty:
        logger.info("%s: %d clusters have no gene.", what, len(empty))
    clusters = cluster_order(list(joined), levels)
    sizes = [len(joined[c]) for c in clusters]
    return Markers(
        clusters=clusters,
        cluster=np.repeat(np.arange(len(clusters), dtype=np.int32), sizes),
        gene=np.array([g for c in clusters for g in joined[c]], dtype=object),
        source="list",
    )


def cluster_order(texts: Sequence[str], levels: Sequence[Any] | None) -> tuple[str, ...]:
    """Return each cluster once: in the order of the levels, else in natural order.

    Examples
    --------
    >>> cluster_order(["10", "2", "2"], None), cluster_order(["10", "2"], [10.0, 3.0, 2.0])
    (('2', '10'), ('10', '2'))
    """
    present = set(texts)
    if levels is None:
        return tuple(sorted(present, key=natural_key))
    ordered = dict.fromkeys(cluster_text(level) for level in levels)
    return tuple(t for t in ordered if t is not None and t in present)
