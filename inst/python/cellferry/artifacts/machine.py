"""What this machine has: processors and memory, as the limits of a build."""

from __future__ import annotations

import os
from pathlib import Path

MOST_THREADS = 8
"""More do not help: one thread reads and writes for all of them."""
UNKNOWN_MEMORY = 4 << 30
_MEMORY_INFO = Path("/proc/meminfo")
_CONTROL_GROUP = Path("/sys/fs/cgroup")


def processors() -> int:
    """Return how many processors this process may use, at most :data:`MOST_THREADS`."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Windows and macOS
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, MOST_THREADS))


def available_memory() -> int:
    """Return the bytes that can be used now: of the machine, or of its control group if less."""
    found = [_machine_memory(), _group_memory()]
    known = [value for value in found if value is not None]
    return min(known) if known else UNKNOWN_MEMORY


def _machine_memory() -> int | None:
    try:
        for line in _MEMORY_INFO.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _group_memory() -> int | None:
    try:
        limit = (_CONTROL_GROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CONTROL_GROUP / "memory.current").read_text(encoding="ascii").strip()
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None
