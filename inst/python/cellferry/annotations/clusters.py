"""Annotations: what every engine returns.

One row per input cluster, always, in the order of the study. The columns and their
kinds are declared once, in :data:`COLUMNS`; frames, CSV, JSON and R read that table.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from ..errors import (
    ISSUE_URL,
    AnnotationsFormatError,
    DecisionsFormatError,
    InternalError,
    counted,
    listing,
)
from .decisions.decision import Decision
from .printed import MOST_ROWS, card, html_table, shown, table
from .schema import check_schema
from .texts import Texts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ..study.clusters import Clusters
    from ..study.markers.table import Markers
    from ..study.study import Study

Level = Literal["clusters", "cells"]
"""What is answered: clusters, or every cell."""

KEPT_MARKERS = 50
"""Markers per cluster that travel with the annotations."""

SCHEMA = "cellferry.annotations/2"
READABLE = tuple(f"cellferry.annotations/{number}" for number in (1, 2))
"""Schemas that are read, for ever; what is changed is written by the last."""
UNKNOWN = "Unknown"
_COMPRESSED = frozenset({".bz2", ".gz", ".tar", ".xz", ".zip", ".zst"})
"""Names of files that pandas compresses."""

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
    "engine_label": "text",
    "engine_status": "text",
    "engine_ontology_id": "text",
    "decision": "text",
    "decided_by": "text",
    "decided_at": "text",
    "reason": "text",
    "n_decided": "integer",
    "refined_by": "text",
    "attention": "texts",
}
"""Column -> kind. ``texts`` is an ordered list of text, never missing, possibly empty."""


@dataclass(frozen=True)
class Annotation:
    """The answer for one cluster.

    ``status`` decides what the label may be: ``ok`` has a label; ``unknown`` has the
    label "Unknown"; ``failed`` and ``skipped`` have none and say why in ``error``.
    ``confidence`` is between 0 and 1, or None.

    Once a person decided (``decision``), ``label``, ``status`` and the ontology are those in
    force, and what the engine answered is in ``engine_label``, ``engine_status`` and
    ``engine_ontology_id``; all else stays the engine's. ``refined_by`` names the annotation that
    has the labels of its cells.
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
    engine_label: str | None = None
    engine_status: str | None = None
    engine_ontology_id: str | None = None
    decision: str | None = None
    decided_by: str | None = None
    decided_at: str | None = None
    reason: str | None = None
    n_decided: int | None = None
    refined_by: str | None = None
    attention: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problem = contradiction(
            self.status, self.label, self.error, self.confidence, self.confidence_kind
        )
        if problem:
            message = f'The answer for cluster "{self.cluster}" contradicts itself: {problem}.'
            raise InternalError(message)

    def __repr__(self) -> str:
        title = f"<cellferry Annotation: cluster {self.cluster}: {self.label or 'no label'}>"
        return card(title, self._facts())

    def _repr_html_(self) -> str:
        facts = [("label", self.label or "no label"), *self._facts()]
        return html_table(("cluster", self.cluster), facts)

    def _facts(self) -> list[tuple[str, str]]:
        """Return what is known, by name, without what is missing."""
        confidence, term = None, self.ontology_id
        if self.confidence is not None:
            confidence = f"{self.confidence:.2f} ({self.confidence_kind})"
        if term is not None and self.ontology_label:
            term = f"{term}, {self.ontology_label}"
        decided = self.decision
        if decided is not None and self.decided_by is not None:
            decided = f"{decided}, by {self.decided_by}"
        engines = self.engine_label or self.engine_status
        known: tuple[tuple[str, object], ...] = (
            ("status", self.status),
            ("decision", decided),
            ("reason", self.reason),
            ("engine says", engines if engines != self.label else None),
            ("cells", self.n_cells),
            ("confidence", confidence),
            ("ontology", term),
            ("detail", self.detail),
            ("state", self.state),
            ("error", self.error),
            ("supporting", ", ".join(self.supporting)),
            ("conflicting", ", ".join(self.conflicting)),
            ("missing", ", ".join(self.missing)),
            ("alternatives", "; ".join(self.alternatives)),
            ("mixed", "; ".join(self.mixed)),
            ("justification", self.justification),
        )
        return [(name, str(value)) for name, value in known if value not in {None, ""}]

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Annotation:
        """Read a row that was stored as JSON; fields that are not known are left out."""
        known: dict[str, Any] = {
            name: tuple(value) if COLUMNS[name] == "texts" else value
            for name, value in stored.items()
            if name in COLUMNS
        }
        return cls(**known)


def contradiction(
    status: str,
    label: str | None,
    error: str | None = None,
    confidence: float | None = None,
    confidence_kind: str | None = None,
) -> str | None:
    """Say how the answer for one cluster or cell contradicts itself, None if it does not.

    Parameters
    ----------
    status
        A word of :data:`STATUSES`, if it is right.
    label, error
        None where there is none.
    confidence
        Between 0 and 1, or None.
    confidence_kind
        A word of :data:`CONFIDENCE_KINDS`, or None without a confidence.
    """
    if status not in STATUSES:
        return f'there is no status "{status}"'
    if status == "ok" and not label:
        return "the status is ok and there is no label"
    if status == "unknown" and label != UNKNOWN:
        return f'the status is unknown and the label is not "{UNKNOWN}"'
    if status in {"failed", "skipped"} and (label is not None or not error):
        return f"the status is {status}, so it must have an error and no label"
    if confidence is not None and not 0 <= confidence <= 1:
        return f"the confidence {confidence} is not between 0 and 1"
    if confidence is not None and confidence_kind not in CONFIDENCE_KINDS:
        return f"the confidence has no kind of {listing(CONFIDENCE_KINDS)}"
    return None


def status_counts(numbers: Mapping[str, int]) -> str:
    """Return for example ``690 ok, 10 unknown``, without statuses that do not occur."""
    return ", ".join(f"{numbers[s]} {s}" for s in STATUSES if numbers.get(s))


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
    decisions
        What persons decided, the oldest first; the rows have the labels in force. See
        :mod:`cellferry.annotations.decisions.decision`.

    Examples
    --------
    >>> found = Annotations((Annotation("0", "ok", label="B cell"),))
    >>> found.labels()
    {'0': 'B cell'}
    """

    level: ClassVar[Level] = "clusters"

    rows: tuple[Annotation, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    markers: Mapping[str, list[Any]] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()

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
        return f"<cellferry Annotations: {self.summary_line()}>\n{self.table(MOST_ROWS)}"

    def _repr_html_(self) -> str:
        return html_table(self.printed_columns, self._printed(), self.summary_line())

    @property
    def printed_columns(self) -> tuple[str, ...]:
        """The columns that are shown. A row that sums up cells is its label, shown once.

        Once somebody decided there are what the engine said, where it said something else, and
        the decision.
        """
        of_cells = self.provenance.get("level") == "cells"
        left_out = {
            "cluster": of_cells,
            "engine_label": not any(map(_is_other, self)),
            "decision": not any(map(_decision_shown, self)),
        }
        return tuple(name for name in PRINTED_DECIDED if not left_out.get(name))

    def _printed(self) -> list[list[str]]:
        special = {"engine_label": _engine_label_shown, "decision": _decision_shown}
        return [
            [special[n](row) if n in special else shown(getattr(row, n)) for n in names]
            for names in [self.printed_columns]
            for row in self
        ]

    def table(self, most: int | None = None) -> str:
        """Return the columns that are shown, as aligned text.

        Parameters
        ----------
        most
            Rows up to which all are shown; of more, the first ten. None shows all.

        Examples
        --------
        >>> print(Annotations((Annotation("0", "ok", n_cells=3, label="B cell"),)).table())
        cluster  n_cells  label   confidence  status
        0              3  B cell              ok
        """
        right = ("n_cells", "confidence")
        return table(self.printed_columns, self._printed(), right=right, most=most)

    def summary_line(self) -> str:
        """Return for example ``9 clusters: 8 ok, 1 unknown``.

        Where every cell was annotated the rows are labels, and it is ``700 cells: 690 ok,
        10 unknown; 12 labels``.
        """
        if self.provenance.get("level") != "cells":
            return f"{counted(len(self), 'cluster')}: {status_counts(self.counts())}"
        cells: dict[str, int] = dict.fromkeys(STATUSES, 0)
        for row in self.rows:
            cells[row.status] += row.n_cells or 0
        labels = sum(row.status == "ok" and bool(row.n_cells) for row in self.rows)
        total = counted(sum(cells.values()), "cell")
        return f"{total}: {status_counts(cells)}; {counted(labels, 'label')}"

    def counts(self) -> dict[str, int]:
        """Return status -> number of clusters, for those that occur."""
        found = [row.status for row in self.rows]
        return {s: found.count(s) for s in STATUSES if s in found}

    def summary(self) -> Annotations:
        """Return the annotations themselves, which have one row per answer already."""
        return self

    def labels(self) -> dict[str, str | None]:
        """Return cluster -> label; None where the cluster failed or was skipped."""
        return {row.cluster: row.label for row in self.rows}

    def ranked(self) -> Iterator[tuple[int, str, str]]:
        """Yield place, cluster and gene of each marker that is kept; nothing where none are."""
        columns = self.markers
        if "cluster" in columns and "gene" in columns:
            pairs = zip(columns["cluster"], columns["gene"], strict=True)
            for i, (cluster, gene) in enumerate(pairs):
                yield i, str(cluster), str(gene)

    def column(self, name: str) -> list[Any]:
        """Return one column as a list, in row order."""
        return [getattr(row, name) for row in self.rows]

    def delivered(self, name: str) -> list[Any]:
        """Return what cells get of one column, in row order.

        Detail and confidence are of the engine's label, and None where another is in force.
        """
        if name not in {"detail", "confidence"}:
            return self.column(name)
        return [None if _is_other(row) else getattr(row, name) for row in self.rows]

    def values(self, name: str) -> Texts | NDArray[np.float64]:
        """Return :meth:`delivered` as an array: text as codes, else NaN for none."""
        values = self.delivered(name)
        if COLUMNS[name] == "text":
            return Texts.of(values)
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)

    def rows_of(self, cells: tuple[str, ...], clusters: Clusters) -> NDArray[np.intp]:  # noqa: ARG002
        """Return for each cell the row of its cluster, -1 without one.

        ``clusters`` has one code per cell, in the same order. They are joined by the exact text.
        """
        if clusters.codes is None:
            message = "Clusters without cells cannot be attached."
            raise ValueError(message)
        place = {row.cluster: i for i, row in enumerate(self.rows)}
        of_cluster = np.array([*(place[name] for name in clusters.names), -1], dtype=np.intp)
        return of_cluster[clusters.codes]

    def groups(self, clusters: Clusters) -> Clusters:
        """Return which row each cell belongs to, for a picture: the clusters themselves."""
        return clusters

    def completed(self, study: Study, engine: str, provenance: Mapping[str, object]) -> Self:
        """Return the answer of an engine with what the study knows beside it.

        Raises
        ------
        InternalError
            Not every cluster was answered in its place.
        """
        names = tuple(row.cluster for row in self.rows)
        if names != study.clusters.names:
            message = f'The engine "{engine}" answered {names}, not {study.clusters.names}.'
            raise InternalError(message, f"Please report it at {ISSUE_URL}.")
        counts = study.clusters.counts_in_object() or {}
        rows = tuple(
            replace(row, n_cells=counts.get(row.cluster), engine=row.engine or engine)
            for row in self.rows
        )
        known = {**provenance, **self.provenance}
        if study.gene_names:
            named = {g for row in rows for g in row.supporting} & study.gene_names.keys()
            known["gene_names"] = {g: study.gene_names[g] for g in sorted(named)}
        markers = self.markers or kept_markers(study.markers)
        return replace(self, rows=rows, provenance=known, markers=markers)

    def keep(self, folder: Path) -> None:
        """Write what the summary leaves out into the folder of a run: nothing."""

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
        """Write the table as CSV; lists are joined by ``"; "``, missing values are empty.

        It is exact data, not guarded against what a spreadsheet takes for a date or a formula:
        for that, :func:`cellferry.write_annotations` writes xlsx.
        """

        if Path(path).suffix in _COMPRESSED:
            frame = self.to_frame()
            for name in (name for name, kind in COLUMNS.items() if kind == "texts"):
                frame[name] = frame[name].map("; ".join)
            frame.to_csv(path, index=False)
            return

        def text(value: Any, kind: Kind) -> Any:
            if kind == "texts":
                return "; ".join(value)
            if value is None or (kind == "real" and math.isnan(value)):
                return ""
            return float(value) if kind == "real" else value

        # As pandas writes it, without the time that importing pandas takes.
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator=os.linesep)
            writer.writerow(COLUMNS)
            for row in self.rows:
                writer.writerow(text(getattr(row, name), kind) for name, kind in COLUMNS.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the whole as plain data: schema, rows, evidence, provenance."""
        return {
            "schema": SCHEMA,
            "rows": [_stored_row(row) for row in self.rows],
            "evidence": dict(self.evidence),
            "provenance": dict(self.provenance),
            "markers": dict(self.markers),
            **({"decisions": [d.to_dict() for d in self.decisions]} if self.decisions else {}),
        }

    def to_json(self) -> str:
        """Return one JSON string, the form stored in ``Misc`` and in ``adata.uns``."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Annotations:
        """Read what :meth:`to_dict` wrote; raises :class:`AnnotationsFormatError`."""
        check_schema(stored.get("schema") if isinstance(stored, Mapping) else None, *READABLE)
        try:
            rows = tuple(Annotation.from_dict(row) for row in stored["rows"])
            evidence, known, markers = (
                stored.get(p, {}) for p in ("evidence", "provenance", "markers")
            )
            decided = tuple(Decision.from_dict(d) for d in stored.get("decisions", ()))
            return cls(rows, evidence, known, markers, decided)
        except (
            KeyError, TypeError, AttributeError, InternalError, DecisionsFormatError
        ) as error:  # fmt: skip
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


def _is_other(row: Annotation) -> bool:
    """Whether the label in force is not the engine's."""
    return row.engine_status is not None and row.label != row.engine_label


def _engine_label_shown(row: Annotation) -> str:
    """Return what the engine said, where it is not what is in force."""
    return str(row.engine_label or row.engine_status) if _is_other(row) else ""


def _decision_shown(row: Annotation) -> str:
    """Return what was decided, about the cluster and about cells of it."""
    cells = counted(row.n_decided, "cell") if row.n_decided else None
    return "; ".join(filter(None, (row.decision, cells)))


_ADDED = tuple(COLUMNS)[list(COLUMNS).index("engine_label") :]
"""Columns that are stored only where they say something: most objects have no decision."""


def _stored_row(row: Annotation) -> dict[str, Any]:
    stored = asdict(row)
    return {k: v for k, v in stored.items() if k not in _ADDED or v not in (None, ())}


PRINTED: tuple[str, ...] = ("cluster", "n_cells", "label", "confidence", "status")
"""The five columns that are shown; the table has all."""
PRINTED_DECIDED = (*PRINTED[:3], "engine_label", *PRINTED[3:], "decision")
"""With what is shown beside them once somebody decided."""


def kept_markers(markers: Markers | None) -> dict[str, list[Any]]:
    """Return the best markers per cluster as plain columns with Seurat's names."""
    if markers is None:
        return {}
    # Not every table has fold changes; lists are ranked by their order whatever the method.
    method = next(iter(markers.ranking_methods), "avg_log2FC")
    chosen = markers.select(method, n_genes=KEPT_MARKERS)
    columns = markers.columns([int(r) for best in chosen.values() for r in best.rows])

    def plain(value: Any) -> Any:
        # JSON has neither NaN nor infinity.
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return None if value is None else str(value)

    return {name: [plain(v) for v in values] for name, values in columns.items()}
