"""What ``cellferry annotate --cells`` can be given: an .h5ad or an .rds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ..annotations.cells import CellAnnotations
    from ..bridge.rds import RdsObject
    from ..engines.base import CellEngine
    from ..study.study import Study


@dataclass(frozen=True)
class Asked:
    """What the command was asked, beside the engine."""

    input_file: Path
    base: Path
    key: str
    group_key: str | None
    context: Mapping[str, Any]
    allow_upload: bool = False
    overwrite: bool = False

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        return self.base.with_name(self.base.name + "_run")

    @property
    def suffix(self) -> str:
        """Of the file that the labelled object is written to."""
        return ".h5ad" if self.input_file.suffix.lower() == ".h5ad" else ".rds"


class CellInput(Protocol):
    """An object whose cells were read.

    Attributes
    ----------
    study
        What the engine reads.
    kind
        Of the object, for the record of the run.
    """

    study: Study
    kind: str

    @property
    def coordinates(self) -> tuple[str, NDArray[np.float64]] | None:
        """Name and n x 2 values of an embedding, if there is one."""
        ...

    def deliver(self, found: CellAnnotations) -> pd.DataFrame:
        """Label the object and return the new columns, one row per cell."""
        ...

    def save(self, path: Path) -> None:
        """Write the labelled object."""
        ...


@contextmanager
def opened_cells(asked: Asked, engine: CellEngine) -> Iterator[CellInput]:
    """Read the cells of the input, and keep its object until the block ends.

    Raises
    ------
    UnsupportedObjectError, InputError, DeliveryError, DependencyError
        It holds no cells, cannot be read, labels cannot be written into it, or an .rds is
        given without R.
    """
    from ..errors import UnsupportedObjectError
    from ..study.study import Context

    path = asked.input_file
    suffix = path.suffix.lower()
    if suffix == ".h5ad":
        yield H5adCells.read(asked)
    elif suffix in {".rds", ".rdata", ".rda"}:
        from ..bridge.rds import RdsObject

        with RdsObject(
            path,
            engine,
            level="cells",
            group_key=asked.group_key,
            key=asked.key,
            context=Context(**asked.context),
            overwrite=asked.overwrite,
            allow_upload=asked.allow_upload,
        ) as held:
            study = held.study()
            yield RdsCells(held, study, asked.key, str(held.provenance["object"]))
    else:
        message = f'"{path}" is no .h5ad and no .rds, and these are what --cells reads.'
        hint = "Leave --cells out for a marker table."
        raise UnsupportedObjectError(message, hint)


@dataclass
class H5adCells:
    """An AnnData in a file."""

    adata: Any
    study: Study
    key: str
    kind: str = "AnnData"

    @classmethod
    def read(cls, asked: Asked) -> H5adCells:
        """Read the file, check the key against its columns, build the study."""
        from ..annotate.cells import study_for_cells
        from ..annotations import delivery
        from ..study.study import Context
        from .inputs import read_h5ad

        adata = read_h5ad(asked.input_file)
        delivery.check_object_key(adata, asked.key, overwrite=asked.overwrite, level="cells")
        study = study_for_cells(adata, asked.group_key, Context(**asked.context))
        return cls(adata, study, asked.key)

    @property
    def coordinates(self) -> tuple[str, NDArray[np.float64]] | None:
        """UMAP, t-SNE or PCA, the first that exists."""
        from ..study.embeddings import embedding_of

        return embedding_of(self.adata)

    def deliver(self, found: CellAnnotations) -> pd.DataFrame:
        """Write the columns into ``obs`` and the record into ``uns``."""
        return _attached(self.adata, found, self.study, self.key)

    def save(self, path: Path) -> None:
        """Write the .h5ad."""
        self.adata.write_h5ad(path)


@dataclass
class RdsCells:
    """A Seurat object or SingleCellExperiment that an Rscript child holds."""

    held: RdsObject
    study: Study
    key: str
    kind: str

    @property
    def coordinates(self) -> tuple[str, NDArray[np.float64]] | None:
        """The embedding that R chose."""
        return self.study.coordinates

    def deliver(self, found: CellAnnotations) -> pd.DataFrame:
        """Let R label its object; the columns are made here too, by the same rules."""
        import anndata
        import pandas as pd

        self.held.deliver(found)
        cells = anndata.AnnData(obs=pd.DataFrame(index=pd.Index(self.study.cells or ())))
        return _attached(cells, found, self.study, self.key)

    def save(self, path: Path) -> None:
        """Let R write the .rds."""
        self.held.save(path)


def _attached(adata: Any, found: CellAnnotations, study: Study, key: str) -> pd.DataFrame:
    from ..annotations.delivery import attach_cells

    attach_cells(adata, found, study.clusters, key, found.summary())
    frame: pd.DataFrame = adata.obs[list(found.provenance["columns"])]
    return frame
