"""The picture of an embedding: cells coloured by label, as numbers ready to be drawn as SVG.

This module decides where everything goes and in which colour; the template draws it, so
that escaping happens in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidObjectError, counted
from ..palette import PALETTE, Tone, colours, colours_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...study.clusters import Clusters
    from ..clusters import Annotations

WIDTH, HEIGHT, MARGIN = 1000, 660, 40
"""The drawing area in SVG user units, and the empty border in which labels may hang over."""

MOST_POINTS = 20_000
"""Cells drawn at most: more add bytes to the file and nothing to the eye."""

LEAST_PER_CLUSTER = 20
"""Cells of each cluster that a sample keeps, so that a rare cluster does not vanish."""

MOST_LABELS = 30
"""Clusters up to which the picture shows labels; beyond, the shorter names of clusters."""

LONGEST_LABEL = 34
TEXT_SIZE = 18

RARE = 0.01
"""Share of the cells below which a label of cells is rare, and drawn with the other rare ones."""

_SEED = 20_000


@dataclass(frozen=True)
class Embedding:
    """A two-dimensional embedding of cells, and the cluster of each.

    Attributes
    ----------
    name
        For the caption, for example ``"X_umap"``.
    values
        n x 2, of numbers. A cell whose coordinates are not finite is not drawn.
    clusters
        The cluster of each of the n cells.

    Raises
    ------
    InvalidObjectError
        The coordinates are not n x 2, or there are not n clusters.
    """

    name: str
    values: NDArray[np.number]
    clusters: Clusters

    def __post_init__(self) -> None:
        shape, codes = np.shape(self.values), self.clusters.codes
        if len(shape) != 2 or shape[1] != 2:
            message = f'The embedding "{self.name}" must be n x 2 to be drawn; it is {shape}.'
            raise InvalidObjectError(message, "Give its first two dimensions.")
        if codes is None or len(codes) != shape[0]:
            n = "no" if codes is None else len(codes)
            message = (
                f'The embedding "{self.name}" has {shape[0]} cells, and {n} cells have a cluster.'
            )
            raise InvalidObjectError(message, "Give both for the same cells, in the same order.")


@dataclass(frozen=True)
class Group:
    """The cells of one label: how they are named, coloured and drawn.

    ``tone`` is the number of a colour of the picture as text, ``"rare"``, ``"unknown"`` or
    ``"none"``; ``clusters`` are the rows that have the label, of the rare ones the labels;
    ``path`` is SVG path data with one zero-length line per cell, which round
    line ends turn into a dot.
    """

    label: str
    tone: str
    clusters: tuple[str, ...]
    n_cells: int
    n_drawn: int
    path: str


@dataclass(frozen=True)
class Name:
    """A text on the picture, centred on ``x`` and ``y``."""

    text: str
    title: str
    x: int
    y: int


@dataclass(frozen=True)
class Picture:
    """Everything the template needs to draw an embedding.

    ``groups`` are in the order of the legend, ``layers`` are the same in the order of
    drawing: unlabelled cells lowest, small groups on top. ``palette`` are the colours for a light
    and a dark page, by number: those of :data:`PALETTE`, then the labels' own.
    """

    name: str
    groups: tuple[Group, ...]
    layers: tuple[Group, ...]
    names: tuple[Name, ...]
    n_cells: int
    n_drawn: int
    n_unplaced: int
    point_size: int
    named_by: str
    palette: tuple[tuple[str, str], ...] = PALETTE

    @property
    def n_colours(self) -> int:
        """How many labels want a colour; beyond the palette, colours repeat."""
        return sum(group.tone.isdigit() for group in self.groups)

    @property
    def sampled(self) -> bool:
        """Whether only a sample of the cells is drawn."""
        return self.n_drawn < self.n_cells - self.n_unplaced


def draw(annotations: Annotations, embedding: Embedding) -> Picture:
    """Return the picture of an embedding coloured by the labels of its clusters.

    Labels are joined by the exact name of the cluster. Cells of a cluster without a label,
    or without a cluster, are one group of their own.

    Examples
    --------
    >>> import numpy as np
    >>> from cellferry.annotations.clusters import Annotation, Annotations
    >>> from cellferry.study.study import Clusters
    >>> found = Annotations((Annotation("0", "ok", label="B cell"),))
    >>> cells = Embedding("X_umap", np.zeros((3, 2)), Clusters.from_labels(["0", "0", None]))
    >>> [(g.label, g.n_cells) for g in draw(found, cells).groups]
    [('B cell', 2), ('No label', 1)]
    """
    codes = np.asarray(embedding.clusters.codes, dtype=np.int64)
    values = np.asarray(embedding.values, dtype=np.float64)
    placed = np.flatnonzero(np.isfinite(values).all(axis=1))
    points = _scaled(values[placed])
    drawn = sample(codes[placed])
    rare = rare_labels(annotations, embedding.clusters)
    tones, palette = _tones(annotations, embedding.clusters, rare)
    cells = placed[drawn], points[drawn]
    groups = _groups(annotations, embedding.clusters, cells, rare, tones)
    grey = {"none": 0, "unknown": 1, "rare": 2}
    return Picture(
        name=embedding.name,
        groups=groups,
        layers=tuple(sorted(groups, key=lambda g: (grey.get(g.tone, 3), -g.n_cells))),
        names=_names(annotations, embedding.clusters, codes[placed], points, rare),
        n_cells=len(codes),
        n_drawn=len(drawn),
        n_unplaced=len(codes) - len(placed),
        point_size=11 if len(drawn) < 500 else 7 if len(drawn) < 5000 else 5,
        named_by="label" if _by_label(annotations, embedding.clusters, rare) else "cluster",
        palette=palette,
    )


def rare_labels(annotations: Annotations, clusters: Clusters) -> frozenset[str]:
    """Return the labels of cells that are drawn together; none where clusters were annotated.

    They have fewer than :data:`RARE` of the cells and are the majority of no cluster, or there is
    no colour left for them. A single one is drawn as it is.

    Parameters
    ----------
    annotations
        Only those that sum up cells have rare labels.
    clusters
        The label of each cell.
    """
    if not of_cells(annotations):
        return frozenset()
    sizes = clusters.counts() or {}
    named = {row.cluster for row in annotations if row.status == "ok"}
    order = sorted((name for name in sizes if name in named), key=lambda name: -sizes[name])
    least = RARE * sum(sizes.values())
    common = {found.get("label") for found in annotations.evidence.get("clusters", {}).values()}
    rare = [
        name
        for i, name in enumerate(order)
        if (sizes[name] < least and name not in common) or i >= len(PALETTE)
    ]
    return frozenset(rare) if len(rare) > 1 else frozenset()


def of_cells(annotations: Annotations) -> bool:
    """Whether the rows sum up cells, one for each label."""
    return annotations.provenance.get("level") == "cells"


def _by_label(annotations: Annotations, clusters: Clusters, rare: frozenset[str]) -> bool:
    """Whether the picture has labels; else the shorter names of clusters."""
    return of_cells(annotations) or len(clusters.names) - len(rare) <= MOST_LABELS


def sample(
    codes: NDArray[np.int64], most: int = MOST_POINTS, least: int = LEAST_PER_CLUSTER
) -> NDArray[np.int64]:
    """Return the positions of at most `most` cells, ascending; the same for the same input.

    Up to `least` cells of each cluster come first, then any cell with the same chance.
    """
    if len(codes) <= most:
        return np.arange(len(codes), dtype=np.int64)
    shuffled = np.random.default_rng(_SEED).permutation(len(codes))
    by_cluster = np.argsort(codes[shuffled], kind="stable")
    ordered = codes[shuffled][by_cluster]
    rank = np.empty(len(codes), dtype=np.int64)
    rank[by_cluster] = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    first = np.argsort(rank >= least, kind="stable")[:most]
    return np.sort(shuffled[first]).astype(np.int64)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return whole SVG coordinates: both axes at one scale, centred, y pointing up."""
    if not len(values):
        return np.zeros((0, 2), dtype=np.int64)
    low, high = values.min(axis=0), values.max(axis=0)
    # Halves first: the range of extreme coordinates does not fit into a float.
    half, middle = high / 2 - low / 2, high / 2 + low / 2
    unit = max(half[0] / (WIDTH / 2 - MARGIN), half[1] / (HEIGHT / 2 - MARGIN))
    centred = (values - middle) / unit if unit >= np.finfo(np.float64).tiny else values * 0.0
    return np.rint([WIDTH / 2, HEIGHT / 2] + centred * [1, -1]).astype(np.int64)


def _tones(
    annotations: Annotations, clusters: Clusters, rare: frozenset[str]
) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Return label -> number of its colour as text, and all colours by number."""
    given: dict[str, Tone] = colours_of(annotations)
    if len(given) > len(PALETTE) and rare:
        # There are not enough for all: the rare labels, which are drawn alike, need none.
        shown = [r for r in annotations if r.cluster in clusters.names and r.cluster not in rare]
        given = colours([r.label for r in shown], [r.ontology_id for r in shown])
    palette = list(PALETTE)
    tones: dict[str, str] = {}
    for label, tone in given.items():
        if tone.number is None:
            palette.append((tone.light, tone.dark))
        tones[label] = str(len(palette) - 1 if tone.number is None else tone.number)
    return tones, tuple(palette)


def _groups(
    annotations: Annotations,
    clusters: Clusters,
    cells: tuple[NDArray[np.int64], NDArray[np.int64]],
    rare: frozenset[str],
    given: dict[str, str],
) -> tuple[Group, ...]:
    """Return one group per label in the order of the annotations, then the rare ones as one.

    `cells` are positions of cells, and where they are drawn; `given` are tones of labels.
    """
    drawn, points = cells
    members: dict[str | None, list[str]] = {}
    tones: dict[str | None, str] = {}
    for row in annotations:
        if row.label is None or row.cluster not in clusters.names or row.cluster in rare:
            continue
        members.setdefault(row.label, []).append(row.cluster)
        if row.status == "unknown":
            tones.setdefault(row.label, "unknown")
        elif row.label not in tones:
            tones[row.label] = given[row.label]
    if rare:
        together = counted(len(rare), "rare label")
        members[together] = [row.cluster for row in annotations if row.cluster in rare]
        tones[together] = "rare"
    answered = {name for names in members.values() for name in names}
    members[None] = [name for name in clusters.names if name not in answered]

    of_cluster = {name: i for i, names in enumerate(members.values()) for name in names}
    # The last entry is for code -1: a cell without a cluster has no label either.
    to_group = np.array([of_cluster[name] for name in clusters.names] + [len(members) - 1])
    of_cell = to_group[np.asarray(clusters.codes, dtype=np.int64)]
    groups = []
    for i, (label, names) in enumerate(members.items()):
        n_cells = int((of_cell == i).sum())
        here = of_cell[drawn] == i
        dots = sorted(map(tuple, points[here].tolist()))
        path = "".join(f"M{x} {y}h0" for x, y in dots)
        shown = "No label" if label is None else label
        tone = tones.get(label, "none")
        groups.append(Group(shown, tone, tuple(names), n_cells, len(dots), path))
    return tuple(group for group in groups if group.n_cells)


def _names(
    annotations: Annotations,
    clusters: Clusters,
    codes: NDArray[np.int64],
    points: NDArray[np.int64],
    rare: frozenset[str],
) -> tuple[Name, ...]:
    """Return one text per cluster at the median of all its cells, moved only on a collision."""
    labels = annotations.labels()
    by_label = _by_label(annotations, clusters, rare)
    wanted = []
    for code in np.unique(codes[codes >= 0]).tolist():
        cluster = clusters.names[code]
        if cluster in rare:
            continue
        label = labels.get(cluster)
        text = label if label is not None and by_label else cluster
        text = text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
        title = f"{cluster}: {label if label is not None else 'no label'}"
        if of_cells(annotations):
            title = cluster
        x, y = np.median(points[codes == code], axis=0).tolist()
        wanted.append(Name(text, title, round(x), round(y)))
    placed: list[Name] = []
    for name in sorted(wanted, key=lambda n: (n.y, n.x)):
        placed.append(_free(name, placed))
    return tuple(placed)


def _free(name: Name, placed: list[Name]) -> Name:
    """Return the name moved down to where it covers no other; where it was if there is none."""
    half = _half_width(name.text)
    x = min(max(name.x, half), WIDTH - half) if half < WIDTH // 2 else WIDTH // 2
    y = name.y
    while y < HEIGHT:
        below = [
            other.y + TEXT_SIZE
            for other in placed
            if abs(other.y - y) < TEXT_SIZE and abs(other.x - x) < half + _half_width(other.text)
        ]
        if not below:
            return Name(name.text, name.title, x, y)
        y = max(below)
    return Name(name.text, name.title, x, name.y)


def _half_width(text: str) -> int:
    # Measured for bold letters of wide sans-serif fonts, such as DejaVu Sans: two thirds of their
    # height.
    return int(len(text) * TEXT_SIZE * 0.33) + 4
