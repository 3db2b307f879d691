"""The engine ``celltypist``: models of CellTypist, downloaded or your own.

The file is read, and its linear classifier applied, here: with the same labels as CellTypist's own
functions, block by block, and without running anything that is in the file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ...annotations.cells import OK, SKIPPED, UNKNOWN_STATUS, CellAnnotations
from ...annotations.clusters import UNKNOWN
from ...annotations.texts import TextLists, Texts
from ...errors import EngineNeedsError, NotNormalizedError
from ...study.clusters import Clusters
from ...study.options import flag, number, one_of, or_none, text
from ...study.options import path as path_option
from ...study.symbols import symbols_of
from ..base import Capabilities, Plan
from ..models.answers import label_lists, missing, no_genes, of_cells, plan_of_model, terms_of
from ..models.genes import check_shared, genes_of, places
from ..models.values import LogNormalized
from .model import CellTypistModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.study import Study

logger = logging.getLogger("cellferry")

MODES = ("best match", "prob match")
FEWEST_SHARED = 0.1
FEWEST_GENES = 20
ROWS = 1_000
"""Cells that are dense at once: 1,000 x 6,600 genes are 53 MB."""


class CellTypist:
    """Annotate cells by a model of CellTypist.

    Parameters
    ----------
    model
        Path of a model, or the name of one that CellTypist has downloaded, such as
        ``Immune_All_Low.pkl``.
    mode
        ``"best match"`` names the best type of each cell; with ``"prob match"`` a cell of which no
        type reaches ``p_thres`` is Unknown.
    p_thres
        Probability for ``"prob match"``.
    majority_voting
        Give every cell the type that most cells of its cluster have; what it was called by itself
        is in ``detail``.
    over_clustering
        Column of the metadata to vote over; None are the clusters.
    min_prop
        Share of the cells of a cluster that its type must have, else they are Unknown.

    Raises
    ------
    ModelError
        There is no such model, or it is none of CellTypist.
    InvalidOptionError
    """

    name = "celltypist"

    def __init__(
        self,
        *,
        model: str | os.PathLike[str] | None = None,
        mode: str = "best match",
        p_thres: float = 0.5,
        majority_voting: bool = False,
        over_clustering: str | None = None,
        min_prop: float = 0.0,
    ) -> None:
        self.model = or_none(path_option, "model", model)
        self.mode = one_of("mode", mode, MODES)
        self.p_thres = number("p_thres", p_thres, 0, 1)
        self.majority_voting = flag("majority_voting", majority_voting)
        self.over_clustering = or_none(text, "over_clustering", over_clustering)
        self.min_prop = number("min_prop", min_prop, 0, 1)
        self._loaded = None if self.model is None else CellTypistModel.load(self.model)

    @property
    def capabilities(self) -> Capabilities:
        """It answers cells from expression; nothing leaves the machine."""
        return of_cells({"obs"} if self.over_clustering else ())

    def describe(self) -> Mapping[str, object]:
        """Return the options, from which the same engine can be made again."""
        return {
            "model": self.model,
            "mode": self.mode,
            "p_thres": self.p_thres,
            "majority_voting": self.majority_voting,
            "over_clustering": self.over_clustering,
            "min_prop": self.min_prop,
        }

    def prepare(self) -> None:
        """Raise where no model was given."""
        self._needed()

    def plan(self, study: Study) -> Plan:
        """Return a plan without calls or cost; raises where the model does not fit the object."""
        model = self._needed()
        own, _ = _shared(model, study)
        if self.majority_voting:
            self._votes_over(study)
        return plan_of_model(
            self.name, study, labels=f"{len(model.classes)} types", genes=len(model.genes),
            shared=len(own),
        )  # fmt: skip

    def run(self, study: Study, run: Run, events: Events) -> CellAnnotations:  # noqa: ARG002
        """Answer every cell, in the study's order, block by block."""
        from scipy.special import expit

        model = self._needed()
        cells = study.require("cells", self.name)
        events.check()
        values = _values(study)
        own, columns = _shared(model, study)
        if values.how != "as_is":
            logger.info("%s", values.said)
        n, k = len(cells), len(model.classes)
        best, status = np.full(n, -1, dtype=np.int32), np.full(n, SKIPPED, dtype=np.uint8)
        sure = np.full(n, np.nan)
        second = np.full(n, -1, dtype=np.int32)
        for start, block in _pieces(values, columns):
            events.check()
            stop = start + block.shape[0]
            scores = model.scores(block.toarray().astype(np.float64), own)
            found = scores.argmax(axis=1)
            rows = np.arange(len(found))
            probability = expit(scores)
            there = np.diff(block.indptr) > 0
            best[start:stop] = np.where(there, found, -1)
            sure[start:stop] = np.where(there, probability[rows, found], np.nan)
            scores[rows, found] = -np.inf
            other = scores.argmax(axis=1)
            likely = there & (probability[rows, other] >= self.p_thres)
            second[start:stop] = np.where(likely, other, -1)
            status[start:stop] = np.where(there, OK, SKIPPED)
            events.emit("progress", done=stop, total=n, unit="cell")
        detail = np.full(n, -1, dtype=np.int32)
        label = best
        if self.mode == "prob match":
            label = np.where((best >= 0) & ~(sure >= self.p_thres), k, best).astype(np.int32)
        if self.majority_voting:
            detail, label = best, self._voted(label, k, self._votes_over(study))
        status[label == k] = UNKNOWN_STATUS
        named = Texts((*model.classes, UNKNOWN), label).compact()
        return CellAnnotations(
            cells,
            named,
            status,
            np.where(status == OK, sure, np.nan),
            Texts(model.classes, detail).compact(),
            Texts((no_genes(),), np.where(status == SKIPPED, 0, -1).astype(np.int32)),
            label_lists(model.classes, second),
            TextLists.none(n),
            confidence_kind="stated",
            engine=self.name,
            model=model.path.name,
            ontology=terms_of(named.levels),
            evidence={
                "genes": {"genes": len(values.source.genes), "recognised": len(own),
                          "of": "the model"},
                "defining": _defining(model, named.levels),
            },
            provenance={
                "model": model.digest,
                "model_version": model.description.get("version", ""),
                "model_date": model.description.get("date", ""),
                "read": values.how,
            },
        )  # fmt: skip

    def _needed(self) -> CellTypistModel:
        if self._loaded is None:
            raise missing(
                self.name,
                "model",
                "Give the path of a model, or the name of one that CellTypist has downloaded, as "
                "`model`.",
            )
        return self._loaded

    def _votes_over(self, study: Study) -> Clusters:
        """Return the groups that vote."""
        column = self.over_clustering
        if column is None:
            if study.clusters.codes is None or not study.clusters.names:
                message = "`majority_voting` votes over clusters, and the object has none."
                raise EngineNeedsError(message, "Name a column as `over_clustering`.", part="obs")
            return study.clusters
        if study.obs is None or column not in study.obs.columns:
            has = [] if study.obs is None else [str(name) for name in study.obs.columns]
            message = f'There is no column "{column}" in the metadata.'
            raise EngineNeedsError(message, f"It has {', '.join(has[:10])}.", part="obs")
        return Clusters.from_column(study.obs[column])

    def _voted(self, label: NDArray[np.int32], k: int, groups: Clusters) -> NDArray[np.int32]:
        """Return the label of most cells of each cell's group; Unknown where there are too few.

        Of labels with as many cells it is the first by name, as in CellTypist.
        """
        assert groups.codes is not None
        voted = label.copy()
        for group in range(len(groups.names)):
            rows = np.flatnonzero((groups.codes == group) & (label >= 0))
            if not len(rows):
                continue
            counts = np.bincount(label[rows], minlength=k + 1)
            enough = counts.max() / len(rows) >= self.min_prop
            voted[rows] = np.argmax(counts) if enough else k
        return voted


def _values(study: Study) -> LogNormalized:
    """Return log1p of 10,000 of all genes: nothing else is what the models were trained on."""
    values = LogNormalized.of(study, "celltypist")
    if values.how == "uneven":
        message = (
            "CellTypist reads log1p of 10,000 counts per cell of all genes; the values of this "
            "object do not sum up to the same in each cell, and it has no counts to make them of."
        )
        hint = (
            'Give the object with all its genes or its counts: adata.raw, or layers["counts"]; in '
            "R NormalizeData(x) of the assay with all genes."
        )
        raise NotNormalizedError(message, hint)
    return values


def _pieces(values: LogNormalized, columns: NDArray[np.intp]) -> Iterator[tuple[int, csr_matrix]]:
    for start, block in values:
        own = block[:, columns]
        for first in range(0, own.shape[0], ROWS):
            yield start + first, own[first : first + ROWS]


def _shared(model: CellTypistModel, study: Study) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of shared genes in the model and in the object; refuses too few."""
    genes = genes_of(study)
    place = places(genes)
    found = [place.get(gene, -1) for gene in model.genes]
    # The genes of the object have today's symbols, and a model those of its time.
    taken = set(found)
    for i, symbol in enumerate(symbols_of(model.genes)):
        column = place.get(symbol, -1)
        if found[i] < 0 and column not in taken:
            found[i] = column
            taken.add(column)
    own = [i for i, column in enumerate(found) if column >= 0]
    enough = max(min(FEWEST_GENES, len(model.genes)), FEWEST_SHARED * len(model.genes))
    check_shared(len(own), model.genes, genes, enough=enough)
    columns = [found[i] for i in own]
    return np.array(own, dtype=np.intp), np.array(columns, dtype=np.intp)


def _defining(model: CellTypistModel, labels: Sequence[str]) -> dict[str, list[str]]:
    """Return the genes with the largest weights for each label that was given."""
    weights = model.coefficients
    if len(model.classes) == 2:
        weights = np.vstack([-weights, weights])
    wanted = {name: weights[i] for i, name in enumerate(model.classes) if name in set(labels)}
    return {
        name: [model.genes[j] for j in np.argsort(-row, kind="stable")[:10]]
        for name, row in wanted.items()
    }
