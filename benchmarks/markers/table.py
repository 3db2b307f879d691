"""The table of one size, and its place in a page."""

from __future__ import annotations

from typing import Any

NAMES = {
    "ours rows": "`find_markers()`, matrix by rows (CSR)",
    "ours genes": "`find_markers()`, matrix by genes (CSC)",
    "ours R": "`FindClusterMarkers()`, Seurat object",
    "illico rows": "illico 0.6.0, 2 threads, CSR",
    "illico genes": "illico 0.6.0, 2 threads, CSC",
    "scanpy t-test": "scanpy, t-test",
    "scanpy wilcoxon": "scanpy, Wilcoxon",
    "seurat": "Seurat",
    "ours file": "`find_markers()`, .h5ad of 500,000 cells",
}
SHORT = {"ours rows", "ours R", "illico rows", "scanpy wilcoxon", "seurat", "ours file"}
BEGIN, END = "<!-- bench-markers -->", "<!-- end of bench-markers -->"
Figures = dict[str, Any]


def name_of(row: Figures) -> str:
    name = NAMES[row["way"]]
    return (
        f"{name} {row['path']}".replace("Seurat ", "Seurat, ") if row["way"] == "seurat" else name
    )


def table(rows: list[Figures], *, short: bool = False) -> str:
    """Return the Markdown of the figures of one size, or a few of its rows."""
    mine = next(r for r in rows if r["way"] == "ours rows")
    rows = [r for r in rows if not short or r["way"] in SHORT]
    lines = [
        "| | wall | processor | to the first | extra memory (of the matrix) | p-values differ by |",
        "|---|---|---|---|---|---|",
    ]
    notes = []
    for row in rows:
        scaled = row.get("timed") is not None
        if scaled:
            notes.append(note_of(row))
        same_size = row["cells"] == mine["cells"]
        ratios = [f"{row[t] / mine[t]:.2g}" for t in ("wall", "processor")]
        ratios = [f"{float(r):g} x" for r in ratios]
        ratio = " / ".join(ratios) if same_size and row is not mine else ""
        cells = [
            name_of(row) + (" (scaled)" if scaled else ""),
            seconds(row["wall"]),
            seconds(row["processor"]),
            ratio,
            memory(row),
            differs(row),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    loads = [r["load"] for r in rows]
    cells = f"{mine['cells']:,}"
    about = f"{cells} cells x 20,000 genes, {mine['matrix'] / 8e6:.0f} million values, 20 clusters"
    busy = f"load of the two processors before each: {min(loads):.1f} to {max(loads):.1f}"
    compared = (
        "To the first: wall and processor time as a multiple of the first row's. p-values are "
        "compared from 1e-300 to 1, relative to ours."
    )
    return "\n".join([*lines, "", f"One run: {about}; {busy}. {' '.join([compared, *notes])}"])


def note_of(row: Figures) -> str:
    if row["way"] == "seurat":
        return (
            f"Seurat's {row['path']} was timed with {row['timed']} random genes that pass its "
            f"filters in each of {row['clusters']} clusters, and scaled to the {row['tests']:,} "
            "tests of the whole table."
        )
    return f"{NAMES[row['way']]} was timed with {row['timed']} random genes, and scaled."


def seconds(value: float) -> str:
    if value < 100:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def memory(row: Figures) -> str:
    if row.get("extra") is None or row.get("timed") is not None:
        return "not measured"
    extra = f"{row['extra'] / 1e6:.0f} MB"
    return extra if not row["matrix"] else f"{extra} ({row['extra'] / row['matrix']:.0%})"


def differs(row: Figures) -> str:
    value = row.get("difference")
    if value is None:
        return ""
    if row["way"].startswith("scanpy"):
        return "another test" if "t-test" in row["way"] else "no corrections"
    return "0" if value == 0 else f"{value:.0e}"


def written(page: str, made: str) -> str:
    """Return a page with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{made}\n{END}{after}"
