"""Studies for engines that answer cells: the parts they read, from an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .expression import MatrixSource
from .study import Clusters, Context, Study
from .study_builders import USUAL_GROUPS, group_key_of

if TYPE_CHECKING:
    import anndata

COUNTS_LAYERS = ("counts", "raw_counts")
GRAPH = "connectivities"
LOOKED_AT = 2_000
"""Rows from which it is told what a matrix holds."""


def study_of_cells(
    adata: anndata.AnnData, *, group_key: str | None = None, context: Context | None = None
) -> Study:
    """Build the study of an AnnData's cells without changing it; clusters may be absent.

    Parameters
    ----------
    adata
        Cells x genes. Raw counts are looked for in ``layers["counts"]``, ``.raw`` and
        ``.X``, log-normalised values in ``.raw`` and ``.X``. Nothing is copied.
    group_key
        Column of ``obs`` with clusters to compare with. None: the one column with a usual
        name, if there is one.

    Raises
    ------
    GroupMissingError
        There is no such column.
    """
    columns = [str(c) for c in adata.obs.columns]
    usual = [c for c in USUAL_GROUPS if c in columns]
    key = group_key or (usual[0] if len(usual) == 1 else None)
    if key is None:
        clusters = Clusters((), np.full(adata.n_obs, -1, dtype=np.int32))
    else:
        clusters = Clusters.from_column(adata.obs[group_key_of(adata, key)])
    normalized, counts = _matrices(adata)
    source = normalized if normalized is not None else counts
    graph = adata.obsp.get(GRAPH)
    return Study(
        clusters=clusters,
        group_key=key,
        cells=tuple(str(c) for c in adata.obs_names),
        genes=None if source is None else source.genes,
        normalized=normalized,
        counts=counts,
        obs=adata.obs,
        graph=None if graph is None else (GRAPH, graph),
        context=context or Context(),
    )


def _matrices(adata: anndata.AnnData) -> tuple[MatrixSource | None, MatrixSource | None]:
    """Return the normalised values and the counts, as far as they are there."""
    names = tuple(str(g) for g in adata.var_names)
    raw = adata.raw
    candidates: list[tuple[Any, tuple[str, ...]]] = [
        (adata.layers[layer], names) for layer in COUNTS_LAYERS if layer in adata.layers
    ]
    counts = next((MatrixSource(m, g) for m, g in candidates if looks_like(m) == "counts"), None)
    normalized = None
    places = [] if raw is None else [(raw.X, tuple(str(g) for g in raw.var_names))]
    places += [] if adata.X is None else [(adata.X, names)]
    for matrix, genes in places:
        kind = looks_like(matrix)
        if kind == "counts" and counts is None:
            counts = MatrixSource(matrix, genes)
        elif kind == "normalized" and normalized is None:
            normalized = MatrixSource(matrix, genes)
    return normalized, counts


def looks_like(matrix: Any) -> str:
    """Tell from its first rows whether a matrix holds ``counts``, ``normalized`` or ``scaled``.

    Counts are whole numbers of at least 0; scaled values have some below 0.
    """
    from scipy.sparse import csr_matrix

    data = csr_matrix(matrix[:LOOKED_AT]).data
    if len(data) and float(data.min()) < 0:
        return "scaled"
    return "counts" if bool(np.all(data == np.floor(data))) else "normalized"
