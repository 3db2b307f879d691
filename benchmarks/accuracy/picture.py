"""A reliability diagram as plain SVG: development and held-out data beside the ideal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reliability import Bin

SIDE, MARGIN = 300, 48
COLOURS = ("#8a8f98", "#1f6f8b")
LARGEST = 14.0
"""Radius of the point with most answers; areas are shares of them."""


def draw(curves: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> None:
    """Write the picture: stated confidence against the share of right answers.

    Parameters
    ----------
    curves
        Name -> bins as of :func:`~benchmarks.accuracy.measures.reliability`.
    """
    parts = _frame()
    most = max((b["answers"] for bins in curves.values() for b in bins), default=1)
    for position, ((name, bins), colour) in enumerate(zip(curves.items(), COLOURS, strict=False)):
        parts += _curve(bins, colour, most)
        parts += _name(name, sum(b["answers"] for b in bins), position, colour)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def draw_with_band(curves: Mapping[str, Sequence[Bin]], path: Path) -> None:
    """Write the same with the band in which a perfectly calibrated engine lies.

    Parameters
    ----------
    curves
        Name -> bins as of :func:`~benchmarks.accuracy.reliability.bins_of`.
    """
    parts = _frame()
    most = max((b.answers for bins in curves.values() for b in bins), default=1)
    for bins, colour in zip(curves.values(), COLOURS, strict=False):
        edge = [(b.stated, b.low) for b in bins] + [(b.stated, b.high) for b in reversed(bins)]
        points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in edge)
        parts.append(f'<polygon points="{points}" fill="{colour}" fill-opacity="0.2"/>')
    for position, ((name, bins), colour) in enumerate(zip(curves.items(), COLOURS, strict=False)):
        shares = [{"confidence": b.stated, "right": b.right, "answers": b.answers} for b in bins]
        parts += _curve(shares, colour, most)
        parts += _name(name, sum(b.answers for b in bins), position, colour)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _frame() -> list[str]:
    width, height = SIDE + 2 * MARGIN, SIDE + 1.8 * MARGIN
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
            'font-family="sans-serif" font-size="11" role="img">'
        ),
        "<title>Confidence against the share of right answers</title>",
        f'<rect width="{width}" height="{height:.0f}" fill="white"/>',
        f'<rect x="{_x(0)}" y="{_y(1)}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>',
        (
            f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#bbb" '
            'stroke-dasharray="4 3"/>'
        ),
    ]
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(f'<text x="{_x(tick)}" y="{_y(0) + 16}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{_x(0) - 6}" y="{_y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    bottom = f'y="{height - 8:.0f}" text-anchor="middle"'
    parts.append(f'<text x="{_x(0.5)}" {bottom}>confidence</text>')
    parts.append(
        f'<text transform="translate(12 {_y(0.5)}) rotate(-90)" text-anchor="middle">'
        "share of right answers</text>"
    )
    return parts


def _name(name: str, answers: float, position: int, colour: str) -> list[str]:
    # Below the diagonal, where no curve is.
    y = _y(0) - 28 + 18 * position
    return [
        f'<circle cx="{_x(0.27):.0f}" cy="{y - 4}" r="5" fill="{colour}"/>',
        f'<text x="{_x(0.3):.0f}" y="{y}">{name}, {answers:.0f} answers</text>',
    ]


def _x(value: float) -> float:
    return MARGIN + SIDE * value


def _y(value: float) -> float:
    return MARGIN / 2 + SIDE * (1 - value)


def _curve(bins: Sequence[Mapping[str, float]], colour: str, most: float) -> list[str]:
    points = " ".join(f"{_x(b['confidence']):.1f},{_y(b['right']):.1f}" for b in bins)
    parts = [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for b in bins:
        radius = max(2.5, LARGEST * (b["answers"] / most) ** 0.5 / 2)
        parts.append(
            f'<circle cx="{_x(b["confidence"]):.1f}" cy="{_y(b["right"]):.1f}" r="{radius:.1f}" '
            f'fill="{colour}"><title>{b["answers"]:.0f} answers</title></circle>'
        )
    return parts
