"""Draw man/figures/architecture.svg, the picture of ARCHITECTURE.md.

The layers are those of pyproject.toml ([tool.importlinter]); the text of a package is the first
line of its docstring. What is drawn by hand is the way from a study to the labels, beside the
layers.
"""

import ast
import sys
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "inst" / "python" / "cellferry"
TARGET = ROOT / "man" / "figures" / "architecture.svg"

WIDTH, MARGIN, GAP, PAD = 620, 14, 6, 9
FLOW = 204
"""Width of the column beside the layers from `study` to `engines`."""
NAME_SIZE, TEXT_SIZE, LINE = 14, 12, 15
CHIP = (110, 26)

STYLE = """
svg { font-family: system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; }
.page { fill: #ffffff; } .package { fill: #f3f5f8; stroke: #c3cad3; }
.name { fill: #14202e; font-weight: 600; font-size: 14px; }
.text { fill: #44505e; font-size: 12px; }
.marked { fill: #e3effb; stroke: #0b62b0; } .chip { fill: #0b62b0; }
.label { fill: #ffffff; font-weight: 600; font-size: 13px; }
.arrow { stroke: #0b62b0; stroke-width: 2; fill: none; } .head { fill: #0b62b0; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } .package { fill: #1a212b; stroke: #3d4754; }
.name { fill: #eef2f6; } .text { fill: #b4bfcb; }
.marked { fill: #12304d; stroke: #6cb2f7; } .chip { fill: #6cb2f7; } .label { fill: #08131f; }
.arrow { stroke: #6cb2f7; } .head { fill: #6cb2f7; } }
"""


def layers() -> list[list[str]]:
    """Return the packages of each layer, the highest layer first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (packages,) = (contract for contract in contracts if contract["name"] == "packages")
    return [[name.strip() for name in layer.split("|")] for layer in packages["layers"]]


def first_line(package: str) -> str:
    """Return the first line of the docstring of a package, which is a folder or a module."""
    folder = PACKAGE / package / "__init__.py"
    path = folder if folder.exists() else PACKAGE / f"{package}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("``", "")


def width_of(text: str, size: float) -> float:
    """Return about how wide a text is, rather too much than too little, whatever the font."""
    narrow, wide = set("fijlrt.,:;|()'[] "), set("mwMWABCDGHNOQRSUV")
    units = sum(0.4 if c in narrow else 0.8 if c in wide else 0.62 for c in text)
    return units * size


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Return the lines of a text that fits into a width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, size) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def text_at(x: float, y: float, content: str, style: str, anchor: str = "start") -> str:
    return (
        f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(content)}</text>'
    )


def rectangle(left: float, top: float, size: tuple[float, float], style: str) -> str:
    width, height = size
    radius = height / 2 if style == "chip" else 5
    return (
        f'<rect class="{style}" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" '
        f'rx="{radius:g}"/>'
    )


def chip(x: float, y: float, content: str) -> str:
    """Return a filled label; x and y are its middle."""
    box = rectangle(x - CHIP[0] / 2, y - CHIP[1] / 2, CHIP, "chip")
    return box + text_at(x, y + 4.5, content, "label", "middle")


def arrow(points: list[tuple[float, float]]) -> str:
    """Return a line through points, with a head at its end; its last part is straight."""
    (x0, y0), (x, y) = points[-2:]
    dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
    # The line ends where the head begins.
    base = (x - 8 * dx, y - 8 * dy)
    line = " ".join(f"{a:g},{b:g}" for a, b in [*points[:-1], base])
    head = [
        (x, y),
        (base[0] - 5 * dy, base[1] - 5 * dx),
        (base[0] + 5 * dy, base[1] + 5 * dx),
    ]
    corners = " ".join(f"{a:g},{b:g}" for a, b in head)
    return f'<polyline class="arrow" points="{line}"/><polygon class="head" points="{corners}"/>'


def picture() -> str:
    """Return the picture as SVG."""
    found = layers()
    beside = range(
        next(i for i, layer in enumerate(found) if "engines" in layer),
        next(i for i, layer in enumerate(found) if "study" in layer) + 1,
    )
    marked = {"study", "engines", "annotations"}
    top = MARGIN + 22
    drawn, middle = [], {}
    for i, layer in enumerate(found):
        whole = WIDTH - 2 * MARGIN - (FLOW if i in beside else 0)
        width = (whole - GAP * (len(layer) - 1)) / len(layer)
        space = width - 2 * PAD
        texts = {name: wrapped(first_line(name), space, TEXT_SIZE) for name in layer}
        height = 2 * PAD + NAME_SIZE + 2 + LINE * max(map(len, texts.values()))
        for j, (package, lines) in enumerate(texts.items()):
            left = MARGIN + j * (width + GAP)
            style = "marked" if package in marked else "package"
            drawn.append(rectangle(left, top, (width, height), style))
            drawn.append(text_at(left + PAD, top + PAD + NAME_SIZE - 2, package, "name"))
            for k, line in enumerate(lines):
                y = top + PAD + NAME_SIZE + LINE * (k + 1) - 1
                drawn.append(text_at(left + PAD, y, line, "text"))
            middle[package] = top + height / 2
        top += height + GAP
    bottom = top - GAP + MARGIN
    drawn += flow(middle)
    caption = "Each package may import only what stands below it."
    size = f'width="{WIDTH}" height="{bottom:g}" viewBox="0 0 {WIDTH} {bottom:g}"'
    order = escape("; ".join(map(" | ".join, found)))
    way = "A Study goes to an engine, which returns Annotations, which are delivered."
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>The packages of cellferry</title>",
        f"<desc>{caption} From the top: {order}. {way}</desc>",
        f"<style>{STYLE}</style>",
        rectangle(0, 0, (WIDTH, bottom), "page"),
        text_at(MARGIN, MARGIN + 10, caption, "text"),
        *drawn,
        "</svg>\n",
    ]
    return "\n".join(lines)


def flow(middle: dict[str, float]) -> list[str]:
    """Return the way of the data, drawn beside the layers whose middle heights are given."""
    left, right = WIDTH - MARGIN - FLOW + GAP, WIDTH - MARGIN
    lane = left + 8
    x = lane + 14 + CHIP[0] / 2
    edge, half = x - CHIP[0] / 2, CHIP[1] / 2
    study, engine, answer = middle["study"], middle["engines"], middle["annotations"]
    out = right - 16
    return [
        arrow([(edge, study), (lane, study), (lane, engine), (edge, engine)]),
        arrow([(x, engine + half), (x, answer - half)]),
        arrow([(x + CHIP[0] / 2, answer), (out, answer), (out, engine - half)]),
        chip(x, study, "Study"),
        chip(x, engine, "engine"),
        chip(x, answer, "Annotations"),
        text_at(right, study + half + LINE, "markers, AnnData, Seurat", "text", "end"),
        text_at(right - 2, engine - half - 6, "delivery", "name", "end"),
        *(
            text_at(out - 8, (engine + answer) / 2 + LINE * k, word, "text", "end")
            for k, word in enumerate(("obs,", "meta.data,", "files"))
        ),
    ]


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")
