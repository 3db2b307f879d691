"""A reliability diagram as plain SVG."""

from __future__ import annotations

from pathlib import Path

SIDE, MARGIN = 260, 46


def draw(bins: list[dict[str, float]], path: Path) -> None:
    """Write the picture: stated confidence against the share of right answers."""

    def x(value: float) -> float:
        return MARGIN + SIDE * value

    def y(value: float) -> float:
        return MARGIN / 2 + SIDE * (1 - value)

    width, height = SIDE + 2 * MARGIN, SIDE + 1.9 * MARGIN
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
            'font-family="sans-serif" font-size="11" role="img">'
        ),
        "<title>Confidence against the share of right answers</title>",
        f'<rect width="{width}" height="{height:.0f}" fill="white"/>',
        f'<rect x="{x(0)}" y="{y(1)}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>',
        (
            f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="#bbb" '
            'stroke-dasharray="4 3"/>'
        ),
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<text x="{x(tick)}" y="{y(0) + 16}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{x(0) - 6}" y="{y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    points = " ".join(f"{x(b['confidence']):.1f},{y(b['right']):.1f}" for b in bins)
    parts.append(f'<polyline points="{points}" fill="none" stroke="#1f6f8b" stroke-width="2"/>')
    for b in bins:
        cx, cy = x(b["confidence"]), y(b["right"])
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="4" fill="#1f6f8b"/>')
        parts.append(
            f'<text x="{cx + 7:.1f}" y="{cy + 14:.1f}" fill="#333">n = {b["answers"]:.0f}</text>'
        )
    parts.append(f'<text x="{x(0.5)}" y="{height - 10:.0f}" text-anchor="middle">confidence</text>')
    parts.append(
        f'<text transform="translate(12 {y(0.5)}) rotate(-90)" text-anchor="middle">'
        "share of right answers</text>"
    )
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
