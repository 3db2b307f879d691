"""The engine ``azimuth``: Pan-human Azimuth by the package panhumanpy, where that is installed.

It runs on this machine, and nothing is uploaded. What it answers is read by the format that
panhumanpy documents (``cells_meta`` after ``azimuth_refine()``, of its versions 0.1 and 1.0).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import io
import json
import logging
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...annotations.cells import OK, SKIPPED, UNKNOWN_STATUS, CellAnnotations
from ...annotations.clusters import UNKNOWN
from ...annotations.texts import TextLists, Texts
from ...biology.recognition import detect_species
from ...biology.species import known_species, species_of
from ...errors import (
    DependencyError,
    EngineNeedsError,
    ModelError,
    ServiceAnswerError,
    in_language,
)
from ...study.options import flag, one_of
from ..base import Capabilities, Plan
from ..models.answers import no_genes, of_cells, terms_of
from ..models.genes import genes_of
from ..models.units import BlockUnit
from ..models.values import LogNormalized
from .answer import LEVELS, Called, called

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.study import Study

logger = logging.getLogger("cellferry")

PACKAGE = "panhumanpy"
FOLDER = "azimuth"
ROWS = 20_000
"""Cells that panhumanpy has at once; its own batches are smaller."""
CACHE = Path("~/.cache/panhumanpy")
"""Where it keeps the model that it downloads."""


class Azimuth:
    """Annotate human cells by Pan-human Azimuth, where panhumanpy is installed.

    Parameters
    ----------
    refinement
        Which of its labels: ``"fine"``, ``"medium"`` or ``"broad"``, of one granularity each, or
        ``"final"``, the deepest level that it reaches for a cell. A cell whose levels contradict
        each other is Unknown; what it was called is in ``detail``.
    download
        Whether panhumanpy may download its model, once, where it is not on this machine.

    Raises
    ------
    InvalidOptionError
    """

    name = "azimuth"
    package = PACKAGE

    def __init__(self, *, refinement: str = "fine", download: bool = False) -> None:
        self.refinement = one_of("refinement", refinement, LEVELS)
        self.download = flag("download", download)

    @property
    def capabilities(self) -> Capabilities:
        """It answers cells from expression; nothing leaves the machine."""
        return of_cells()

    def describe(self) -> Mapping[str, object]:
        """Return the options, from which the same engine can be made again."""
        return {"refinement": self.refinement, "download": self.download}

    def prepare(self) -> None:
        """Raise where panhumanpy is not installed, or its model is not here and may not come."""
        version = _version()
        # To version 0 the model came with the package.
        cache = CACHE.expanduser()
        there = version.startswith("0.") or (cache.is_dir() and any(cache.iterdir()))
        if not there and not self.download:
            message = (
                f"The model of {PACKAGE} is not on this machine, and it would be downloaded from "
                "Zenodo."
            )
            raise EngineNeedsError(message, "Allow that with `download=True`, once.", part="model")

    def plan(self, study: Study) -> Plan:
        """Return a plan without calls or cost; refuses cells that are not human."""
        _version()
        _check_human(study)
        n_cells = len(study.cells or ())
        return Plan(self.name, len(study.clusters.names), cells=n_cells)

    def run(self, study: Study, run: Run, events: Events) -> CellAnnotations:
        """Answer every cell, in the study's order, block by block; each is kept once it is done."""
        cells = study.require("cells", self.name)
        events.check()
        _check_human(study)
        values = LogNormalized.of(study, self.name)
        if values.how != "as_is":
            logger.info("%s", values.said)
        genes, n = values.source.genes, len(cells)
        known = [list(genes), self.refinement, _version()]
        key = hashlib.sha256(json.dumps(known).encode()).hexdigest()
        finished, parts = run.finished(), []
        status = np.full(n, SKIPPED, dtype=np.uint8)
        for start, block in _pieces(values):
            events.check()
            stop = start + block.shape[0]
            rows = np.flatnonzero(np.diff(block.indptr) > 0)
            if len(rows):
                unit = BlockUnit.of(run.folder / FOLDER, start, block, key)
                found = unit.kept(finished)
                if found is None:
                    names = [cells[start + i] for i in rows.tolist()]
                    meta = _asked(block[rows], genes, names)
                    found = called(meta, names, self.refinement).arrays()
                    unit.keep(found, run, f"cells {start + 1} to {stop}")
                made = Called.of(found)
                status[start + rows] = np.where(made.unknown, UNKNOWN_STATUS, OK)
                parts.append((start + rows, made))
            events.emit("progress", done=stop, total=n, unit="cell")
        return self._answer(cells, status, parts, values)

    def _answer(
        self,
        cells: tuple[str, ...],
        status: NDArray[np.uint8],
        parts: list[tuple[NDArray[np.intp], Called]],
        values: LogNormalized,
    ) -> CellAnnotations:
        n = len(cells)
        labels: list[str | None] = [None] * n
        raw: list[str | None] = [None] * n
        sure = np.full(n, np.nan)
        contradictory = 0
        for rows, made in parts:
            for row, label, unknown in zip(
                rows.tolist(), made.labels.tolist(), made.unknown.tolist(), strict=True
            ):
                labels[row] = UNKNOWN if unknown else label
                raw[row] = label or None if unknown else None
            sure[rows] = np.where(made.unknown, np.nan, made.confidence)
            contradictory += int(made.contradictory.sum())
        if contradictory:
            logger.info("%d cells are Unknown, because their levels contradict.", contradictory)
        named = Texts.of(labels).compact()
        skipped = np.where(status == SKIPPED, 0, -1).astype(np.int32)
        return CellAnnotations(
            cells,
            named,
            status,
            sure,
            Texts.of(raw).compact(),
            Texts((no_genes(),), skipped),
            TextLists.none(n),
            TextLists.none(n),
            confidence_kind="stated",
            engine=self.name,
            model=f"{PACKAGE} {_version()}",
            ontology=terms_of(named.levels),
            provenance={"read": values.how, "contradictory": contradictory},
        )


def _version() -> str:
    """Return the version of panhumanpy; raises where there is none."""
    if find_spec(PACKAGE) is None:
        message = f'The engine "azimuth" needs the Python package {PACKAGE}.'
        hint = in_language(
            python=f"pip install {PACKAGE}",
            r=f'reticulate::virtualenv_install("r-cellferry", "{PACKAGE}"), and start R again.',
            cli=f"pip install {PACKAGE}",
        )
        raise DependencyError(message, hint)
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return "0"


def _check_human(study: Study) -> None:
    """Raise :class:`ModelError` for cells of another species, which it would label all the same."""
    said = study.context.species
    known = known_species(said) is not None
    species = said if known else detect_species(genes_of(study)).species
    if species is not None and not (species == "human" or (known and species_of(said) == "human")):
        message = f"Azimuth's model is of human, and the cells are of {species}."
        raise ModelError(message, "Choose an engine that knows the species, such as local.")


def _asked(block: csr_matrix, genes: tuple[str, ...], names: list[str]) -> Any:
    """Return the table of cells that panhumanpy makes."""
    import anndata
    import pandas as pd

    adata = anndata.AnnData(
        block, obs=pd.DataFrame(index=pd.Index(names)), var=pd.DataFrame(index=pd.Index(genes))
    )
    # It writes to the console, which may be a result of ours.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = importlib.import_module(PACKAGE).AzimuthNN(adata)
            made.azimuth_refine()
        except Exception as error:
            # Whatever a package of others raises.
            message = f"{PACKAGE} stopped: {type(error).__name__}: {error}"
            raise ServiceAnswerError(message, f"Ask the authors of {PACKAGE}.") from error
    return made.cells_meta


def _pieces(values: LogNormalized) -> Iterator[tuple[int, csr_matrix]]:
    for start, block in values:
        for first in range(0, block.shape[0], ROWS):
            yield start + first, block[first : first + ROWS]
