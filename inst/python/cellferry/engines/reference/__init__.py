"""The engine ``reference``: labels of an annotated object of your own, on the genes shared.

``train`` makes a ``model`` of it once; the engine reads the model's file, which needs neither the
object nor scikit-learn nor a network.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...annotations.cells import OK, SKIPPED, UNKNOWN_STATUS, CellAnnotations
from ...annotations.clusters import UNKNOWN
from ...annotations.texts import TextLists, Texts
from ...study.options import or_none
from ...study.options import path as path_option
from ..base import Capabilities, Plan
from ..models.answers import label_lists, missing, no_genes, of_cells, plan_of_model
from ..models.genes import check_shared, genes_of
from ..models.values import LogNormalized
from .model import ReferenceModel
from .train import train_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.study import Study
    from .model import Scorer

logger = logging.getLogger("cellferry")

__all__ = ["Reference", "ReferenceModel", "train_reference"]

FEWEST_SHARED = 0.2
"""Part of the model's genes that an object must have."""
ALTERNATIVE = 0.1
"""Probability from which on another class is an alternative."""


class Reference:
    """Annotate cells by a model of an annotated object of your own.

    Parameters
    ----------
    model
        Path of a model that :func:`cellferry.train_reference` wrote.

    Raises
    ------
    ModelError
        There is no such file, or it is no model that can be read.
    """

    name = "reference"

    def __init__(self, *, model: str | os.PathLike[str] | None = None) -> None:
        self.model = or_none(path_option, "model", model)
        self._loaded = None if self.model is None else ReferenceModel.load(Path(self.model))

    @property
    def capabilities(self) -> Capabilities:
        """It answers cells from expression; nothing leaves the machine."""
        return of_cells()

    def describe(self) -> Mapping[str, object]:
        """Return the options, from which the same engine can be made again."""
        return {"model": self.model}

    def prepare(self) -> None:
        """Raise where no model was given."""
        self._needed()

    def plan(self, study: Study) -> Plan:
        """Return a plan without calls or cost; raises where the model does not fit the object."""
        model = self._needed()
        scorer = _scorer(model, study)
        return plan_of_model(
            self.name, study, labels=f"{len(model.classes)} classes", genes=len(model.genes),
            shared=scorer.shared,
        )  # fmt: skip

    def run(self, study: Study, run: Run, events: Events) -> CellAnnotations:  # noqa: ARG002
        """Answer every cell, in the study's order, block by block."""
        model = self._needed()
        cells = study.require("cells", self.name)
        events.check()
        values = LogNormalized.of(study, self.name)
        scorer = _scorer(model, study)
        if values.how != "as_is":
            logger.info("%s", values.said)
        n, k = len(cells), len(model.classes)
        label, status = np.full(n, -1, dtype=np.int32), np.full(n, SKIPPED, dtype=np.uint8)
        confidence = np.full(n, np.nan)
        others = np.full((n, 2), -1, dtype=np.int32)
        for start, block in values:
            events.check()
            stop = start + block.shape[0]
            found = scorer.score(block)
            sure = np.take_along_axis(found.probabilities, found.best[:, None], axis=1)[:, 0]
            kept = (sure >= model.threshold) & (found.similarity >= model.similarities[found.best])
            there = ~found.is_empty
            label[start:stop] = np.where(there, np.where(kept, found.best, k), -1)
            status[start:stop] = np.where(there, np.where(kept, OK, UNKNOWN_STATUS), SKIPPED)
            share = np.interp(sure, model.calibration_p, model.calibration_share)
            confidence[start:stop] = np.where(there & kept, share, np.nan)
            others[start:stop] = np.where(
                there[:, None], _alternatives(found.probabilities, found.best, kept), -1
            )
            events.emit("progress", done=stop, total=n, unit="cell")
        named = Texts((*model.classes, UNKNOWN), label).compact()
        error = Texts((no_genes(),), np.where(status == SKIPPED, 0, -1).astype(np.int32))
        return CellAnnotations(
            cells,
            named,
            status,
            confidence,
            Texts.none(n),
            error,
            label_lists(model.classes, others),
            TextLists.none(n),
            confidence_kind="calibrated",
            engine=self.name,
            model=Path(str(self.model)).name,
            ontology={x: model.ontology[x] for x in named.levels if x in model.ontology},
            evidence={
                "genes": {"genes": len(values.source.genes), "recognised": scorer.shared,
                          "of": "the model"},
                "defining": _defining(model, named.levels),
            },
            provenance={
                "model": model.checksum(),
                "trained": {k: v for k, v in model.about.items() if k != "n_cells"},
                "read": values.how,
            },
        )  # fmt: skip

    def _needed(self) -> ReferenceModel:
        if self._loaded is None:
            hint = "Train one with `train_reference()`, and give its path as `model`."
            raise missing(self.name, "model", hint)
        return self._loaded


def _scorer(model: ReferenceModel, study: Study) -> Scorer:
    """Return what scores the study's cells; refuses genes that the model does not know."""
    genes = genes_of(study)
    scorer = model.for_genes(genes)
    check_shared(
        scorer.shared, model.genes, genes, enough=FEWEST_SHARED * len(model.genes),
        species=model.about.get("species"),
    )  # fmt: skip
    return scorer


def _alternatives(
    probabilities: NDArray[np.float32], best: NDArray[np.intp], kept: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Return two other probable classes of each cell, or -1; of an Unknown one the best too."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    likely = np.take_along_axis(probabilities, order, axis=1) >= ALTERNATIVE
    shown = np.where(likely & ~(kept[:, None] & (order == best[:, None])), order, -1)
    # Those that are shown first, in their order.
    first = np.argsort(shown < 0, axis=1, kind="stable")
    ranked = np.take_along_axis(shown, first, axis=1)
    padded = np.full((len(best), 2), -1, dtype=np.int32)
    padded[:, : min(2, ranked.shape[1])] = ranked[:, :2]
    return padded


def _defining(model: ReferenceModel, labels: Sequence[str]) -> dict[str, list[str]]:
    """Return the genes that speak most for each label that was given."""
    rows = {name: i for i, name in enumerate(model.classes) if name in set(labels)}
    order = {name: np.argsort(-model.coefficients[i], kind="stable") for name, i in rows.items()}
    return {name: [model.genes[j] for j in best[:10]] for name, best in order.items()}
