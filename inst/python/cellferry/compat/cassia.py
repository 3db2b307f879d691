"""Drop-in for CASSIA's batch processing, with its names, defaults and habit of overwriting.

::

    from cellferry.compat import cassia as CASSIA
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..annotate.objects import annotate_clusters
from ..biology.genes import identifier_kind
from ..engines.llm import LLM
from ..engines.llm.endpoints import MODELS_OF
from ..engines.llm.outputs import summary
from ..engines.service.providers import find_provider
from ..engines.service.secrets import Secret
from ..errors import GeneIdentifiersError
from ..study.markers.read import read_markers
from ..study.options import one_of
from .cassia_examples import EXAMPLES, example_table

if TYPE_CHECKING:
    import pandas as pd

    from ..annotations.clusters import Annotations
    from ..runs.run import Run
    from ..study.markers.read import Source
    from ..study.markers.table import Markers
    from ..study.study import Study

__all__ = ["loadmarker", "runCASSIA_batch", "set_api_key"]

logger = logging.getLogger("cellferry")

_keys: dict[str, Secret] = {}
"""Provider or base URL -> key, of :func:`set_api_key`; in this process only."""


def set_api_key(api_key: str, provider: str = "openai") -> None:
    """Keep the key of a provider for the calls of this process.

    It is in no environment variable and no file.

    Parameters
    ----------
    api_key
        The key.
    provider
        Name of a provider, or the base URL of an OpenAI-compatible server.

    Raises
    ------
    InvalidOptionError
        There is no such provider, or the key has characters that no key has.

    Examples
    --------
    >>> set_api_key("sk-or-not-a-real-key", provider="openrouter")
    """
    _keys[_place(provider)] = Secret(api_key, "set_api_key")


def _place(provider: str) -> str:
    name, base_url = find_provider(provider, valid=MODELS_OF)
    return name if base_url is None else base_url.rstrip("/")


class _Batch(LLM):
    """The engine, whose files name the provider as it was given."""

    given = ""

    def write_files(self, found: Annotations, study: Study, run: Run) -> None:
        """Write the three files."""
        super().write_files(_as_given(found, self.given), study, run)


def _as_given(found: Annotations, provider: str) -> Annotations:
    return replace(found, rows=tuple(replace(row, provider=provider) for row in found))


def runCASSIA_batch(  # noqa: N802, PLR0917 - the published name and order
    marker: Source,
    output_name: str,
    model: str | None = None,
    tissue: str | None = None,
    species: str | None = None,
    provider: str = "openrouter",
    *,
    max_workers: int = 4,
    n_genes: int = 50,
    additional_info: str | None = None,
    temperature: float | None = 0,
    validator_involvement: str = "v1",
    reasoning: str | None = None,
    ranking_method: str = "avg_log2FC",
    ascending: bool | None = None,
    celltype_column: str | None = None,
    gene_column_name: str | None = None,
    max_retries: int = 1,
    auto_convert_ids: bool = True,
    use_reference: bool = False,
    verbose: bool = True,
    validate_api_key_before_start: bool = True,  # noqa: ARG001 - of the published name
    api_key: str | None = None,
    dry_run: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Annotate every cluster of a marker table and write the three files.

    Parameters
    ----------
    marker
        Marker table: DataFrame or path, in any of the three formats.
    output_name
        Base name of the files, used exactly as given. Files of these names are replaced.
    model
        None is ``anthropic/claude-sonnet-4.5`` for openrouter.
    tissue, species
        None, ``"none"`` or ``"tissue blind"``: the tissue is unknown, and none is assumed.
        A species of None is found from the gene names.
    provider
        Name of a provider, or the base URL of an OpenAI-compatible server.
    max_workers, n_genes, additional_info, temperature, validator_involvement, reasoning,
    ranking_method, ascending, max_retries, api_key
        See :class:`cellferry.engines.llm.LLM`.
    celltype_column, gene_column_name
        Columns of the clusters and of the genes, for any format.
    auto_convert_ids
        Give Ensembl identifiers their symbols. False: a table of them is an error, because no
        model knows them.
    use_reference
        The published tool then has its models read reference texts, which this one does not
        have: True is reported, and the clusters are annotated without.
    verbose
        Show progress.
    validate_api_key_before_start
        Taken, and no call is made for it: that there is a key is always checked before the
        first call, and a key that is refused ends the run at the first one.
    dry_run
        Print calls, tokens and estimated cost, and make none.
    **options
        Other options of :class:`cellferry.engines.llm.LLM`.

    Returns
    -------
    pandas.DataFrame
        The summary, a row per input cluster; its Provider is as it was given, the address where
        that was one. Empty after a dry run.

    Raises
    ------
    CellferryError
        Before the first call wherever that can be known.
    """
    import pandas as pd

    engine = _Batch(
        provider=provider,
        model=model,
        output_name=output_name,
        max_workers=max_workers,
        n_genes=n_genes,
        additional_info=additional_info,
        temperature=temperature,
        validator_involvement=validator_involvement,
        reasoning=reasoning,
        ranking_method=ranking_method,
        ascending=ascending,
        max_retries=max_retries,
        api_key=_keys.get(_place(provider)) if api_key is None else api_key,
        **{"overwrite_files": True, **options},
    )
    engine.given = provider.strip()
    markers = read_markers(marker, cluster_column=celltype_column, gene_column=gene_column_name)
    if not auto_convert_ids:
        _check_symbols(markers)
    if use_reference:
        logger.warning("use_reference: there are no reference texts here, so none are read.")
    if dry_run:
        plan = annotate_clusters(
            markers, engine=engine, tissue=tissue, species=species, dry_run=True
        )
        sys.stdout.write(f"{plan}\n")
        return pd.DataFrame()
    found = annotate_clusters(
        markers, engine=engine, tissue=tissue, species=species, progress=verbose
    )
    return pd.DataFrame(summary(_as_given(found, engine.given)))


def _check_symbols(markers: Markers) -> None:
    kind = identifier_kind(markers.gene)
    if kind != "symbol":
        message = f"The genes are {kind} identifiers, and `auto_convert_ids` is False."
        raise GeneIdentifiersError(message, "Leave it out, or give symbols.")


def loadmarker(marker_type: str = "processed") -> pd.DataFrame:
    """Return an example marker table of our own.

    Parameters
    ----------
    marker_type
        ``"unprocessed"``: with the statistics and names of Seurat's ``FindAllMarkers()``.
        ``"processed"``: a line per cluster with its genes in one text.

    Notes
    -----
    The genes are well-known markers; the statistics are made up, to show the format.

    Examples
    --------
    >>> list(loadmarker("processed").columns)
    ['cluster', 'marker_genes']
    """
    return example_table(one_of("marker_type", marker_type, tuple(EXAMPLES)))
