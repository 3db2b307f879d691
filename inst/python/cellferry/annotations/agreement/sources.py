"""The annotators of an object: its own annotations, and the label columns of other tools."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import (
    GroupMissingError,
    InputError,
    InvalidOptionError,
    UnsupportedObjectError,
    listing,
    nearest,
)
from ..clusters import Annotations
from ..labelling.columns import texts_of
from ..labelling.labels import Labels
from ..present import present
from ..stored import readable_records
from ..texts import Texts
from .columns import Found, column_of_ids, in_order, scores_of, tool_columns, tool_of
from .consensus import ENGINE
from .terms import Resolver
from .votes import Votes, finest, read

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ...study.clusters import Clusters

MOST_LABELS = 1000
"""A column with more different values has no cell types: names of cells, measurements."""
BARCODE = "barcode"
"""Column of Cell Ranger's ``cell_types.csv`` with the names of cells."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """An object with labels: names of cells, metadata, and what cellferry stored, by key."""

    cells: Sequence[str]
    obs: pd.DataFrame
    stored: Mapping[str, str]

    def records(self) -> dict[str, Annotations]:
        """Return key -> record, without those that can't be read and those kept of parts."""
        return readable_records(self.stored)


@dataclass(frozen=True)
class Annotator:
    """Who has a vote.

    Attributes
    ----------
    name, group
        What it is called, and the family with which it has one weight.
    columns
        Of labels, the broadest first.
    scores
        Of their confidence, None where there is none.
    key
        Where cellferry wrote the labels.
    file
        With the columns, where they are not in the metadata.
    """

    name: str
    group: str
    columns: tuple[str, ...]
    scores: tuple[str | None, ...] = ()
    key: str | None = None
    file: Path | None = None


def family(record: Annotations) -> str:
    """Return the family of annotators that wrote a record: its engine.

    Of engines that ask a language model it is the vendor of the model too: those of one vendor
    are likely to be wrong together.

    Examples
    --------
    >>> family(Annotations((), provenance={"engine": "llm", "options": {"model": "openai/gpt-5"}}))
    'llm openai'
    >>> family(Annotations((), provenance={"engine": "local"}))
    'local'
    """
    known = record.provenance
    rows = {row.engine for row in record if row.engine}
    engine = str(known.get("engine") or (min(rows) if rows else "cellferry"))
    options = known.get("options")
    model = options.get("model") if isinstance(options, Mapping) else None
    models = {row.model for row in record if row.model}
    model = model or (min(models) if models else None)
    if engine != "llm" or not model:
        return engine
    vendor = str(model).split("/")[0] if "/" in str(model) else re.split(r"[-\d:]", str(model))[0]
    return f"{engine} {vendor.casefold()}"


def found_annotators(
    names: Sequence[str], records: Mapping[str, Annotations], without: str | None = None
) -> list[Annotator]:
    """Return who has labels in an object, as far as records and names of columns show it.

    Parameters
    ----------
    names
        Columns of the metadata.
    records
        Key -> record.
    without
        Key of a consensus, which is none.
    """
    own = {c for r in records.values() for c in r.provenance.get("columns", ())}
    own |= {key + end for key in records for end in ("", "_cluster", "_decision")}
    kept = {k: r for k, r in records.items() if k != without and k in names}
    made = [_of_record(key, record) for key, record in kept.items() if not _is_consensus(record)]
    return [*made, *(_of_tool(found) for found in tool_columns(names, own))]


def _is_consensus(record: Annotations) -> bool:
    return record.provenance.get("engine") == ENGINE


def _of_record(key: str, record: Annotations) -> Annotator:
    return Annotator(key, family(record), (key,), (f"{key}_confidence",), key)


def _of_tool(found: Found) -> Annotator:
    return Annotator(found.name, found.group, found.columns, found.scores)


def asked_annotators(
    names: Sequence[str],
    records: Mapping[str, Annotations],
    asked: Sequence[str],
    *,
    groups: Mapping[str, str] | None = None,
    key: str | None = None,
) -> list[Annotator]:
    """Return who is to vote.

    Parameters
    ----------
    names
        Columns of the metadata.
    records
        Key -> record.
    asked
        Keys of annotations, columns, names of tools, or paths of Cell Ranger's cell_types.csv.
        Several columns of one tool are its levels.
    groups
        Annotator -> family, where it is not what is taken for it.
    key
        Where the answer is written, which is no vote.

    Raises
    ------
    InvalidOptionError
        There is no such annotator, it is named twice, or a family is of none that is asked.
    """
    if not asked:
        message = "Nobody is to vote: `from` is empty."
        raise InvalidOptionError(message, "Name annotations or columns, or leave `from` out.")
    found = {a.name: a for a in found_annotators(names, records)}
    made: list[Annotator] = []
    for name in dict.fromkeys(asked):
        one = _asked(name, names, records, found)
        if one.key is not None and one.key == key:
            message = f'The answer is written under "{key}", which `from` names as a vote.'
            raise InvalidOptionError(message, "Choose another key, or leave it out of `from`.")
        made.append(one)
    made = _levels_joined(made, names)
    chosen = dict(groups or {})
    unknown = [g for g in chosen if g not in {a.name for a in made}]
    if unknown:
        guess = nearest(str(unknown[0]), [a.name for a in made])
        message = f'`groups` names "{unknown[0]}", which does not vote.'
        hint = f"Who votes: {listing([a.name for a in made])}."
        raise InvalidOptionError(message, (f'Did you mean "{guess}"? ' if guess else "") + hint)
    return [replace(a, group=str(chosen.get(a.name, a.group))) for a in made]


def _asked(
    name: str,
    names: Sequence[str],
    records: Mapping[str, Annotations],
    found: Mapping[str, Annotator],
) -> Annotator:
    if name in records and name in names:
        return _of_record(name, records[name])
    if name in names:
        return _of_column(name, names)
    if name in found:
        return found[name]
    if name.casefold().endswith((".csv", ".csv.gz")):
        return _of_file(Path(name).expanduser())
    same = [n for n in names if n.casefold() == name.casefold()]
    if len(same) == 1:
        return _of_column(same[0], names)
    known = [*records, *found, *names]
    guess = nearest(name, known)
    message = f'There is no annotation, column or known tool "{name}".'
    there = f"Found are: {listing(list(found))}." if found else ""
    raise InvalidOptionError(message, " ".join(filter(None, (
        f'Did you mean "{guess}"?' if guess else "", there))))  # fmt: skip


def _of_column(column: str, names: Sequence[str]) -> Annotator:
    tool = tool_of(column)
    if tool is None:
        return Annotator(column, column, (column,), (None,))
    scores = scores_of(tool, (column,), names)
    return Annotator(column, tool.group or tool.name, (column,), scores)


def _of_file(path: Path) -> Annotator:
    if not path.is_file():
        message = f'There is no file "{path}".'
        raise InputError(message, "Check the path of Cell Ranger's cell_types.csv.")
    found = {a.name: a for a in tool_columns(_table(path, n_rows=0).columns)}
    if "cellranger" not in found:
        message = f'"{path}" has no column of cell types of Cell Ranger.'
        hint = f"Its columns must be {BARCODE} and coarse_cell_type or fine_cell_type."
        raise InputError(message, hint)
    own = found["cellranger"]
    return Annotator(own.name, own.group, own.columns, own.scores, file=path)


def _table(path: Path, n_rows: int | None = None) -> pd.DataFrame:
    import pandas as pd

    try:
        # A cell may be called NA.
        return pd.read_csv(path, dtype=str, nrows=n_rows, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        message = f'"{path}" cannot be read as a table: {error}'
        raise InputError(message, "Give Cell Ranger's cell_types.csv.") from error


def _levels_joined(annotators: Sequence[Annotator], names: Sequence[str]) -> list[Annotator]:
    """Return annotators, several columns of one tool as one."""
    made: dict[tuple[str, str], Annotator] = {}
    for one in annotators:
        tool = tool_of(one.columns[0]) if one.key is None and one.file is None else None
        slot = ("tool", tool.name) if tool is not None and tool.levels else ("", one.name)
        if slot in made:
            assert tool is not None
            columns = in_order(tool, {*made[slot].columns, *one.columns})
            one = Annotator(  # noqa: PLW2901 - the same annotator with more levels
                tool.name, one.group, columns, scores_of(tool, columns, names)
            )
        made[slot] = one
    return list(made.values())


def needed_columns(annotators: Iterable[Annotator], names: Sequence[str]) -> list[str]:
    """Return the columns of metadata that are read for the votes of some annotators."""
    wanted: dict[str, None] = {}
    for one in annotators:
        if one.file is None:
            ids = (column_of_ids(c, names) for c in one.columns)
            wanted |= dict.fromkeys(c for c in (*one.columns, *one.scores, *ids) if c is not None)
            wanted |= {f"{c}_status": None for c in one.columns if one.key is not None}
    return [c for c in wanted if c in names]


def votes_of(annotators: Sequence[Annotator], whole: Labelled, resolver: Resolver) -> list[Votes]:
    """Return what annotators say of the cells of an object.

    Parameters
    ----------
    annotators
        Who votes.
    whole
        The object.
    resolver
        Finds the terms.

    Raises
    ------
    InputError
        A file has none of the cells.
    UnsupportedObjectError
        A column has numbers, which are no labels.
    """
    records = whole.records()
    made = []
    for one in annotators:
        obs = whole.obs if one.file is None else _of_cells(one.file, whole.cells)
        levels = [_votes(one, i, obs, resolver) for i in range(len(one.columns))]
        votes = levels[0] if len(levels) == 1 else finest(one.name, levels)
        made.append(votes if one.key is None else replace(votes, record=records[one.key]))
    return made


def _votes(one: Annotator, level: int, obs: pd.DataFrame, resolver: Resolver) -> Votes:
    column = one.columns[level]
    labels = _labels(obs, column)
    names = [str(c) for c in obs.columns]
    ids_column = column_of_ids(column, names)
    ids = None if ids_column is None else texts_of(obs[ids_column])
    score = one.scores[level] if level < len(one.scores) else None
    sure = _numbers(obs, score) if score is not None and score in names else None
    labels, terms = read(labels, ids, resolver)
    return Votes(one.name, one.group, labels, terms, sure)


def _labels(obs: pd.DataFrame, column: str) -> Texts:
    import pandas as pd

    values = obs[column]
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "f" and values.notna().any():
        message = f'The column "{column}" has numbers, which are no labels of cell types.'
        raise UnsupportedObjectError(message, "Name a column of labels.")
    if not isinstance(values.dtype, pd.CategoricalDtype):
        # Each different label is looked at once, not the label of each cell.
        values = values.astype("category")
    labels = texts_of(values)
    if len(labels.levels) > MOST_LABELS:
        message = (
            f'The column "{column}" has {len(labels.levels)} different values, more than cell '
            f'types can be; the first is "{labels.levels[0]}".'
        )
        raise InvalidOptionError(message, "Name a column of labels of cell types.")
    return labels


def _numbers(obs: pd.DataFrame, column: str) -> NDArray[np.float64]:
    import pandas as pd

    found = pd.to_numeric(obs[column], errors="coerce").to_numpy(dtype="f8", na_value=np.nan)
    return np.where((found >= 0) & (found <= 1), found, np.nan)


def _of_cells(path: Path, cells: Sequence[str]) -> pd.DataFrame:
    table = _table(path)
    if BARCODE not in table:
        message = f'"{path}" has no column "{BARCODE}".'
        raise InputError(message, "Give Cell Ranger's cell_types.csv.")
    table = table.drop_duplicates(BARCODE).set_index(BARCODE)
    found = table.reindex(list(cells))
    if not len(table.index.intersection(list(cells))):
        message = f'None of the {len(cells)} cells is in "{path}".'
        hint = f"Its cells are {listing(list(table.index[:2]))}, those of the object "
        raise InputError(message, hint + f"{listing(list(cells[:2]))}.")
    return found


@dataclass(frozen=True, eq=False)
class Rows:
    """The clusters for which votes are counted.

    Attributes
    ----------
    clusters
        One code per cell.
    known
        What the record of the answer says of them.
    markers
        Of the annotation whose clusters they are.
    """

    clusters: Clusters
    known: Mapping[str, Any]
    markers: Mapping[str, list[Any]]


def rows_of(whole: Labelled, annotators: Sequence[Annotator], group_key: str | None) -> Rows | None:
    """Return the clusters of an answer: those that are named, or of the first annotation.

    Parameters
    ----------
    whole
        The object.
    annotators
        Who votes.
    group_key
        Column of metadata with the clusters. None: those of the first annotation of clusters.

    Returns
    -------
    Rows or None
        None where each cell is answered.

    Raises
    ------
    GroupMissingError
        There is no such column.
    """
    from ...study.clusters import Clusters

    if group_key is not None:
        if group_key not in whole.obs:
            names = [str(c) for c in whole.obs.columns]
            guess = nearest(group_key, names)
            message = f'There is no column "{group_key}" in the metadata.'
            hint = f'Did you mean "{guess}"?' if guess else f"It has {listing(names)}."
            raise GroupMissingError(message, hint)
        clusters = Clusters.from_column(whole.obs[group_key])
        return Rows(clusters, {"group_key": group_key}, {})
    records = whole.records()
    for one in annotators:
        record = None if one.key is None else records[one.key]
        if record is None or record.provenance.get("level") == "cells":
            continue
        now = present(record, whole.obs, str(one.key))
        if now.clusters is None:
            continue
        shared = (
            "group_key", "group_column", "tissue", "species", "study_context", "genes",
            "gene_names", "marker_test",
        )  # fmt: skip
        known = {k: record.provenance[k] for k in shared if record.provenance.get(k)}
        return Rows(now.clusters, known, record.markers)
    return None


def same_clusters(votes: Votes, whole: Labelled, clusters: Clusters) -> Votes:
    """Return votes with their record only where its clusters are those of the answer."""
    record = votes.record
    if record is None or clusters.codes is None or record.provenance.get("level") == "cells":
        return replace(votes, record=None)
    rows = Labels(whole.cells, whole.obs, votes.name, record).rows
    if rows is None:
        return replace(votes, record=None)
    place = {row.cluster: i for i, row in enumerate(record)}
    own = np.array([*(place.get(n, -2) for n in clusters.names), -1], dtype=np.intp)
    return votes if np.array_equal(own[clusters.codes], rows) else replace(votes, record=None)


def weights_of(
    annotators: Sequence[Annotator], given: Mapping[str, float] | None
) -> dict[str, float]:
    """Return group -> weight, 1 for those that nobody named.

    Parameters
    ----------
    annotators
        Who votes.
    given
        Annotator or group -> weight.

    Raises
    ------
    InvalidOptionError
        It names nobody who votes, one of a group by itself, or is no number above 0.
    """
    groups = {a.group for a in annotators}
    of_name = {a.name: a.group for a in annotators}
    made: dict[str, float] = {}
    for name, weight in (given or {}).items():
        group = name if name in groups else of_name.get(name)
        if group is None:
            message = f'`weights` names "{name}", which does not vote.'
            valid = listing(sorted({*of_name, *groups}))
            raise InvalidOptionError(message, f"Who votes: {valid}.")
        several = [a.name for a in annotators if a.group == group]
        if name != group and len(several) > 1:
            message = f'"{name}" has one weight with {listing(several)}: the group "{group}".'
            hint = f'Give the weight of "{group}", or another group to it (`groups`).'
            raise InvalidOptionError(message, hint)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not (
            math.isfinite(weight) and weight > 0
        ):  # fmt: skip
            message = f'The weight of "{name}" must be a number above 0, and is {weight!r}.'
            raise InvalidOptionError(message)
        made[group] = float(weight)
    return made
