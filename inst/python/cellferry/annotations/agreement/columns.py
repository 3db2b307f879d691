"""Label columns of other tools: which metadata columns they write, known by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...study.clusters import natural_key


@dataclass(frozen=True)
class Tool:
    """How a tool names its columns.

    Attributes
    ----------
    name
        What the tool is called in `from`.
    columns
        Patterns of whole names, the broadest level first; without ``levels`` the best first.
    scores
        Column with the confidence of a column of labels; ``{}`` is its name.
    levels
        Whether several columns are levels of one answer, of which the finest consistent one
        counts; else the first that is there counts alone.
    group
        The family of annotators; None is the name.
    needs
        Suffix of a column that must be there too.
    """

    name: str
    columns: tuple[str, ...]
    scores: tuple[str, ...] = ()
    levels: bool = True
    group: str | None = None
    needs: str = ""


TOOLS: tuple[Tool, ...] = (
    Tool(
        "azimuth",
        (
            r"predicted\.class", r"predicted\.subclass", r"predicted\.cluster",
            r"predicted\.(?:celltype|annotation)", r"predicted\.(?:celltype|annotation)\.l[\d.]+",
            r"predicted\.ann_level_\d", r"predicted\.ann_finest_level",
        ),
        ("{}.score",),
    ),
    Tool(
        "azimuth_panhuman", ("azimuth_broad", "azimuth_medium", "azimuth_fine"),
        ("{}.score",), group="azimuth",
    ),
    Tool("seurat_transfer", (r"predicted\.id",), ("prediction.score.max",)),
    Tool("celltypist", ("majority_voting", "predicted_labels"), ("conf_score",)),
    Tool(
        "singler",
        (r"(?:singler[._])?pruned[._]labels", r"singler[._]labels", "singler"),
        levels=False,
    ),
    Tool("sctype", ("sctype_classification", "customclassif"), levels=False),
    Tool("popv", ("popv_prediction",), ("popv_prediction_score",)),
    Tool("scpred", ("scpred_prediction",), ("scpred_max",)),
    Tool("cellranger", ("broad_cell_type", "coarse_cell_type", "fine_cell_type")),
    Tool("author", ("author_cell_type",), group="author"),
    Tool("cellxgene", ("cell_type",), group="author", needs="_ontology_term_id"),
)  # fmt: skip
"""Seurat 5, Azimuth, CellTypist, SingleR, scType, popV, scPred, Cell Ranger, CELLxGENE."""

ID_SUFFIXES = ("_ontology_term_id", "_ontology_id")
"""Suffixes of a column with the terms of the labels in another one: CELLxGENE's, and ours."""


@dataclass(frozen=True)
class Found:
    """Columns that one tool wrote.

    Attributes
    ----------
    name, group
        Of the tool, and of the annotators that have one weight together.
    columns
        Of labels, the broadest first.
    scores
        For each of them the column of its confidence, None without one.
    """

    name: str
    group: str
    columns: tuple[str, ...]
    scores: tuple[str | None, ...]


def tool_columns(names: Iterable[str], own: Iterable[str] = ()) -> list[Found]:
    """Return what tools wrote, as far as names of columns show it.

    Parameters
    ----------
    names
        Columns of the metadata.
    own
        Those that cellferry wrote, which are none of a tool.

    Examples
    --------
    >>> tool_columns(["predicted.celltype.l2", "predicted.celltype.l1", "nCount_RNA"])[0].columns
    ('predicted.celltype.l1', 'predicted.celltype.l2')
    """
    ours = set(own)
    there = [n for n in names if n not in ours]
    made = []
    for tool in TOOLS:
        columns = _columns(tool, there)
        if columns:
            made.append(
                Found(tool.name, tool.group or tool.name, columns, _scores(tool, columns, there))
            )
    return made


def tool_of(column: str) -> Tool | None:
    """Return the tool that writes a column of this name, None if it is not known.

    Examples
    --------
    >>> tool_of("SingleR.labels").name, tool_of("my_labels")
    ('singler', None)
    """
    return next((t for t in TOOLS if not t.needs and _level(t, column) is not None), None)


def scores_of(tool: Tool, columns: Sequence[str], names: Iterable[str]) -> tuple[str | None, ...]:
    """Return for each column of a tool that of its confidence, None without one."""
    return _scores(tool, columns, list(names))


def in_order(tool: Tool, columns: Iterable[str]) -> tuple[str, ...]:
    """Return columns of a tool, the broadest first."""
    return tuple(sorted(columns, key=lambda c: (_level(tool, c) or 0, natural_key(c))))


def _columns(tool: Tool, names: Sequence[str]) -> tuple[str, ...]:
    known = [n for n in names if _level(tool, n) is not None]
    known = [n for n in known if not tool.needs or n + tool.needs in names]
    ordered = in_order(tool, known)
    return ordered if tool.levels else ordered[:1]


def _level(tool: Tool, name: str) -> int | None:
    patterns = enumerate(tool.columns)
    return next((i for i, p in patterns if re.fullmatch(p, name, re.IGNORECASE)), None)


def _scores(tool: Tool, columns: Sequence[str], names: Sequence[str]) -> tuple[str | None, ...]:
    def score(column: str) -> str | None:
        return next((s for p in tool.scores if (s := p.format(column)) in names), None)

    return tuple(score(c) for c in columns)


def column_of_ids(column: str, names: Iterable[str]) -> str | None:
    """Return the column with the terms of the labels in another one, None without one."""
    there = set(names)
    return next((column + end for end in ID_SUFFIXES if column + end in there), None)
