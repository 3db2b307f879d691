"""Published gene lists of known cell types: each is a cluster of which the truth is known.

They are read where they are and never copied: scMayoMap's table (MIT) from the data beside the
project, and ten best genes of clusters of published atlases (Azimuth references, Tabula Sapiens
and others, as compiled by Hou and Ji 2024 for GPTCelltype) from the cache, if someone has put
them there as a table of tissue, group, ontology_id and genes.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cellferry.biology.ontology import cell_ontology
from cellferry.study.markers.table import Markers
from cellferry.study.study import Clusters, Context, Study

from .dataset import Dataset

FEWEST_GENES = 5
DEVELOPMENT = ("PBMC", "fetal")
FIRST_HELD_OUT = "l"
"""scMayoMap's tissues from this letter on are held out; the split was made before any look."""


def gene_lists(scmayomap: Path, ten: Path) -> Iterator[Dataset]:
    """Yield the lists by tissue; say what cannot be reached."""
    for path, read in ((ten, _ten), (scmayomap, _scmayomap)):
        if path.exists():
            yield from read(path)
        else:
            print(f"{path.name}: not reached ({path})")


def _ten(path: Path) -> Iterator[Dataset]:
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for tissue in dict.fromkeys(row["tissue"] for row in rows):
        mine = [row for row in rows if row["tissue"] == tissue]
        genes = {row["group"]: row["genes"].split() for row in mine}
        gold = {row["group"]: row["ontology_id"] for row in mine}
        use = "development" if tissue in DEVELOPMENT else "held out"
        yield Dataset(f"ten, {tissue}", use, _study(genes, None), gold, tissue, "ten best genes")


def _scmayomap(path: Path) -> Iterator[Dataset]:
    lists: dict[str, dict[str, list[str]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            lists.setdefault(row["tissue"], {}).setdefault(row["cell_type"], []).append(row["gene"])
    for tissue, genes in sorted(lists.items()):
        found = {name: cell_ontology().find(name) for name in genes}
        gold = {
            name: match.term.id
            for name, match in found.items()
            if match is not None and len(genes[name]) >= FEWEST_GENES
        }
        kept = {name: genes[name] for name in gold}
        if kept:
            use = "development" if tissue < FIRST_HELD_OUT else "held out"
            # The lists have no order, so every gene has the same fold change.
            study = _study(kept, 1.0)
            stated = None if tissue == "other" else tissue
            yield Dataset(f"scMayoMap, {tissue}", use, study, gold, stated, "published lists")


def _study(genes: Mapping[str, Sequence[str]], fold: float | None) -> Study:
    clusters = tuple(genes)
    pairs = [(i, gene) for i, name in enumerate(clusters) for gene in genes[name]]
    markers = Markers(
        clusters=clusters,
        cluster=np.array([i for i, _ in pairs], dtype=np.int32),
        gene=np.array([gene for _, gene in pairs], dtype=object),
        avg_log2fc=None if fold is None else np.full(len(pairs), fold),
    )
    return Study(Clusters(clusters), markers=markers, context=Context(None, "human"))
