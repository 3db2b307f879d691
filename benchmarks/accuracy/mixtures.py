"""Clusters of two types: how many are said to be mixed: ``python -m benchmarks.accuracy.mixtures``.

Four kinds of mixtures, by ratio and by kinship (near: both are of one compartment, such as blood or
epithelium): marker tables mixed by expression, on which the thresholds of
:mod:`cellferry.engines.local.decision.mixture` were set; and, not looked at for that, cells of two
groups put together in an object and tested against the rest, and pairs of published lists. Pure
clusters are the other half of the truth, and types that share two programmes (cycling cells,
plasmacytoid dendritic cells, plasmablasts, MAIT cells, mesothelium) its hardest part.
"""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import anndata
import numpy as np
from numpy.typing import NDArray

from cellferry import find_markers
from cellferry.biology.ontology import cell_ontology
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.study.markers.table import Markers
from cellferry.study.study import Clusters, Context, Study

from .compare import run
from .dataset import Dataset
from .datasets import SOURCES, datasets
from .measures import lineages
from .variants import mixed_tables

RATIOS = (0.5, 0.8)
SURE = 0.9
COMPARTMENTS = (
    "hematopoietic cell",
    "epithelial cell",
    "connective tissue cell",
    "muscle cell",
    "neural cell",
)
FEWEST_CELLS = 10
PAIRS = 6
"""Of each object and ratio."""
SHARING = (
    "Plasmacytoid dendritic cell",
    "Plasmablast",
    "MAIT cell",
    "Mesothelial cell",
    "T cell",
    "Fibroblast",
    "Macrophage",
)
"""Types with two programmes; the last three are given the genes of the cell cycle besides."""
CYCLING = 3


@dataclass(frozen=True)
class Mixture:
    """One answer to a cluster of two types; ``sure`` is the confidence."""

    kind: str
    ratio: float
    near: bool
    flagged: bool
    sure: float


def compartments(term: str) -> frozenset[str]:
    """Return the broadest terms that say anything, of a term."""
    ontology = cell_ontology()
    wanted = {m.term.id for m in map(ontology.find, COMPARTMENTS) if m is not None}
    return frozenset(wanted & {term, *ontology.ancestors(term)})


def are_near(one: str, other: str) -> bool:
    """Whether both terms are of one compartment."""
    first, second = (compartments(terms.split(";", maxsplit=1)[0]) for terms in (one, other))
    return bool(first & second)


def answered(kind: str, ratio: float, study: Study, gold: dict[str, str]) -> Iterator[Mixture]:
    """Ask the engine about clusters that are named ``A + B``."""
    for row in run(study):
        one, _, other = row.cluster.partition(" + ")
        near = are_near(gold[one], gold[other])
        yield Mixture(kind, ratio, near, bool(row.mixed), row.confidence or 0.0)


def of_tables(data: Sequence[Dataset]) -> Iterator[Mixture]:
    """Marker tables mixed by expression (:func:`.variants.mixed_tables`)."""
    for ratio in RATIOS:
        for dataset in mixed_tables(data, ratio):
            yield from answered("tables", ratio, dataset.study, dataset.gold)


def of_lists(data: Iterable[Dataset]) -> Iterator[Mixture]:
    """Published lists, two and two of a tissue; they have no order: both halves count alike."""
    rng = np.random.default_rng(1)
    for dataset in data:
        markers = dataset.study.markers
        if markers is None or dataset.kind != "published lists":
            continue
        pairs = _pairs(dataset.gold)
        genes = {
            c: set(markers.gene[markers.cluster == i].tolist())
            for i, c in enumerate(markers.clusters)
        }
        chosen = [pairs[i] for i in rng.permutation(len(pairs))[:PAIRS]]
        if not chosen:
            continue
        names = tuple(f"{a} + {b}" for a, b in chosen)
        joined = [sorted(genes[a] | genes[b]) for a, b in chosen]
        size = sum(map(len, joined))
        table = Markers(
            clusters=names,
            cluster=np.repeat(np.arange(len(names), dtype=np.int32), list(map(len, joined))),
            gene=np.array([g for some in joined for g in some], dtype=object),
            avg_log2fc=np.ones(size),
        )
        study = Study(Clusters(names), markers=table, context=Context(None, "human"))
        yield from answered("published lists", 0.5, study, dataset.gold)


def of_cells(adata: anndata.AnnData, key: str, gold: dict[str, str]) -> Iterator[Mixture]:
    """Cells of two groups put together and tested against the cells of all other groups."""
    rng = np.random.default_rng(1)
    groups = adata.obs[key].astype(str).to_numpy()
    large = {g: t for g, t in gold.items() if (groups == g).sum() >= FEWEST_CELLS}
    pairs = _pairs(large)
    for ratio in RATIOS:
        for i in rng.permutation(len(pairs))[:PAIRS]:
            one, other = pairs[int(i)]
            mixed, rest = _put_together(groups, one, other, ratio, rng)
            if not len(rest):
                continue
            part = adata[np.concatenate([mixed, rest])].copy()
            part.obs["mixed"] = [f"{one} + {other}"] * len(mixed) + ["rest"] * len(rest)
            part.obs["mixed"] = part.obs["mixed"].astype("category")
            part.uns.pop("log1p", None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                markers = find_markers(part, "mixed", only_pos=True, progress=False)
            at = markers.clusters.index(f"{one} + {other}")
            keep = markers.cluster == at
            columns = ("avg_log2fc", "p_val", "p_val_adj", "pct_1", "pct_2")
            kept = {c: v[keep] for c in columns if (v := getattr(markers, c)) is not None}
            alone = Markers(
                clusters=(markers.clusters[at],),
                cluster=np.zeros(int(keep.sum()), dtype=np.int32),
                gene=markers.gene[keep],
                **kept,
            )
            study = Study(Clusters(alone.clusters), markers=alone, context=Context(None, "human"))
            yield from answered("cells", ratio, study, gold)


def _put_together(
    groups: NDArray[np.str_], one: str, other: str, ratio: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells of a mixture, as many as this ratio allows, and those of other groups."""
    a, b = np.flatnonzero(groups == one), np.flatnonzero(groups == other)
    total = min(len(a) / ratio, len(b) / (1 - ratio))
    n, m = max(round(ratio * total), 1), max(round((1 - ratio) * total), 1)
    mixed = np.concatenate([rng.choice(a, n, replace=False), rng.choice(b, m, replace=False)])
    return mixed, np.flatnonzero((groups != one) & (groups != other))


def _pairs(gold: dict[str, str]) -> list[tuple[str, str]]:
    """Return the pairs of groups that are of different lineages."""
    kinds = {g: lineages(gold[g].split(";")[0]) for g in sorted(gold)}
    return [
        (a, b) for a in kinds for b in kinds if a < b and kinds[a] and kinds[b]
        and not kinds[a] & kinds[b]
    ]  # fmt: skip


def sharing() -> dict[str, bool]:
    """Return for types that share two programmes whether they are said to be mixed."""
    knowledge = packaged_knowledge()

    def genes(name: str) -> list[str]:
        own = (name, *sorted(knowledge.ancestors[name], key=lambda n: knowledge.ancestors[name][n]))
        rows = (knowledge.by_name[n] for n in own)
        return [m.name for t in rows if t.kind == "type" for m in t.positive.get("human", ())]

    cycle = [m.name for m in knowledge.by_name["Cycling"].positive["human"]]
    lists = {
        name: [*genes(name), *(cycle if i >= len(SHARING) - CYCLING else [])]
        for i, name in enumerate(SHARING)
    }
    kept = {name: list(dict.fromkeys(some)) for name, some in lists.items()}
    names = tuple(kept)
    size = sum(map(len, kept.values()))
    markers = Markers(
        clusters=names,
        cluster=np.repeat(np.arange(len(names), dtype=np.int32), list(map(len, kept.values()))),
        gene=np.array([g for some in kept.values() for g in some], dtype=object),
        avg_log2fc=np.full(size, 2.0),
    )
    study = Study(Clusters(names), markers=markers, context=Context(None, "human"))
    return {r.cluster: bool(r.mixed) for r in run(study)}


def table(rows: Sequence[Mixture]) -> None:
    """Print the shares that are flagged, and that have one sure name and no flag."""
    print(
        f"{'mixtures of':18}{'ratio':>8}{'kinship':>10}{'n':>6}{'flagged':>10}{'one sure name':>16}"
    )
    for kind in dict.fromkeys(r.kind for r in rows):
        for ratio in RATIOS:
            for near in (False, True, None):
                mine = [
                    r
                    for r in rows
                    if r.kind == kind and r.ratio == ratio and near in {None, r.near}
                ]
                if not mine:
                    continue
                flagged = sum(r.flagged for r in mine) / len(mine)
                alone = sum(not r.flagged and r.sure >= SURE for r in mine) / len(mine)
                kin = {False: "far", True: "near", None: "all"}[near]
                at = f"{100 * ratio:.0f}:{100 - 100 * ratio:.0f}"
                print(
                    f"{kind:18}{at:>8}{kin:>10}{len(mine):>6}"
                    f"{100 * flagged:>8.0f} %{100 * alone:>14.0f} %"
                )


def main() -> None:
    data = list(datasets())
    clusters = [d for d in data if d.kind in {"clusters", "labelled tables"}]
    rows = [*of_tables(clusters), *of_lists(data)]
    gold = {d.name: d.gold for d in clusters}
    for name, (load, _) in SOURCES.items():
        try:
            adata, key = load()
        except (OSError, subprocess.CalledProcessError, ImportError, StopIteration) as error:
            print(f"{name}: not reached ({error})")
            continue
        rows += of_cells(adata, key, gold[name])
    table(rows)
    for kind, some in (
        ("pure clusters", clusters),
        ("published lists", [d for d in data if d.kind == "published lists"]),
    ):
        pure = [r for d in some for r in run(d.markers_only()) if r.cluster in d.gold]
        flagged = sum(bool(r.mixed) for r in pure)
        print(f"{kind}: {flagged} of {len(pure)} flagged ({100 * flagged / len(pure):.1f} %)")
    print("types of two programmes that are flagged:")
    print(", ".join(n for n, mixed in sharing().items() if mixed) or "none")


if __name__ == "__main__":
    main()
