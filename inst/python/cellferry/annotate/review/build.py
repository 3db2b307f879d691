"""Makes the folder of a review: one read of the matrix writes vars.h5 and gives all figures."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...annotations.report.blocks import gene_block
from ...annotations.report.content import Content, Page
from ...artifacts import Build, BuildOptions
from ...artifacts.inputs import Inputs
from ...artifacts.obs_duckdb import obs_table, write_obs_duckdb
from ...errors import ColumnsRenamedWarning, OutputError
from ...runs.reviews import RECORD, ReviewFolder
from ...runs.worker import run_in_worker
from ...study.clusters import Clusters
from ...study.expression.gene_summary import GeneFigures
from ...study.study import Study

if TYPE_CHECKING:
    from ...runs.reviews import Reviewed
    from ...runs.worker import Event, Events
    from ...study.expression.gene_summary import GeneSummary
    from ...study.expression.source import ExpressionSource

KEPT_DAYS = 30
"""After so many days without use, what can be made again is removed; decisions stay."""


@dataclass
class ReviewBuild:
    """Makes the folder of a review, whole or not at all.

    Parameters
    ----------
    reviewed
        What is looked at.
    source
        Its log-normalised values, of the measured cells; None where there are none.
    """

    reviewed: Reviewed
    source: ExpressionSource | None = None

    def __post_init__(self) -> None:
        self.folder = ReviewFolder.of(self.reviewed.id)

    def is_needed(self) -> bool:
        """Whether the folder is not there yet; else it is told what was decided elsewhere."""
        if not self.folder.is_there:
            return True
        self.folder.add_known(self.reviewed.found.decisions)
        with contextlib.suppress(OSError):
            os.utime(self.folder.file(RECORD))
        return False

    def run(self, events: Events) -> ReviewFolder:
        """Make the folder; runs in the worker thread."""
        target = self.folder.path
        partial = target.with_name(f".{target.name}-{os.getpid()}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            clear_old(target.parent)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            try:
                self._write(ReviewFolder(partial), events)
                _publish(partial, target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            message = f'The review cannot be written to "{target}": {error.strerror or error}.'
            hint = "Make room, or set CELLFERRY_HOME to a folder that you may write to."
            raise OutputError(message, hint) from error
        return self.folder

    def _write(self, folder: ReviewFolder, events: Events) -> None:
        reviewed = self.reviewed
        figures = self._artifacts(folder, events)
        features = tuple((f.key, f.names) for f in reviewed.features)
        page = Page(reviewed.found, Content(reviewed.cells, figures, features=features))
        for name, block in page.blocks():
            events.check()
            folder.write_block(name, block)
        for number, one in enumerate(reviewed.features):
            events.check()
            with folder.block(f"feature/{number}").open("wb") as file:
                cells = np.arange(len(one.values))
                for i in range(len(one.names)):
                    file.write(gene_block(cells, np.asarray(one.values[:, i]), len(cells)))
        folder.write_parts(reviewed, page.index())

    def _artifacts(self, folder: ReviewFolder, events: Events) -> GeneSummary | None:
        """Write vars.h5 and obs.duckdb, and return the figures of the genes."""
        cells = self.reviewed.cells
        assert cells.names is not None
        coordinates = cells.embeddings[0] if cells.embeddings else None
        study = Study(
            clusters=Clusters((), None),
            cells=tuple(cells.names),
            obs=cells.obs,
            coordinates=coordinates,
        )
        spill = folder.path / "spill"
        spill.mkdir()
        if self.source is None or self.reviewed.measured is not None:
            table = obs_table(study)
            write_obs_duckdb(folder.file("obs.duckdb"), table, spill)
        figures = None
        if self.source is not None:
            figures = self._genes(folder, study, events)
        shutil.rmtree(spill, ignore_errors=True)
        return figures

    def _genes(self, folder: ReviewFolder, study: Study, events: Events) -> GeneSummary:
        assert self.source is not None
        clusters, measured = self.reviewed.cells.clusters, self.reviewed.measured
        assert clusters.codes is not None
        parts = {"normalized": self.source, "genes": tuple(self.source.genes)}
        # Of some cells only, the metadata of all are written already.
        obs = folder.file("obs.duckdb")
        if measured is not None:
            clusters = Clusters(clusters.names, clusters.codes[measured])
            names = tuple(study.cells[i] for i in measured.tolist()) if study.cells else None
            study = Study(clusters=clusters, cells=names)
            obs = folder.file("measured.duckdb")
        study = study.with_parts(clusters=clusters, **parts)
        import pandas as pd

        figures = GeneFigures(self.source.genes, clusters, scale=math.log(self.reviewed.log_base))
        options = BuildOptions(
            vars_h5_path=folder.file("vars.h5"),
            obs_duckdb_path=obs,
            aggregate_metadata=False,
            max_cells_per_group=1,
        ).checked()
        var = pd.DataFrame(index=pd.Index(self.source.genes, dtype=object))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ColumnsRenamedWarning)
            build = Build(Inputs(study, var), options, on_genes=figures.take)
        build.run(events)
        folder.file("measured.duckdb").unlink(missing_ok=True)
        return figures.summary()


def _publish(partial: Path, target: Path) -> None:
    """Give a finished folder its name; into one without its record the parts are moved."""
    try:
        partial.rename(target)
    except OSError:
        if not target.is_dir() or (target / RECORD).is_file():
            if (target / RECORD).is_file():
                return  # another process was as quick
            raise
        for entry in sorted(partial.iterdir(), key=lambda path: path.name == RECORD):
            there = target / entry.name
            if there.is_dir():
                shutil.rmtree(there)
            entry.replace(there)


def clear_old(reviews: Path) -> None:
    """Remove what can be made again of reviews that nobody has used for a month.

    Parameters
    ----------
    reviews
        The folder of all of them; decisions stay.
    """
    oldest = time.time() - KEPT_DAYS * 86_400
    with contextlib.suppress(OSError):
        for folder in reviews.iterdir():
            with contextlib.suppress(OSError):
                if folder.name.endswith(".partial"):
                    if folder.stat().st_mtime < oldest:
                        shutil.rmtree(folder)
                    continue
                record = folder / RECORD
                address = folder / "address.json"
                if record.stat().st_mtime > oldest or address.exists():
                    continue
                record.unlink()
                for name in ("vars.h5", "obs.duckdb", "index.json", "measured.npy"):
                    (folder / name).unlink(missing_ok=True)
                shutil.rmtree(folder / "blocks", ignore_errors=True)


def build_review(
    build: ReviewBuild, on_event: Callable[[Event], None] | None = None
) -> ReviewFolder:
    """Return the folder of a review, made where it is not there yet.

    Parameters
    ----------
    build
        What is looked at, with its values.
    on_event
        Called in this thread with progress.
    """
    return run_in_worker(build.run, on_event) if build.is_needed() else build.folder
