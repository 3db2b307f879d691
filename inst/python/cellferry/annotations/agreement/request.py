"""A consensus that is asked for: from the labels of an object to what is written into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._version import software
from ...errors import InvalidOptionError, LabelsUnresolvedWarning, enumerated, in_language, warn
from ...study.clusters import Clusters
from ..cells import CellAnnotations
from ..clusters import Annotations
from ..delivery import column_names
from ..texts import Texts
from .comparison import Comparison, compared
from .consensus import ENGINE, of_cells, of_clusters
from .sources import (
    Annotator,
    Labelled,
    asked_annotators,
    family,
    found_annotators,
    rows_of,
    same_clusters,
    votes_of,
    weights_of,
)
from .terms import Resolver
from .votes import Votes, read

if TYPE_CHECKING:
    from ..clusters import Level


@dataclass(frozen=True)
class Asked:
    """Who votes, and how.

    Attributes
    ----------
    names
        Keys of annotations, columns, tools, or files of Cell Ranger.
    key
        Where the answer is written.
    group_key
        Column with the clusters that are answered; None: those of the first annotation, else
        each cell.
    weights, groups
        Annotator or group -> weight; annotator -> group.
    mapping
        Label -> term.
    levels
        Whether the broader labels are written too.
    """

    names: Sequence[str]
    key: str = ENGINE
    group_key: str | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)
    levels: bool = False


@dataclass(frozen=True, eq=False)
class Made:
    """An answer, and the clusters of the cells to which it is delivered."""

    found: Annotations | CellAnnotations
    clusters: Clusters

    @property
    def level(self) -> Level:
        """Whether clusters or cells were answered."""
        return self.found.level


def consensus_of(whole: Labelled, asked: Asked) -> Made:
    """Return the consensus of what an object has.

    Parameters
    ----------
    whole
        The object; nothing is changed in it.
    asked
        Who votes.

    Raises
    ------
    InvalidOptionError, GroupMissingError, InputError
    """
    records = whole.records()
    names = [str(c) for c in whole.obs.columns]
    who = asked_annotators(names, records, asked.names, groups=asked.groups, key=asked.key)
    weights = weights_of(who, asked.weights)
    resolver = Resolver(asked.mapping)
    rows = rows_of(whole, who, asked.group_key)
    several = votes_of(who, whole, resolver)
    found: Annotations | CellAnnotations
    if rows is None:
        clusters = Clusters((), np.full(len(whole.cells), -1, dtype=np.int32))
        found = of_cells(several, whole.cells, weights)
        known: dict[str, Any] = {"group_key": asked.key}
    else:
        clusters = rows.clusters
        assert clusters.codes is not None
        several = [same_clusters(v, whole, clusters) for v in several]
        codes = clusters.codes.astype(np.intp)
        found = of_clusters(several, codes, clusters.names, weights)
        found = replace(found, markers=rows.markers)
        known = dict(rows.known)
    say_unresolved(resolver)
    said = told(who, weights, resolver, asked, records)
    provenance = _provenance(asked.key, found.level, levels=asked.levels)
    return Made(replace(found, provenance={**provenance, **known, **said}), clusters)


def consensus_of_tables(
    tables: Mapping[str, Annotations],
    key: str,
    *,
    failed: Mapping[str, str] | None = None,
    weights: Mapping[str, float] | None = None,
    levels: bool = False,
) -> Annotations:
    """Return the consensus of several answers for the same clusters.

    Parameters
    ----------
    tables
        Name of the annotator -> its answer, with the same clusters in the same order.
    key
        Where the answer is written.
    failed
        Annotator -> why it has no answer.
    weights
        Group -> its weight.
    levels
        Whether the broader labels are written too; also where an answer had them.

    Examples
    --------
    >>> from ..clusters import Annotation
    >>> row = Annotation("0", "ok", label="B cell", engine="local")
    >>> other = Annotation("0", "ok", label="Naive B cell", engine="cytetype")
    >>> found = consensus_of_tables(
    ...     {"a": Annotations((row,)), "b": Annotations((other,))}, "cell_type")
    >>> found["0"].label
    'B cell'
    """
    resolver = Resolver()
    several: list[Votes] = []
    for name, table in tables.items():
        labels = Texts.of(row.label for row in table)
        ids = Texts.of(row.ontology_id for row in table)
        texts, terms = read(labels, ids, resolver)
        sure = np.array([np.nan if r.confidence is None else r.confidence for r in table])
        several.append(Votes(name, family(table), texts, terms, sure, table))
    first = next(iter(tables.values()))
    names = first.column("cluster")
    at = np.arange(len(names), dtype=np.intp)
    found = of_clusters(several, at, names, weights, with_sizes=False)
    rows = tuple(replace(r, n_cells=o.n_cells) for r, o in zip(found, first, strict=True))
    evidence = {k: dict(v) for k, v in found.evidence.items()}
    for name, reason in (failed or {}).items():
        silent = {"engine": name, "group": name, "label": None, "confidence": None,
                  "status": "failed", "error": reason, "term": None, "agrees": None}  # fmt: skip
        for known in evidence.values():
            known["votes"] = [*known["votes"], silent]
    who = [Annotator(v.name, v.group, (f"{key}_{v.name}",)) for v in several]
    said = told(who, weights or {}, resolver, Asked(tuple(tables), key), tables)
    if failed:
        said["consensus"]["failed"] = dict(failed)
    shared = {k: v for k, v in first.provenance.items() if k not in _OF_ENGINES}
    levels = levels or bool(shared.get("levels"))
    provenance = {**shared, **_provenance(key, "clusters", levels=levels), **said}
    return Annotations(rows, evidence, provenance, first.markers)


_OF_ENGINES = {"run", "options", "created", "columns", "written", "to_be_asked", "note", "colors"}


def _provenance(key: str, level: Level, *, levels: bool) -> dict[str, Any]:
    return {
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "level": level,
        "engine": ENGINE,
        "key": key,
        "columns": column_names(key, level, compared=False),
        "versions": software(),
        **({"levels": True} if levels else {}),
    }


def told(
    who: Sequence[Annotator],
    weights: Mapping[str, float],
    resolver: Resolver,
    asked: Asked,
    records: Mapping[str, Annotations],
) -> dict[str, Any]:
    """Return what the record says of who voted."""
    voters = []
    for one in who:
        record = records.get(one.key or one.name)
        decided = 0 if record is None else sum(
            bool(row.decision and row.engine_status) for row in record
        )  # fmt: skip
        voters.append({
            "name": one.name, "group": one.group, "weight": weights.get(one.group, 1.0),
            "columns": list(one.columns), "decided": decided,
            **({"file": one.file.name} if one.file is not None else {}),
        })  # fmt: skip
    said: dict[str, Any] = {"from": voters}
    if asked.mapping:
        said["mapping"] = {str(k): str(v) for k, v in asked.mapping.items()}
    if resolver.unresolved:
        said["unresolved"] = resolver.unresolved
    return {"consensus": said}


def say_unresolved(resolver: Resolver) -> None:
    """Warn of labels without a term, with the terms that are near."""
    missing = resolver.explained()
    if not missing:
        return
    n = len(resolver.unresolved)
    lines = [
        f'"{text}"' + (f" (near: {', '.join(near)})" if near else "")
        for text, near in missing.items()
    ]
    one = n == 1
    rest = f"; and {n - len(lines)} more" if n > len(lines) else ""
    message = (
        f"{n} label{'' if one else 's'} {'is' if one else 'are'} no term of the Cell "
        f"Ontology, and agree{'s' if one else ''} with nothing but the same text: "
        f"{enumerated(lines, 10)}{rest}."
    )
    first = next(iter(missing))
    line = in_language(
        python=f'mapping={{"{first}": "CL:0000236"}}',
        r=f'mapping = c("{first}" = "CL:0000236")',
        cli=f"--map '{first}=CL:0000236'",
    )
    warn(LabelsUnresolvedWarning(message, f"Say what is meant, for example {line}"))


def listed(whole: Labelled, key: str = ENGINE) -> list[dict[str, Any]]:
    """Return who has labels in an object, with their columns and how many labels have a term.

    Parameters
    ----------
    whole
        The object.
    key
        Of a consensus, which is not listed.
    """
    names = [str(c) for c in whole.obs.columns]
    made = []
    for one in found_annotators(names, whole.records(), key):
        resolver = Resolver()
        votes = votes_of([one], whole, resolver)[0]
        used = votes.labels.counts() > 0
        labels = {
            x for x, t, u in zip(votes.labels.levels, votes.terms, used, strict=True) if t and u
        }
        made.append({
            "name": one.name, "group": one.group, "columns": ", ".join(one.columns),
            "labels": len(labels), "unresolved": len(labels & set(resolver.unresolved)),
            "cells": int(sum(votes.labels.counts())),
        })  # fmt: skip
    return made


def comparison_of(
    whole: Labelled, key: str, with_: str, mapping: Mapping[str, str] | None = None
) -> Comparison:
    """Return two sets of labels of an object beside each other.

    Parameters
    ----------
    whole
        The object.
    key, with_
        Annotations, columns, tools, or files, as in :class:`Asked`.
    mapping
        Label -> term.

    Raises
    ------
    InvalidOptionError, InputError
        There is no such annotator, or both are the same.
    """
    records = whole.records()
    names = [str(c) for c in whole.obs.columns]
    if key == with_:
        message = f'"{key}" is compared with itself.'
        raise InvalidOptionError(message, "Name another column, annotation or tool as `with`.")
    who = [asked_annotators(names, records, [name])[0] for name in (key, with_)]
    resolver = Resolver(mapping)
    one, other = votes_of(who, whole, resolver)
    rows = rows_of(whole, who[:1], None)
    say_unresolved(resolver)
    return compared(one, other, None if rows is None else rows.clusters)
