"""What is annotated, opened: an object in memory, or whatever is in a file or folder.

The command line, Python and R read files here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..annotations.delivery import STORE
from ..annotations.labelling.labels import Written
from ..annotations.labelling.objects import attach, previous_labels, with_previous
from ..annotations.labelling.written import labelled
from ..errors import (
    InvalidOptionError,
    OutputError,
    UnsupportedObjectError,
)
from ..files import check_room, replacing
from ..study.build import GRAPH, RANKING, study_from_anndata, study_of_cells
from ..study.embeddings import embedding_of
from ..study.inputs.address import Address, graph_at
from ..study.inputs.kinds import FileKind, file_error, file_kind
from ..study.inputs.lazy import graph_of_lazy, is_lazy_anndata, read_of_lazy, write_into_lazy
from ..study.inputs.objects import check_has_clusters, opened_object, read_graph_of, read_object
from ..study.inputs.readers import reader_of_r
from ..study.inputs.several import Files, Where, opened_place, place_of, read_place
from ..study.markers.read import read_markers
from .request import AnnotateRequest, is_anndata
from .verb import OnEvent

if TYPE_CHECKING:
    import anndata
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ..annotations.cells import CellAnnotations
    from ..annotations.clusters import Annotations
    from ..study.layers import AnnDataLike
    from ..study.markers.read import Source
    from ..study.study import Study


class Labelled(Protocol):
    """An object that can be labelled and written; a marker table is none.

    Attributes
    ----------
    suffix
        Of the file that the labelled object is written to.
    """

    suffix: str

    def in_force(self, found: Annotations | CellAnnotations) -> Annotations | CellAnnotations:
        """Return an answer with the decisions of the object's earlier labels that still hold."""
        ...

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
    object: Labelled | None = None
    coordinates: tuple[str, NDArray[np.number]] | None = None


_OF_OBJECTS = {
    ".h5ad",
    ".h5",
    ".h5mu",
    ".loom",
    ".h5seurat",
    ".zarr",
    ".rds",
    ".rdata",
    ".rda",
    ".qs",
}
"""Suffixes of what has cells: text under such a name came by mistake."""

Finding = Callable[[], AbstractContextManager[OnEvent | None]]
"""Shows the progress of a search for markers while its block runs."""
OpenOfR = Callable[[AnnotateRequest, Finding], AbstractContextManager[Input]]


def as_path(data: object) -> object:
    """Return a path for text and whatever is one, or several paths; anything else as it is.

    Parameters
    ----------
    data
        What somebody wants to be annotated.

    Examples
    --------
    >>> as_path("pbmc.h5ad").name, as_path({"0": ["CD3D"]})
    ('pbmc.h5ad', {'0': ['CD3D']})
    """
    place = place_of(data)
    return data if place is None else place


@contextmanager
def opened_input(
    request: AnnotateRequest,
    open_of_r: OpenOfR | None = None,
    *,
    finding: Finding = nullcontext,
) -> Iterator[Input]:
    """Read the study of a request, and keep its object until the block ends.

    What a file is is seen by its content, see :mod:`cellferry.study.inputs.kinds`.

    Parameters
    ----------
    request
        Its ``data`` is an object, a marker table, or the path of a file or folder, or of several.
    open_of_r
        Opens an .rds; None is what the package has given.
    finding
        Shows the progress of a search for markers, where nobody gave any.

    Raises
    ------
    InputError, DeliveryError, DependencyError
        It is nothing that is read here, has no cells and they are to be annotated, or labels
        cannot be written into it; a package that reads it, or R, is missing.
    """
    if isinstance(request.data, Files | Address):
        with opened_place(request.data, [STORE, RANKING]) as together:
            yield _by_parts(request, together, finding)
        return
    if is_lazy_anndata(request.data):
        yield _by_parts(request, read_of_lazy(request.data), finding)
        return
    if not isinstance(request.data, Path):
        if is_anndata(request.data):
            request = request.keyed(request.data)
        with finding() as on_event:
            study = request.study(on_event)
        labelled = (
            AnnDataObject(request.data, study, request.key) if is_anndata(request.data) else None
        )
        yield Input(study, request.provenance, labelled)
        return
    path = request.path
    kind = file_kind(path)
    if kind.is_anndata and request.engine.capabilities.from_file:
        with opened_object(path, [STORE]) as in_file:
            yield _cells_in_file(request, in_file)
    elif kind.is_anndata:
        yield _anndata(request, kind, finding)
    elif kind.is_of_r:
        with (open_of_r or reader_of_r("annotate", path))(request, finding) as opened:
            yield opened
    elif request.level == "cells":
        raise file_error(path, kind, "an object with cells", UnsupportedObjectError)
    elif kind.is_text and path.suffix.lower() in _OF_OBJECTS:
        raise file_error(path, kind, f"what its name says ({path.suffix})")
    elif kind.is_text or kind.name in {"missing", "empty"}:
        yield _table(request)
    else:
        wanted = "a marker table, nor an object that is read here"
        raise file_error(path, kind, wanted, UnsupportedObjectError)


def _table(request: AnnotateRequest) -> Input:
    data: object = request.data
    if request.markers is None:
        column = request.cluster_column or request.group_key
        data = read_markers(request.path, cluster_column=column, gene_column=request.gene_column)
    return Input(replace(request, data=data).study(), request.provenance)


def _anndata(request: AnnotateRequest, kind: FileKind, finding: Finding) -> Input:
    """Read the object, check the key against its columns, build the study."""
    adata = read_object(request.path, kind)
    if request.level == "clusters":
        check_has_clusters(adata, request.path)
    asked = replace(request, data=adata, markers=_markers_of(request)).keyed(adata)
    with finding() as on_event:
        study = asked.study(on_event)
    labelled = AnnDataObject(adata, study, asked.key)
    return Input(study, asked.provenance, labelled, study.coordinates or embedding_of(adata))


def _markers_of(request: AnnotateRequest) -> Source | None:
    """Return the marker table of a request, read where its columns are named."""
    if request.markers is None or not (request.cluster_column or request.gene_column):
        return request.markers
    return read_markers(
        request.markers, cluster_column=request.cluster_column, gene_column=request.gene_column
    )


def _by_parts(request: AnnotateRequest, opened: AnnDataLike, finding: Finding) -> Input:
    """Build the study of several files, or of a lazy AnnData, whose values stay where they are."""
    if request.level == "cells":
        return _cells_in_file(request, opened)
    if request.within is not None:
        message = "`within` needs an object in memory, or one file."
        raise InvalidOptionError(message, "Leave it out, or write the cells as one .h5ad.")
    if isinstance(request.data, Files | Address):
        check_has_clusters(opened, request.data)
    metadata = _metadata_of(opened)
    asked = replace(request, data=metadata)
    asked.check_object(metadata)
    study = study_from_anndata(
        opened, _markers_of(request), group_key=request.group_key, context=request.context,
        reading=request.engine.capabilities.reading,
    )  # fmt: skip
    if study.markers is None:
        from ..artifacts.markers import with_markers

        with finding() as on_event:
            study = with_markers(study, on_event)
    labelled = _labelled(request, metadata, study)
    return Input(study, asked.provenance, labelled, study.coordinates or embedding_of(metadata))


def _labelled(request: AnnotateRequest, metadata: anndata.AnnData, study: Study) -> AnnDataObject:
    place = place_of(request.data)
    if place is None:
        return Lazy(metadata, study, request.key, lazy=request.data)
    return InFile(metadata, study, request.key, path=place)


def _graph_of(data: object) -> Any:
    if isinstance(data, Address):
        return graph_at(data, GRAPH)
    return read_graph_of(data, GRAPH) if isinstance(data, Path) else graph_of_lazy(data, GRAPH)


def _metadata_of(opened: AnnDataLike) -> anndata.AnnData:
    """Return an object without values, which is labelled in the place of a file's."""
    import anndata

    drawn = {k: v for k, v in opened.obsm.items() if getattr(v, "ndim", 0) == 2}
    return anndata.AnnData(obs=opened.obs.copy(), obsm=drawn, uns=dict(opened.uns))


def _cells_in_file(request: AnnotateRequest, opened: AnnDataLike) -> Input:
    """Build the study of cells whose values stay in their file."""
    metadata = _metadata_of(opened)
    request.check_object(metadata)
    study = study_of_cells(opened, group_key=request.group_key, context=request.context)
    if "graph" in request.engine.capabilities.uses and not isinstance(request.data, Files):
        graph = _graph_of(request.data)
        study = replace(study, graph=None if graph is None else (GRAPH, graph))
    labelled = _labelled(request, metadata, study)
    provenance = replace(request, data=metadata).provenance
    return Input(study, provenance, labelled, study.coordinates or embedding_of(metadata))


@dataclass
class AnnDataObject:
    """An AnnData, in memory or read from a file."""

    adata: anndata.AnnData
    study: Study
    key: str
    suffix: str = ".h5ad"

    def in_force(self, found: Annotations | CellAnnotations) -> Annotations | CellAnnotations:
        """Return an answer with the decisions that still hold."""
        previous = previous_labels(self.adata, found, self.key)
        cells = tuple(map(str, self.adata.obs_names))

        def write() -> Written:
            return labelled(found, self.study.clusters, self.key, cells, previous)

        return with_previous(found, previous, write)

    def deliver(self, found: Annotations | CellAnnotations) -> pd.DataFrame:
        """Write the columns into ``obs`` and the record into ``uns``."""
        columns = attach(self.adata, found, self.study.clusters, self.key).provenance["columns"]
        frame: pd.DataFrame = self.adata.obs[list(columns)]
        return frame

    def save(self, path: Path) -> None:
        """Write the .h5ad; raises as :func:`write_h5ad` does."""
        write_h5ad(self.adata, path)


@dataclass
class InFile(AnnDataObject):
    """An AnnData of which only the metadata was read; the values are in its file, or files."""

    path: Where = Path()
    found: Annotations | CellAnnotations | None = field(default=None, init=False)

    def deliver(self, found: Annotations | CellAnnotations) -> pd.DataFrame:
        """Write the columns into the metadata."""
        self.found = found
        return super().deliver(found)

    def save(self, path: Path) -> None:
        """Write the whole object, which is read only now."""
        whole = read_place(self.path)
        if self.found is not None:
            attach(whole, self.found, self.study.clusters, self.key)
        write_h5ad(whole, path)


@dataclass
class Lazy(AnnDataObject):
    """An AnnData whose values and metadata are read when they are asked for."""

    lazy: Any = None

    def deliver(self, found: Annotations | CellAnnotations) -> pd.DataFrame:
        """Write the columns and the record into it; its file stays as it is."""
        columns = super().deliver(found)
        write_into_lazy(self.lazy, self.adata)
        return columns

    def save(self, path: Path) -> None:
        """Write the whole object, which is read only now."""
        write_h5ad(self.lazy.to_memory(), path)


def write_h5ad(adata: anndata.AnnData, path: Path) -> None:
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

    check_room(path, _stored_bytes(adata))
    try:
        # As write_h5ad() does, but for the file under it.
        adata.strings_to_categoricals()
        if adata.raw is not None:
            adata.strings_to_categoricals(adata.raw.var)
        with new_hdf5(path) as (file, under):
            write_elem(file, "/", adata)
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


def check_output(output: Path, opened: Input, *, overwrite: bool) -> None:
    """Refuse a file for the labelled object that cannot be, before anything is done or paid.

    Parameters
    ----------
    output
        Where the labelled object is to go.
    opened
        What is annotated.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    InvalidOptionError, OutputError
    """
    suffix = None if opened.object is None else opened.object.suffix
    check_output_file(output, suffix, overwrite=overwrite)


def check_output_file(output: Path, suffix: str | None, *, overwrite: bool) -> None:
    """Refuse a file for an object, as :func:`check_output`.

    Parameters
    ----------
    output
        Where it is to go.
    suffix
        What its name must end in; None where there is no object, but a marker table.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    InvalidOptionError, OutputError
    """
    if suffix is None:
        message = "`output` is for the labelled object, and a marker table has none."
        raise InvalidOptionError(message, "Leave `output` out; the result is the table.")
    if output.suffix.lower() != suffix:
        message = f'`output` must end in {suffix}, and is "{output}".'
        hint = f'For example "{output.with_suffix(suffix)}".'
        raise InvalidOptionError(message, hint)
    if output.exists() and not overwrite:
        message = f'The file "{output}" exists, and is not replaced unasked.'
        raise OutputError(message, "Choose another name, or pass `overwrite=True`.")


def write_object(labelled: Labelled, output: Path) -> None:
    """Write a labelled object, whole or not at all.

    Parameters
    ----------
    labelled
        The object.
    output
        The file.

    Raises
    ------
    OutputError
    """
    with replacing_output(output) as partial:
        labelled.save(partial)


@contextmanager
def replacing_output(output: Path) -> Iterator[Path]:
    """Yield the path of a file that becomes the output when the block ends well.

    Parameters
    ----------
    output
        The file.

    Raises
    ------
    OutputError
    """
    try:
        with replacing(output) as partial:
            yield partial
    except OSError as error:
        message = f'The file "{output}" cannot be written: {error.strerror or error}.'
        raise OutputError(message, "Choose another place.") from error
