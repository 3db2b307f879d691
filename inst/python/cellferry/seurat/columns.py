"""Metadata columns through rpy2: records of :mod:`cellferry.bridge.columns`, of R's vectors.

The rules, which R type is which dtype and what is lost, are there; this is only their way into
and out of R's memory. R types that pandas does not have keep their name in a *note*, so that
they come back as what they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..bridge.columns import Note, Record, record_from_series, values_from_record
from ..errors import InvalidObjectError, listing
from .session import RObject, r_lock
from .transfer import Item
from .vectors import flag, named_list, names, parts, text, text_vector, texts
from .views import INTEGER_NA, new_vector, view

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pandas.api.extensions import ExtensionArray

    Values: TypeAlias = ExtensionArray | NDArray[np.generic]


@dataclass
class FrameFromR:
    """Columns read from R: the frame, the notes by column, and what happened to each."""

    frame: pd.DataFrame
    notes: dict[str, Note] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)


def frame_from_r(columns: RObject, index: list[str], kind: str) -> FrameFromR:
    """Return the frame of an R list of columns.

    Parameters
    ----------
    columns
        What ``extract_metadata_columns()`` returned.
    index
        Row names.
    kind
        ``obs`` or ``var``, for the report.
    """
    import pandas as pd

    rows = pd.Index(index, dtype="object")
    found = FrameFromR(pd.DataFrame(index=rows))
    made: dict[str, pd.Series] = {}
    for column in map(parts, columns):
        name, what = text(column["name"]) or "", text(column["kind"]) or ""
        action, why = text(column["action"]) or "taken", text(column["why"]) or ""
        if action != "left" and (name in made or what == "texts"):
            action = "left"
            why = (
                "Another column has the same name."
                if name in made
                else "A column of lists has more than one value per row."
            )
        if action != "left":
            values, note, lost = values_from_r(what, column)
            made[name] = pd.Series(values, index=rows, name=name)
            if note:
                found.notes[name] = note
            if lost:
                action, why = "coerced", " ".join(filter(None, (why, lost)))
        found.items.append(Item(name, kind, what, action, why))
    if made:
        found.frame = pd.DataFrame(made, index=rows)
    return found


def values_from_r(kind: str, column: Mapping[str, RObject]) -> tuple[Values, Note, str]:
    """Return the values of one column of R for a Series, its note, and what is lost.

    Parameters
    ----------
    kind
        One of the kinds of :mod:`cellferry.bridge.columns`.
    column
        ``values`` and what belongs to the kind: ``levels``, ``ordered``, ``storage``, ``tz``.
    """
    given = column["values"]
    record: Record = {"kind": kind}
    if kind == "text":
        record["values"] = texts(given)
    elif kind == "category":
        ordered = bool(column["ordered"][0])
        record |= {"values": view(given), "levels": names(column["levels"]), "ordered": ordered}
    else:
        record["values"] = values = view(given)
        if kind in {"integer", "logical"}:
            record["mask"] = values == INTEGER_NA
        for name in ("storage", "tz"):
            if name in column:
                record[name] = text(column[name])
    return values_from_record(record)


def frame_to_r(
    frame: pd.DataFrame, kind: str, notes: Mapping[str, Mapping[str, object]] | None = None
) -> tuple[RObject, list[Item]]:
    """Return the columns of a frame as the R list that ``vector_of()`` reads, and the report.

    Parameters
    ----------
    frame
        Of two columns with one name the second is left.
    kind
        ``obs``, ``var``, ... for the report.
    notes
        Column -> note of the R type that it had; see :func:`values_from_r`.
    """
    made, items, seen = [], [], set()
    for position, label in enumerate(frame.columns):
        series, name = frame.iloc[:, position], str(label)
        what = str(series.dtype)
        if name in seen:
            items.append(Item(name, kind, what, "left", "Another column has the same name."))
            continue
        seen.add(name)
        note = {str(k): str(v) for k, v in dict((notes or {}).get(name, {})).items()}
        record, lost = record_from_series(series, note)
        action = "left" if record is None else "coerced" if lost else "taken"
        items.append(Item(name, kind, what, action, lost))
        if record is not None:
            made.append(record_to_r(name, record))
    with r_lock() as rinterface:
        return rinterface.ListSexpVector(made), items


def record_to_r(name: str, record: Record) -> RObject:
    """Return one record as the R list that ``vector_of()`` reads."""
    kind, values = record["kind"], record["values"]
    made = {"name": text_vector([name]), "kind": text_vector([kind])}
    if kind == "text":
        return named_list({**made, "values": text_vector(values)})
    if kind in {"integer", "logical"}:
        whole = np.asarray(values).astype(np.int32)
        mask = record.get("mask")
        if mask is not None:
            whole = np.where(np.asarray(mask) != 0, np.int32(INTEGER_NA), whole)
        return named_list({**made, "values": new_vector(whole, kind)})
    if kind == "category":
        made["levels"] = text_vector(record["levels"])
        made["ordered"] = flag(bool(record["ordered"]))
        return named_list({**made, "values": new_vector(values, "integer")})
    for part in ("storage", "tz"):
        if record.get(part) is not None:
            made[part] = text_vector([str(record[part])])
    return named_list({**made, "values": new_vector(values, "double")})


FORBIDDEN = ("_", "|")
"""Seurat replaces these in the names of features, because they are in its keys."""


def seurat_genes(genes: Sequence[str]) -> list[str]:
    """Return the names with ``_`` and ``|`` as ``-``; where two become the same, with a number.

    Raises
    ------
    InvalidObjectError
        Names are empty, or not unique before the replacement.

    Examples
    --------
    >>> seurat_genes(["MT_CO1", "A-1", "A_1"])
    ['MT-CO1', 'A-1', 'A-1.1']
    """
    check_names(genes, "genes", "adata.var_names_make_unique()")
    plain = [g.replace("_", "-").replace("|", "-") for g in genes]
    # A gene keeps its own name; only one that was changed steps aside.
    taken = {g for g, p in zip(genes, plain, strict=True) if g == p}
    made = []
    for gene, name in zip(genes, plain, strict=True):
        chosen, n = name, 0
        while gene != name and chosen in taken:
            n += 1
            chosen = f"{name}.{n}"
        taken.add(chosen)
        made.append(chosen)
    return made


def check_names(names: Sequence[str], what: str, recipe: str) -> None:
    """Raise :class:`InvalidObjectError` if names are empty or not unique.

    Parameters
    ----------
    what
        What the names are of, in the plural, for the message.
    recipe
        The call that makes them unique.
    """
    if any(not n for n in names):
        message = f"Some {what} have an empty name."
        raise InvalidObjectError(message, f"Name all {what}.")
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        message = f"The names of {what} must be unique, and {listing(twice, 3)} is not."
        raise InvalidObjectError(message, f"Make them unique: {recipe}")
