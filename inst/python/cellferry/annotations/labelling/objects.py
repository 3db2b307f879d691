"""Labels of an AnnData: found, and written in place."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import AnnotationsFormatError, DecisionsWarning
from ..clusters import Annotations
from ..delivery import STORE
from ..label_colors import COLORS, keep_colors, uns_colors
from ..texts import Texts
from .labels import DECISION, Labels, Written
from .written import labelled

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from ...study.clusters import Clusters
    from ..cells import CellAnnotations


def stored_labels(adata: anndata.AnnData, key: str) -> Labels | None:
    """Return what an AnnData has under a key; None without a record that can be read."""
    text = dict(adata.uns.get(STORE, {})).get(key)
    if text is None:
        return None
    try:
        record = Annotations.from_json(str(text))
    except AnnotationsFormatError:
        return None
    return Labels(tuple(map(str, adata.obs_names)), adata.obs, key, record)


def previous_labels(
    adata: anndata.AnnData, found: Annotations | CellAnnotations, key: str
) -> Labels | None:
    """Return the earlier labels whose decisions an answer goes on with.

    They are those under the key; an answer within labels of another key goes on with theirs too.

    Parameters
    ----------
    adata
        Not yet labelled.
    found
        The answer.
    key
        Where it is written.
    """
    own, within = stored_labels(adata, key), found.provenance.get("within")
    if not isinstance(within, Mapping) or within.get("key") in {None, key}:
        return own
    return with_others(own, stored_labels(adata, str(within["key"])))


def with_others(own: Labels | None, others: Labels | None) -> Labels | None:
    """Return labels with the decisions of those of another key.

    Parameters
    ----------
    own
        Under the key that is written; None: nothing is known of it.
    others
        Within which an answer is given.
    """
    if own is None or others is None:
        return own or others
    known = {d.id for d in own.record.decisions}
    more = [d for d in others.record.decisions if d.id not in known]
    if not more:
        return own
    # The last one counts.
    decisions = tuple(sorted([*own.record.decisions, *more], key=lambda d: d.at))
    return replace(own, record=replace(own.record, decisions=decisions))


def attach(
    adata: anndata.AnnData, found: Annotations | CellAnnotations, clusters: Clusters, key: str
) -> Annotations | CellAnnotations:
    """Write the columns into ``adata.obs`` and the record into ``adata.uns``, in place.

    Returns the answer as it is in force: with decisions of earlier labels that still hold.

    Parameters
    ----------
    clusters
        One code per cell: for an answer of clusters in the order of ``adata``, for one of cells
        in that of the answer, which may be another. A cell without a cluster, or of one that
        failed or was skipped, gets a missing value.
    """
    cells = tuple(map(str, adata.obs_names))
    made = labelled(found, clusters, key, cells, previous_labels(adata, found, key))
    write_into(adata, made, key)
    return as_written(found, made)


def as_written(
    found: Annotations | CellAnnotations, made: Written
) -> Annotations | CellAnnotations:
    """Return an answer as it is in force once it was written.

    Parameters
    ----------
    found
        The answer.
    made
        What was written for it.
    """
    if isinstance(found, Annotations):
        return made.record
    return replace(found, provenance=made.record.provenance)


def with_previous(
    found: Annotations | CellAnnotations,
    previous: Labels | None,
    write: Callable[[], Written],
) -> Annotations | CellAnnotations:
    """Return an answer of clusters with the earlier decisions that hold; others as they are.

    Parameters
    ----------
    found
        The answer.
    previous
        What the object has under the key, or under that of the labels within which it is an answer.
    write
        Returns what labelling the object writes.
    """
    has = previous is not None and bool(previous.record.decisions)
    if not isinstance(found, Annotations) or not (has or found.decisions):
        return found
    with warnings.catch_warnings():
        # They are given when the object is labelled.
        warnings.simplefilter("ignore", DecisionsWarning)
        return write().record


def write_into(adata: anndata.AnnData, made: Written, key: str) -> None:
    """Write columns and record into an AnnData.

    ``uns["<key>_colors"]`` has the colours of the labels in the order of the categories, where
    scanpy looks for them.

    Parameters
    ----------
    adata
        Changed in place.
    made
        In the order of its cells.
    key
        Name of the label column.
    """
    write_columns(adata.obs, made, key)
    store = dict(adata.uns.get(STORE, {}))
    store[key] = keep_colors(made.record.to_json(), store.get(key))
    store |= made.beside
    adata.uns[STORE] = store
    adata.uns[key + COLORS] = uns_colors(store[key], adata.obs[key].cat.categories)


def write_columns(obs: pd.DataFrame, made: Written, key: str) -> None:
    """Write columns into metadata, and remove those that are not of these labels.

    Parameters
    ----------
    obs
        Changed in place.
    made
        In the order of its cells.
    key
        Name of the label column.
    """
    import pandas as pd

    for column in made.columns:
        values = column.values
        if isinstance(values, Texts):
            levels = pd.Index(values.levels, dtype="object")
            obs[column.name] = pd.Categorical.from_codes(values.codes, categories=levels)
        else:
            obs[column.name] = values
    # What was decided about other labels, also under a record that is lost, is not said of these.
    names = {column.name for column in made.columns}
    for name in {*made.gone, key + DECISION} - names:
        if name in obs:
            del obs[name]
