"""Parents: which clusters are parts of an earlier one, and which are an earlier one unchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .markers.table import Markers

if TYPE_CHECKING:
    from ..files import Json
    from .clusters import Clusters

_PART = re.compile(r"(?P<parent>.+)(?:[^\w\s]|_)\d+")
"""``3_0`` of ``FindSubCluster()``, ``3,0`` of ``scanpy.tl.leiden(restrict_to=)``."""


@dataclass(frozen=True)
class Parents:
    """What is known of the clusters of a study from an earlier annotation of the same cells.

    Attributes
    ----------
    key
        The column with the earlier labels.
    recorded
        Whether they are ours, with a record.
    kept
        Untouched cluster -> the earlier cluster that it is.
    of
        Every other cluster -> the earlier cluster that it is a part of, None where it is of several
        or of none. These are asked.
    rows
        Earlier cluster -> its row, as plain data, with the label in force.
    evidence
        Earlier cluster -> what was known of it beside the row.
    best
        The best markers of earlier clusters, as columns.
    markers
        Of the parts against their sisters, the other cells of their parent; None where there are
        none.
    """

    key: str
    recorded: bool
    kept: Mapping[str, str]
    of: Mapping[str, str | None]
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    best: Mapping[str, list[Any]] = field(default_factory=dict)
    markers: Markers | None = None

    def to_dict(self) -> dict[str, Json]:
        """Return it as plain data for JSON."""
        return {
            "key": self.key,
            "recorded": self.recorded,
            "kept": dict(self.kept),
            "of": dict(self.of),
            "rows": {name: dict(row) for name, row in self.rows.items()},
            "evidence": dict(self.evidence),
            "best": dict(self.best),
            "markers": None if self.markers is None else self.markers.to_dict(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Parents:
        """Read what :meth:`to_dict` wrote."""
        known = dict(stored)
        markers = known.pop("markers")
        return cls(**known, markers=None if markers is None else Markers.from_dict(markers))


def split(clusters: Clusters, earlier: Clusters) -> tuple[dict[str, str], dict[str, str | None]]:
    """Return the untouched clusters with the earlier ones that they are, and the others' parents.

    A cluster is untouched if it has the cells of one earlier cluster that still have a cluster, and
    no others. Its parent is the earlier cluster that all its cells were in; or the one that its
    name says (``3_0``, ``3,0``), if most of them were.

    Parameters
    ----------
    clusters, earlier
        Of the same cells, in one order.

    Examples
    --------
    >>> from cellferry.study.clusters import Clusters
    >>> now, before = (Clusters.from_labels(x) for x in (["0", "3_0", "3_1"], ["0", "3", "3"]))
    >>> split(now, before)
    ({'0': '0'}, {'3_0': '3', '3_1': '3'})
    """
    assert clusters.codes is not None
    assert earlier.codes is not None
    n = len(earlier.names)
    inside = clusters.codes >= 0
    shape = (len(clusters.names), n + 1)
    # The last column counts cells that had no cluster.
    above = np.where(earlier.codes < 0, n, earlier.codes)[inside].astype(np.int64)
    flat = clusters.codes[inside].astype(np.int64) * (n + 1) + above
    shared = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
    children = (shared[:, :n] > 0).sum(axis=0)
    kept: dict[str, str] = {}
    of: dict[str, str | None] = {}
    for name, counts in zip(clusters.names, shared, strict=True):
        most = int(counts[:n].argmax()) if n else 0
        whole = bool(n) and 0 < counts[most] == counts.sum()
        if whole and children[most] == 1:
            kept[name] = earlier.names[most]
        elif whole:
            of[name] = earlier.names[most]
        else:
            said = _PART.fullmatch(name)
            parent = said["parent"] if said else None
            named = parent in earlier.names and (
                2 * counts[earlier.names.index(parent)] > counts.sum()
            )
            of[name] = parent if named else None
    return kept, of
