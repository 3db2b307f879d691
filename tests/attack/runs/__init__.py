"""Attacks on the memory of runs. Each module has ``rows(scale)``: name, tried, survived."""

import sys
from collections.abc import Iterable
from pathlib import Path

_SUPPORT = str(Path(__file__).parents[2] / "python" / "support")
if _SUPPORT not in sys.path:
    sys.path.insert(0, _SUPPORT)


def show(rows: Iterable[tuple[str, int, int]]) -> None:
    """Print rows as they come; end with 1 where not all was survived."""
    lost = 0
    for name, tried, survived in rows:
        sys.stdout.write(f"{name}\t{tried}\t{survived}\n")
        sys.stdout.flush()
        lost += tried - survived
    raise SystemExit(1 if lost else 0)
