"""Names on a picture: each near its place, none over another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

GAP = 2.0
"""Pixels that are left free around a name."""

FARTHEST = 0.22
"""How far a name may be from its place, as a share of the width of the picture."""


class Box(NamedTuple):
    """A rectangle in pixels: the middle, and half of the width and height."""

    x: float
    y: float
    half_width: float
    half_height: float

    def meets(self, other: Box) -> bool:
        """Whether two rectangles have a point in common."""
        return (
            abs(self.x - other.x) < self.half_width + other.half_width
            and abs(self.y - other.y) < self.half_height + other.half_height
        )


def placed(wanted: Sequence[Box], width: float, height: float) -> list[Box] | None:
    """Return rectangles moved as little as needed so that none meets another, all inside.

    Large ones are placed first, each at the free place that is nearest to where it wants to be.

    Parameters
    ----------
    wanted
        Where the rectangles want to be.
    width, height
        Of the picture, whose corner is 0, 0.

    Returns
    -------
    list of Box or None
        In the same order; None if one finds no place near enough.

    Examples
    --------
    >>> placed([Box(50, 50, 20, 5), Box(50, 50, 20, 5)], 100, 100)[0].y
    50
    >>> placed([Box(5, 5, 20, 5)] * 9, 50, 20) is None
    True
    """
    order = sorted(range(len(wanted)), key=lambda i: -wanted[i].half_width)
    made: dict[int, Box] = {}
    for i in order:
        box = wanted[i]
        here = (Box(*spot, box.half_width, box.half_height) for spot in _spots(box, width))
        inside = (b for b in here if _is_inside(b, width, height))
        found = next((b for b in inside if not any(b.meets(o) for o in made.values())), None)
        if found is None:
            return None
        made[i] = found
    return [made[i] for i in range(len(wanted))]


def _is_inside(box: Box, width: float, height: float) -> bool:
    return (
        box.half_width <= box.x <= width - box.half_width
        and box.half_height <= box.y <= height - box.half_height
    )


def _spots(box: Box, width: float) -> Iterator[tuple[float, float]]:
    """Yield places around one, from near to far."""
    yield box.x, box.y
    step = max(box.half_height / 2, 2.0)
    for ring in range(1, int(FARTHEST * width / step) + 1):
        n = max(12, int(2 * math.pi * ring / 2))
        for k in range(n):
            # Up and down first: names are wide.
            angle = math.pi / 2 + (k + 1) // 2 * (2 * math.pi / n) * (-1) ** k
            yield box.x + ring * step * math.cos(angle), box.y + ring * step * math.sin(angle)
