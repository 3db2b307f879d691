"""The best genes of each cluster of a ranking stored by scanpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..study import Study, cluster_text


def top_genes(
    ranking: Mapping[str, Any] | None, genes: Sequence[str], n_top_genes: int, study: Study
) -> dict[str, tuple[str, ...]]:
    """Return cluster -> the first genes of its ranking, in the stored order.

    As the published client does: of the first ``n_top_genes``, those that the matrix does
    not have are left out. A ranking of another column gives nothing.
    """
    if ranking is None:
        return {}
    params, names = ranking.get("params", {}), ranking.get("names")
    described = getattr(getattr(names, "dtype", None), "names", None)
    if names is None or described is None or params.get("groupby") != study.group_key:
        return {}
    known, found = set(genes), {}
    for field in described:
        cluster = cluster_text(field)
        if cluster in study.clusters.names:
            best = [str(g) for g in names[field][:n_top_genes]]
            found[str(cluster)] = tuple(g for g in best if g in known)
    return found
