"""One request to annotate: clusters or cells, from Python or the command line."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from ..annotations import delivery
from ..annotations.labelling.edited import check_unedited
from ..annotations.labelling.objects import stored_labels
from ..engines.base import AnyEngine
from ..errors import InvalidOptionError, RunMismatchError, UnsupportedObjectError
from ..study.inputs.address import Address
from ..study.inputs.kinds import file_kind
from ..study.inputs.objects import anndata_of
from ..study.inputs.several import Files
from ..study.markers.table import Markers
from ..study.study import Context, Study
from .verb import OnEvent, level_of
from .within import (
    Earlier,
    check_within,
    earlier_of,
    no_cells_within,
    split_within,
    with_parents,
)

if TYPE_CHECKING:
    import anndata

    from ..annotations.clusters import Level
    from ..runs.run import Run
    from ..study.build import Reading
    from ..study.markers.read import Source

logger = logging.getLogger("cellferry")


@dataclass(frozen=True)
class AnnotateRequest:
    """What is to be annotated, by what, and where the labels go.

    Attributes
    ----------
    data
        AnnData, marker table or study, or the path of a file or folder, or several paths.
    engine
        Its level, clusters or cells, is that of the request.
    key
        Name of the label column.
    markers
        Marker table for an object with clusters; None is its own.
    group_key
        Column with the clusters, in the metadata or the marker table.
    context
        What is known of the sample.
    overwrite, allow_upload
        Whether columns of others may be replaced, and whether data may leave the machine.
    assay
        Of an .rds; None is its default assay.
    cluster_column, gene_column
        Columns of the marker table, where its names are none that are known.
    levels
        Whether the broader labels of the labels are written too.
    within
        Column with earlier labels: only parts of their clusters are annotated.
    within_of_run
        The same of the run that is gone on with: only what was decided about them is read.
    key_given
        Whether somebody chose the key; else it is that of ``within``, if those labels are ours.
    """

    data: object
    engine: AnyEngine
    key: str
    markers: Source | None = None
    group_key: str | None = None
    context: Context = field(default_factory=Context)
    overwrite: bool = False
    allow_upload: bool = False
    assay: str | None = None
    cluster_column: str | None = None
    gene_column: str | None = None
    levels: bool = False
    within: str | None = None
    within_of_run: str | None = None
    key_given: bool = True

    @property
    def path(self) -> Path:
        """The file or folder with the object or the table."""
        assert isinstance(self.data, Path)
        return self.data

    @property
    def level(self) -> Level:
        """What is answered: clusters or cells."""
        return level_of(self.engine)

    @property
    def provenance(self) -> dict[str, object]:
        """What the run remembers of the request."""
        kind = "study" if isinstance(self.data, Study) else "markers"
        known: dict[str, object] = {"key": self.key}
        if self.levels:
            known["levels"] = True
        return {**known, "object": "AnnData" if is_anndata(self.data) else kind}

    def study(self, on_event: OnEvent | None = None) -> Study:
        """Check the key against the object, and return the study of it.

        Parameters
        ----------
        on_event
            Called in this thread with progress, where markers have to be found.

        Raises
        ------
        CellferryError
            Labels cannot be written under the key, or the object cannot be read.
        """
        earlier = None
        if self.within is not None:
            check_within(self.within, self.group_key)
            if is_anndata(self.data) or isinstance(self.data, Study):
                earlier = earlier_of(self.data, self.within)
            else:
                raise no_cells_within()
        if is_anndata(self.data):
            self.check_object(self.data)
        else:
            delivery.check_key(self.key, (), level=self.level)
        study = build_study(
            self.data,
            self.markers,
            group_key=self.group_key,
            context=self.context,
            reading=self.engine.capabilities.reading,
            level=self.level,
            on_event=on_event,
            earlier=earlier,
        )
        return study if earlier is None else with_parents(study, earlier, on_event)

    def check_object(self, adata: anndata.AnnData) -> None:
        """Check the key against an AnnData; raises where labels cannot be written under it."""
        delivery.check_group_key(self.key, self.group_key, self.level)
        replaced = delivery.check_object_key(
            adata, self.key, overwrite=self.overwrite, level=self.level, levels=self.levels
        )
        previous = stored_labels(adata, self.key)
        if previous is not None:
            check_unedited(previous, overwrite=self.overwrite)
        if replaced:
            logger.info("Replacing the columns %s.", ", ".join(replaced))

    def keyed(self, adata: anndata.AnnData) -> AnnotateRequest:
        """Return the request with the key under which an AnnData is labelled."""
        if self.within is None or self.key_given:
            return self
        earlier = stored_labels(adata, self.within)
        if earlier is None or earlier.of_cells:
            return self
        return replace(self, key=self.within, key_given=True)

    def of_run(self, run: Run) -> AnnotateRequest:
        """Return the request as it was when the run was made: key, clusters, markers, context.

        Raises
        ------
        RunMismatchError
            The run labels under another key than the one that was given.
        """
        stored = run.study()
        key = str(run.provenance.get("key") or self.key)
        if self.key not in {key, delivery.DEFAULT_KEYS[self.level]}:
            message = f'The run "{run.id}" labels under the key "{key}", not under "{self.key}".'
            raise RunMismatchError(message, "Leave `key` out, or annotate anew.")
        kind = file_kind(self.data) if isinstance(self.data, Path) else None
        in_file = kind is not None and (kind.is_anndata or kind.is_of_r)
        in_file = in_file or isinstance(self.data, Address | Files)
        with_markers = is_anndata(self.data) or in_file
        return replace(
            self,
            key=key,
            group_key=self.group_key or stored.group_key,
            # Those of an object would be found anew.
            markers=stored.markers if with_markers and self.level == "clusters" else None,
            context=stored.context,
            # The run has what it needs of them, but not what was decided about them.
            within=None,
            within_of_run=None if stored.parents is None else stored.parents.key,
        )


def build_study(
    data: object,
    markers: Source | None = None,
    *,
    group_key: str | None = None,
    context: Context | None = None,
    reading: Reading | None = None,
    level: Level = "clusters",
    on_event: OnEvent | None = None,
    earlier: Earlier | None = None,
) -> Study:
    """Return the study of an AnnData, a marker table, or a study itself.

    Markers of an AnnData that nobody gave and that it does not hold are found by our own test.

    Parameters
    ----------
    reading
        What the engine's capabilities say of reading an AnnData.
    level
        Whether the clusters or the cells of it are annotated; a marker table has no cells.
    on_event
        Called in this thread with progress, where markers have to be found.
    earlier
        Labels of whose clusters some must be parts, which is checked before markers are found.

    Raises
    ------
    UnsupportedObjectError
        The object is none of these.
    MarkersRequiredError
        No markers were given, and none can be found; says why, and what to do.
    """
    from ..study.build import study_from_anndata, study_from_markers, study_of_cells

    if isinstance(data, Study):
        return data
    data = anndata_of(data)
    if is_anndata(data):
        if level == "cells":
            return study_of_cells(data, group_key=group_key, context=context)
        study = study_from_anndata(
            data, markers, group_key=group_key, context=context, reading=reading
        )
        if earlier is not None:
            split_within(study, earlier)
        if study.markers is None:
            from ..artifacts.markers import with_markers

            study = with_markers(study, on_event)
        return study
    if type(data).__module__.startswith("rpy2."):
        message = "This is an object of R, which would not be labelled in place."
        recipe = f"adata = cellferry.seurat.to_anndata(x); annotate_{level}(adata); "
        raise UnsupportedObjectError(message, f"{recipe}x = cellferry.seurat.to_seurat(adata)")
    if level == "cells":
        message = f"cellferry cannot annotate the cells of an object of {type(data).__name__}."
        hint = "Valid: AnnData. Clusters of a marker table: `annotate_clusters()`."
        raise UnsupportedObjectError(message, hint + _made_of_matrix(data))
    if markers is not None:
        message = "`data` is itself a marker table, so `markers` cannot be given beside it."
        raise InvalidOptionError(message, "Pass an AnnData as `data`, or leave `markers` out.")
    if not _is_source(data):
        message = f"cellferry cannot read an object of type {type(data).__name__}."
        hint = "Valid: AnnData, a marker table (DataFrame, dict of lists), or the path of either."
        raise UnsupportedObjectError(message, hint + _made_of_matrix(data))
    return study_from_markers(data, group_key=group_key, context=context)


def _made_of_matrix(data: object) -> str:
    """Return how an AnnData is made of a matrix, after a hint; of anything else nothing."""
    if len(getattr(data, "shape", ())) != 2:
        return ""
    return (
        "\nOf a matrix of cells x genes: adata = anndata.AnnData(x); adata.obs_names = cells; "
        "adata.var_names = genes"
    )


def is_anndata(data: object) -> TypeGuard[anndata.AnnData]:
    """Whether this is an AnnData, without importing anndata."""
    return any(f"{c.__module__}.{c.__name__}".endswith(".AnnData") for c in type(data).__mro__)


def _is_source(data: object) -> TypeGuard[Source]:
    """Whether this is a marker table, without importing pandas."""
    if isinstance(data, Markers | Mapping | str | Path):
        return True
    return any(c.__name__ == "DataFrame" for c in type(data).__mro__)
