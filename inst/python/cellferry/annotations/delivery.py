"""Delivery: the metadata columns of an annotation, and their way into an AnnData.

The join is by the exact text of the cluster; never by position, substring or likeness.
R asks this module which columns to write, so that the rules exist once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..biology.ontology import cell_ontology
from ..errors import ColumnExistsError, InternalError, InvalidKeyError, listing
from .clusters import STATUSES, Annotations
from .texts import Texts

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

    from ..study.clusters import Clusters
    from .cells import CellAnnotations
    from .clusters import Annotations

STORE = "cellferry"
"""Name under ``adata.uns`` and in ``Misc`` where annotations are kept, by key."""

Level = Literal["clusters", "cells"]
"""What an engine is asked for."""

COLUMN_SOURCES: dict[str, tuple[str, Literal["category", "real"]]] = {
    "": ("label", "category"),
    "_detail": ("detail", "category"),
    "_confidence": ("confidence", "real"),
    "_ontology_id": ("ontology_id", "category"),
    "_status": ("status", "category"),
}
"""Suffix of a metadata column -> column of the annotations, and its kind."""


CELL_SUFFIXES: tuple[str, ...] = (*COLUMN_SOURCES, "_majority", "_majority_share", "_disagrees")
"""Suffixes of the columns of cells; the last three are written where there are clusters."""


def column_names(key: str, level: Level = "clusters") -> list[str]:
    """Return the metadata columns that are written under a key.

    Examples
    --------
    >>> column_names("cell_type")[:2]
    ['cell_type', 'cell_type_detail']
    """
    return [key + suffix for suffix in (COLUMN_SOURCES if level == "clusters" else CELL_SUFFIXES)]


def check_key(
    key: str,
    existing: Collection[str],
    owned: Collection[str] = (),
    *,
    overwrite: bool = False,
    reserved: Mapping[str, Collection[str]] | None = None,
    level: Level = "clusters",
) -> list[str]:
    """Check that labels may be written under a key, and return the columns to replace.

    Parameters
    ----------
    key
        Name of the label column; the others are the key and a suffix.
    existing
        Metadata columns the object has.
    owned
        Columns that an earlier annotation under this key wrote.
    overwrite
        Whether columns that cellferry did not write may be replaced.
    reserved
        What else has names in the object (assay, reduction, graph), by kind.
    level
        Whether labels of clusters or of cells are to be written.

    Raises
    ------
    InvalidKeyError
        The key is not a name, or names an assay, reduction or graph.
    ColumnExistsError
        A target column exists and cellferry did not write it.
    """
    if not re.fullmatch(r"[^\W\d_][\w.]*", key):
        message = f'The key "{key}" is not a valid column name.'
        valid = "It must start with a letter and hold only letters, digits, `_` and `.`."
        raise InvalidKeyError(message, valid)
    for kind, names in (reserved or {}).items():
        taken = {n.lower(): n for n in names}
        for column in column_names(key, level):
            if column.lower() in taken:
                message = f'The key "{key}" is the name of {_article(kind)} of this object.'
                raise InvalidKeyError(message, 'Choose another key, for example "cell_type".')
    present = [c for c in column_names(key, level) if c in set(existing)]
    foreign = [c for c in present if c not in set(owned)]
    if foreign and not overwrite:
        message = (
            f"The metadata already has {listing(foreign)}, and cellferry did not write "
            f"{'it' if len(foreign) == 1 else 'them'}."
        )
        hint = f'Use another key than "{key}", or overwrite = TRUE (Python: overwrite=True).'
        raise ColumnExistsError(message, hint, columns=foreign)
    return present


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def check_object_key(
    adata: anndata.AnnData, key: str, *, overwrite: bool = False, level: Level = "clusters"
) -> list[str]:
    """Check as :func:`check_key` that labels may be written into an AnnData."""
    owned = owned_columns(adata.uns.get(STORE, {}).get(key))
    return check_key(key, list(adata.obs.columns), owned, overwrite=overwrite, level=level)


def owned_columns(stored: str | None) -> list[str]:
    """Return the columns that stored annotations say they wrote; none if unreadable."""
    try:
        found = json.loads(stored or "{}")["provenance"]["columns"]
    except (ValueError, KeyError, TypeError):
        return []
    return [str(c) for c in found]


@dataclass(frozen=True)
class Column:
    """One metadata column as one value per cluster, ready to be joined to cells.

    ``levels`` are the categories in order of first appearance; None for numbers.
    """

    name: str
    by_cluster: dict[str, Any]
    levels: tuple[str, ...] | None


def columns(annotations: Annotations, key: str) -> list[Column]:
    """Return the metadata columns of an annotation, one value per cluster."""
    made = []
    for suffix, (source, kind) in COLUMN_SOURCES.items():
        values = {row.cluster: getattr(row, source) for row in annotations}
        levels = None
        if kind == "category":
            levels = tuple(dict.fromkeys(v for v in values.values() if v is not None))
        made.append(Column(key + suffix, values, levels))
    return made


def attach(adata: anndata.AnnData, annotations: Annotations, clusters: Clusters, key: str) -> None:
    """Write the columns into ``adata.obs`` and the record into ``adata.uns``, in place.

    ``clusters`` has one code per row of ``adata``, in its order. A cell without a
    cluster, or of a cluster that failed or was skipped, gets a missing value.
    """
    import numpy as np
    import pandas as pd

    if clusters.codes is None:
        message = "Clusters without cells cannot be attached."
        raise ValueError(message)
    codes = clusters.codes
    for column in columns(annotations, key):
        values = [column.by_cluster[name] for name in clusters.names]
        if column.levels is None:
            numbers = np.array([np.nan if v is None else v for v in values] + [np.nan])
            adata.obs[column.name] = numbers[codes]
            continue
        position = {level: i for i, level in enumerate(column.levels)}
        of_cluster = np.array([-1 if v is None else position[v] for v in values] + [-1])
        adata.obs[column.name] = pd.Categorical.from_codes(
            of_cluster[codes], categories=pd.Index(column.levels, dtype="object")
        )
    store = dict(adata.uns.get(STORE, {}))
    store[key] = annotations.to_json()
    adata.uns[STORE] = store


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
