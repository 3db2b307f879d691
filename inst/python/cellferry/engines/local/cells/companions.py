"""Marker export and embedding for the payload of the Cell Atlas API: JSON in, JSON out, offline.

The addresses, bodies and answers are of our own: those of the hosted service are not public.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...._version import __version__
from ....annotations.clusters import UNKNOWN
from ....artifacts.marker_sums import OF_ANNOTATION, MarkerSums
from ....errors import InvalidObjectError, MarkersRequiredError
from ....study.clusters import Clusters
from ....study.expression.kinds import NOT_LOGGED, look_at_values
from ....study.markers.contrasts import one_against_rest
from .projection import NAME, Projection
from .requests import calls_of, matrix_of, parsed, refuse
from .scores import TARGET_SUM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scipy.sparse import csr_matrix

    from ....files import Json
    from ....study.markers.tested import MarkerTable

MARKER_COLUMNS = ("label", "gene", "avg_log2FC", "pct_1", "pct_2", "p_val", "p_val_adj")
COLUMNS_OF_TABLE: dict[str, str] = {"label": "cluster", "pct_1": "pct.1", "pct_2": "pct.2"}
"""What of these Seurat's table calls otherwise."""


def answer_markers(body: bytes | bytearray) -> bytes:
    """Return the marker genes of each label, as JSON.

    The body is that of an annotation with ``labels``, one text or null for each cell; without
    them the cells are annotated first. ``markers`` has one record for each label and gene, as
    Seurat's ``FindAllMarkers(only.pos = TRUE)`` with ``logfc.threshold = 0.25`` and
    ``min.pct = 0.1``; ``left_out`` says why a label has none.

    Raises
    ------
    InvalidOptionError
        The body is not a request as specified; the message says where.
    """
    import orjson

    sent = parsed(body)
    genes, matrix = matrix_of(sent)
    labels = _labels(sent, matrix.shape[0])
    counts = look_at_values(matrix.data).kind in NOT_LOGGED
    if labels is None:
        found, _ = calls_of(genes, matrix)
        labels = [None if x == UNKNOWN else x for x in found.label.values().tolist()]
    try:
        table = markers_of_labels(genes, _logged(matrix) if counts else matrix, labels)
    except MarkersRequiredError as error:
        refuse(error.message, error)
    records = [dict(zip(MARKER_COLUMNS, row, strict=True)) for row in _rows(table)]
    return orjson.dumps(
        {
            "markers": records,
            "left_out": dict(table.left_out),
            "engine": {"name": "cellferry local", "version": __version__, **table.details},
        },
        option=orjson.OPT_NON_STR_KEYS,
    )


def answer_embedding(body: bytes | bytearray) -> bytes:
    """Return 50 numbers for each cell, as JSON; see :mod:`.projection`.

    Raises
    ------
    InvalidOptionError
        The body is not a request as specified; the message says where.

    Examples
    --------
    >>> body = (b'{"genes":["CD79A","MS4A1","CD79B"],'
    ...         b'"matrix":{"indptr":[0,3],"indices":[0,1,2],"data":[5,4,3],"shape":[1,3]}}')
    >>> b'"dimensions":50' in answer_embedding(body)
    True
    """
    import orjson

    genes, matrix = matrix_of(parsed(body))
    counts = look_at_values(matrix.data).kind in NOT_LOGGED
    made = Projection.for_genes(genes)
    try:
        found = made.embed([(0, matrix)], counts=counts)
    except InvalidObjectError as error:
        refuse(error.message, error)
    engine = {
        "name": "cellferry local", "version": __version__, "species": made.species,
        "projection": NAME, "genes": made.n_genes,
    }  # fmt: skip
    return orjson.dumps(
        {"embedding": found, "dimensions": found.shape[1], "engine": engine},
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def markers_of_labels(
    genes: Sequence[str], matrix: csr_matrix, labels: Sequence[str | None]
) -> MarkerTable:
    """Return the marker genes of each label against all other cells.

    Parameters
    ----------
    genes
        Names of the columns.
    matrix
        Cells x genes, log-normalised.
    labels
        One per cell; cells without one are among the others.

    Raises
    ------
    MarkersRequiredError
        There are not two labels.
    """
    clusters = Clusters.from_labels(list(labels))
    sums = MarkerSums(genes, [one_against_rest(clusters)], OF_ANNOTATION.checked())
    sums.take(0, matrix.tocsc())
    return sums.table(clusters.names)


def _labels(sent: Mapping[str, Json], n_cells: int) -> list[str | None] | None:
    labels = sent.get("labels")
    if labels is None:
        return None
    if not isinstance(labels, list) or not all(isinstance(x, str | None) for x in labels):
        refuse("`labels` must be a list of text or null.")
    if len(labels) != n_cells:
        refuse(f"`labels` has {len(labels)} entries for {n_cells} cells.")
    return [None if label is None or not label.strip() else label for label in labels]


def _logged(matrix: csr_matrix) -> csr_matrix:
    """Return the values per 10,000 of each cell, as log(1 + x)."""
    from scipy.sparse import csr_matrix

    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    sums = np.bincount(rows, matrix.data.astype(np.float64), matrix.shape[0])
    factors = TARGET_SUM / np.maximum(sums, 1e-9)
    values = np.log1p(matrix.data.astype(np.float64) * factors[rows])
    return csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def _rows(table: MarkerTable) -> list[tuple[object, ...]]:
    columns = (
        [table.clusters[i] for i in table.cluster.tolist()],
        table.gene.tolist(),
        *(x.tolist() for x in (table.avg_log_fc, table.pct_1, table.pct_2)),
        *(x.tolist() for x in (table.p_val, table.p_val_adj)),
    )
    return list(zip(*columns, strict=True))
