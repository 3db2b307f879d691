"""An .rds in the place of an object, for the command line and for Python."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..annotate.files import AnnDataObject, Input
from ..annotate.request import AnnotateRequest
from ..study.markers.read import read_markers
from .rds import RdsObject

if TYPE_CHECKING:
    import pandas as pd

    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations
    from ..study.study import Study


@contextmanager
def open_rds(request: AnnotateRequest) -> Iterator[Input]:
    """Let an Rscript child read an .rds: an object with cells, or a marker table.

    Parameters
    ----------
    request
        Its ``data`` is the path.

    Raises
    ------
    InputError, DeliveryError, DependencyError
    """
    with (
        _marker_file(request) as markers,
        RdsObject(
            request.path,
            request.engine,
            level=request.level,
            markers=markers,
            group_key=request.group_key,
            cluster_column=request.cluster_column,
            gene_column=request.gene_column,
            key=request.key,
            context=request.context,
            overwrite=request.overwrite,
            allow_upload=request.allow_upload,
        ) as opened,
    ):
        study = opened.study()
        if study.cells is None:
            yield Input(study, request.provenance)
        else:
            labelled = Rds(opened, study, request.key)
            yield Input(study, opened.provenance, labelled, study.coordinates)


@contextmanager
def _marker_file(request: AnnotateRequest) -> Iterator[Path | None]:
    """Return the marker table of an object as a file for R, which is removed at the end."""
    markers = request.markers
    named = request.cluster_column or request.gene_column
    if markers is None or (isinstance(markers, Path) and not named):
        yield markers
        return
    with tempfile.TemporaryDirectory(prefix="cellferry-") as folder:
        path = Path(folder) / "markers.csv"
        table = read_markers(
            markers, cluster_column=request.cluster_column, gene_column=request.gene_column
        )
        table.to_frame().to_csv(path, index=False)
        yield path


@dataclass
class Rds:
    """A Seurat object or SingleCellExperiment that an Rscript child keeps."""

    opened: RdsObject
    study: Study
    key: str
    suffix: str = ".rds"

    def deliver(self, found: Annotations | CellAnnotations) -> pd.DataFrame:
        """Let R label its object; the columns are made here too, by the same rules."""
        import anndata
        import pandas as pd

        self.opened.deliver(found)
        cells = anndata.AnnData(obs=pd.DataFrame(index=pd.Index(self.study.cells or ())))
        return AnnDataObject(cells, self.study, self.key).deliver(found)

    def save(self, path: Path) -> None:
        """Let R write the .rds."""
        self.opened.save(path)
