"""Delivery: the metadata columns of an annotation, and their way into an AnnData.

The join is by the exact text of the cluster; never by position, substring or likeness.
R asks this module which columns to write, so that the rules exist once.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..biology.ontology import cell_ontology
from ..errors import ColumnExistsError, InvalidKeyError, RecordLostWarning, listing
from .cells import CellAnnotations, has_clusters
from .clusters import STATUSES, Annotations, Level
from .levels import SUFFIXES, levels, lineage_order
from .texts import Texts

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from ..study.clusters import Clusters

__all__ = [
    "APART",
    "COLUMN_SOURCES",
    "DEFAULT_KEYS",
    "STORE",
    "Column",
    "Level",
    "by_lineage",
    "check_group_key",
    "check_key",
    "check_object_key",
    "column_names",
    "columns",
    "has_clusters",
    "owned_columns",
]

Values = Texts | np.ndarray[Any, np.dtype[np.float64]] | np.ndarray[Any, np.dtype[np.bool_]]

STORE = "cellferry"
"""Name under ``adata.uns`` and in ``Misc`` where annotations are kept, by key."""

APART = "@"
"""Between a key and a part that was merged: its record is kept under ``<key>@<part>``."""

DEFAULT_KEYS: dict[Level, str] = {"clusters": "cell_type", "cells": "cell_type_cell"}
"""Name of the label column where none is given."""

COLUMN_SOURCES: dict[str, tuple[str, Literal["category", "real"]]] = {
    "": ("label", "category"),
    "_detail": ("detail", "category"),
    "_confidence": ("confidence", "real"),
    "_ontology_id": ("ontology_id", "category"),
    "_status": ("status", "category"),
}
"""Suffix of a metadata column -> column of the annotations, and its kind."""


RECORD_LOST = "merge(), concat(), conversions and DietSeurat(misc = FALSE) drop it"
"""What is known of a record that is not there."""

UNKNOWN_STATUS = "unknown"

BESIDE_SUFFIXES: dict[str, str] = {"raw": "_raw", "voted": "_voted"}
"""Column of the annotations of cells -> suffix of its column, where the answer has it.

What each cell is by itself, where the label counts more than that; what most cells of its small
group are.
"""

COMPARED_SUFFIXES: tuple[str, ...] = ("_majority", "_majority_share", "_disagrees")
"""Suffixes of the columns that compare cells with their clusters, where there are clusters."""


def column_names(
    key: str,
    level: Level = "clusters",
    *,
    compared: bool = True,
    beside: Collection[str] = (),
) -> list[str]:
    """Return the metadata columns that are written under a key.

    Parameters
    ----------
    compared
        Whether there are clusters with which the labels of cells are compared.
    beside
        What cells also have of :data:`BESIDE_SUFFIXES`.

    Examples
    --------
    >>> column_names("cell_type")[:2]
    ['cell_type', 'cell_type_detail']
    """
    others = COMPARED_SUFFIXES if level == "cells" and compared else ()
    more = [end for name, end in BESIDE_SUFFIXES.items() if level == "cells" and name in beside]
    return [key + suffix for suffix in (*COLUMN_SOURCES, *more, *others)]


def beside_label(found: object) -> list[str]:
    """Return which columns of :data:`BESIDE_SUFFIXES` an answer has."""
    return [name for name in BESIDE_SUFFIXES if getattr(found, name, None) is not None]


def claimed_columns(key: str, level: Level = "clusters", *, levels: bool = False) -> list[str]:
    """Return the columns that may be written under a key, now or once somebody decides.

    Parameters
    ----------
    key
        Name of the label column.
    level
        Whether labels of clusters or of cells are written.
    levels
        Whether the broader labels of them are written too.
    """
    more = [key + suffix for suffix in SUFFIXES] if levels else []
    return [*column_names(key, level, beside=BESIDE_SUFFIXES), f"{key}_decision", *more]


def check_key(
    key: str,
    existing: Collection[str],
    owned: Collection[str] = (),
    *,
    overwrite: bool = False,
    reserved: Mapping[str, Collection[str]] | None = None,
    level: Level = "clusters",
    unrecorded: bool = False,
    levels: bool = False,
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
    unrecorded
        Whether what is in the columns of the key shows that cellferry wrote them, although the
        object has no record of it; see :func:`looks_written`. They are replaced with a warning.
    levels
        Whether the broader labels are written too.

    Raises
    ------
    InvalidKeyError
        The key is not a name, or names an assay, reduction or graph.
    ColumnExistsError
        A target column exists and cellferry did not write it.
    """
    if not re.fullmatch(r"[^\W\d_][\w.]*", key):
        message = f'The key "{key}" is not a valid column name.'
        valid = "It must start with a letter and contain only letters, digits, `_` and `.`."
        raise InvalidKeyError(message, valid)
    for kind, names in (reserved or {}).items():
        taken = {n.lower(): n for n in names}
        for column in claimed_columns(key, level, levels=levels):
            if column.lower() in taken:
                message = f'The key "{key}" is the name of {_article(kind)} of this object.'
                raise InvalidKeyError(message, 'Choose another key, for example `key="cell_type"`.')
    wanted = claimed_columns(key, level, levels=levels)
    present = [c for c in wanted if c in set(existing)]
    foreign = [c for c in present if c not in set(owned)]
    if foreign and unrecorded and not overwrite:
        message = (
            f"cellferry wrote {listing(foreign)}, and the record of it is not in this object any "
            f"more ({RECORD_LOST}). They are replaced."
        )
        warnings.warn(RecordLostWarning(message), stacklevel=3)
    elif foreign and not overwrite:
        message = (
            f"The metadata already has {listing(foreign)}, and this object has no record that "
            f"cellferry wrote {'it' if len(foreign) == 1 else 'them'}."
        )
        hint = f'Use another key than "{key}" (`key`), or `overwrite=True`.'
        raise ColumnExistsError(message, hint, columns=foreign)
    return present


def check_group_key(key: str, group_key: str | None, level: Level = "clusters") -> None:
    """Refuse a column of clusters that the labels would be written over.

    Parameters
    ----------
    key
        Name of the label column; the others are the key and a suffix.
    group_key
        Column with the clusters, if one is named.
    level
        Whether labels of clusters or of cells are to be written.

    Raises
    ------
    InvalidKeyError
        It is one of the columns to be written.

    Examples
    --------
    >>> check_group_key("cell_type", "leiden")
    """
    if group_key is None or group_key not in claimed_columns(key, level):
        return
    message = (
        f'The clusters are in the column "{group_key}", which the labels under the key "{key}" '
        "would be written over."
    )
    hint = f'Choose another key, for example key = "{key}_2" (command line: --key {key}_2).'
    raise InvalidKeyError(message, hint)


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def check_object_key(
    adata: anndata.AnnData,
    key: str,
    *,
    overwrite: bool = False,
    level: Level = "clusters",
    levels: bool = False,
) -> list[str]:
    """Check as :func:`check_key` that labels may be written into an AnnData."""
    stored = adata.uns.get(STORE, {}).get(key)
    return check_key(
        key,
        list(adata.obs.columns),
        owned_columns(stored),
        overwrite=overwrite,
        level=level,
        unrecorded=stored is None and looks_written(adata.obs, key),
        levels=levels,
    )


def looks_written(obs: pd.DataFrame, key: str) -> bool:
    """Whether the columns of a key are ours by what is in them, as R's ``looks_written()`` says.

    All columns of an annotation are there, the statuses are ours and not all missing, the
    confidences are numbers from 0 to 1, and a label is exactly where the status says so.

    Parameters
    ----------
    obs
        Metadata of cells.
    key
        Name of the label column.
    """
    import pandas as pd

    if not all(key + end in obs for end in COLUMN_SOURCES):
        return False
    status = obs[f"{key}_status"].astype(object)
    known = status.notna().to_numpy()
    sure = pd.to_numeric(obs[f"{key}_confidence"], errors="coerce")
    numbers = sure.dropna()
    labelled = status.isin(["ok", UNKNOWN_STATUS]).to_numpy()
    return bool(
        known.any()
        and status[known].isin(STATUSES).all()
        and (sure.isna() == obs[f"{key}_confidence"].isna()).all()
        and numbers.between(0, 1).all()
        and (obs[key].notna().to_numpy() == labelled).all()
    )


def owned_columns(stored: str | None) -> list[str]:
    """Return the columns that stored annotations say they wrote; none if unreadable."""
    try:
        found = json.loads(stored or "{}")["provenance"]["columns"]
    except (ValueError, KeyError, TypeError):
        return []
    return [str(c) for c in found]


@dataclass(frozen=True, eq=False)
class Column:
    """One metadata column: categories, numbers (NaN is none) or flags.

    It has one value per row of the answer: per cluster, or per cell. Labels are in lineage order,
    other categories in the order of their first appearance.
    """

    name: str
    values: Values


def columns(
    found: Annotations | CellAnnotations, key: str, clusters: Clusters | None = None
) -> list[Column]:
    """Return the metadata columns of an answer, in the order of its clusters or cells.

    Cells are compared with ``clusters``, which have one code per cell in the same order.

    Parameters
    ----------
    found
        The answer, of clusters or cells.
    key
        Name of the label column.
    clusters
        Those of the object; of cells, what the labels are compared with. None compares nothing.
    """
    made = [Column(key + end, found.values(source)) for end, (source, _) in COLUMN_SOURCES.items()]
    made[0] = Column(key, by_lineage(found.values("label"), found.values("ontology_id")))
    made += [Column(key + BESIDE_SUFFIXES[x], found.values(x)) for x in beside_label(found)]
    if isinstance(found, CellAnnotations) and clusters is not None and has_clusters(clusters):
        made += _compared(found, key, clusters)
    return made


def by_lineage(labels: Values, ids: Values) -> Texts:
    """Return labels with their levels in lineage order: related types beside each other.

    Parameters
    ----------
    labels, ids
        One label and term, or none, for each row or cell.
    """
    assert isinstance(labels, Texts)
    assert isinstance(ids, Texts)
    labels = labels.compact()
    terms: list[str | None] = [None] * len(labels.levels)
    codes, first = np.unique(labels.codes, return_index=True)
    for code, at in zip(codes.tolist(), first.tolist(), strict=True):
        if code >= 0 and ids.codes[at] >= 0:
            terms[code] = ids.levels[int(ids.codes[at])]
    return labels.ordered(lineage_order(labels.levels, terms))


def level_texts(labels: Values, ids: Values) -> dict[str, Texts]:
    """Return the labels at the three levels, suffix -> one for each row or cell.

    Parameters
    ----------
    labels, ids
        As of :func:`by_lineage`.
    """
    assert isinstance(labels, Texts)
    assert isinstance(ids, Texts)
    n = len(ids.levels) + 1
    both = labels.codes.astype(np.int64) * n + ids.codes % n
    kinds, of_cell = np.unique(both, return_inverse=True)
    made = []
    for kind in kinds.tolist():
        label, term = divmod(kind, n)
        known = None if label < 0 else labels.levels[label]
        made.append(levels(known, [*ids.levels, None][term]))
    found = {}
    for i, suffix in enumerate(SUFFIXES):
        names = Texts.of(level[i].label for level in made)
        terms = Texts.of(level[i].ontology_id for level in made)
        ordered = by_lineage(names, terms)
        found[suffix] = Texts(ordered.levels, ordered.codes[of_cell.reshape(-1)])
    return found


def _compared(found: CellAnnotations, key: str, clusters: Clusters) -> list[Column]:
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
    majority, share, disagrees = (key + suffix for suffix in COMPARED_SUFFIXES)
    return [
        Column(majority, of_cell.compact()),
        Column(share, np.array([*shares, np.nan])[codes]),
        Column(disagrees, apart[found.label.codes, of_cell.codes]),
    ]


def _agree(found: CellAnnotations, one: str, other: str) -> bool:
    """Whether two labels are the same, or one is a kind of the other in the Cell Ontology."""
    if one == other:
        return True
    ids = [found.ontology_id(x) for x in (one, other)]
    ontology = cell_ontology()
    return all(i in ontology for i in ids) and ontology.related(str(ids[0]), str(ids[1]))
