"""The picture of confidence: one dot per cluster, stacked where they are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..clusters import Annotations

BINS = 40
WIDTH, MARGIN, RADIUS = 1000, 24, 9


class Dot(NamedTuple):
    """A cluster in the picture."""

    x: float
    y: float
    title: str
    status: str


class ConfidencePicture(NamedTuple):
    """Dots in SVG user units, the height they need, ticks of the axis, and what is left out."""

    dots: tuple[Dot, ...]
    height: float
    ticks: tuple[tuple[float, str], ...]
    without: int


def draw_confidence(annotations: Annotations) -> ConfidencePicture | None:
    """Return the picture, or None where fewer than two clusters have a confidence."""
    known = [(row, row.confidence) for row in annotations if row.confidence is not None]
    if len(known) < 2:
        return None
    stacks: dict[int, int] = {}
    placed = []
    for row, confidence in sorted(known, key=lambda pair: (pair[1], pair[0].cluster)):
        column = min(int(confidence * BINS), BINS - 1)
        level = stacks[column] = stacks.get(column, 0) + 1
        name = f"{row.cluster}: {row.label or 'no label'}"
        # A row that sums up cells is its label.
        title = f"{row.cluster if row.cluster == row.label else name}, {confidence:.2f}"
        placed.append((_x((column + 0.5) / BINS), level, title, row.status))
    height = 2 * RADIUS * max(stacks.values()) + 2 * MARGIN
    dots = tuple(
        Dot(x, height - MARGIN - (2 * level - 1) * RADIUS, title, status)
        for x, level, title, status in placed
    )
    ticks = tuple((_x(value / 4), f"{value / 4:g}") for value in range(5))
    return ConfidencePicture(dots, height, ticks, len(annotations) - len(known))


def _x(value: float) -> float:
    return round(MARGIN + value * (WIDTH - 2 * MARGIN), 1)
