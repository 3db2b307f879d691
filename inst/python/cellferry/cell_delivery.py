"""Delivery of annotations of cells: the metadata columns, and their way into an AnnData.

The join is by the exact name of the cell. Where there are clusters, what most cells of a
cell's cluster are, their share, and whether the cell's own label disagrees, go beside it. A
label disagrees unless it is the same, or one is a kind of the other in the Cell Ontology.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .annotations import STATUSES
from .cell_columns import Texts
from .delivery import STORE
from .errors import InternalError
from .ontology import cell_ontology

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

    from .annotations import Annotations
    from .cell_annotations import CellAnnotations
    from .study import Clusters


@dataclass(frozen=True, eq=False)
class CellColumn:
    """One metadata column: categories, numbers (NaN is none) or flags, one value per cell."""

    name: str
    values: Texts | NDArray[np.float64] | NDArray[np.bool_]


def has_clusters(clusters: Clusters) -> bool:
    """Whether there is a clustering to compare with: two clusters at least."""
    return clusters.codes is not None and len(clusters.names) > 1


def cell_columns(found: CellAnnotations, key: str, clusters: Clusters) -> list[CellColumn]:
    """Return the metadata columns of an answer, in the order of its cells."""
    ids = [(found.ontology.get(x) or (None, None))[0] for x in found.label.levels]
    levels = tuple(dict.fromkeys(x for x in ids if x is not None))
    place = np.array([-1 if x is None else levels.index(x) for x in [*ids, None]], dtype=np.int32)
    status = Texts(STATUSES, found.status.astype(np.int32))
    columns = [
        CellColumn(key, found.label.compact()),
        CellColumn(f"{key}_detail", found.detail.compact()),
        CellColumn(f"{key}_confidence", found.confidence),
        CellColumn(f"{key}_ontology_id", Texts(levels, place[found.label.codes]).compact()),
        CellColumn(f"{key}_status", status.compact()),
    ]
    if has_clusters(clusters):
        columns += _majority_columns(found, key, clusters)
    return columns


def _majority_columns(found: CellAnnotations, key: str, clusters: Clusters) -> list[CellColumn]:
    most = found.majority(clusters)
    codes = clusters.codes
    assert codes is not None
    labels = Texts.of([*(row.label for row in most), None])
    shares = [most.evidence.get(row.cluster, {}).get("share", np.nan) for row in most]
    of_cell = Texts(labels.levels, labels.codes[codes])
    # One more row and column, for none: nothing disagrees with it.
    apart = np.zeros((len(found.label.levels) + 1, len(labels.levels) + 1), dtype=bool)
    for i, one in enumerate(found.label.levels):
        for j, other in enumerate(labels.levels):
            apart[i, j] = not _agree(found, one, other)
    disagrees = apart[found.label.codes, of_cell.codes]
    return [
        CellColumn(f"{key}_majority", of_cell.compact()),
        CellColumn(f"{key}_majority_share", np.array([*shares, np.nan])[codes]),
        CellColumn(f"{key}_disagrees", disagrees),
    ]


def _agree(found: CellAnnotations, one: str, other: str) -> bool:
    """Whether two labels are the same, or one is a kind of the other in the Cell Ontology."""
    if one == other:
        return True
    ids = [(found.ontology.get(x) or (None, None))[0] for x in (one, other)]
    ontology = cell_ontology()
    return all(i in ontology for i in ids) and ontology.related(str(ids[0]), str(ids[1]))


def attach_cells(
    adata: anndata.AnnData,
    found: CellAnnotations,
    clusters: Clusters,
    key: str,
    record: Annotations,
) -> None:
    """Write the columns into ``adata.obs`` and the record into ``adata.uns``, in place.

    ``clusters`` has one code per cell of the answer, in its order; ``adata`` may have its
    cells in another order.
    """
    import pandas as pd

    names = pd.Index(found.cells, dtype="object")
    rows = names.get_indexer(pd.Index(adata.obs_names.astype(str), dtype="object"))
    if len(names) != adata.n_obs or bool(np.any(rows < 0)):
        message = "The answer is not about the cells of this object."
        raise InternalError(message)
    columns = cell_columns(found, key, clusters)
    made: dict[str, Any] = {}
    for column in columns:
        values = column.values
        made[column.name] = (
            pd.Categorical.from_codes(
                values.codes[rows], categories=pd.Index(values.levels, dtype="object")
            )
            if isinstance(values, Texts)
            else values[rows]
        )
    for name, values in made.items():
        adata.obs[name] = values
    store = dict(adata.uns.get(STORE, {}))
    store[key] = record.to_json()
    adata.uns[STORE] = store
