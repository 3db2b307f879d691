"""The seed, how often something is tried, and what is kept of what went wrong."""

import os
import random
import sys


def chosen(what):
    """Return the random numbers of one attack; the same for the same seed."""
    return random.Random(f"{os.environ.get('ATTACK_SEED', '1')}-{what}")


def times(full, scale):
    """Return how often something is tried that is tried ``full`` times at scale 1."""
    return max(1, round(full * scale))


class Tally:
    """Counts what was tried and what survived; says on stderr what did not."""

    def __init__(self, what):
        self.what, self.tried, self.survived = what, 0, 0

    def add(self, survived, detail=""):
        self.tried += 1
        self.survived += bool(survived)
        if not survived:
            sys.stderr.write(f"    {self.what}: {str(detail)[:300]}\n")

    @property
    def row(self):
        return self.what, self.tried, self.survived
