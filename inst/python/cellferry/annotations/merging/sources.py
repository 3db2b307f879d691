"""What has annotations: the whole, and its parts; which of their annotations are merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...errors import InvalidOptionError, MergeError, in_language, listing
from ..clusters import Annotation, Annotations, Level
from ..decisions.in_force import engine_row
from ..delivery import DEFAULT_KEYS
from ..labelling.labels import Labels
from ..stored import readable_records

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Source:
    """An object with annotations.

    Attributes
    ----------
    name
        Of the part; of the whole nothing.
    cells
        Their names.
    obs
        Metadata, of which the columns of the keys and of the clusters are read.
    stored
        Key -> what is stored under it.
    """

    name: str
    cells: Sequence[str]
    obs: pd.DataFrame
    stored: Mapping[str, str]

    @cached_property
    def records(self) -> dict[str, Annotations]:
        """Key -> record, without those that can't be read and those that were kept of parts."""
        return readable_records(self.stored)

    def labels(self, key: str) -> Labels:
        """Return what its cells have under a key that has a record."""
        return Labels(tuple(self.cells), self.obs, key, self.records[key])


def level_of(record: Annotations) -> Level:
    """Return whether clusters were annotated, or every cell."""
    return "cells" if record.provenance.get("level") == "cells" else "clusters"


def newest(records: Mapping[str, Annotations]) -> str:
    """Return the newest key of clusters, else of cells."""
    return max(
        records,
        key=lambda k: (
            level_of(records[k]) == "clusters",
            str(records[k].provenance.get("created", "")),
        ),
    )


def _inherited(record: Annotations, of_whole: Annotations | None) -> bool:
    """Whether a record is the whole's, which may have got rows and decisions since."""
    if of_whole is None or record.provenance.get("run") != of_whole.provenance.get("run"):
        return False
    known = {(r.cluster, *_answer(r)) for r in of_whole}
    decided = {d.id for d in of_whole.decisions}
    return all((r.cluster, *_answer(r)) in known for r in record) and all(
        d.id in decided for d in record.decisions
    )


def _answer(row: Annotation) -> tuple[str | float | None, ...]:
    one = engine_row(row)
    return (one.label, one.status, one.confidence, one.justification)


def chosen_keys(whole: Source, parts: Sequence[Source], key: str | None) -> tuple[str, list[str]]:
    """Return the key that is written, and the one that is read of each part.

    A part that was taken from the whole has its records too: what is the same is not what the
    part says.

    Parameters
    ----------
    whole, parts
        With their records.
    key
        What the user named; None: the newest of the whole, else that of the parts.

    Raises
    ------
    MergeError
        A part has no annotations of its own, or some are of clusters and some of cells.
    InvalidOptionError
        Two parts have one name.
    """
    names = [p.name for p in parts]
    twice = sorted({n for n in names if names.count(n) > 1})
    if not parts or twice:
        message = (
            f"Several parts are named {listing(twice)}." if twice else "There is no part to merge."
        )
        line = in_language(
            python='cellferry.merge_annotations(adata, {"a": one, "b": other})',
            r="x <- MergeAnnotations(x, a = one, b = other)",
            cli="a=one b=other",
        )
        raise InvalidOptionError(message, f"Name them: {line}")
    own = [
        {k: r for k, r in p.records.items() if not _inherited(r, whole.records.get(k))}
        for p in parts
    ]
    for part, records in zip(parts, own, strict=True):
        if not records:
            same = "has the annotations of the object and none of its own"
            what = same if part.records else "has no annotations"
            message = f'The part "{part.name}" {what}.'
            raise MergeError(message, "Annotate it first.")
    if key is None:
        firsts = {newest(records) for records in own}
        of_all = firsts.pop() if len(firsts) == 1 else None
        if of_all is not None and (of_all in whole.records or not whole.records):
            key = of_all
        elif whole.records:
            key = newest(whole.records)
        else:
            key = of_all or DEFAULT_KEYS[level_of(own[0][newest(own[0])])]
    level = level_of(whole.records[key]) if key in whole.records else None
    chosen = []
    for part, records in zip(parts, own, strict=True):
        fitting = {k: r for k, r in records.items() if level in (None, level_of(r))}
        if not fitting:
            other = {"cells": "clusters", "clusters": "cells"}[str(level)]
            message = (
                f'The part "{part.name}" has labels of {other}, and what it is merged with has '
                f"labels of {level}."
            )
            raise MergeError(message, "Annotate it alike, or name another key (`key`).")
        chosen.append(key if key in fitting else newest(fitting))
        level = level_of(fitting[chosen[-1]])
    return key, chosen
