"""A finished or stopped run is damaged at random: the same labels, or a clear error."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import show


def rows(scale: float) -> Iterator[tuple[str, int, int]]:
    """Try 300 damages at scale 1."""
    from run_attacks import Damage

    logging.getLogger("cellferry").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as work:
        damage = Damage(Path(work))
        tried = max(1, round(300 * scale))
        survived = sum(damage.trial(seed)[0] for seed in range(tried))
    yield "damaged run folder", tried, survived


if __name__ == "__main__":
    show(rows(1))
