"""The engine ``overlap`` of somebody else: the type whose genes are most among the markers."""

import numpy as np

from cellferry.annotations.cells import CellAnnotations
from cellferry.annotations.clusters import UNKNOWN, Annotation, Annotations
from cellferry.engines import Capabilities, Plan
from cellferry.errors import InvalidOptionError

TYPES = {
    "B cell": ["CD79A", "MS4A1", "CD79B", "CD19"],
    "T cell": ["CD3D", "CD3E", "CD3G", "CD2"],
    "Monocyte": ["CD14", "LYZ", "S100A9", "FCN1"],
}


class Overlap:
    """Name each cluster after the list that shares most genes with its markers.

    Parameters
    ----------
    minimum
        Fewer shared genes name nothing.
    types
        Name -> genes.
    """

    name = "overlap"

    def __init__(self, minimum=2, types=None):
        if int(minimum) < 1:
            message = f"`minimum` must be at least 1, not {minimum}."
            raise InvalidOptionError(message)
        self.minimum = int(minimum)
        self.types = {name: list(genes) for name, genes in (types or TYPES).items()}

    @property
    def capabilities(self):
        return Capabilities(answers=frozenset({"clusters"}), needs=frozenset({"markers"}))

    def describe(self):
        return {"minimum": self.minimum, "types": self.types}

    def plan(self, study):
        return Plan(self.name, len(study.clusters.names))

    def run(self, study, run, events):
        chosen = study.require("markers", self.name).select(n_genes=50)
        rows = []
        for cluster in study.clusters.names:
            events.check()
            if cluster not in chosen:
                error = "It has no markers."
                rows.append(Annotation(cluster, "failed", error=error, engine=self.name))
                continue
            rows.append(self._answer(cluster, set(chosen[cluster].genes)))
        return Annotations(tuple(rows))

    def _answer(self, cluster, genes):
        shared = {name: sorted(genes & set(known)) for name, known in self.types.items()}
        best = max(sorted(shared), key=lambda name: len(shared[name]))
        if len(shared[best]) < self.minimum:
            return Annotation(cluster, "unknown", label=UNKNOWN, engine=self.name)
        return Annotation(
            cluster, "ok", label=best, supporting=tuple(shared[best]), engine=self.name,
            confidence=len(shared[best]) / len(self.types[best]), confidence_kind="graded",
        )  # fmt: skip


class OverlapOfCells:
    """Name each cell after the list whose genes it expresses most."""

    name = "overlap"

    def __init__(self, types=None):
        self.types = {name: list(genes) for name, genes in (types or TYPES).items()}

    @property
    def capabilities(self):
        return Capabilities(
            answers=frozenset({"cells"}), needs=frozenset({"cells"}),
            uses=frozenset({"normalized", "counts"}), one_of=("normalized", "counts"),
        )  # fmt: skip

    def describe(self):
        return {"types": self.types}

    def plan(self, study):
        return Plan(self.name, len(study.clusters.names), cells=len(study.cells or ()))

    def run(self, study, run, events):
        source = study.normalized or study.require("counts", self.name)
        place = {gene: i for i, gene in enumerate(source.genes)}
        names = sorted(self.types)
        labels = []
        for _start, block in source:
            events.check()
            columns = [[place[g] for g in self.types[name] if g in place] for name in names]
            sums = [np.asarray(block[:, c].sum(axis=1)).ravel() for c in columns]
            best = np.argmax(sums, axis=0)
            most = np.max(sums, axis=0)
            labels += [names[b] if m > 0 else UNKNOWN for b, m in zip(best, most, strict=True)]
        status = ["unknown" if label == UNKNOWN else "ok" for label in labels]
        return CellAnnotations.of(study.require("cells", self.name), labels, status=status)
