"""Other forms of a labelled marker table: cut, noisy, of a panel, mixed; and random lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cellferry.biology.genes import Species
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.study.markers.table import Markers
from cellferry.study.study import Clusters, Context, Study

from .dataset import Dataset
from .measures import lineages

RANDOM_LISTS = 500
LEAST_FOLD = 0.25
DEFINING = 3
PAIRS = 12
"""Mixtures made of each table."""


def only_markers(dataset: Dataset, markers: Markers, **changes: object) -> Dataset:
    """The same clusters with another marker table, and nothing else."""
    study = Study(Clusters(markers.clusters), markers=markers, context=dataset.study.context)
    return replace(dataset, study=replace(study, **changes))  # type: ignore[arg-type]


def rows_of(markers: Markers, keep: NDArray[np.intp]) -> Markers:
    """Return some rows of a table, in the order given."""
    columns = ("avg_log2fc", "p_val", "p_val_adj", "pct_1", "pct_2", "score")
    values = {c: getattr(markers, c) for c in columns}
    kept = {c: None if v is None else v[keep] for c, v in values.items()}
    return replace(
        markers,
        cluster=markers.cluster[keep],
        gene=markers.gene[keep],
        n_samples=None,
        n_samples_same=None,
        **kept,
    )


def worth(markers: Markers) -> NDArray[np.float64]:
    """Fold change x difference in prevalence per row, as far as the table has them."""
    if markers.avg_log2fc is None:
        return -np.arange(len(markers), dtype=np.float64)
    if markers.pct_1 is None or markers.pct_2 is None:
        return markers.avg_log2fc
    fold = np.clip(np.nan_to_num(markers.avg_log2fc), -100, 100)
    return fold * np.maximum(markers.pct_1 - markers.pct_2, 0)


def top(dataset: Dataset, n: int) -> Dataset:
    """Only the n best genes of each cluster."""
    markers = dataset.study.markers
    assert markers is not None
    value = worth(markers)
    order = np.lexsort((-value, markers.cluster))
    counts = np.bincount(markers.cluster, minlength=len(markers.clusters))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return only_markers(dataset, rows_of(markers, order[rank < n]))


def names_only(dataset: Dataset, n: int) -> Dataset:
    """Lists of names in the order of their strength."""
    best = top(dataset, n).study.markers
    assert best is not None
    bare = Markers(clusters=best.clusters, cluster=best.cluster, gene=best.gene, source="list")
    return only_markers(dataset, bare)


def without_prevalence(dataset: Dataset) -> Dataset:
    markers = dataset.study.markers
    assert markers is not None
    return only_markers(dataset, replace(markers, pct_1=None, pct_2=None))


def noisy(dataset: Dataset, share: float) -> Dataset:
    """A share of the genes replaced by other genes of the table."""
    markers = dataset.study.markers
    assert markers is not None
    rng = np.random.default_rng(1)
    pool = np.unique(markers.gene.astype(str)).astype(object)
    gene = markers.gene.copy()
    hit = rng.random(len(gene)) < share
    gene[hit] = rng.choice(pool, hit.sum())
    _, first = np.unique(
        np.array([f"{c}\x1f{g}" for c, g in zip(markers.cluster, gene, strict=True)]),
        return_index=True,
    )
    return only_markers(dataset, rows_of(replace(markers, gene=gene), np.sort(first)))


def panel(dataset: Dataset, n: int) -> Dataset:
    """Only n genes measured, half of them defining markers of a type, and known to be all."""
    markers = dataset.study.markers
    assert markers is not None
    rng = np.random.default_rng(n)
    types = packaged_knowledge().types
    known = {
        m.name for t in types for m in t.positive.get(dataset.species, ()) if m.tier == DEFINING
    }
    genes = np.unique(markers.gene.astype(str))
    marked = np.array([g in known for g in genes])
    chosen = set()
    for part, size in ((genes[marked], n // 2), (genes[~marked], n - n // 2)):
        chosen |= set(rng.choice(part, min(size, len(part)), replace=False).tolist())
    keep = np.flatnonzero([str(g) in chosen for g in markers.gene])
    # The panel also has genes that no cluster of the table names.
    absent = sorted(known - set(genes.tolist()))
    more = rng.choice(absent, min(n // 10, len(absent)), replace=False).tolist()
    return only_markers(dataset, rows_of(markers, keep), genes=tuple(sorted(chosen | set(more))))


def random_lists(length: int, *, pool: Sequence[str], species: Species, folds: bool) -> Study:
    """Lists of random genes, as names in order or as a table."""
    rng = np.random.default_rng(length)
    drawn = [rng.choice(pool, length, replace=False) for _ in range(RANDOM_LISTS)]
    n = RANDOM_LISTS * length
    clusters = tuple(map(str, range(RANDOM_LISTS)))
    share = rng.uniform(0.2, 0.9, n)
    markers = Markers(
        clusters=clusters,
        cluster=np.repeat(np.arange(RANDOM_LISTS, dtype=np.int32), length),
        gene=np.concatenate(drawn).astype(object),
        avg_log2fc=rng.exponential(1.5, n) + 0.5 if folds else None,
        pct_1=share if folds else None,
        pct_2=share * rng.uniform(0, 0.5, n) if folds else None,
        source="seurat" if folds else "list",
    )
    return Study(Clusters(clusters), markers=markers, context=Context(None, species))


def mixed_tables(data: Sequence[Dataset], ratio: float) -> list[Dataset]:
    """One table per set with pairs of its clusters, of different lineages.

    The fold change of a mixture is that of the mean expression, prevalences are means; a gene
    that the table leaves out is not raised and found as often as outside.
    """
    rng = np.random.default_rng(1)
    found = []
    for dataset in data:
        markers = dataset.study.markers
        assert markers is not None
        if markers.avg_log2fc is None or markers.pct_1 is None or markers.pct_2 is None:
            continue
        kinds = {g: lineages(dataset.gold[g].split(";")[0]) for g in sorted(dataset.gold)}
        pairs = [(a, b) for a in kinds for b in kinds if a != b and not kinds[a] & kinds[b]]
        if not pairs:
            continue
        chosen = [pairs[i] for i in rng.permutation(len(pairs))[:PAIRS]]
        folds, ones, twos = ({} for _ in range(3))
        for c, g, f, p, q in zip(
            markers.cluster,
            markers.gene,
            markers.avg_log2fc,
            markers.pct_1,
            markers.pct_2,
            strict=True,
        ):
            key = (markers.clusters[c], str(g))
            folds[key], ones[key], twos[key] = float(f), float(p), float(q)
        usual: dict[str, list[float]] = {}
        for (_, g), q in twos.items():
            usual.setdefault(g, []).append(q)
        genes_of: dict[str, list[str]] = {}
        for cluster, gene in folds:
            genes_of.setdefault(cluster, []).append(gene)
        rows: list[tuple[int, str, float, float, float]] = []
        for i, (a, b) in enumerate(chosen):
            for gene in sorted({*genes_of.get(a, []), *genes_of.get(b, [])}):
                outside = float(np.mean(usual[gene]))
                mean = ratio * 2 ** folds.get((a, gene), 0) + (1 - ratio) * 2 ** folds.get(
                    (b, gene), 0
                )
                inside = ratio * ones.get((a, gene), outside) + (1 - ratio) * ones.get(
                    (b, gene), outside
                )
                if np.log2(mean) > LEAST_FOLD:
                    rows.append((i, gene, float(np.log2(mean)), inside, outside))
        names = tuple(f"{a} + {b}" for a, b in chosen)
        mixture = Markers(
            clusters=names,
            cluster=np.array([r[0] for r in rows], dtype=np.int32),
            gene=np.array([r[1] for r in rows], dtype=object),
            avg_log2fc=np.array([r[2] for r in rows]),
            pct_1=np.array([r[3] for r in rows]),
            pct_2=np.array([r[4] for r in rows]),
        )
        found.append(only_markers(dataset, mixture))
    return found


def with_tissue(dataset: Dataset) -> Dataset:
    context = Context(dataset.tissue, dataset.study.context.species)
    return replace(dataset, study=replace(dataset.study, context=context))
