"""Subclusters annotated within the labels of their parents; other clusters keep what they have.

An engine reads markers against the rest. Its answer for a part of a cluster is then compared with
the label of the whole: see :func:`completed_within`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..annotations.clusters import UNKNOWN, Annotation, Annotations, kept_markers
from ..annotations.decisions.in_force import engine_row
from ..annotations.decisions.of_cells import positions
from ..annotations.labelling.columns import texts_of
from ..annotations.labelling.labels import Labels
from ..annotations.labelling.objects import stored_labels
from ..biology.label_names import term_named
from ..biology.ontology import cell_ontology
from ..biology.text import says_unknown
from ..errors import (
    GroupMissingError,
    InvalidOptionError,
    UnsupportedObjectError,
    WithinWarning,
    listing,
    nearest,
    warn,
)
from ..study.clusters import Clusters
from ..study.parents import Parents, split
from ..study.study import Study
from .completion import Answer

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from ..engines.base import Engine, Plan
    from ..runs.worker import Event
    from ..study.markers.rules import MarkerOptions
    from ..study.markers.table import Markers

__all__ = [
    "Earlier",
    "asked",
    "check_within",
    "completed_within",
    "earlier_of",
    "no_cells_within",
    "planned_within",
    "provenance_of",
    "split_within",
    "warn_of_parts",
    "with_parents",
]

COMPARABLE = 0.8
"""Part of the fit of the best answer from which a kind of the parent's label is taken instead."""
GIVEN = "given"
"""What stands for the engine of labels that are a column of somebody else."""
CONTRADICTS = "contradicts_parent"
NO_PARENT = "no_parent"


@dataclass(frozen=True, eq=False)
class Earlier:
    """The labels within which an object is annotated.

    Attributes
    ----------
    key
        Name of their column.
    cells
        Names of the cells of the object.
    clusters
        The earlier cluster of each cell.
    found
        One row for each, with the labels in force.
    recorded
        Whether they are ours, with a record.
    """

    key: str
    cells: Sequence[str]
    clusters: Clusters
    found: Annotations
    recorded: bool

    @classmethod
    def of(
        cls, key: str, cells: Sequence[str], obs: pd.DataFrame, labels: Labels | None
    ) -> Earlier:
        """Return the labels of a column, of the record where it is ours.

        Parameters
        ----------
        key
            Name of the column.
        cells, obs
            Names of the cells, and their metadata.
        labels
            What the record of the key says, if there is one.

        Raises
        ------
        GroupMissingError
            There is no such column.
        """
        if key not in obs:
            columns = [str(c) for c in obs.columns]
            guess = nearest(key, columns)
            message = f'`within` names "{key}", and the metadata has no such column.'
            hint = f'Did you mean "{guess}"?' if guess else "Annotate the clusters first."
            raise GroupMissingError(message, hint)
        if labels is not None and not labels.of_cells and labels.rows is not None:
            names = tuple(row.cluster for row in labels.record)
            clusters = Clusters(names, labels.rows.astype(np.int32))
            return cls(key, cells, clusters, labels.record, True)
        values = texts_of(obs[key])
        rows = tuple(_given(name, key) for name in values.levels)
        clusters = Clusters(tuple(values.levels), values.codes.astype(np.int32))
        return cls(key, cells, clusters, Annotations(rows), False)

    def of_cells(self, cells: Sequence[str]) -> Clusters:
        """Return the earlier clusters of some cells, in their order."""
        assert self.clusters.codes is not None
        at = positions(cells, self.cells)
        codes = np.append(self.clusters.codes, -1)[at].astype(np.int32)
        return Clusters(self.clusters.names, codes)


def _given(label: str, key: str) -> Annotation:
    """Return the row of a label that somebody else wrote."""
    why = f'The value of the column "{key}".'
    if says_unknown(label):
        return Annotation(label, "unknown", label=UNKNOWN, engine=GIVEN, justification=why)
    term = term_named(label)
    name = cell_ontology()[term].label if term else None
    return Annotation(
        label, "ok", label=label, ontology_id=term, ontology_label=name, engine=GIVEN,
        justification=why,
    )  # fmt: skip


def earlier_of(data: anndata.AnnData | Study, key: str) -> Earlier:
    """Return the earlier labels of an AnnData, or of a study with metadata.

    Raises
    ------
    UnsupportedObjectError
        There are no cells with metadata.
    GroupMissingError
    """
    if not isinstance(data, Study):
        return Earlier.of(key, tuple(map(str, data.obs_names)), data.obs, stored_labels(data, key))
    if data.obs is None or data.cells is None:
        raise no_cells_within()
    return Earlier.of(key, data.cells, data.obs, None)


def no_cells_within() -> UnsupportedObjectError:
    """Return the error for earlier labels of what has no cells."""
    message = "`within` names the earlier labels of cells, and here there are no cells."
    return UnsupportedObjectError(message, "Pass the object itself, not its marker table.")


def check_within(within: str, group_key: str | None) -> None:
    """Refuse earlier labels that are the clusters themselves."""
    if within == group_key:
        message = f'`within` and the clusters are the same column, "{within}".'
        raise InvalidOptionError(message, "Name the column with the subclusters.")


def split_within(study: Study, earlier: Earlier) -> tuple[dict[str, str], dict[str, str | None]]:
    """Return the untouched clusters of a study, and the parents of the others; see :func:`split`.

    Parameters
    ----------
    study
        Of an object with cells and clusters.
    earlier
        The labels that it has.

    Raises
    ------
    InvalidOptionError
        No cluster is a part of an earlier one.
    """
    cells, clusters = tuple(study.cells or ()), study.clusters
    assert clusters.codes is not None
    check_within(earlier.key, study.group_key)
    if study.absent is not None:
        cells += study.absent.cells
        clusters = replace(clusters, codes=np.concatenate([clusters.codes, study.absent.codes]))
    kept, of = split(clusters, earlier.of_cells(cells))
    if any(of.values()):
        return kept, of
    key = study.group_key or "the clusters"
    message = (
        f'No cluster of "{key}" is a part of one of "{earlier.key}".'
        if of
        else f'Every cluster of "{key}" is one of "{earlier.key}": there is nothing to annotate.'
    )
    hint = "`group_key` names the subclusters, `within` the labels of the whole clusters."
    raise InvalidOptionError(message, hint)


def with_parents(
    study: Study,
    earlier: Earlier,
    on_event: Callable[[Event], None] | None = None,
    options: MarkerOptions | None = None,
) -> Study:
    """Return a study with what its clusters were parts of, and their markers against sisters.

    Parameters
    ----------
    study, earlier
        As for :func:`split_within`.
    on_event
        Called in this thread with progress.
    options
        How markers are found; None as for every annotation.

    Raises
    ------
    InvalidOptionError
        No cluster is a part of an earlier one.
    """
    # What reads matrices is imported by who has one: a marker table is labelled without.
    from ..artifacts.marker_sums import OF_ANNOTATION
    from ..artifacts.markers import markers_of_sisters

    kept, of = split_within(study, earlier)
    cells, clusters = tuple(study.cells or ()), study.clusters
    above = earlier.of_cells(cells)
    assert above.codes is not None
    # Only cells of the parts, of the parent that each has, are compared.
    place = {name: i for i, name in enumerate(above.names)}
    own = np.array([place.get(of.get(n) or "", -1) for n in clusters.names] + [-1])[clusters.codes]
    among = np.where((own >= 0) & (own == above.codes), above.codes, -1).astype(np.int32)
    sisters = Clusters(above.names, among)
    markers = markers_of_sisters(study, sisters, on_event, options or OF_ANNOTATION)
    named = {*kept.values(), *(p for p in of.values() if p is not None)}
    rows = {row.cluster: row for row in earlier.found if row.cluster in named}
    stored = replace(earlier.found, rows=tuple(rows.values()), decisions=()).to_dict()["rows"]
    known = earlier.found.evidence
    parents = Parents(
        earlier.key, earlier.recorded, kept, of, dict(zip(rows, stored, strict=True)),
        {name: known[name] for name in kept.values() if name in known},
        dict(earlier.found.markers), markers,
    )  # fmt: skip
    return study.with_parts(parents=parents)


def asked(study: Study, engine: Engine[object]) -> Study:
    """Return what an engine reads of a study: with parents, it is asked about the parts only.

    An engine that sends nothing reads all clusters, which cost nothing and show what is usual.

    Parameters
    ----------
    study
        Checked.
    engine
        Who reads it.
    """
    parents = study.parents
    if parents is None or not engine.capabilities.sends:
        return study
    clusters = study.clusters
    names = tuple(n for n in clusters.names if n in parents.of)
    at = [clusters.names.index(n) for n in names]
    codes = None
    if clusters.codes is not None:
        place = np.full(len(clusters.names) + 1, -1, dtype=np.int32)
        place[at] = np.arange(len(at), dtype=np.int32)
        codes = place[clusters.codes]
    sizes, totals = (
        None if x is None else tuple(x[i] for i in at) for x in (clusters.sizes, clusters.totals)
    )
    markers = study.markers
    if markers is not None:
        markers = markers.subset(n for n in names if n in markers.clusters)
    return study.with_parts(clusters=Clusters(names, codes, sizes, totals), markers=markers)


def planned_within(study: Study, engine: Engine[object]) -> Plan:
    """Return what an engine would do for what it is asked of a study."""
    plan = engine.plan(asked(study, engine))
    return plan if study.parents is None else replace(plan, clusters=len(study.parents.of))


def completed_within(found: Answer, study: Study) -> Answer:
    """Return an answer with all clusters: untouched ones as they were, parts within their parents.

    The answer for a part is compared with its parent's label in force, in the Cell Ontology:

    * a kind of it stays;
    * the same, something broader, or "Unknown" says nothing finer: the part keeps the parent's
      label, and ``detail`` says what the answer was;
    * anything else contradicts it. The embedded engine lists candidates with their fit: the best
      one that is a kind of the parent's label, has evidence of its own, and at least 0.8 of the fit
      of the answer is taken instead, without a confidence. Else the answer stays, and
      ``attention`` and ``justification`` say that it contradicts.

    Nothing is compared where the parent's label is unknown, or either has no term.

    Parameters
    ----------
    found
        What the engine returned, for all clusters or for the parts only.
    study
        Without parents, or with cells as answers, nothing is changed.
    """
    if study.parents is None or not isinstance(found, Annotations):
        return found
    return cast("Answer", _completed(found, study, study.parents))


def _completed(found: Annotations, study: Study, parents: Parents) -> Annotations:
    answers = {row.cluster: row for row in found}
    rows: list[Annotation] = []
    evidence: dict[str, Any] = {}
    for name in study.clusters.names:
        if name in parents.kept:
            before = parents.kept[name]
            stored = Annotation.from_dict(parents.rows[before])
            rows.append(replace(engine_row(stored), cluster=name))
            if before in parents.evidence:
                evidence[name] = parents.evidence[before]
            continue
        known = found.evidence.get(name)
        own = dict(known) if isinstance(known, Mapping) else {} if known is None else {"is": known}
        row = answers[name]
        if "within" not in own:
            parent = parents.of.get(name)
            row, own["within"] = _within(row, own, parent, parents)
            own["markers_within"] = _sisters(parents.markers, name)
        rows.append(row)
        evidence[name] = own
    others = {k: v for k, v in found.evidence.items() if k not in {*answers, *evidence}}
    return replace(
        found,
        rows=tuple(rows),
        evidence={**others, **evidence},
        markers=_markers(found.markers or kept_markers(study.markers), parents),
    )


def _within(
    row: Annotation, evidence: Mapping[str, Any], parent: str | None, parents: Parents
) -> tuple[Annotation, dict[str, Any]]:
    """Return the row of a part, and how its answer is related to the label of the whole."""
    if parent is None:
        why = f'It is no part of one cluster of "{parents.key}".'
        made = replace(row, attention=(*row.attention, NO_PARENT), justification=_and(row, why))
        return made, {"key": parents.key, "parent": None, "relation": "no_parent"}
    above = Annotation.from_dict(parents.rows[parent])
    known: dict[str, Any] = {
        "key": parents.key,
        "parent": parent,
        "label": above.label,
        "ontology_id": above.ontology_id,
        "answer": row.label,
        "answer_ontology_id": row.ontology_id,
    }
    if row.status in {"failed", "skipped"}:
        return row, {**known, "relation": "none"}
    if above.status != "ok" or above.label is None:
        return row, {**known, "relation": "unrestricted", "finer": row.status == "ok"}
    relation = _relation(row, above)
    if relation == "kind":
        return row, {**known, "relation": relation, "finer": True}
    if relation in {"same", "broader", "unknown"}:
        return _as_parent(row, above, relation), {**known, "relation": relation}
    if relation == "not_compared":
        return row, {**known, "relation": relation}
    taken = _comparable(evidence, _term(above))
    if taken is not None:
        why = (
            f'{row.label} is no kind of "{above.label}", the label of the whole cluster; '
            f"{taken.label}, which is one, fits {taken.fit:.2f} and was taken."
        )
        made = replace(
            row, label=taken.label, ontology_id=taken.ontology_id,
            ontology_label=taken.ontology_label, confidence=None, confidence_kind=None, detail=None,
            alternatives=tuple(dict.fromkeys([str(row.label), *row.alternatives])),
            supporting=taken.genes, justification=_and(row, why),
        )  # fmt: skip
        return made, {**known, "relation": "kind", "finer": True, "taken": taken.label}
    why = f'It contradicts "{above.label}", the label of the whole cluster "{parent}".'
    made = replace(row, attention=(*row.attention, CONTRADICTS), justification=_and(row, why))
    return made, {**known, "relation": "contradicts"}


def _and(row: Annotation, sentence: str) -> str:
    return " ".join(filter(None, (row.justification, sentence)))


def _term(row: Annotation) -> str | None:
    """Return the term of a row in use; None where it has none that is known."""
    ontology = cell_ontology()
    term = ontology.current(row.ontology_id) if row.ontology_id else None
    if term is None and row.label is not None:
        term = term_named(row.label)
    return term


def _relation(row: Annotation, above: Annotation) -> str:
    if row.status == "unknown":
        return "unknown"
    mine, its = _term(row), _term(above)
    if row.label == above.label or (mine is not None and mine == its):
        return "same"
    if mine is None or its is None:
        return "not_compared"
    ontology = cell_ontology()
    if ontology.is_a(mine, its):
        return "kind"
    return "broader" if ontology.is_a(its, mine) else "contradicts"


def _as_parent(row: Annotation, above: Annotation, relation: str) -> Annotation:
    """Return the row of a part that has the label of the whole, as nothing finer is known."""
    its = _term(above)
    finer = None
    if row.detail is not None and its is not None:
        kind = term_named(row.detail)
        finer = row.detail if kind and cell_ontology().is_a(kind, its) else None
    same = relation == "same"
    return replace(
        row,
        status="ok",
        label=above.label,
        ontology_id=above.ontology_id,
        ontology_label=above.ontology_label,
        detail=finer or f"nothing finer: {row.label}",
        # What the engine is sure of is its own answer.
        confidence=row.confidence if same else None,
        confidence_kind=row.confidence_kind if same else None,
        justification=_and(row, f'Nothing finer than "{above.label}", the label of the whole.'),
    )


@dataclass(frozen=True)
class _Candidate:
    label: str
    ontology_id: str
    ontology_label: str
    fit: float
    genes: tuple[str, ...]


def _comparable(evidence: Mapping[str, Any], parent: str | None) -> _Candidate | None:
    """Return the best candidate of the embedded engine that is a kind of a term, if it is good."""
    fit, candidates = evidence.get("fit"), evidence.get("candidates")
    if parent is None or not isinstance(fit, float | int) or not isinstance(candidates, list):
        return None
    ontology = cell_ontology()
    for one in candidates:
        match = ontology.find(str(one.get("name", "")))
        if match is None or not ontology.is_a(match.term.id, parent) or match.term.id == parent:
            continue
        if one["fit"] >= COMPARABLE * fit and one["own_fit"] > 0:
            genes = sorted(one["genes"], key=lambda g: (-one["genes"][g], g))
            return _Candidate(
                one["name"], match.term.id, match.term.label, one["fit"], tuple(genes[:10])
            )
    return None


def _sisters(markers: Markers | None, cluster: str) -> dict[str, list[Any]]:
    """Return the best markers of a part against its sisters, as columns."""
    if markers is None or cluster not in markers.clusters:
        return {}
    return kept_markers(markers.subset([cluster]))


def _markers(made: Mapping[str, list[Any]], parents: Parents) -> dict[str, list[Any]]:
    """Return the best markers, of untouched clusters those that they had."""
    best, now = parents.best, dict(made)
    if set(best) != set(now) or "cluster" not in now:
        return now
    names = {old: new for new, old in parents.kept.items()}
    old = [i for i, c in enumerate(best["cluster"]) if c in names]
    had = {names[best["cluster"][i]] for i in old}
    new = [i for i, c in enumerate(now["cluster"]) if c not in had]
    found = {k: [best[k][i] for i in old] + [now[k][i] for i in new] for k in now}
    found["cluster"] = [names[best["cluster"][i]] for i in old] + [now["cluster"][i] for i in new]
    return found


def provenance_of(study: Study) -> dict[str, Any]:
    """Return what annotations remember of the labels within which they are."""
    parents = study.parents
    if parents is None:
        return {}
    return {"within": {"key": parents.key, "kept": dict(parents.kept), "of": dict(parents.of)}}


def warn_of_parts(found: Annotations) -> None:
    """Warn of answers that are no kind of their parent's label, and of clusters without one."""
    against = [r for r in found if CONTRADICTS in r.attention]
    without = [r.cluster for r in found if NO_PARENT in r.attention]
    if against:
        each = [
            f'"{row.cluster}" is {row.engine_label or row.label}, '
            f"and was {found.evidence[row.cluster]['within']['label']}"
            for row in against
        ]
        n = len(against)
        message = (
            f"{n} {'answer is' if n == 1 else 'answers are'} no kind of the label of the whole "
            f"cluster: {'; '.join(each[:10])}{'; ...' if n > 10 else ''}."
        )
        hint = "Look at them: either the whole was wrong, or the part is something else in it."
        warn(WithinWarning(message, hint))
    if without:
        message = (
            f"{listing(without, 10)} {'is' if len(without) == 1 else 'are'} no part of one earlier "
            "cluster, and annotated without regard to the earlier labels."
        )
        warn(WithinWarning(message))
