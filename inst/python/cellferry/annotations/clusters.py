"""Annotations: what every engine returns.

One row per input cluster, always, in the order of the study. The columns and their
kinds are declared once, in :data:`COLUMNS`; frames, CSV, JSON and R read that table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from ..errors import AnnotationsFormatError, InternalError, counted, listing

if TYPE_CHECKING:
    import os

    import pandas as pd

SCHEMA = "cellferry.annotations/1"
UNKNOWN = "Unknown"

Status = Literal["ok", "unknown", "failed", "skipped"]
STATUSES: tuple[str, ...] = ("ok", "unknown", "failed", "skipped")
CONFIDENCE_KINDS: tuple[str, ...] = ("calibrated", "stated", "graded")

Kind = Literal["text", "integer", "real", "texts"]

COLUMNS: dict[str, Kind] = {
    "cluster": "text",
    "n_cells": "integer",
    "label": "text",
    "detail": "text",
    "state": "text",
    "ontology_id": "text",
    "ontology_label": "text",
    "confidence": "real",
    "confidence_kind": "text",
    "status": "text",
    "error": "text",
    "alternatives": "texts",
    "mixed": "texts",
    "supporting": "texts",
    "conflicting": "texts",
    "missing": "texts",
    "justification": "text",
    "engine": "text",
    "model": "text",
    "provider": "text",
    "n_markers": "integer",
    "iterations": "integer",
    "input_tokens": "integer",
    "output_tokens": "integer",
    "cost_usd": "real",
    "seconds": "real",
}
"""Column -> kind. ``texts`` is an ordered list of text, never missing, possibly empty."""


@dataclass(frozen=True)
class Annotation:
    """The answer for one cluster.

    ``status`` decides what the label may be: ``ok`` has a label; ``unknown`` has the
    label "Unknown"; ``failed`` and ``skipped`` have none and say why in ``error``.
    ``confidence`` is between 0 and 1, or None.
    """

    cluster: str
    status: Status
    n_cells: int | None = None
    label: str | None = None
    detail: str | None = None
    state: str | None = None
    ontology_id: str | None = None
    ontology_label: str | None = None
    confidence: float | None = None
    confidence_kind: str | None = None
    error: str | None = None
    alternatives: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    supporting: tuple[str, ...] = ()
    conflicting: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    justification: str | None = None
    engine: str | None = None
    model: str | None = None
    provider: str | None = None
    n_markers: int | None = None
    iterations: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            message = f'The answer for cluster "{self.cluster}" contradicts itself: {problem}.'
            raise InternalError(message)

    def _problem(self) -> str | None:
        if self.status not in STATUSES:
            return f'no such status as "{self.status}"'
        if self.status == "ok" and not self.label:
            return "status is ok and there is no label"
        if self.status == "unknown" and self.label != UNKNOWN:
            return f'status is unknown and the label is not "{UNKNOWN}"'
        if self.status in {"failed", "skipped"} and (self.label is not None or not self.error):
            return f"status is {self.status}, so there must be an error and no label"
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            return f"confidence {self.confidence} is not between 0 and 1"
        if self.confidence is not None and self.confidence_kind not in CONFIDENCE_KINDS:
            return f"confidence without a kind of {listing(CONFIDENCE_KINDS)}"
        return None


@dataclass(frozen=True)
class Annotations:
    """One :class:`Annotation` per cluster, with the evidence and where it came from.

    Attributes
    ----------
    rows
        One per input cluster, in the study's order.
    evidence
        Cluster -> whatever the engine knows beyond the columns (JSON-serialisable).
    provenance
        Run id, engine, parameters, versions, group key, time. Never a secret.
    markers
        The best markers of each cluster as columns of equal length, with Seurat's names.

    Examples
    --------
    >>> found = Annotations((Annotation("0", "ok", label="B cell"),))
    >>> found.labels()
    {'0': 'B cell'}
    """

    rows: tuple[Annotation, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    markers: Mapping[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [row.cluster for row in self.rows]
        if len(set(names)) != len(names):
            message = "A cluster was answered more than once."
            raise InternalError(message)

    def __iter__(self) -> Iterator[Annotation]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, cluster: str) -> Annotation:
        for row in self.rows:
            if row.cluster == cluster:
                return row
        raise KeyError(cluster)

    def __repr__(self) -> str:
        return f"<cellferry Annotations: {self.summary_line()}>"

    def _repr_html_(self) -> str:
        return str(self.to_frame()[list(PRINTED)].to_html(index=False))

    def summary_line(self) -> str:
        """Return for example ``9 clusters: 8 ok, 1 unknown``.

        Where every cell was annotated the rows are labels, and it is ``700 cells: 690 ok,
        10 unknown; 12 labels``.
        """
        of_cells = self.provenance.get("level") == "cells"
        weights = [(row.n_cells or 0) if of_cells else 1 for row in self.rows]
        pairs = list(zip(self.rows, weights, strict=True))
        counts = {s: sum(n for row, n in pairs if row.status == s) for s in STATUSES}
        told = ", ".join(f"{n} {s}" for s, n in counts.items() if n)
        if not of_cells:
            return f"{counted(len(self.rows), 'cluster')}: {told}"
        labels = sum(row.status == "ok" and n > 0 for row, n in pairs)
        return f"{counted(sum(weights), 'cell')}: {told}; {counted(labels, 'label')}"

    def labels(self) -> dict[str, str | None]:
        """Return cluster -> label; None where the cluster failed or was skipped."""
        return {row.cluster: row.label for row in self.rows}

    def column(self, name: str) -> list[Any]:
        """Return one column as a list, in row order."""
        return [getattr(row, name) for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a DataFrame with the dtypes of :data:`COLUMNS`.

        text -> ``object`` with None, integer -> ``Int64``, real -> ``Float64``,
        texts -> lists.
        """
        import pandas as pd

        def typed(name: str, kind: Kind) -> pd.Series[Any]:
            values = self.column(name)
            if kind == "texts":
                return pd.Series([list(v) for v in values], dtype="object", name=name)
            dtype = {"text": "object", "integer": "Int64", "real": "Float64"}[kind]
            return pd.Series(values, dtype=dtype, name=name)

        return pd.DataFrame({name: typed(name, kind) for name, kind in COLUMNS.items()})

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV; lists are joined by ``"; "``, missing values are empty."""
        frame = self.to_frame()
        for name, kind in COLUMNS.items():
            if kind == "texts":
                frame[name] = frame[name].map("; ".join)
        frame.to_csv(path, index=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole as plain data: schema, rows, evidence, provenance."""
        return {
            "schema": SCHEMA,
            "rows": [asdict(row) for row in self.rows],
            "evidence": dict(self.evidence),
            "provenance": dict(self.provenance),
            "markers": dict(self.markers),
        }

    def to_json(self) -> str:
        """Return one JSON string, the form stored in ``Misc`` and in ``adata.uns``."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Annotations:
        """Read what :meth:`to_dict` wrote; raises :class:`AnnotationsFormatError`."""
        schema = stored.get("schema") if isinstance(stored, Mapping) else None
        if schema != SCHEMA:
            message = (
                f'These annotations have the schema "{schema}"; this version reads "{SCHEMA}".'
            )
            raise AnnotationsFormatError(message, "Update cellferry, or annotate again.")
        try:
            rows = tuple(_row(r) for r in stored["rows"])
            parts = (stored.get(p, {}) for p in ("evidence", "provenance", "markers"))
            return cls(rows, *parts)
        except (KeyError, TypeError, AttributeError, InternalError) as error:
            message = f"The stored annotations are damaged: {error}."
            raise AnnotationsFormatError(message, "Annotate again.") from error

    @classmethod
    def from_json(cls, text: str) -> Annotations:
        """Read what :meth:`to_json` wrote; raises :class:`AnnotationsFormatError`."""
        try:
            stored = json.loads(text)
        except ValueError as error:
            message = "The stored annotations are not valid JSON."
            raise AnnotationsFormatError(message, "Annotate again.") from error
        return cls.from_dict(stored)


PRINTED: tuple[str, ...] = ("cluster", "n_cells", "label", "confidence", "status")
"""The five columns that are shown; the table holds all."""

_FIELDS = {f.name for f in fields(Annotation)}


def _row(stored: Mapping[str, Any]) -> Annotation:
    known = {k: v for k, v in stored.items() if k in _FIELDS}
    lists: dict[str, Sequence[str]] = {
        k: tuple(v) for k, v in known.items() if COLUMNS.get(k) == "texts"
    }
    return Annotation(**{**known, **lists})
