"""Drop-in for CASSIA's batch processing, with its names, defaults and habit of overwriting.

::

    from cellferry.compat import cassia as CASSIA
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..annotate.objects import annotate_clusters
from ..engines.llm import LLM
from ..engines.llm.outputs import summary
from ..study.markers.read import read_markers
from ..study.options import one_of
from .cassia_examples import EXAMPLES, example_table

if TYPE_CHECKING:
    import pandas as pd

    from ..study.markers.read import Source

__all__ = ["loadmarker", "runCASSIA_batch"]


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
    dry_run
        Print calls, tokens and estimated cost, and make none.
    **options
        Other options of :class:`cellferry.engines.llm.LLM`.

    Returns
    -------
    pandas.DataFrame
        The summary, a row per input cluster. Empty after a dry run.

    Raises
    ------
    CellferryError
        Before the first call wherever that can be known.
    """
    import pandas as pd

    engine = LLM(
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
        api_key=api_key,
        **{"overwrite_files": True, **options},
    )
    markers = read_markers(marker, cluster_column=celltype_column, gene_column=gene_column_name)
    if dry_run:
        plan = annotate_clusters(
            markers, engine=engine, tissue=tissue, species=species, dry_run=True
        )
        sys.stdout.write(f"{plan}\n")
        return pd.DataFrame()
    found = annotate_clusters(markers, engine=engine, tissue=tissue, species=species)
    return pd.DataFrame(summary(found))


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
