"""The engine ``singler``: the R package SingleR, by any labelled reference of the user's own.

R does what SingleR does, and nothing else: it is trained, and asked for blocks of cells. Whose R
that is says the bridge (:mod:`.asking`): that of the session, or a child. The reference and the
cells are read and judged here, so that the rows are the same wherever they were asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...annotations.cells import OK, SKIPPED, UNKNOWN_STATUS, CellAnnotations
from ...annotations.clusters import UNKNOWN
from ...annotations.texts import TextLists, Texts
from ...study.options import flag, number, one_of, or_none, text, whole_number
from ..base import Capabilities, Plan
from ..models.answers import label_lists, missing, no_genes, of_cells, plan_of_model, terms_of
from ..models.genes import check_shared, genes_of, shared_genes
from ..models.values import LogNormalized
from .asking import Answered, ask_of_blocks, check_installed
from .reference import SingleRReference, named_reference

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.study import Study

logger = logging.getLogger("cellferry")

__all__ = ["SingleR", "SingleRReference"]

METHODS = ("wilcox", "classic", "t")
FEWEST_SHARED = 0.1
FEWEST_GENES = 20


class SingleR:
    """Annotate cells by SingleR and a labelled reference of your own.

    Parameters
    ----------
    reference
        AnnData with labels, or the path of an .h5ad, a zarr folder or an .rds with a Seurat
        object, SingleCellExperiment or SummarizedExperiment. Log-normalised values are read as
        they are; where there are counts alone, log1p of 10,000 is made of them.
    labels
        Column of its metadata with the labels. Terms in a column ``label.ont`` are used.
    de_method
        How SingleR finds the genes that tell labels apart: ``"wilcox"``, ``"t"`` or
        ``"classic"``. None: ``"wilcox"`` for references of single cells, ``"classic"`` for bulk.
    de_n
        Genes of each pair of labels; None is SingleR's own choice.
    quantile
        Of the correlations with the cells of a label, which one is its score.
    fine_tune
        Whether the best labels are compared again, by the genes that tell these apart.
    tune_thresh
        How far below the best score a label may be for that.
    prune
        Whether a cell that SingleR prunes is Unknown; what it was called is in ``detail``.
    leave_out_unusable
        Leave out cells of the reference without a label and labels of too few cells; else they are
        errors.
    assay
        Of an .rds: None is its default assay.

    Raises
    ------
    InvalidOptionError
    ModelError
        There is no such reference.
    """

    name = "singler"

    def __init__(
        self,
        *,
        reference: anndata.AnnData | str | os.PathLike[str] | None = None,
        labels: str | None = None,
        de_method: str | None = None,
        de_n: int | None = None,
        quantile: float = 0.8,
        fine_tune: bool = True,
        tune_thresh: float = 0.05,
        prune: bool = True,
        leave_out_unusable: bool = False,
        assay: str | None = None,
    ) -> None:
        self.labels = or_none(text, "labels", labels)
        self.de_method = None if de_method is None else one_of("de_method", de_method, METHODS)
        self.de_n = None if de_n is None else whole_number("de_n", de_n, 1)
        self.quantile = number("quantile", quantile, 0, 1)
        self.fine_tune = flag("fine_tune", fine_tune)
        self.tune_thresh = number("tune_thresh", tune_thresh, 0)
        self.prune = flag("prune", prune)
        self.leave_out_unusable = flag("leave_out_unusable", leave_out_unusable)
        self.assay = or_none(text, "assay", assay)
        self.reference, self._loaded = named_reference(
            reference,
            self.labels,
            leave_out_unusable=self.leave_out_unusable,
            bulk=self._may_be_bulk,
        )

    @property
    def _may_be_bulk(self) -> bool:
        return self.de_method in {None, "classic"}

    @property
    def capabilities(self) -> Capabilities:
        """It answers cells from expression; nothing leaves the machine."""
        return of_cells()

    def describe(self) -> Mapping[str, object]:
        """Return the options, from which the same engine can be made again."""
        return {
            "reference": self.reference,
            "labels": self.labels,
            "de_method": self.de_method,
            "de_n": self.de_n,
            "quantile": self.quantile,
            "fine_tune": self.fine_tune,
            "tune_thresh": self.tune_thresh,
            "prune": self.prune,
            "leave_out_unusable": self.leave_out_unusable,
            "assay": self.assay,
        }

    def prepare(self) -> None:
        """Raise where SingleR is not installed, or the reference is no good."""
        self._needed()

    def plan(self, study: Study) -> Plan:
        """Return a plan without calls or cost; raises where the reference does not fit."""
        reference = self._needed()
        own, _ = _shared(reference, study)
        return plan_of_model(
            self.name, study, labels=f"{len(reference.names)} labels",
            genes=len(reference.genes), shared=len(own), what="reference",
        )  # fmt: skip

    def run(self, study: Study, run: Run, events: Events) -> CellAnnotations:
        """Answer every cell, in the study's order, block by block; each is kept once it is done."""
        reference = self._needed()
        cells = study.require("cells", self.name)
        events.check()
        values = LogNormalized.of(study, self.name, exact=False)
        own, columns = _shared(reference, study)
        if values.how not in {"as_is", "logged"}:
            logger.info("%s", values.said)
        method = self.de_method or reference.method
        found = ask_of_blocks(
            reference, (values, own, columns), run, events,
            options={
                "de_method": method, "de_n": self.de_n, "quantile": self.quantile,
                "fine_tune": self.fine_tune, "tune_thresh": self.tune_thresh,
            },
        )  # fmt: skip
        return self._answer(cells, reference, found, {
            "genes": {"genes": len(values.source.genes), "recognised": len(own),
                      "of": "the reference"},
            "de_method": method,
            "read": values.how,
        })  # fmt: skip

    def _answer(
        self,
        cells: tuple[str, ...],
        reference: SingleRReference,
        found: Answered,
        known: Mapping[str, Any],
    ) -> CellAnnotations:
        n, k = len(cells), len(reference.names)
        there = found.codes >= 0
        pruned = there & found.pruned if self.prune else np.zeros(n, dtype=bool)
        status = np.where(there, np.where(pruned, UNKNOWN_STATUS, OK), SKIPPED).astype(np.uint8)
        label = Texts(
            (*reference.names, UNKNOWN), np.where(pruned, k, found.codes).astype(np.int32)
        )
        named = label.compact()
        detail = np.where(pruned, found.codes, -1).astype(np.int32)
        best = np.clip(found.best, 0, 1)
        return CellAnnotations(
            cells,
            named,
            status,
            np.where(status == OK, best, np.nan),
            Texts(reference.names, detail).compact(),
            Texts((no_genes("reference"),), np.where(there, -1, 0).astype(np.int32)),
            label_lists(reference.names, _second(found)),
            TextLists.none(n),
            confidence_kind="stated",
            engine=self.name,
            model=reference.title,
            ontology=terms_of(named.levels, reference.terms),
            evidence={"genes": known["genes"], "delta": _deltas(reference, found)},
            provenance={
                "model": reference.digest,
                "labels": reference.labels,
                "de_method": known["de_method"],
                "singler": found.version,
                "pruned": int(pruned.sum()),
                "read": known["read"],
                "reference_read": reference.how,
            },
        )

    def _needed(self) -> SingleRReference:
        """Return the reference, once: R comes first, for without it nothing need be read."""
        if self.reference is None or self.labels is None:
            raise missing(
                self.name,
                "reference" if self.reference is None else "column of labels",
                "Give a labelled object or its path as `reference`, and the column of its labels "
                "as `labels`.",
            )
        check_installed(self.de_method or (self._loaded.method if self._loaded else None))
        if self._loaded is None:
            self._loaded = SingleRReference.read(
                self.reference, self.labels, leave_out_unusable=self.leave_out_unusable,
                bulk=self._may_be_bulk, assay=self.assay,
            )  # fmt: skip
            logger.info("The reference: %s", self._loaded.said)
            check_installed(self.de_method or self._loaded.method)
        return self._loaded


def _shared(reference: SingleRReference, study: Study) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of shared genes in the reference and the object, in the object's order."""
    genes = genes_of(study)
    own, columns = shared_genes(reference.genes, genes)
    enough = max(min(FEWEST_GENES, len(reference.genes)), FEWEST_SHARED * len(reference.genes))
    check_shared(len(own), reference.genes, genes, enough=enough, what="reference")
    order = np.argsort(columns, kind="stable")
    return own[order], columns[order]


def _second(found: Answered) -> NDArray[np.int32]:
    """Return of each cell the label with the best score besides its own."""
    scores = found.scores.copy()
    there = found.codes >= 0
    scores[there, found.codes[there]] = -np.inf
    second = np.full(len(scores), -1, dtype=np.int32)
    second[there] = scores[there].argmax(axis=1)
    return second


def _deltas(reference: SingleRReference, found: Answered) -> dict[str, float]:
    """Return label -> how far its score is above the median score of a cell, in the middle."""
    there = np.flatnonzero(found.codes >= 0)
    delta = found.best[there] - np.median(found.scores[there], axis=1)
    codes = found.codes[there]
    return {
        name: round(float(np.median(delta[codes == i])), 4)
        for i, name in enumerate(reference.names)
        if bool(np.any(codes == i))
    }
