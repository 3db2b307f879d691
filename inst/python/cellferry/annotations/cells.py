"""Annotations of cells: what every engine returns that is asked for cells.

The columns have the names of :data:`cellferry.annotations.clusters.COLUMNS`, keyed by cell, and are
arrays. The object of the user gets labels, confidence and status, and a summary with one row
per label; everything is in ``cells.npz`` of the run.
"""

from __future__ import annotations

import functools
import json
import zipfile
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..biology.ontology import cell_ontology
from ..errors import ISSUE_URL, AnnotationsFormatError, InternalError, counted
from ..files import replacing
from ..study.clusters import Clusters
from .clusters import (
    STATUSES,
    UNKNOWN,
    Annotation,
    Annotations,
    Level,
    contradiction,
    status_counts,
)
from .diagnoses import diagnose
from .printed import MOST_ROWS
from .schema import check_schema
from .texts import TextLists, Texts

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ..study.study import Study
    from .decisions.decision import Decision

SCHEMA = "cellferry.cell_annotations/1"
CELLS_FILE = "cells.npz"

OK, UNKNOWN_STATUS, FAILED, SKIPPED = range(len(STATUSES))
"""Codes of :data:`cellferry.annotations.clusters.STATUSES`."""


@dataclass(frozen=True, eq=False)
class CellAnnotations:
    """One answer per cell, as columns of arrays of n cells.

    Attributes
    ----------
    cells
        Names, in the order of the study.
    label, detail, error
        As in :class:`cellferry.annotations.clusters.Annotation`, with its rules.
    status
        uint8, positions in :data:`cellferry.annotations.clusters.STATUSES`.
    confidence
        float64 between 0 and 1, NaN where there is none.
    alternatives, supporting
        Other labels, and the genes that speak for the label, best first.
    ontology
        Label -> Cell Ontology identifier and its label.
    confidence_kind, engine, model, provider
        The same for all cells.
    evidence, provenance
        What else is known: quality, diagnoses; run, options, versions. Never a secret.
    decisions
        What persons decided beside the run of the answer; in force once an object is labelled.
    raw
        The label of each cell by itself, where ``label`` also counts its surroundings.
    voted
        What most cells of a small group of neighbours are, where there was a vote.

    Examples
    --------
    >>> found = CellAnnotations.of(["a", "b"], ["B cell", None], status=["ok", "skipped"],
    ...                            error=[None, "No counts."])
    >>> found.summary_line()
    '2 cells: 1 ok, 1 skipped; 1 label'
    """

    level: ClassVar[Level] = "cells"

    cells: tuple[str, ...]
    label: Texts
    status: NDArray[np.uint8]
    confidence: NDArray[np.float64]
    detail: Texts
    error: Texts
    alternatives: TextLists
    supporting: TextLists
    confidence_kind: str | None = None
    engine: str | None = None
    model: str | None = None
    provider: str | None = None
    ontology: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    raw: Texts | None = None
    voted: Texts | None = None

    def __post_init__(self) -> None:
        n = len(self.cells)
        columns: list[Sized | None] = [self.label, self.status, self.confidence, self.detail]
        columns += [self.error, self.alternatives, self.supporting, self.raw, self.voted]
        if any(column is not None and len(column) != n for column in columns):
            message = f"A column of the answer does not have one value for each of {n} cells."
            raise InternalError(message)
        problem = self._problem()
        if problem:
            message = f"The answer for the cells contradicts itself: {problem}."
            raise InternalError(message)

    def _problem(self) -> str | None:
        """Return what is wrong with the first combination of status, label and error."""
        if bool(np.any(self.status >= len(STATUSES))):
            return "there is no such status"
        labels, reasons = [*self.label.levels, None], ["", "known"]
        n = len(labels)
        # A code of -1 counts as the last one, which is None.
        at = self.status.astype(np.int64) * n + self.label.codes % n
        seen = np.flatnonzero(np.bincount(at * 2 + (self.error.codes >= 0)))
        sure = self.confidence[~np.isnan(self.confidence)]
        extremes = [float(sure.min()), float(sure.max())] if len(sure) else []
        for code in seen.tolist():
            status, label = divmod(code // 2, n)
            found = contradiction(STATUSES[status], labels[label], reasons[code % 2])
            if found:
                return found
        rules = (contradiction("ok", "x", None, c, self.confidence_kind) for c in extremes)
        return next((found for found in rules if found), None)

    @classmethod
    def of(
        cls,
        cells: list[str] | tuple[str, ...],
        labels: list[str | None],
        *,
        status: list[str],
        confidence: list[float] | None = None,
        error: list[str | None] | None = None,
        **columns: Any,
    ) -> CellAnnotations:
        """Build from plain lists of one value per cell.

        Parameters
        ----------
        cells
            n names.
        labels
            n labels, None where there is none.
        status
            n words of :data:`cellferry.annotations.clusters.STATUSES`.
        confidence
            n numbers between 0 and 1; None has none for any cell.
        error
            n reasons, None where there is none.
        **columns
            Other attributes, as they are.
        """
        n = len(cells)
        empty: dict[str, Any] = {
            "detail": Texts.none(n),
            "alternatives": TextLists.none(n),
            "supporting": TextLists.none(n),
        }
        return cls(
            tuple(cells),
            Texts.of(labels),
            np.array([STATUSES.index(s) for s in status], dtype=np.uint8),
            np.full(n, np.nan) if confidence is None else np.array(confidence, dtype=np.float64),
            error=Texts.none(n) if error is None else Texts.of(error),
            **{**empty, **columns},
        )

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        head = f"<cellferry CellAnnotations: {self.summary_line()}>"
        return f"{head}\n{self.summary().table(MOST_ROWS)}"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def counts(self) -> dict[str, int]:
        """Return status -> number of cells, for those that occur."""
        found = np.bincount(self.status, minlength=len(STATUSES))
        return {s: int(k) for s, k in zip(STATUSES, found, strict=True) if k}

    def summary_line(self) -> str:
        """Return for example ``700 cells: 690 ok, 10 unknown; 12 labels``."""
        labels = counted(sum(x != UNKNOWN for x in self.label.compact().levels), "label")
        return f"{counted(len(self), 'cell')}: {status_counts(self.counts())}; {labels}"

    def summary(self) -> Annotations:
        """Return one row per label, most cells first; the label is the row's ``cluster``.

        ``confidence`` is the mean over its cells. Cells without a label are in no row: how many
        there are is in ``evidence["cells"]``. It is made once.
        """
        return self._summary

    @functools.cached_property
    def _summary(self) -> Annotations:
        return _summary(self)

    def majority(self, clusters: Clusters) -> Annotations:
        """Return one row per cluster, in its order: what most of its cells are.

        A cell counts for its label and for every label that its own is a kind of in the Cell
        Ontology. The narrowest label with more than half of the answered cells is named; where
        there is none, the one that most cells have by name, and Unknown only where nothing else
        is as often. ``evidence[cluster]`` has ``share`` (of the answered cells), ``answered``,
        ``disagreement`` (no label has more than half) and the ``labels`` with their cells. A
        cluster without an answered cell is skipped. For the same clusters it is made once.
        """
        latest = self._latest
        if latest.get("clusters") is not clusters:
            latest.update(clusters=clusters, majority=_majority(self, clusters))
        found: Annotations = latest["majority"]
        return found

    def most(self, clusters: Clusters) -> NDArray[np.int32]:
        """Return for each cluster what most of its cells are, as a code of ``label``.

        It is the label of :meth:`majority`, without the evidence; -1 where no cell was answered.
        """
        counts, kinds = _table(self, clusters), _kinds(self)
        return _most(counts, _support(counts, kinds), self.label.levels)

    @functools.cached_property
    def _latest(self) -> dict[str, Any]:
        """The clusters that were asked for last, and their majority."""
        return {}

    def values(self, name: str) -> Texts | NDArray[np.float64]:
        """Return one column as an array, in the order of the cells: text as codes."""
        if name == "status":
            return Texts(STATUSES, self.status.astype(np.int32)).compact()
        if name == "ontology_id":
            ids = Texts.of(self.ontology_id(x) for x in self.label.levels)
            codes = np.append(ids.codes, -1)[self.label.codes]
            return Texts(ids.levels, codes.astype(np.int32)).compact()
        column: Texts | NDArray[np.float64] = getattr(self, name)
        return column.compact() if isinstance(column, Texts) else column

    def ontology_id(self, label: str) -> str | None:
        """Return the Cell Ontology identifier of a label, if it has one."""
        return self.ontology.get(label, (None, None))[0]

    def rows_of(self, cells: tuple[str, ...], clusters: Clusters) -> NDArray[np.intp]:  # noqa: ARG002
        """Return for each cell its place in the answer; it must be about the same cells."""
        import pandas as pd

        own = pd.Index(self.cells, dtype="object")
        rows = own.get_indexer(pd.Index(cells, dtype="object"))
        if len(own) != len(cells) or bool(np.any(rows < 0)):
            message = "The answer is not about the cells of this object."
            raise InternalError(message)
        return rows

    def groups(self, clusters: Clusters) -> Clusters:  # noqa: ARG002
        """Return which row of the summary each cell belongs to, for a picture: its label."""
        return Clusters(self.label.levels, self.label.codes)

    def completed(self, study: Study, engine: str, provenance: Mapping[str, object]) -> Self:
        """Return the answer of an engine with what the study knows beside it.

        Raises
        ------
        InternalError
            Not every cell was answered in its place.
        """
        if self.cells != study.cells:
            message = f'The engine "{engine}" did not answer every cell in its place.'
            raise InternalError(message, f"Please report it at {ISSUE_URL}.")
        compared = has_clusters(study.clusters)
        known = {
            **provenance,
            "clusters_of": study.group_key if compared else None,
            **self.provenance,
        }
        answered = replace(self, engine=self.engine or engine, provenance=known)
        notes: dict[str, object] = {"diagnoses": [d.to_dict() for d in diagnose(self, study)]}
        if compared:
            most = answered.majority(study.clusters)
            notes["clusters"] = {
                row.cluster: {"label": row.label, **most.evidence.get(row.cluster, {})}
                for row in most
            }
        return answered.with_notes(**notes)

    def keep(self, folder: Path) -> None:
        """Write what the summary leaves out into the folder of a run: everything of each cell."""
        self.save(folder / CELLS_FILE)

    def to_frame(self, *, lists: bool = True) -> pd.DataFrame:
        """Return a DataFrame with one row per cell, indexed by its name.

        ``lists`` also gives alternatives and supporting genes, which are Python lists.
        """
        import pandas as pd

        ids = [self.ontology_id(x) for x in self.label.levels]
        identifiers = np.array([*ids, None], dtype=object)[self.label.codes]
        made: dict[str, object] = {
            "label": _categorical(self.label),
            "detail": _categorical(self.detail),
            "confidence": self.confidence,
            "ontology_id": pd.Categorical(identifiers),
            "status": pd.Categorical.from_codes(
                self.status.astype(np.int8), categories=pd.Index(STATUSES)
            ),
            "error": _categorical(self.error),
        }
        for name in _OPTIONAL:
            beside: Texts | None = getattr(self, name)
            if beside is not None:
                made[name] = _categorical(beside)
        if lists:
            made["alternatives"] = self.alternatives.values()
            made["supporting"] = self.supporting.values()
        return pd.DataFrame(made, index=pd.Index(self.cells, dtype="object", name="cell"))

    def with_skipped(self, cells: tuple[str, ...], error: str) -> Self:
        """Return the answer with more cells at its end that were not answered, and why.

        Parameters
        ----------
        cells
            Their names.
        error
            The reason, the same for all.
        """
        n = len(cells)
        more: dict[str, Any] = {
            name: Texts.joined([getattr(self, name), Texts.none(n)]) for name in ("label", "detail")
        }
        more["error"] = Texts.joined([self.error, Texts((error,), np.zeros(n, dtype=np.int32))])
        for name in _OPTIONAL:
            column: Texts | None = getattr(self, name)
            more[name] = None if column is None else Texts.joined([column, Texts.none(n)])
        for name in _LISTS:
            lists: TextLists = getattr(self, name)
            ends = np.full(n, lists.starts[-1], dtype=lists.starts.dtype)
            more[name] = TextLists(lists.levels, np.append(lists.starts, ends), lists.codes)
        return replace(
            self,
            cells=self.cells + cells,
            status=np.append(self.status, np.full(n, SKIPPED, dtype=np.uint8)),
            confidence=np.append(self.confidence, np.full(n, np.nan)),
            **more,
        )

    def with_notes(self, **notes: object) -> Self:
        """Return a copy with more evidence."""
        made = replace(self, evidence={**self.evidence, **notes})
        # Nothing in it depends on the evidence.
        made._latest.update(self._latest)
        return made

    def save(self, path: Path) -> None:
        """Write everything into one compressed file of arrays; no pickles in it."""
        arrays: dict[str, Any] = {
            "status": self.status,
            "confidence": self.confidence,
            "cells": _bytes(json.dumps(self.cells, ensure_ascii=False)),
        }
        levels: dict[str, list[str]] = {}
        for name in (*_TEXTS, *_OPTIONAL):
            column: Texts | None = getattr(self, name)
            if column is not None:
                arrays[name], levels[name] = column.codes, list(column.levels)
        for name in _LISTS:
            lists: TextLists = getattr(self, name)
            arrays[name], arrays[f"{name}_starts"] = lists.codes, lists.starts
            levels[name] = list(lists.levels)
        plain = {
            "schema": SCHEMA,
            "levels": levels,
            **{k: getattr(self, k) for k in ("confidence_kind", "engine", "model", "provider")},
            "ontology": {k: list(v) for k, v in self.ontology.items()},
            "evidence": dict(self.evidence),
            "provenance": dict(self.provenance),
        }
        arrays["plain"] = _bytes(json.dumps(plain, ensure_ascii=False))
        with replacing(path) as partial, _archive(partial) as to:
            # As savez_compressed() does, but at the level that takes a third of the time.
            for name, array in arrays.items():
                with to.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> CellAnnotations:
        """Read what :meth:`save` wrote; raises :class:`AnnotationsFormatError`."""
        try:
            with np.load(path, allow_pickle=False) as found:
                arrays = dict(found)
            plain = json.loads(arrays["plain"].tobytes().decode())
            check_schema(plain.pop("schema"), SCHEMA)
            levels = {k: tuple(v) for k, v in plain.pop("levels").items()}
            names = json.loads(arrays["cells"].tobytes().decode())
            plain["ontology"] = {k: (v[0], v[1]) for k, v in plain["ontology"].items()}
            columns: dict[str, Any] = {
                **{k: Texts(levels[k], arrays[k]) for k in _TEXTS},
                **{k: Texts(levels[k], arrays[k]) for k in _OPTIONAL if k in levels},
                **{k: TextLists(levels[k], arrays[f"{k}_starts"], arrays[k]) for k in _LISTS},
                "status": arrays["status"],
                "confidence": arrays["confidence"],
            }
            return cls(tuple(names), **columns, **plain)
        except _UNREADABLE as error:
            message = f'The annotations of cells in "{path}" cannot be read.'
            raise AnnotationsFormatError(message, "Annotate again.") from error


_UNREADABLE = (OSError, EOFError, ValueError, KeyError, InternalError, zipfile.BadZipFile)
_TEXTS = ("label", "detail", "error")
_OPTIONAL = ("raw", "voted")
_LISTS = ("alternatives", "supporting")


def _categorical(column: Texts) -> pd.Categorical:
    import pandas as pd

    kept = column.compact()
    return pd.Categorical.from_codes(kept.codes, categories=pd.Index(kept.levels, dtype="object"))


def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def has_clusters(clusters: Clusters) -> bool:
    """Whether there is a clustering to compare with: two clusters at least."""
    return clusters.codes is not None and len(clusters.names) > 1


LISTED = 10
DISAGREES = 0.5
"""A cluster of which no label has more than this share of the answered cells disagrees."""


def _summary(found: CellAnnotations) -> Annotations:
    rows = []
    counts = found.label.counts()
    order = sorted(
        (i for i in range(len(counts)) if counts[i]),
        key=lambda i: (-int(counts[i]), found.label.levels[i]),
    )
    for i in order:
        label, chosen = found.label.levels[i], found.label.codes == i
        rows.append(
            _row(
                found,
                label,
                label,
                chosen,
                n_cells=int(counts[i]),
                alternatives=tuple(found.alternatives.most_common(chosen, 3)),
                justification=_detail_text(found, chosen),
            )
        )
    evidence = {**found.evidence, "cells": found.counts()}
    return Annotations(tuple(rows), evidence, found.provenance)


def _majority(found: CellAnnotations, clusters: Clusters) -> Annotations:
    table, kinds = _table(found, clusters), _kinds(found)
    of_kinds = _support(table, kinds)
    rows, evidence = [], {}
    sizes = clusters.counts() or {}
    labels = found.label.levels
    chosen = _most(table, of_kinds, labels)
    counts, support = table.toarray(), of_kinds.toarray()
    for k, name in enumerate(clusters.names):
        answered = int(counts[k].sum())
        best = int(chosen[k])
        if best < 0:
            error = "None of its cells was answered."
            rows.append(Annotation(name, "skipped", n_cells=sizes.get(name), error=error))
            continue
        order = sorted(
            np.flatnonzero(counts[k]).tolist(),
            key=lambda i: (-int(counts[k, i]), labels[i] == UNKNOWN, labels[i]),
        )
        share = int(support[k, best]) / answered
        assert clusters.codes is not None
        inside = (clusters.codes == k) & np.append(kinds[best], False)[found.label.codes]
        rows.append(
            _row(
                found,
                name,
                labels[best],
                inside,
                n_cells=sizes.get(name),
                alternatives=tuple(labels[i] for i in order if not kinds[best, i])[:3],
                mixed=tuple(labels[i] for i in order[:2]) if share <= DISAGREES else (),
                justification=f"{int(support[k, best])} of {answered} answered cells.",
            )
        )
        evidence[name] = {
            "share": round(share, 4),
            "answered": answered,
            "disagreement": share <= DISAGREES,
            "labels": {labels[i]: int(counts[k, i]) for i in order},
        }
    return Annotations(tuple(rows), evidence, found.provenance)


def _support(counts: csr_matrix, kinds: NDArray[np.bool_]) -> csr_matrix:
    """Return, where a cluster has a label, its cells that have it or a kind of it."""
    from scipy.sparse import csr_matrix

    wide = csr_matrix(counts @ csr_matrix(kinds.T.astype(np.int64)))
    # A label is a kind of itself: what is counted is in the product as well.
    found = csr_matrix(wide.multiply(counts.astype(bool)))
    found.sort_indices()
    return found


def _most(counts: csr_matrix, support: csr_matrix, labels: Sequence[str]) -> NDArray[np.int32]:
    """Return the label of each cluster, -1 without a cell.

    Of labels with as many cells Unknown is the last, and the first by name the first.
    """
    n = counts.shape[0]
    place = np.empty(len(labels), dtype=np.int64)
    by_name = sorted(range(len(labels)), key=lambda i: (labels[i] == UNKNOWN, labels[i]))
    place[by_name] = np.arange(len(labels))
    answered = np.asarray(counts.sum(axis=1)).ravel()
    rows = np.repeat(np.arange(n), np.diff(counts.indptr))
    enough = support.data > DISAGREES * answered[rows]
    # The fewest cells of a label and its kinds, where these are enough; then the most of the label.
    narrow = np.where(enough, support.data, 0)
    order = np.lexsort((place[counts.indices], -counts.data, narrow, ~enough, rows))
    there, first = np.unique(rows, return_index=True)
    best = np.full(n, -1, dtype=np.int32)
    best[there] = counts.indices[order[first]]
    return best


def _row(
    found: CellAnnotations, name: str, label: str, chosen: NDArray[np.bool_], **more: Any
) -> Annotation:
    """Return the row of a label or a cluster, whose answer some cells have in common."""
    identifier, ontology_label = found.ontology.get(label, (None, None))
    confidence = _mean(found, chosen)
    return Annotation(
        name,
        "unknown" if label == UNKNOWN else "ok",
        label=label,
        ontology_id=identifier,
        ontology_label=ontology_label,
        confidence=confidence,
        confidence_kind=None if confidence is None else found.confidence_kind,
        supporting=tuple(found.supporting.most_common(chosen, LISTED)),
        engine=found.engine,
        model=found.model,
        provider=found.provider,
        **more,
    )


def _kinds(found: CellAnnotations) -> NDArray[np.bool_]:
    """Return whether the column's label is the row's, or a kind of it (labels x labels)."""
    labels, ontology = found.label.levels, cell_ontology()
    ids = [found.ontology_id(x) for x in labels]
    made = np.eye(len(labels), dtype=bool)
    for j, narrow in enumerate(ids):
        if narrow is None or narrow not in ontology:
            continue
        above = ontology.ancestors(narrow)
        made[:, j] |= [wide is not None and wide in above for wide in ids]
    return made


def _table(found: CellAnnotations, clusters: Clusters) -> csr_matrix:
    """Return the cells of each cluster (row) with each label (column), where there are any."""
    from scipy.sparse import csr_matrix

    shape = (len(clusters.names), len(found.label.levels))
    if clusters.codes is None:
        message = "Clusters without cells have no majority."
        raise ValueError(message)
    both = (clusters.codes >= 0) & (found.label.codes >= 0)
    pairs = clusters.codes[both], found.label.codes[both]
    made = csr_matrix((np.ones(len(pairs[0]), dtype=np.int64), pairs), shape=shape)
    made.sum_duplicates()
    return made


def _mean(found: CellAnnotations, chosen: NDArray[np.bool_]) -> float | None:
    values = found.confidence[chosen]
    values = values[~np.isnan(values)]
    return round(float(values.mean()), 4) if len(values) else None


def _detail_text(found: CellAnnotations, chosen: NDArray[np.bool_]) -> str | None:
    """Say which finer types are suggested for the cells of a label."""
    codes = found.detail.codes[chosen]
    counts = np.bincount(codes[codes >= 0], minlength=len(found.detail.levels))
    order = sorted(
        (i for i in range(len(counts)) if counts[i]),
        key=lambda i: (-int(counts[i]), found.detail.levels[i]),
    )
    listed = ", ".join(f"{found.detail.levels[i]} ({int(counts[i])} cells)" for i in order[:5])
    return f"Suggested finer types: {listed}." if listed else None
