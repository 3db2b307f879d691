"""Two processes on one run, kills of the client, and disks without room."""

import random
import tempfile
from collections.abc import Iterator

from . import show


def rows(scale: float) -> Iterator[tuple[str, int, int]]:
    """Try 50 pairs, 100 kills and 20 full disks at scale 1."""
    import run_attacks as attacks

    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as work, attacks.Server(delay=0.1) as server:
        tried = max(1, round(50 * scale))
        survived = 0
        for i in range(tried):
            found = attacks.two_at_once(attacks.new_folder(f"{work}/two", i), server)
            survived += attacks.two_were_survived(*found, alone=16)
        yield "two processes on one run", tried, survived
        tried = max(1, round(100 * scale))
        survived = 0
        for i in range(tried):
            folder = attacks.new_folder(f"{work}/kill", i)
            survived += attacks.killed(folder, server, rng.uniform(0.8, 4.0))[0]
        yield "kill -9 of the client", tried, survived
        tried = max(1, round(20 * scale))
        survived = 0
        for i in range(tried):
            folder = attacks.new_folder(f"{work}/full", i)
            survived += attacks.full(folder, server, rng.randrange(500, 60_000))[0]
        yield "full disk", tried, survived


if __name__ == "__main__":
    show(rows(1))
