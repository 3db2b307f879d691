"""The class ``CyteType`` of the package of that name, over the engine of cellferry.

``from cellferry.compat.cytetype import CyteType`` is the only line that changes. Both shapes
of the call are accepted: the paths of the artifacts on the constructor or on :meth:`run`. As in
the package, columns, ``uns`` entries and files of the published names are replaced without
asking, files are written where the process runs, and giving the address or the token is consent
to send the data there. The results of an earlier job are replaced too, which is reported: the
calls of the package's documentation run one after another on one AnnData.
"""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..annotate.checks import check_needs
from ..annotate.request import build_study
from ..annotate.verb import annotate
from ..engines.cytetype import CyteType as Engine
from ..engines.service.secrets import Secret
from ..errors import ColumnExistsError, InvalidOptionError
from ..files import Json
from ..study.clusters import Clusters
from ..study.study import Context, Study
from .cytetype_results import job_details, stored_results, write_results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata

    from ..annotations.clusters import Annotations
    from ..engines.cytetype.payload import InputData

logger = logging.getLogger("cellferry")

NAME_OF_MISSING = "Unknown"
SYMBOLS = "gene_symbols"
"""The documented name of the column with symbols."""


class CyteType:
    """Annotate the clusters of an AnnData with a service that speaks the CyteType protocol.

    Parameters
    ----------
    adata
        Log-normalized cells x genes, ranked by ``scanpy.tl.rank_genes_groups``.
    group_key
        Column of ``obs`` with the clusters.
    rank_key, gene_symbols_column, n_top_genes, aggregate_metadata, min_percentage,
    pcent_batch_size, coordinates_key, max_cells_per_group, vars_h5_path, obs_duckdb_path,
    max_metadata_categories, api_url, auth_token
        As in :class:`cellferry.engines.cytetype.CyteType`; but a ``var`` without the column
        ``"gene_symbols"`` has its symbols elsewhere, where they are looked for.
    label_na
        Whether cells without a cluster are a cluster of their own, "Unknown".

    Attributes
    ----------
    annotations
        The :class:`cellferry.Annotations` of the last run, or None.

    Raises
    ------
    CellferryError
    """

    def __init__(  # noqa: PLR0917 - the published signature
        self,
        adata: anndata.AnnData,
        group_key: str,
        rank_key: str = "rank_genes_groups",
        gene_symbols_column: str | None = SYMBOLS,
        n_top_genes: int = 50,
        aggregate_metadata: bool = True,
        min_percentage: int = 10,
        pcent_batch_size: int = 2000,
        coordinates_key: str = "X_umap",
        max_cells_per_group: int = 1000,
        vars_h5_path: str = "vars.h5",
        obs_duckdb_path: str = "obs.duckdb",
        max_metadata_categories: int = 500,
        api_url: str | None = None,
        auth_token: str | None = None,
        label_na: bool = False,
    ) -> None:
        self.adata, self.group_key = adata, group_key
        self.api_url = api_url
        self._token = Secret(auth_token, "auth_token") if auth_token else None
        self._paths = {"vars_h5_path": vars_h5_path, "obs_duckdb_path": obs_duckdb_path}
        self._fixed: dict[str, Any] = {
            "rank_key": rank_key,
            "gene_symbols_column": _symbols(adata, gene_symbols_column),
            "n_top_genes": n_top_genes,
            "aggregate_metadata": aggregate_metadata,
            "min_percentage": min_percentage,
            "pcent_batch_size": pcent_batch_size,
            "coordinates_key": coordinates_key,
            "max_cells_per_group": max_cells_per_group,
            "max_metadata_categories": max_metadata_categories,
        }
        self._label_na = label_na
        self._written: set[Path] = set()
        self.annotations: Annotations | None = None
        self._engine()  # options are checked before the study is read
        self._study = self._read()

    def __repr__(self) -> str:
        return f"<CyteType of {self.adata.n_obs} cells by {self.group_key!r}>"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_token": None}

    def run(  # noqa: PLR0917 - the published signature
        self,
        study_context: str = "",
        llm_configs: Sequence[Mapping[str, Json]] | Mapping[str, Json] | None = None,
        metadata: Mapping[str, Json] | None = None,
        n_parallel_clusters: int = 2,
        results_prefix: str = "cytetype",
        poll_interval_seconds: float = 30,
        timeout_seconds: float = 7200,
        api_url: str | None = None,
        auth_token: str | None = None,
        save_query: bool = True,
        query_filename: str = "query.json",
        upload_timeout_seconds: float = 3600,
        upload_max_workers: int = 4,
        require_artifacts: bool = True,
        show_progress: bool = True,
        override_existing_results: bool | None = None,
        visibility: str | None = None,
        *,
        vars_h5_path: str | None = None,
        obs_duckdb_path: str | None = None,
        cleanup_artifacts: bool = False,
    ) -> anndata.AnnData:
        """Annotate, and return the AnnData with the published columns and ``uns`` entries.

        Parameters
        ----------
        study_context
            What the samples are, in free text for the service.
        llm_configs, metadata, n_parallel_clusters, poll_interval_seconds, timeout_seconds,
        save_query, query_filename, upload_timeout_seconds, upload_max_workers,
        require_artifacts, visibility, cleanup_artifacts
            As in :class:`cellferry.engines.cytetype.CyteType`.
        api_url, auth_token, vars_h5_path, obs_duckdb_path
            In place of those of the constructor; None leaves these.
        results_prefix
            Beginning of the names of columns and ``uns`` entries.
        show_progress
            Show a bar on a terminal or in a notebook.
        override_existing_results
            Whether the results of an earlier job under the same prefix are replaced. None
            replaces them and says so; False is an error instead.

        Raises
        ------
        ColumnExistsError
            There are results of an earlier job under this prefix, and
            ``override_existing_results`` is False.
        CellferryError
            The AnnData is then as it was; ``data["run"]`` names the run to resume.
        """
        from ..runs.progress import progress_events

        earlier = f"{results_prefix}_jobDetails" in self.adata.uns
        if earlier and override_existing_results is False:
            message = f'This AnnData has the results of an earlier job under "{results_prefix}".'
            hint = "Use get_results(), another results_prefix, or override_existing_results=True."
            raise ColumnExistsError(message, hint)
        if not isinstance(study_context, str):
            message = f"`study_context` must be text, not {type(study_context).__name__}."
            raise InvalidOptionError(message, option="study_context")
        self.api_url = api_url or self.api_url
        self._token = Secret(auth_token, "auth_token") if auth_token else self._token
        paths = {
            "vars_h5_path": vars_h5_path or self._paths["vars_h5_path"],
            "obs_duckdb_path": obs_duckdb_path or self._paths["obs_duckdb_path"],
        }
        engine = self._engine(
            **{k: str(Path(v).absolute()) for k, v in paths.items()},
            query_filename=str(Path(query_filename).absolute()),
            llm_configs=llm_configs,
            metadata=metadata,
            n_parallel_clusters=n_parallel_clusters,
            poll_interval_seconds=poll_interval_seconds,
            timeout_seconds=timeout_seconds,
            save_query=save_query,
            upload_timeout_seconds=upload_timeout_seconds,
            upload_max_workers=upload_max_workers,
            require_artifacts=require_artifacts,
            visibility=visibility,
            cleanup_artifacts=cleanup_artifacts,
            overwrite_files=True,
        )
        study = self._study.with_parts(context=Context(study_context=study_context))
        check_needs(engine, study)
        self._written.update(Path(v).absolute() for v in paths.values())
        with progress_events(show=show_progress) as on_event:
            found = annotate(
                study,
                engine,
                # The script names the service itself; only the default address asks.
                allow_upload=self.api_url is not None or self._token is not None,
                provenance={"object": "AnnData", "results_prefix": results_prefix},
                on_event=on_event,
            )
        self.annotations = found
        if earlier and override_existing_results is None:
            logger.info('The results of an earlier job under "%s" are replaced.', results_prefix)
        write_results(self.adata, found, study, results_prefix)
        logger.info("Report: %s", found.provenance["report_url"])
        return self.adata

    def get_results(self, results_prefix: str = "cytetype") -> dict[str, Json] | None:
        """Return the results stored in the AnnData, in the published form, or None.

        Parameters
        ----------
        results_prefix
            That of :meth:`run`.
        """
        return stored_results(self.adata, results_prefix)

    def get_job_details(self, results_prefix: str = "cytetype") -> dict[str, Json] | None:
        """Return id, report and address of the job stored in the AnnData, or None.

        Parameters
        ----------
        results_prefix
            That of :meth:`run`.
        """
        return job_details(self.adata, results_prefix)

    def cleanup(self) -> None:
        """Delete the artifacts that this object wrote; nothing happens the second time."""
        while self._written:
            self._written.pop().unlink(missing_ok=True)

    # What the package computes when the object is made.

    @property
    def cluster_map(self) -> dict[str, str]:
        """Cluster -> id."""
        return {label: own for own, label in self._payload["clusterLabels"].items()}

    @property
    def clusters(self) -> list[str | None]:
        """Id of the cluster of each cell; None for a cell without one."""
        codes = self._study.clusters.codes
        own = [self.cluster_map[name] for name in self._study.clusters.names]
        return [] if codes is None else [None if c < 0 else own[c] for c in codes]

    @property
    def expression_percentages(self) -> dict[str, dict[str, float]]:
        """Gene -> id -> percentage of the cells that express it."""
        return dict(self._payload["expressionData"])

    @property
    def marker_genes(self) -> dict[str, list[str]]:
        """Id -> markers, best first."""
        return dict(self._payload["markerGenes"])

    @property
    def group_metadata(self) -> dict[str, object]:
        """Id -> column -> value -> percentage."""
        return dict(self._payload["clusterMetadata"])

    @property
    def visualization_data(self) -> dict[str, object]:
        """Sampled coordinates, and the id of the cluster of each."""
        return dict(self._payload["visualizationData"])

    @cached_property
    def _payload(self) -> InputData:
        from ..engines.cytetype.payload import build_payload
        from ..study.summary import summarise

        options = self._engine().options
        return build_payload(self._study, options, summarise(self._study, options.for_summary()))

    def _engine(self, **options: Any) -> Engine:
        return Engine(api_url=self.api_url, auth_token=self._token, **self._fixed, **options)

    def _read(self) -> Study:
        reading = self._engine().capabilities.reading
        study = build_study(self.adata, group_key=self.group_key, reading=reading)
        if not self._label_na:
            return study
        labels = [
            None if code < 0 else study.clusters.names[code]
            for code in (() if study.clusters.codes is None else study.clusters.codes)
        ]
        name = NAME_OF_MISSING
        number = 1
        while name in study.clusters.names:
            number += 1
            name = f"{NAME_OF_MISSING} {number}"
        filled = [name if label is None else label for label in labels]
        return study.with_parts(
            clusters=Clusters.from_labels(filled, [*study.clusters.names, name])
        )


def _symbols(adata: anndata.AnnData, column: str | None) -> str | None:
    """Return the column with symbols; only the documented one may be missing."""
    return None if column == SYMBOLS and SYMBOLS not in adata.var.columns else column
