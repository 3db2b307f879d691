"""The picture of the cost curve: seconds against cells, by the clock and of the processors."""

from __future__ import annotations

from measure import Figures

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 620, 320, 62, 44, 40, 24
CLOCK, PROCESSOR = "#0072b2", "#d55e00"


def picture(points: list[Figures]) -> str:
    """Return an SVG of the points, each with its peak of extra memory."""
    most_cells = max(p["cells"] for p in points)
    most_seconds = max(max(p["total"], p["processor_seconds"]) for p in points)
    step = next(s for s in (5, 10, 20, 50, 100, 200, 500, 1000) if most_seconds / s <= 5)

    def at(cells: float, seconds: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * cells / most_cells
        return across, HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * seconds / most_seconds

    drawn = []
    for seconds in range(0, int(most_seconds) + 1, step):
        x, y = at(0, seconds)
        drawn.append(f'<path d="M{x:.0f},{y:.0f} H{WIDTH - RIGHT}" stroke="#ddd"/>')
        drawn.append(_text(x - 6, y + 4, f"{seconds} s", "end"))
    for colour, name in ((CLOCK, "total"), (PROCESSOR, "processor_seconds")):
        places = [at(0, 0), *(at(p["cells"], p[name]) for p in points)]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y in places)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3.5" fill="{colour}"/>' for x, y in places]
    for p in points:
        x, y = at(p["cells"], 0)
        anchor = "end" if p["cells"] == most_cells else "middle"
        drawn.append(_text(x, y + 16, f"{p['cells'] / 1000:g}k", anchor))
        memory = f"{p['extra_memory'] / 1e6:.0f} MB"
        top = min(at(p["cells"], p[n])[1] for n in ("total", "processor_seconds"))
        drawn.append(_text(x - (6 if anchor == "end" else 0), top - 9, memory, anchor))
    middle = (LEFT + WIDTH - RIGHT) / 2
    what = "cells x 20,000 genes: normalized values and counts"
    drawn.append(_text(middle, HEIGHT - 8, what, "middle"))
    drawn.append(_text(LEFT, 16, "by the clock", "start", CLOCK))
    drawn.append(_text(LEFT + 96, 16, "processor time", "start", PROCESSOR))
    drawn.append(_text(LEFT + 204, 16, "beside each point: peak of extra memory", "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12"><title>Building both artifacts from a file</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>' + "".join(drawn) + "</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
