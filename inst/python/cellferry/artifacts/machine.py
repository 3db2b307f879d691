"""What this machine has: processors and memory, as the limits of a build."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MOST_THREADS = 8
"""More do not help: one thread reads and writes for all of them."""
UNKNOWN_MEMORY = 4 << 30
_CONTROL_GROUP = Path("/sys/fs/cgroup")


def processors() -> int:
    """Return how many processors this process may use, at most :data:`MOST_THREADS`."""
    import psutil

    try:
        allowed = len(psutil.Process().cpu_affinity())
    except (AttributeError, OSError, psutil.Error):  # macOS does not say, nor does a bare root
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, MOST_THREADS))


def available_memory() -> int:
    """Return the bytes that can be used now: of the machine, or of its control group if less."""
    import psutil

    found = [_group_memory()]
    with suppress(OSError, psutil.Error):
        found.append(psutil.virtual_memory().available)
    return min((value for value in found if value is not None), default=UNKNOWN_MEMORY)


def _group_memory() -> int | None:
    try:
        limit = (_CONTROL_GROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CONTROL_GROUP / "memory.current").read_text(encoding="ascii").strip()
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None
