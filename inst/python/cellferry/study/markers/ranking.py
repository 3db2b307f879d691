"""A table of all genes in the form that scanpy stores, so that its functions work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .tested import MarkerTable


def ranking_of(found: MarkerTable, group_key: str) -> dict[str, object]:
    """Return what belongs into ``uns["rank_genes_groups"]``: all genes, ordered by z.

    ``scores`` are z; ``pts`` and ``pts_rest`` are fractions of cells, genes x groups.

    Parameters
    ----------
    found
        All genes of every cluster.
    group_key
        Column of ``obs`` with the clusters.
    """
    import pandas as pd

    tested = [i for i in range(len(found.clusters)) if (found.cluster == i).any()]
    names = [found.clusters[i] for i in tested]
    columns: dict[str, list[np.ndarray]] = {
        "names": [], "scores": [], "pvals": [], "pvals_adj": [], "logfoldchanges": []
    }  # fmt: skip
    shares: dict[str, dict[str, pd.Series]] = {"pts": {}, "pts_rest": {}}
    for code, name in zip(tested, names, strict=True):
        rows = np.flatnonzero(found.cluster == code)
        order = rows[np.argsort(-found.z[rows], kind="stable")]
        columns["names"].append(found.gene[order])
        columns["scores"].append(found.z[order])
        columns["pvals"].append(found.p_val[order])
        columns["pvals_adj"].append(found.p_val_adj[order])
        columns["logfoldchanges"].append(found.avg_log_fc[order] * np.log2(found.base))
        for key, values in (("pts", found.pct_1), ("pts_rest", found.pct_2)):
            shares[key][name] = pd.Series(values[rows], index=found.gene[rows])
    kinds = {"names": "O", "scores": "f4", "pvals": "f8", "pvals_adj": "f8", "logfoldchanges": "f4"}
    ranking: dict[str, object] = {
        key: np.rec.fromarrays(values, dtype=[(name, kinds[key]) for name in names])
        for key, values in columns.items()
    }
    ranking.update({key: pd.DataFrame(values) for key, values in shares.items()})
    ranking["params"] = {
        "groupby": group_key,
        "reference": "rest",
        "method": "wilcoxon",
        "use_raw": False,
        "layer": None,
        "corr_method": "bonferroni",
        "made_by": "cellferry",
        "rules": str(found.details["rules"]),
    }
    return ranking
