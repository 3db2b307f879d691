"""Annotating clusters: of an AnnData, which is labelled in place, or of a marker table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from ..annotations import delivery
from ..annotations.clusters import Annotations
from ..engines import create_engine
from ..engines.base import Engine, Plan
from ..errors import (
    InvalidOptionError,
    UnsupportedObjectError,
)
from ..study.markers.table import Markers
from ..study.study import Context, Study
from .checks import check_needs, check_study
from .verb import annotate

if TYPE_CHECKING:
    import anndata

    from ..study.build import Reading

logger = logging.getLogger("cellferry")


@overload
def annotate_clusters(
    data: Any, markers: Any = None, *, dry_run: Literal[True], **arguments: Any
) -> Plan: ...


@overload
def annotate_clusters(
    data: Any, markers: Any = None, *, dry_run: Literal[False] = False, **arguments: Any
) -> Annotations: ...


def annotate_clusters(
    data: anndata.AnnData | Any,
    markers: Any = None,
    *,
    engine: str | Engine = "local",
    group_key: str | None = None,
    key: str = "cell_type",
    tissue: str | None = None,
    species: str | None = None,
    study_context: str = "",
    overwrite: bool = False,
    allow_upload: bool = False,
    progress: bool = True,
    dry_run: bool = False,
    **options: Any,
) -> Annotations | Plan:
    """Annotate the clusters of an AnnData (labelled in place) or of a marker table.

    Parameters
    ----------
    data
        AnnData (cells x genes), or a marker table: DataFrame, path, or dict of lists.
    markers
        Marker table for an AnnData. None: its stored ranking with fold changes, else
        scanpy's t-test.
    engine
        Name of an engine, or an engine.
    group_key
        Column of ``obs`` with the clusters; for a marker table, its cluster column.
    key
        Name of the label column; ``<key>_confidence``, ``_detail``, ``_ontology_id`` and
        ``_status`` go beside it, the record to ``adata.uns["cellferry"][key]``.
    tissue, species, study_context
        What is known of the sample. Species None is told from the gene names.
    overwrite
        Replace columns of these names that cellferry did not write.
    allow_upload
        Let the engine send expression or metadata off the machine.
    progress
        Show a progress bar on a terminal or in a notebook.
    dry_run
        Only tell what would be done: calls, bytes, tokens and estimated cost. No call is
        made, no key and no consent is needed, and nothing is labelled or written.
    **options
        Options of the engine.

    Returns
    -------
    Annotations
        One row per cluster. After a dry run the :class:`cellferry.engines.base.Plan`.

    Raises
    ------
    CellferryError
        A class of :mod:`cellferry.errors`; the AnnData is then unchanged.

    Examples
    --------
    >>> found = annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> found["a"].label
    'B cell'
    >>> print(annotate_clusters({"a": ["CD79A", "MS4A1"]}, dry_run=True))
    local: 1 cluster, 0 calls, 0 bytes sent, cost $0.00
    """
    from ..runs.progress import progress_events

    chosen = create_engine(engine, options)
    context = Context(tissue, species, study_context)
    is_anndata = _is_anndata(data)
    if is_anndata:
        replaced = delivery.check_object_key(data, key, overwrite=overwrite)
        if replaced:
            logger.info("Replacing the columns %s.", ", ".join(replaced))
    study = build_study(
        data, markers, group_key=group_key, context=context, reading=chosen.capabilities.reading
    )
    if dry_run:
        return plan_clusters(study, chosen)
    check_needs(chosen, study)
    with progress_events(show=progress) as on_event:
        found = annotate(
            study,
            chosen,
            allow_upload=allow_upload,
            provenance={"key": key, "object": "AnnData" if is_anndata else "markers"},
            on_event=on_event,
        )
    if is_anndata:
        delivery.attach(data, found, study.clusters, key)
    return found


def build_study(
    data: Any,
    markers: Any = None,
    *,
    group_key: str | None = None,
    context: Context | None = None,
    reading: Reading | None = None,
) -> Study:
    """Return the study of an AnnData, a marker table, or a study itself.

    ``reading`` is what the engine's capabilities say of reading an AnnData.
    """
    from ..study.build import study_from_anndata, study_from_markers

    if isinstance(data, Study):
        return data
    if _is_anndata(data):
        return study_from_anndata(
            data, markers, group_key=group_key, context=context, reading=reading
        )
    if markers is not None:
        message = "`data` is itself a marker table, so `markers` cannot be given beside it."
        raise InvalidOptionError(message, "Pass an AnnData as `data`, or leave `markers` out.")
    if not (isinstance(data, Markers | Mapping | str | Path) or _is_frame(data)):
        if type(data).__module__.startswith("rpy2."):
            message = "This is an object of R, which would not be labelled in place."
            recipe = "adata = cellferry.seurat.to_anndata(x); annotate_clusters(adata); "
            raise UnsupportedObjectError(message, f"{recipe}x = cellferry.seurat.to_seurat(adata)")
        message = f"cellferry cannot read an object of type {type(data).__name__}."
        hint = "Valid: AnnData, or a marker table (DataFrame, path, or dict of lists)."
        raise UnsupportedObjectError(message, hint)
    return study_from_markers(data, group_key=group_key, context=context)


def plan_clusters(study: Study, engine: Engine) -> Plan:
    """Return what annotating the study would do, without doing it: the dry run."""
    check_needs(engine, study)
    return engine.plan(check_study(study))


def _is_anndata(data: Any) -> bool:
    return any(f"{c.__module__}.{c.__name__}".endswith(".AnnData") for c in type(data).__mro__)


def _is_frame(data: Any) -> bool:
    return any(c.__name__ == "DataFrame" for c in type(data).__mro__)
