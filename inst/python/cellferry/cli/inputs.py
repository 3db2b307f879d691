"""What ``cellferry annotate`` can be given: a marker table, an .h5ad or an .rds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import anndata
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ..annotate.request import AnnotateRequest
    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations
    from ..bridge.rds import RdsObject
    from ..study.markers.read import Source
    from ..study.study import Study


class FileObject(Protocol):
    """An object in a file, which can be labelled and written; a marker table is none.

    Attributes
    ----------
    suffix
        Of the file that the labelled object is written to.
    """

    suffix: str

    def deliver(self, found: Annotations | CellAnnotations) -> pd.DataFrame:
        """Label the object and return the new columns, one row per cell."""
        ...

    def save(self, path: Path) -> None:
        """Write the labelled object."""
        ...


@dataclass
class Input:
    """An input whose study was read.

    Attributes
    ----------
    study
        What the engine reads.
    provenance
        What the annotations remember of it.
    object
        What is labelled and written; None for a marker table.
    coordinates
        Name and n x 2 values of an embedding, if there is one.
    """

    study: Study
    provenance: dict[str, object]
    object: FileObject | None = None
    coordinates: tuple[str, NDArray[np.number]] | None = None


@contextmanager
def opened_input(request: AnnotateRequest) -> Iterator[Input]:
    """Read the study of the file of a request, and keep its object until the block ends.

    Raises
    ------
    UnsupportedObjectError, InputError, DeliveryError, DependencyError
        It has no cells and they are to be annotated, it cannot be read, labels cannot be
        written into it, or an .rds is given without R.
    """
    from ..annotate.request import OF_R
    from ..errors import UnsupportedObjectError

    path = request.path
    if path.suffix.lower() == ".h5ad":
        yield _h5ad(request)
    elif path.suffix.lower() in OF_R:
        from ..bridge.rds import RdsObject

        with (
            _marker_file(request.markers) as markers,
            RdsObject(
                path,
                request.engine,
                level=request.level,
                markers=markers,
                group_key=request.group_key,
                assay=request.assay,
                key=request.key,
                context=request.context,
                overwrite=request.overwrite,
                allow_upload=request.allow_upload,
            ) as opened,
        ):
            study = opened.study()
            labelled = Rds(opened, study, request.key)
            yield Input(study, opened.provenance, labelled, study.coordinates)
    elif request.level == "cells":
        message = f'"{path}" is no .h5ad and no .rds, and these are what --cells reads.'
        hint = "Leave --cells out for a marker table."
        raise UnsupportedObjectError(message, hint)
    else:
        yield Input(request.study(), request.provenance)


@contextmanager
def _marker_file(markers: Source | None) -> Iterator[Path | None]:
    """Return a marker table as a file for R; that of a run is written into one that is removed."""
    if markers is None or isinstance(markers, Path):
        yield markers
        return
    with tempfile.TemporaryDirectory(prefix="cellferry-") as folder:
        path = Path(folder) / "markers.csv"
        from ..study.markers.read import read_markers

        read_markers(markers).to_frame().to_csv(path, index=False)
        yield path


def _h5ad(request: AnnotateRequest) -> Input:
    """Read the file, check the key against its columns, build the study."""
    from ..study.embeddings import embedding_of

    asked = replace(request, data=read_h5ad(request.path))
    study = asked.study()
    labelled = H5ad(asked.data, study, request.key)
    coordinates = study.coordinates or embedding_of(asked.data)
    return Input(study, asked.provenance, labelled, coordinates)


def read_h5ad(path: Path) -> anndata.AnnData:
    """Read the file, or raise :class:`InputError` that names it."""
    import anndata

    from ..errors import InputError

    try:
        return anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        message = f'"{path}" cannot be read as .h5ad: {error}'
        raise InputError(message, "Check the path and the file.") from error


@dataclass
class H5ad:
    """An AnnData in a file."""

    adata: anndata.AnnData
    study: Study
    key: str
    suffix: str = ".h5ad"

    def deliver(self, found: Annotations | CellAnnotations) -> pd.DataFrame:
        """Write the columns into ``obs`` and the record into ``uns``."""
        from ..annotations import delivery

        delivery.attach(self.adata, found, self.study.clusters, self.key)
        frame: pd.DataFrame = self.adata.obs[list(found.provenance["columns"])]
        return frame

    def save(self, path: Path) -> None:
        """Write the .h5ad."""
        self.adata.write_h5ad(path)


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
        return H5ad(cells, self.study, self.key).deliver(found)

    def save(self, path: Path) -> None:
        """Let R write the .rds."""
        self.opened.save(path)
