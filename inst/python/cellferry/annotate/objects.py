"""Annotating objects: clusters or cells of an AnnData, which is labelled in place, or of a file."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from ..annotations import delivery
from ..annotations.cells import CellAnnotations
from ..annotations.clusters import Annotations
from ..engines import create_engine
from ..engines.base import AnyEngine, Engine, Plan
from ..engines.service.secrets import wrapped
from ..errors import InvalidOptionError, RunMismatchError
from ..runs.run import Run
from ..study.inputs.address import Address
from ..study.inputs.objects import anndata_of
from ..study.inputs.several import Files
from ..study.study import Context
from . import verb
from .agreement.several import annotate_by_several, is_several
from .files import Input, as_path, check_output, opened_input, write_object
from .request import AnnotateRequest

if TYPE_CHECKING:
    from typing import TypeAlias

    import anndata

    from ..annotations.clusters import Level
    from ..study.markers.read import Source
    from ..study.study import Study

    One: TypeAlias = str | Engine[Annotations]
    Engines: TypeAlias = One | Mapping[str, One] | Sequence[One]


@overload
def annotate_clusters(
    data: anndata.AnnData | Study | Source | Sequence[str | os.PathLike[str]],
    markers: Source | None = None,
    *,
    dry_run: Literal[True],
    engine: Engines = "local", group_key: str | None = None, key: str | None = None,
    within: str | None = None, tissue: str | None = None, species: str | None = None,
    study_context: str = "", overwrite: bool = False, allow_upload: bool = False,
    levels: bool = False, progress: bool = True,
    resume: str | os.PathLike[str] | None = None, output: str | os.PathLike[str] | None = None,
    **options: object,
) -> Plan: ...  # fmt: skip


@overload
def annotate_clusters(
    data: anndata.AnnData | Study | Source | Sequence[str | os.PathLike[str]],
    markers: Source | None = None,
    *,
    dry_run: Literal[False] = False,
    engine: Engines = "local", group_key: str | None = None, key: str | None = None,
    within: str | None = None, tissue: str | None = None, species: str | None = None,
    study_context: str = "", overwrite: bool = False, allow_upload: bool = False,
    levels: bool = False, progress: bool = True,
    resume: str | os.PathLike[str] | None = None, output: str | os.PathLike[str] | None = None,
    **options: object,
) -> Annotations: ...  # fmt: skip


def annotate_clusters(
    data: anndata.AnnData | Study | Source | Sequence[str | os.PathLike[str]],
    markers: Source | None = None,
    *,
    engine: Engines = "local",
    group_key: str | None = None,
    key: str | None = None,
    within: str | None = None,
    tissue: str | None = None,
    species: str | None = None,
    study_context: str = "",
    overwrite: bool = False,
    allow_upload: bool = False,
    levels: bool = False,
    progress: bool = True,
    dry_run: bool = False,
    resume: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    **options: object,
) -> Annotations | Plan:
    """Annotate the clusters of an AnnData (labelled in place), of a marker table, or of a file.

    Parameters
    ----------
    data
        AnnData (cells x genes; of a MuData the modality ``rna``, of a SpatialData its table, which
        is labelled in there), a marker table (DataFrame, dict of lists), or the path of
        either: CSV or TSV, .h5ad, zarr, or .rds. What is in a file is seen by its content; the
        file stays as it is. A list of paths is read as one object, as by :func:`annotate_cells`.
    markers
        Marker table for an AnnData. None: its stored ranking with fold changes, else those of
        :func:`cellferry.find_markers` with ``only_pos=True, logfc_threshold=0.25, min_pct=0.1``.
    engine
        Name of an engine, or an engine; ``cellferry engines`` lists them, those of other packages
        too. One that answers cells names each cluster after most of its cells, whose share is in
        ``evidence[cluster]["share"]``. Several, by their names (``{"a": "local", "b": LLM(...)}``)
        or in a list, all answer: each label is in ``<key>_<name>``, with its record, and what they
        agree on (:func:`cellferry.consensus`) is the answer under ``key``. Keys, consents and the
        cost of all are checked before the first begins; one that fails has no vote.
    group_key
        Column of ``obs`` with the clusters; for a marker table, its cluster column.
    key
        Name of the label column; ``<key>_confidence``, ``_detail``, ``_ontology_id`` and
        ``_status`` go beside it, the record to ``adata.uns["cellferry"][key]``. None is
        ``"cell_type"``, and the key of the labels that ``within`` names, if they are ours.
    within
        Column with earlier labels, where ``group_key`` has subclusters of some of their clusters,
        such as ``3,0`` and ``3,1`` of ``3``. Only these are annotated: the others keep labels,
        evidence and decisions, and cost nothing. A subcluster whose answer is nothing finer keeps
        the label of the whole; one whose answer is no kind of it is a warning, and has
        ``contradicts_parent`` in ``attention``. Markers against the rest are read, those against
        sisters are in ``evidence[cluster]["markers_within"]``.
    tissue, species, study_context
        What is known of the sample. Species None is found by the gene names.
    overwrite
        Replace columns of these names that cellferry did not write.
    allow_upload
        Let the engine send expression or metadata off the machine.
    levels
        Write ``<key>_broad``, ``_medium`` and ``_fine`` too: broader labels of the labels, which
        follow every decision.
    progress
        Show a progress bar on a terminal or in a notebook.
    dry_run
        Only return what would be done: calls, bytes, tokens and estimated cost. No call is
        made, no key and no consent is needed, and nothing is labelled or written.
    resume
        Id or folder of a run of the same object that was stopped: only what is missing is done.
        Engine, options, key, markers and what is known of the sample are those of the run;
        only options that no run records, such as a key, are given again.
    output
        Where the labelled object goes: an .h5ad, or an .rds where that was read. None: an object
        that was read from a file is not written, and the result is the table alone.
    **options
        Options of the engine; its class says what they mean, for example
        ``help(cellferry.engines.engine_class("local"))``. With their defaults:

        ``"local"``: n_genes=50, tissue_only=False, knowledge, knowledge_only=False, measured.

        ``"llm"``: provider='openrouter', model, base_url, api_key, api_key_env, llm_configs,
        output_name, overwrite_files=False, n_genes=50, ranking_method='avg_log2FC', ascending,
        additional_info, temperature=0, reasoning, model_settings, validator_involvement='v1',
        max_workers=4, max_retries=1, max_cost_usd, max_tokens, prices, output_mode='auto',
        other_clusters=True, evidence_rounds=0, evidence_columns, remarks, timeout=180.

        ``"cytetype"``: api_url, auth_token, llm_configs, metadata, n_parallel_clusters=2,
        visibility, rank_key='rank_genes_groups', gene_symbols_column, n_top_genes=50,
        aggregate_metadata=True, min_percentage=10, max_metadata_categories=500,
        pcent_batch_size=2000, coordinates_key='X_umap', max_cells_per_group=1000, obs_columns,
        vars_h5_path='vars.h5', obs_duckdb_path='obs.duckdb', upload_timeout_seconds=3600,
        upload_max_workers=4, cleanup_artifacts=False, require_artifacts=True, save_query=True,
        query_filename='query.json', poll_interval_seconds=30, timeout_seconds=7200,
        overwrite_files=False.

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
    data, options = anndata_of(data), wrapped(options)
    if is_several(engine):
        if resume is not None:
            message = "`resume` is for one engine, and there are several."
            raise InvalidOptionError(message, "Leave it out; each engine has a run of its own.")
        if isinstance(as_path(data), Address):
            message = "What is at an address is annotated by one engine, and there are several."
            raise InvalidOptionError(message, "Copy it here, or name one engine.")
        if isinstance(as_path(data), Files):
            message = "Several files are annotated by one engine, and there are several engines."
            raise InvalidOptionError(message, "Write the files as one, or name one engine.")
        several: Any = engine
        asked = AnnotateRequest(
            data, "local", key or delivery.DEFAULT_KEYS["clusters"], markers, group_key,  # type: ignore[arg-type]
            Context(tissue, species, study_context), overwrite, allow_upload, levels=levels,
            within=within,
        )  # fmt: skip
        return annotate_by_several(
            several, asked, ARGUMENTS, options, dry_run=dry_run,
            progress=lambda title: _progress(title, show=progress),
            output=None if output is None else Path(output).expanduser(),
        )  # fmt: skip
    chosen, run = _engine_and_run(engine, options, resume, "clusters")  # type: ignore[arg-type]
    request = AnnotateRequest(
        data,
        chosen,
        key or delivery.DEFAULT_KEYS["clusters"],
        markers,
        group_key,
        Context(tissue, species, study_context),
        overwrite,
        allow_upload,
        levels=levels,
        within=within,
        key_given=key is not None,
    )
    found: Annotations | Plan = _annotate(
        request, run, dry_run=dry_run, progress=progress, output=output
    )
    return found


@overload
def annotate_cells(
    data: anndata.AnnData | Study | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    dry_run: Literal[True],
    engine: str | Engine[CellAnnotations] = "local", group_key: str | None = None,
    key: str = "cell_type_cell", tissue: str | None = None, species: str | None = None,
    study_context: str = "", overwrite: bool = False, allow_upload: bool = False,
    levels: bool = False, progress: bool = True,
    resume: str | os.PathLike[str] | None = None, output: str | os.PathLike[str] | None = None,
    **options: object,
) -> Plan: ...  # fmt: skip


@overload
def annotate_cells(
    data: anndata.AnnData | Study | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    dry_run: Literal[False] = False,
    engine: str | Engine[CellAnnotations] = "local", group_key: str | None = None,
    key: str = "cell_type_cell", tissue: str | None = None, species: str | None = None,
    study_context: str = "", overwrite: bool = False, allow_upload: bool = False,
    levels: bool = False, progress: bool = True,
    resume: str | os.PathLike[str] | None = None, output: str | os.PathLike[str] | None = None,
    **options: object,
) -> CellAnnotations: ...  # fmt: skip


def annotate_cells(
    data: anndata.AnnData | Study | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    engine: str | Engine[CellAnnotations] = "local",
    group_key: str | None = None,
    key: str = "cell_type_cell",
    tissue: str | None = None,
    species: str | None = None,
    study_context: str = "",
    overwrite: bool = False,
    allow_upload: bool = False,
    levels: bool = False,
    progress: bool = True,
    dry_run: bool = False,
    resume: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    **options: object,
) -> CellAnnotations | Plan:
    """Annotate every cell of an AnnData, which is labelled in place, or of a file.

    Parameters
    ----------
    data
        AnnData (cells x genes) with log-normalised values or raw counts; never made dense. Or
        the path of a file: .h5ad, zarr (also at an address: ``https://host/x.zarr``), a 10x .h5 or
        folder, or .rds. Or a list of paths (but
        .rds), read as one object: cells one after the other, each name with ``_1``, ``_2``, ...
        where a name is in two files; the genes that all have, by name, in the order of the first
        (others were not measured everywhere and are left out, with a warning); columns of ``obs``
        and embeddings that all have; matrices that all have with the same kind of values.
    engine
        Name of an engine that answers cells, or such an engine.
    group_key
        Column of ``obs`` with clusters to compare with: what most cells of a cluster are
        goes to ``<key>_majority``, their share to ``<key>_majority_share``, and whether a
        cell differs to ``<key>_disagrees``. None: the one column with a usual name.
    key
        Name of the label column; ``<key>_detail``, ``_confidence``, ``_ontology_id`` and
        ``_status`` go beside it, and ``_raw``, the call of each cell by itself, where the label
        also counts its surroundings, and ``_voted``, what most cells of a small group of
        neighbours are, where there is a graph or a map; the summary to
        ``adata.uns["cellferry"][key]``, and the evidence of each cell to ``cells.npz`` of the run.
    tissue, species, study_context
        What is known of the sample. Species None is found by the gene names.
    overwrite
        Replace columns of these names that cellferry did not write.
    allow_upload
        Let the engine send expression off the machine.
    levels
        Write ``<key>_broad``, ``_medium`` and ``_fine`` too: broader labels of the labels.
    progress
        Show a progress bar on a terminal or in a notebook.
    dry_run
        Return the plan (calls, bytes, cost) and do nothing; needs no consent and no key.
    resume, output
        As for clusters.
    **options
        Options of the engine; its class says what they mean, for example
        ``help(cellferry.engines.engine_class("local", "cells"))``. With their defaults:

        ``"local"``: smooth=False, context=True, majority_voting=True, tissue_only=False, knowledge,
        knowledge_only=False, scheduler.

        ``"cellatlas"``: api_url, api_key, model='geneformer', reference_atlas='human-core-2026',
        timeout=300, chunk_size=50000, chunk_bytes=25165824, parallel=2, compress, values='auto',
        qc='warn', min_counts=200, max_mitochondrial=0.2, doublets='column', markers_path,
        embedding_path.

        ``"reference"``: model.

        ``"celltypist"``: model, mode='best match', p_thres=0.5, majority_voting=False,
        over_clustering, min_prop=0.0.

        ``"singler"``: reference, labels, de_method, de_n, quantile=0.8, fine_tune=True,
        tune_thresh=0.05, prune=True, leave_out_unusable=False, assay.

        ``"azimuth"``: refinement='fine', download=False.

    Returns
    -------
    CellAnnotations
        One answer per cell, as columns. After a dry run the
        :class:`cellferry.engines.base.Plan`.

    Raises
    ------
    CellferryError
        A class of :mod:`cellferry.errors`; the AnnData is then unchanged.

    Examples
    --------
    >>> import anndata, numpy
    >>> adata = anndata.AnnData(numpy.array([[3.0, 2.5, 2.0, 1.5, 0.0]]))
    >>> adata.var_names = ["CD79A", "MS4A1", "CD79B", "CD19", "CD3E"]
    >>> annotate_cells(adata, species="human").label.levels
    ('B cell',)
    >>> print(annotate_cells(adata, species="human", overwrite=True, dry_run=True))
    local: 1 cell, 0 calls, 0 bytes sent, cost $0.00
    """
    data, options = anndata_of(data), wrapped(options)
    chosen, run = _engine_and_run(engine, options, resume, "cells")
    request = AnnotateRequest(
        data,
        chosen,
        key,
        None,
        group_key,
        Context(tissue, species, study_context),
        overwrite,
        allow_upload,
        levels=levels,
    )
    found: CellAnnotations | Plan = _annotate(
        request, run, dry_run=dry_run, progress=progress, output=output
    )
    return found


def resume(
    run: str | os.PathLike[str],
    data: anndata.AnnData | Study | Source | None = None,
    *,
    overwrite: bool = False,
    allow_upload: bool = False,
    progress: bool = True,
    output: str | os.PathLike[str] | None = None,
    **options: object,
) -> Annotations | CellAnnotations:
    """Finish an annotation that was stopped; only what is missing is done and paid.

    A run that is finished gives its answer, so this also brings back labels that were never
    written.

    Parameters
    ----------
    run
        Id of the run, or its folder. ``cellferry runs list`` and
        :func:`cellferry.runs.run.list_runs` know them.
    data
        The AnnData or marker table that was annotated, in any order of cells, or the path of
        either; that it is the same is checked. An AnnData in memory gets the labels, under the
        key of the run. None: clusters are finished from what the run keeps. A run about cells
        that is not finished needs it, because expression is never kept in a run.
    overwrite
        Replace columns of these names that cellferry did not write.
    allow_upload
        Consent to another host than that of the run.
    progress
        Show a progress bar on a terminal or in a notebook.
    output
        Where the labelled object goes, as in :func:`annotate_clusters`.
    **options
        Options of the engine that no run records: ``api_key`` or ``auth_token``. None are
        needed where they are in the environment.

    Returns
    -------
    Annotations or CellAnnotations
        What the run is about.

    Raises
    ------
    RunNotFoundError, RunDamagedError
        There is no such run, or it cannot be read.
    RunMismatchError
        The object is another one.
    EngineNeedsError
        A run about cells needs its object.
    CredentialsRequiredError
        A key is needed again.
    InvalidOptionError, OutputError
        There is no object for ``output``, or it may not be written there.

    Examples
    --------
    >>> found = annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> resume(found.provenance["run"])["a"].label
    'B cell'
    """
    from ..runs.progress import progress_events

    options = wrapped(options)
    opened = Run.open(run)
    level = verb.level_of_run(opened)
    if data is not None:
        engine = verb.engine_of(opened, options)
        request = AnnotateRequest(
            anndata_of(data),
            engine,
            delivery.DEFAULT_KEYS[level],
            overwrite=overwrite,
            allow_upload=allow_upload,
        )
        found: Annotations | CellAnnotations = _annotate(
            request, opened, progress=progress, output=output
        )
        return found
    if output is not None:
        message = "`output` is for the labelled object, and no object was given."
        raise InvalidOptionError(message, "Give it: cellferry.resume(run, data, output=...).")
    with progress_events(show=progress, title=f"Annotating {level}") as on_event:
        return verb.resume(opened, options=options, allow_upload=allow_upload, on_event=on_event)


ARGUMENTS = tuple(n for n in inspect.signature(annotate_clusters).parameters if n != "options")
"""Of :func:`annotate_clusters`, which may have been meant by a wrong name of an option."""


def _progress(title: str, *, show: bool) -> AbstractContextManager[verb.OnEvent | None]:
    from ..runs.progress import progress_events

    return progress_events(show=show, title=title)


def _engine_and_run(
    engine: str | AnyEngine,
    options: dict[str, object],
    identifier: str | os.PathLike[str] | None,
    level: Level,
) -> tuple[AnyEngine, Run | None]:
    """Return the engine, which is that of the run if one is to be finished."""
    if identifier is None:
        verb_of = annotate_cells if level == "cells" else annotate_clusters
        # `group_by` must find `group_key`, which is no option of any engine.
        arguments = tuple(n for n in inspect.signature(verb_of).parameters if n != "options")
        return create_engine(engine, options, level, arguments), None
    run = Run.open(identifier)
    own = verb.level_of_run(run)
    if own != level:
        message = f'The run "{run.id}" is about {own}, not about {level}.'
        raise RunMismatchError(message, f"Use annotate_{own}(), or cellferry.resume(run, data).")
    return verb.engine_of(run, options), run


def _annotate(
    request: AnnotateRequest,
    run: Run | None,
    *,
    dry_run: bool = False,
    progress: bool,
    output: str | os.PathLike[str] | None = None,
) -> Any:
    """Annotate what is asked for, or finish a run of it; label the object in place, or write it."""
    request = replace(request, data=as_path(request.data))
    if run is not None:
        request = request.of_run(run)

    def finding() -> AbstractContextManager[verb.OnEvent | None]:
        from ..runs.progress import progress_events

        return progress_events(show=progress, title="Finding markers")

    with opened_input(request, finding=finding) as opened:
        if dry_run:
            return verb.plan(opened.study, request.engine)
        target = None if output is None else Path(output).expanduser()
        if target is not None:
            check_output(target, opened, overwrite=request.overwrite)
        found = _found(request, opened, run, progress=progress)
        if opened.object is not None:
            found = opened.object.in_force(found)
        # An object of a file that is not written is not labelled either.
        in_file = isinstance(request.data, Path | Address | Files)
        if opened.object is not None and (target is not None or not in_file):
            opened.object.deliver(found)
            if target is not None:
                write_object(opened.object, target)
    return found


def _found(
    request: AnnotateRequest, opened: Input, run: Run | None, *, progress: bool
) -> Annotations | CellAnnotations:
    from ..runs.progress import progress_events

    with progress_events(show=progress, title=f"Annotating {request.level}") as on_event:
        if run is None:
            return verb.annotate(
                opened.study,
                request.engine,
                allow_upload=request.allow_upload,
                provenance=opened.provenance,
                on_event=on_event,
            )
        return verb.resume(
            run,
            opened.study,
            engine=request.engine,
            allow_upload=request.allow_upload,
            on_event=on_event,
        )
