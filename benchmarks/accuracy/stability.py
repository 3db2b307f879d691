"""The same clusters by other tests of markers, and of half of their cells.

The labels of ``FindAllMarkers(only.pos = TRUE)`` by the rules of Seurat 5.0.1 are compared with
those of other ways to the same table: one is unchanged, on the same path (one is a kind of the
other), one of both is Unknown, or another lineage or sibling is named.
"""

from __future__ import annotations

import subprocess
import warnings
from collections import Counter
from collections.abc import Callable

import anndata
import numpy as np

from cellferry import find_markers, read_markers
from cellferry.biology.ontology import cell_ontology
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.study.markers.table import Markers
from cellferry.study.study import Clusters, Context, Study

from .compare import run
from .datasets import FEWEST_CELLS, SOURCES

REFERENCE = "rules 5.0.1"


def _found(adata: anndata.AnnData, key: str, rules: str, *, only_pos: bool = True) -> Markers:
    return find_markers(adata, key, rules=rules, only_pos=only_pos, progress=False)


def _scanpy(adata: anndata.AnnData, key: str, method: str) -> Markers:
    import scanpy

    scanpy.tl.rank_genes_groups(adata, key, method=method, pts=True, use_raw=False)
    return read_markers(scanpy.get.rank_genes_groups_df(adata, None))


def _half(adata: anndata.AnnData, key: str) -> Markers:
    rng = np.random.default_rng(1)
    labels = adata.obs[key].to_numpy()
    kept: list[int] = []
    for label in sorted(set(labels)):
        mine = np.flatnonzero(labels == label)
        kept += rng.choice(mine, max(len(mine) // 2, FEWEST_CELLS), replace=False).tolist()
    return _found(adata[sorted(kept)].copy(), key, "5.0.1")


WAYS: dict[str, Callable[[anndata.AnnData, str], Markers]] = {
    REFERENCE: lambda a, k: _found(a, k, "5.0.1"),
    "rules 4.3": lambda a, k: _found(a, k, "4.3"),
    "only.pos off": lambda a, k: _found(a, k, "5.0.1", only_pos=False),
    "scanpy, t-test": lambda a, k: _scanpy(a, k, "t-test"),
    "scanpy, Wilcoxon": lambda a, k: _scanpy(a, k, "wilcoxon"),
    "half of the cells": _half,
}


def labels(markers: Markers) -> dict[str, str | None]:
    """Return the label of each cluster; None is Unknown."""
    study = Study(Clusters(markers.clusters), markers=markers, context=Context(None, "human"))
    return {r.cluster: r.label if r.status == "ok" else None for r in run(study)}


def outcome(one: str | None, other: str | None) -> str:
    """Return ``same``, ``path``, ``unknown`` or ``other``."""
    if one == other:
        return "same"
    if one is None or other is None:
        return "unknown"
    knowledge, ontology = packaged_knowledge(), cell_ontology()
    terms = [knowledge.ontology(x)[0] for x in (one, other)]
    if knowledge.related(one, other) or ontology.related(str(terms[0]), str(terms[1])):
        return "path"
    return "other"


def main() -> None:
    counts: dict[str, Counter[str]] = {name: Counter() for name in WAYS if name != REFERENCE}
    changed = []
    for name, (load, _) in SOURCES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                adata, key = load()
            except (OSError, subprocess.CalledProcessError, ImportError, StopIteration) as error:
                print(f"{name}: not reached ({error})")
                continue
            sizes = adata.obs[key].value_counts()
            adata = adata[adata.obs[key].isin(sizes.index[sizes >= FEWEST_CELLS])].copy()
            adata.obs[key] = adata.obs[key].astype(str).astype("category")
            adata.uns.pop("log1p", None)
            found = {way: labels(find(adata, key)) for way, find in WAYS.items()}
        for way, count in counts.items():
            for cluster, label in found[REFERENCE].items():
                now = found[way].get(cluster)
                what = outcome(label, now)
                count[what] += 1
                if what in {"unknown", "other"}:
                    changed.append(f"{name}, {cluster}, {way}: {label} -> {now}")
    columns = ("same", "path", "unknown", "other")
    print(f"{'':24}" + "".join(f"{c:>9}" for c in (*columns, "stable")))
    for way, found_there in counts.items():
        n = sum(found_there.values())
        stable = (found_there["same"] + found_there["path"]) / max(n, 1)
        numbers = "".join(f"{found_there[c]:>9}" for c in columns)
        print(f"{way:24}{numbers}{100 * stable:>7.1f} %")
    print("\n".join(changed))


if __name__ == "__main__":
    main()
