"""The picture of one size: wall time of each way, on a scale of powers of ten."""

from __future__ import annotations

import math
from typing import Any

from .table import name_of, seconds

WIDTH, LEFT, RIGHT, ROW, TOP = 680, 290, 70, 26, 34
OURS, THEIRS = "#0072b2", "#999"


def picture(rows: list[dict[str, Any]]) -> str:
    """Return an SVG of bars, the fastest first."""
    shown = sorted((r for r in rows if r["way"] != "ours file"), key=lambda r: r["wall"])
    low = 10 ** math.floor(math.log10(shown[0]["wall"]))
    high = math.log10(shown[-1]["wall"] / low)
    height = TOP + ROW * len(shown) + 12
    drawn = [_text(12, 20, "Markers of 20 clusters, wall time (powers of ten)", "start")]
    for number, row in enumerate(shown):
        y = TOP + ROW * number
        width = (WIDTH - LEFT - RIGHT) * math.log10(row["wall"] / low) / high
        colour = OURS if row["way"].startswith("ours") else THEIRS
        name = name_of(row).replace("`", "").replace(", 2 threads", "")
        drawn.append(_text(LEFT - 8, y + 14, name, "end"))
        drawn.append(
            f'<rect x="{LEFT}" y="{y}" width="{width:.0f}" height="{ROW - 8}" fill="{colour}"/>'
        )
        drawn.append(_text(LEFT + width + 6, y + 14, seconds(row["wall"]), "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12"><title>Finding markers</title>'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>' + "".join(drawn) + "</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="#333">{text}</text>'
