"""What ``cellferry annotate`` can be given: a marker table, an .h5ad or an .rds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from ..annotations.clusters import Annotations
    from ..bridge.rds import RdsObject
    from ..engines.base import Engine
    from ..study.study import Context, Study


@dataclass(frozen=True)
class Request:
    """What the command line says of an input."""

    path: Path
    engine: Engine
    markers: Path | None
    group_key: str | None
    key: str
    context: Context
    overwrite: bool
    allow_upload: bool


class Input(Protocol):
    """An input whose study was read.

    Attributes
    ----------
    study
        What the engine reads.
    suffix
        Of the file that the labelled object is written to; None if there is no object.
    provenance
        What the annotations remember of it.
    """

    study: Study
    suffix: str | None
    provenance: dict[str, Any]

    def deliver(self, found: Annotations) -> pd.DataFrame:
        """Label the object and return the new columns, one row per cell."""
        ...

    def save(self, path: Path) -> None:
        """Write the labelled object."""
        ...


@contextmanager
def opened_input(request: Request) -> Iterator[Input]:
    """Read the study of the input, and keep its object until the block ends.

    Raises
    ------
    InputError, DeliveryError, DependencyError
        It cannot be read, labels cannot be written into it, or an .rds is given without R.
    """
    suffix = request.path.suffix.lower()
    if suffix == ".h5ad":
        yield H5ad.read(request)
    elif suffix in {".rds", ".rdata", ".rda"}:
        from ..bridge.rds import RdsObject

        with RdsObject(
            request.path,
            request.engine,
            markers=request.markers,
            group_key=request.group_key,
            key=request.key,
            context=request.context,
            overwrite=request.overwrite,
            allow_upload=request.allow_upload,
        ) as held:
            study = held.study()
            yield Rds(held, study, request.key, provenance=held.provenance)
    else:
        yield Table.read(request)


@dataclass
class Table:
    """A marker table: there is no object to label."""

    study: Study
    provenance: dict[str, Any]
    suffix: str | None = None

    @classmethod
    def read(cls, request: Request) -> Table:
        """Read it, and check the key as for an object."""
        from ..annotate.clusters import build_study
        from ..annotations import delivery

        delivery.check_key(request.key, ())
        study = build_study(
            request.path, request.markers, group_key=request.group_key, context=request.context
        )
        return cls(study, {"key": request.key, "object": "markers"})

    def deliver(self, found: Annotations) -> pd.DataFrame:
        """Refuse: only an object has cells."""
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """Refuse: there is no object."""
        raise NotImplementedError


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

    adata: Any
    study: Study
    key: str
    provenance: dict[str, Any]
    suffix: str | None = ".h5ad"

    @classmethod
    def read(cls, request: Request) -> H5ad:
        """Read the file, check the key against its columns, build the study."""
        from ..annotate.clusters import build_study
        from ..annotations import delivery

        adata = read_h5ad(request.path)
        delivery.check_object_key(adata, request.key, overwrite=request.overwrite)
        study = build_study(
            adata,
            request.markers,
            group_key=request.group_key,
            context=request.context,
            reading=request.engine.capabilities.reading,
        )
        return cls(adata, study, request.key, {"key": request.key, "object": "AnnData"})

    def deliver(self, found: Annotations) -> pd.DataFrame:
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
    """A Seurat object or SingleCellExperiment that an Rscript child holds."""

    held: RdsObject
    study: Study
    key: str
    suffix: str | None = ".rds"
    provenance: dict[str, Any] = field(default_factory=dict)

    def deliver(self, found: Annotations) -> pd.DataFrame:
        """Let R label its object; the columns are made here too, by the same rules."""
        import anndata
        import pandas as pd

        from ..annotations import delivery

        self.held.deliver(found)
        cells = anndata.AnnData(obs=pd.DataFrame(index=pd.Index(self.study.cells or ())))
        delivery.attach(cells, found, self.study.clusters, self.key)
        obs: Any = cells.obs
        frame: pd.DataFrame = obs[list(found.provenance["columns"])]
        return frame

    def save(self, path: Path) -> None:
        """Let R write the .rds."""
        self.held.save(path)
