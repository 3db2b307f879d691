"""The options of the CyteType engine: one table of defaults, one check of values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InvalidOptionError
from ...study.options import flag, number, one_of, or_none, path, text, whole_number
from ..service.addresses import check_address

if TYPE_CHECKING:
    from ...study.summary import SummaryOptions

HOSTED = "https://cytetype.nygen.io"
ADDRESS_VARIABLE = "CYTETYPE_API_URL"
TOKEN_VARIABLE = "CYTETYPE_AUTH_TOKEN"
VISIBILITIES = ("private", "org", "public")
MOST_PARALLEL = 50


@dataclass(frozen=True)
class Options:
    """Everything but the secrets. Meaning and units: see :class:`CyteType`."""

    api_url: str | None = None
    metadata: Mapping[str, object] | None = None
    n_parallel_clusters: int = 2
    visibility: str | None = None
    rank_key: str = "rank_genes_groups"
    gene_symbols_column: str | None = None
    n_top_genes: int = 50
    aggregate_metadata: bool = True
    min_percentage: int = 10
    max_metadata_categories: int = 500
    pcent_batch_size: int = 2000
    coordinates_key: str = "X_umap"
    max_cells_per_group: int = 1000
    obs_columns: tuple[str, ...] | None = None
    vars_h5_path: str = "vars.h5"
    obs_duckdb_path: str = "obs.duckdb"
    upload_timeout_seconds: float = 3600
    upload_max_workers: int = 4
    cleanup_artifacts: bool = False
    require_artifacts: bool = True
    save_query: bool = True
    query_filename: str = "query.json"
    poll_interval_seconds: float = 30
    timeout_seconds: float = 7200
    overwrite_files: bool = False

    @property
    def address(self) -> str:
        """The address of the service: the option's, the environment's, the hosted one."""
        return check_address(self.api_url or os.environ.get(ADDRESS_VARIABLE) or HOSTED)

    def for_summary(self) -> SummaryOptions:
        """Return what of them the statistics of the expression depend on."""
        from ...study.summary import SummaryOptions

        return SummaryOptions(
            min_percentage=self.min_percentage,
            pcent_batch_size=self.pcent_batch_size,
            max_cells_per_group=self.max_cells_per_group,
            aggregate_metadata=self.aggregate_metadata,
            max_metadata_categories=self.max_metadata_categories,
            columns=self.obs_columns,
        )

    def describe(self) -> dict[str, object]:
        """Return the options as plain data, from which the same can be made again."""
        found = asdict(self)
        found["api_url"] = self.address
        found["metadata"] = None if self.metadata is None else dict(self.metadata)
        found["obs_columns"] = None if self.obs_columns is None else list(self.obs_columns)
        return found


_WHOLE = {
    "n_top_genes": 1, "max_metadata_categories": 1, "pcent_batch_size": 1,
    "max_cells_per_group": 1, "upload_max_workers": 1, "min_percentage": 0,
}  # fmt: skip
_SECONDS = ("upload_timeout_seconds", "poll_interval_seconds", "timeout_seconds")
_FLAGS = (
    "aggregate_metadata", "cleanup_artifacts", "require_artifacts", "save_query",
    "overwrite_files",
)  # fmt: skip
_TEXTS = ("rank_key", "coordinates_key")
_PATHS = ("vars_h5_path", "obs_duckdb_path", "query_filename")


def checked(options: Options) -> Options:
    """Return the options with their types settled.

    Raises
    ------
    InvalidOptionError
        Names the option and what is valid.
    """
    given: dict[str, Any] = asdict(options)
    for name, least in _WHOLE.items():
        given[name] = whole_number(name, given[name], least)
    name = "n_parallel_clusters"
    given[name] = whole_number(name, given[name], 1, MOST_PARALLEL)
    for name in _SECONDS:
        given[name] = number(name, given[name], above=0)
    for name in _FLAGS:
        given[name] = flag(name, given[name])
    for name in _TEXTS:
        given[name] = text(name, given[name])
    for name in _PATHS:
        given[name] = path(name, given[name])
    or_none(text, "gene_symbols_column", options.gene_symbols_column)
    or_none(one_of, "visibility", options.visibility, VISIBILITIES)
    if options.api_url is not None:
        given["api_url"] = check_address(options.api_url)
    given["metadata"] = _metadata(options.metadata)
    given["obs_columns"] = _columns(options.obs_columns)
    return Options(**given)


def _metadata(given: object) -> dict[str, object] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        message = f"`metadata` must be a record of names and values, not {type(given).__name__}."
        raise InvalidOptionError(message, option="metadata")
    for name, value in given.items():
        if not isinstance(value, str | int | float | bool | None):
            message = f"`metadata[{name!r}]` must be text, a number or a flag."
            raise InvalidOptionError(message, "A link is text too.", option="metadata")
    # A value of None says that there is none: scripts fill in what they have.
    return {str(k): v for k, v in given.items() if v is not None}


def _columns(given: object) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
        message = "`obs_columns` must be names of metadata columns."
        raise InvalidOptionError(message, "None sends all of them.", option="obs_columns")
    return tuple(names)
