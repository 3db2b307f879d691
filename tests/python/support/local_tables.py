"""Marker tables made in the tests of the local engine."""

import json

import numpy as np

from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.errors import RunDamagedError
from cellferry.runs.worker import Events
from cellferry.study.markers.table import Markers
from cellferry.study.study import Clusters, Context, Study

KNOWLEDGE = packaged_knowledge()


def listed(name, species="human", least_tier=1):
    """The genes that the packaged table lists for a type, strongest tier first."""
    markers = KNOWLEDGE.by_name[name].positive[species]
    ordered = sorted(markers, key=lambda m: -m.tier)
    return [m.name for m in ordered if m.tier >= least_tier]


def with_inherited(name):
    """The genes of a type and of all types that it is a kind of, its own first."""
    above = sorted(KNOWLEDGE.ancestors[name], key=lambda n: KNOWLEDGE.ancestors[name][n])
    rows = [n for n in (name, *above) if KNOWLEDGE.by_name[n].kind == "type"]
    return list(dict.fromkeys(g for n in rows for g in listed(n)))


BLOOD = {
    "0": listed("T cell"),
    "1": listed("B cell"),
    "2": listed("Classical monocyte") + listed("Monocyte"),
    "3": listed("NK cell"),
    "4": listed("Platelet"),
}


def table(clusters, fold=3.0, inside=0.8, outside=0.1, filler=60):
    """A Seurat-like table: cluster -> genes, all equally strong, and some unknown genes."""
    rows = [
        (i, gene, fold)
        for i, genes in enumerate(clusters.values())
        for gene in [*genes, *(f"FILLER{i}X{n}" for n in range(filler))]
    ]
    n = len(rows)
    return Markers(
        clusters=tuple(clusters),
        cluster=np.array([r[0] for r in rows], dtype=np.int32),
        gene=np.array([r[1] for r in rows], dtype=object),
        avg_log2fc=np.array([0.3 if "FILLER" in r[1] else r[2] for r in rows], dtype=np.float64),
        p_val_adj=np.zeros(n),
        pct_1=np.array([0.3 if "FILLER" in r[1] else inside for r in rows]),
        pct_2=np.full(n, outside),
    )


def joined(*tables):
    """One cluster with the rows of several tables."""
    columns = ("cluster", "gene", "avg_log2fc", "p_val_adj", "pct_1", "pct_2")
    values = {c: np.concatenate([getattr(t, c) for t in tables]) for c in columns}
    return Markers(clusters=("0",), **values)


def lists(clusters):
    """A table of names alone, in the order of their importance."""
    return Markers(
        clusters=tuple(clusters),
        cluster=np.array([i for i, g in enumerate(clusters.values()) for _ in g], dtype=np.int32),
        gene=np.array([gene for g in clusters.values() for gene in g], dtype=object),
        source="list",
    )


def reordered(markers, rows, clusters=None):
    """The same table with its rows and clusters in another order."""
    clusters = clusters or markers.clusters
    position = {c: i for i, c in enumerate(clusters)}
    moved = np.array([position[c] for c in markers.clusters], dtype=np.int32)
    columns = ("avg_log2fc", "p_val", "p_val_adj", "pct_1", "pct_2", "score")
    values = {c: getattr(markers, c) for c in columns}
    return Markers(
        clusters=tuple(clusters),
        cluster=moved[markers.cluster[rows]],
        gene=markers.gene[rows],
        source=markers.source,
        **{c: None if v is None else v[rows] for c, v in values.items()},
    )


class Journal:
    """A run that keeps its units in memory."""

    def __init__(self):
        self.units = {}
        self.files = {}

    def finished(self):
        return dict(self.units)

    def has(self, name):
        return name in self.files

    def store(self, name, content):
        self.files[name] = json.loads(json.dumps(content))

    def load(self, name):
        if name not in self.files:
            raise RunDamagedError(name)
        return self.files[name]

    def record(self, unit, key, payload):
        assert key not in self.units, unit
        self.units[key] = payload


def answers(engine, markers, genes=None, journal=None, clusters=None, **context):
    """Run an engine on a marker table."""
    names = Clusters(tuple(clusters or markers.clusters))
    study = Study(names, markers=markers, genes=genes, context=Context(**context))
    return engine.run(study, journal or Journal(), Events())
