"""What ``cellferry annotate`` can be given: a marker table, an .h5ad or an .rds."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import anndata
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ..annotate.request import AnnotateRequest
    from ..annotate.verb import OnEvent
    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations
    from ..bridge.rds import RdsObject
    from ..study.markers.read import Source
    from ..study.study import Study
    from .console import Console


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
def opened_input(request: AnnotateRequest, console: Console | None = None) -> Iterator[Input]:
    """Read the study of the file of a request, and keep its object until the block ends.

    Parameters
    ----------
    request
        Its ``data`` is the path of the file.
    console
        Where the progress of a search for markers is shown; None shows none.

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
        yield _h5ad(request, console)
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
            with _finding(console) as on_event:
                study = opened.study(on_event)
            labelled = Rds(opened, study, request.key)
            yield Input(study, opened.provenance, labelled, study.coordinates)
    elif request.level == "cells":
        message = f'"{path}" is no .h5ad and no .rds, and these are what --cells reads.'
        hint = "Leave --cells out for a marker table."
        raise UnsupportedObjectError(message, hint)
    else:
        yield Input(request.study(), request.provenance)


def _finding(console: Console | None) -> AbstractContextManager[OnEvent | None]:
    """Draw the progress of the search for markers, where nobody gave any."""
    from ..runs.progress import progress_events

    if console is None:
        return nullcontext()
    return progress_events(show=not console.quiet, title="Finding markers", line=console.note)


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


def _h5ad(request: AnnotateRequest, console: Console | None) -> Input:
    """Read the file, check the key against its columns, build the study."""
    from ..study.embeddings import embedding_of

    asked = replace(request, data=read_h5ad(request.path))
    with _finding(console) as on_event:
        study = asked.study(on_event)
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
        """Write the .h5ad.

        Raises
        ------
        OSError
            There is no room for it, which is known before, or found out in a way that HDF5 can
            close its file after.
        OutputError
            The object has what no .h5ad can keep.
        """
        from anndata.io import write_elem

        from ..artifacts.vars_h5.file import new_hdf5
        from ..errors import OutputError
        from ..files import check_room

        check_room(path, _stored_bytes(self.adata))
        try:
            # As write_h5ad() does, but for the file under it.
            self.adata.strings_to_categoricals()
            if self.adata.raw is not None:
                self.adata.strings_to_categoricals(self.adata.raw.var)
            with new_hdf5(path) as (file, under):
                write_elem(file, "/", self.adata)
                under.check()
        except OSError:
            raise
        except Exception as error:
            # What the user's object has and a file can't: anndata has many errors for it.
            message = f"The labelled object can't be written: {str(error).splitlines()[0]}"
            hint = "The tables and the report are. Take what is named out of the object."
            raise OutputError(message, hint) from error


def _stored_bytes(adata: anndata.AnnData) -> int:
    """Return about how many bytes the values of an AnnData have, uncompressed."""
    parts = [adata.X, *adata.layers.values(), *adata.obsm.values(), *adata.varm.values()]
    parts += [*adata.obsp.values(), *adata.varp.values()]
    if adata.raw is not None:
        parts.append(adata.raw.X)
    total = 0
    for part in parts:
        arrays = [getattr(part, name, None) for name in ("data", "indices", "indptr")]
        if any(array is None for array in arrays):
            arrays = [part]
        total += sum(int(getattr(array, "nbytes", 0)) for array in arrays)
    frames = (adata.obs, adata.var)
    return total + sum(int(frame.memory_usage(deep=False).sum()) for frame in frames)


@dataclass
class Rds:
    """A Seurat object or SingleCellExperiment that an Rscript child keeps."""

    opened: RdsObject
    study: Study
    key: str
    suffix: str = ".rds"

    def deliver(self, found: Annotations | CellAnnotations) -> pd.DataFrame:
        """Let R label its object; the columns are made here too, by the same rules."""
        self.opened.deliver(found)
        return delivered_columns(found, self.study, self.key)

    def save(self, path: Path) -> None:
        """Let R write the .rds, and see that it is whole: R overlooks a failure at its end."""
        import gzip
        import zlib

        self.opened.save(path)
        try:
            with gzip.open(path) as content:
                while content.read(1 << 24):
                    pass
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            reason = "it is not whole, as on a full disk"
            raise OSError(errno.ENOSPC, reason, str(path)) from error


def delivered_columns(found: Annotations | CellAnnotations, study: Study, key: str) -> pd.DataFrame:
    """Return the columns that an object of R gets, one row per cell.

    Cells that the assay does not have come last: they have the label of their cluster, or were
    skipped.
    """
    import anndata
    import numpy as np
    import pandas as pd

    from ..annotations import delivery
    from ..annotations.cells import CellAnnotations

    cells, clusters, absent = study.cells or (), study.clusters, study.absent
    if absent is not None:
        cells += absent.cells
        codes = np.full_like(absent.codes, -1) if found.level == "cells" else absent.codes
        clusters = replace(clusters, codes=np.concatenate([clusters.codes, codes]))
        if isinstance(found, CellAnnotations):
            found = found.with_skipped(absent.cells, "The assay that was read does not have it.")
    labelled = anndata.AnnData(obs=pd.DataFrame(index=pd.Index(cells)))
    delivery.attach(labelled, found, clusters, key)
    frame: pd.DataFrame = labelled.obs[list(found.provenance["columns"])]
    flags = [c for c in frame.columns if frame[c].dtype == bool]
    if absent is not None and flags:
        frame = frame.astype(dict.fromkeys(flags, object))
        frame.loc[list(absent.cells), flags] = None
    return frame
