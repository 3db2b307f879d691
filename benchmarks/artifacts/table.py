"""The tables of ``make bench-artifacts``, and their place in a page."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from measure import Figures, Floor

NAMES = {
    "ours": "cellferry",
    "theirs": "cytetype 0.19.4",
    "seurat": "cellferry, a Seurat object in R",
}
MEMORY = {"found": "memory as it is found", "touched": "memory touched before"}
PARTS = {
    "read": "look at every value and index of both matrices once",
    "copy": "move each normalised value and its index once (a plain copy)",
    "compress": "LZ4 of all chunks, at the level of the file",
    "write": "write the bytes of the file to the disk",
}
Runs = Mapping[str, Sequence[Figures]]


def middle(rows: Sequence[Figures], value: Callable[[Figures], float]) -> float:
    return statistics.median(value(row) for row in rows)


def ratio(runs: Runs, name: str, pick: Callable[[list[float]], float]) -> float:
    """Return how many times as long as ours another took."""
    totals = [pick([row["total"] for row in runs[key]]) for key in (name, "ours")]
    return totals[0] / totals[1]


def beside(every: Mapping[str, Runs]) -> str:
    """Return the table of all who were measured, in both measures of memory."""
    heads = [f"{MEMORY[memory]}: {what}" for memory in every for what in ("seconds", "processor")]
    lines = [
        "| | " + " | ".join([*heads, "extra memory", "vars.h5"]) + " |",
        "|---" * (len(heads) + 3) + "|",
    ]
    first = next(iter(every.values()))
    for name in first:
        cells = [NAMES[name]]
        for runs in every.values():
            seconds = middle(runs[name], lambda row: row["total"])
            times = "" if name == "ours" else f" ({ratio(runs, name, statistics.median):.2f} x)"
            cells += [f"{seconds:.2f}{times}"]
            cells += [f"{middle(runs[name], lambda row: row['processor_seconds']):.2f}"]
        extra = max(row["extra_memory"] for runs in every.values() for row in runs[name])
        cells += [f"{extra / 1e6:.0f} MB", f"{first[name][0]['vars_h5_bytes'] / 1e6:.0f} MB"]
        lines.append("| " + " | ".join(cells) + " |")
    loads = [row["load"] for runs in every.values() for rows in runs.values() for row in rows]
    said = f"Medians of {len(first['ours'])} runs each; load of the machine before them: "
    return "\n".join([*lines, "", f"{said}{min(loads):.1f} to {max(loads):.1f}."])


def least(floor: Floor) -> float:
    """Return the seconds below which nothing that does all parts can be.

    That is all processors busy with nothing else, or the disk alone if that takes longer.
    """
    used = sum(part["processor_seconds"] for part in floor["parts"].values())
    return max(used / floor["processors"], floor["parts"]["write"]["seconds"])


def floor_table(floor: Floor, runs: Runs) -> str:
    """Return what no writer gets around, and what it says of the ratio."""
    lines = ["| part | seconds | processor seconds |", "|---|---|---|"]
    for name, part in floor["parts"].items():
        cells = [PARTS[name], f"{part['seconds']:.2f}", f"{part['processor_seconds']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    bound = least(floor)
    used = sum(part["processor_seconds"] for part in floor["parts"].values())
    n = floor["processors"]
    lines.append(f"| all, {n} processors never idle | {bound:.2f} | {used:.2f} |")
    ours = middle(runs["ours"], lambda row: row["total"])
    said = f"Ours takes {ours / bound:.2f} times that"
    if "theirs" in runs:
        said += f"; cytetype {middle(runs['theirs'], lambda row: row['total']) / bound:.2f} times"
    return "\n".join([*lines, "", f"{said}."])


def curve_table(points: Sequence[Figures]) -> str:
    """Return the table of files of several sizes."""
    lines = [
        "| cells | values | seconds | times the one before | processor | extra memory | vars.h5 |",
        "|---|---|---|---|---|---|---|",
    ]
    before: Figures | None = None
    for point in points:
        times = "" if before is None else f"{point['total'] / before['total']:.2f}"
        cells = [
            f"{point['cells']:,}",
            f"{point['values'] / 1e6:.0f} million",
            f"{point['total']:.1f}",
            times,
            f"{point['processor_seconds']:.1f}",
            f"{point['extra_memory'] / 1e6:.0f} MB",
            f"{point['vars_h5_bytes'] / 1e6:.0f} MB",
        ]
        lines.append("| " + " | ".join(cells) + " |")
        before = point
    return "\n".join(lines)


def written(page: str, name: str, made: str) -> str:
    """Return a page with a table between its marks."""
    begin, end = f"<!-- bench-artifacts {name} -->", f"<!-- end of bench-artifacts {name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{made}\n{end}{after}"
