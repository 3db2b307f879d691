"""Time and memory of one process, on machines that give memory back to their host.

In a virtual machine with free page reporting (this project's has it) the first touch of a
page that the host took back costs six times as much as any later one: 3.9 s for 1 GB
against 0.6 s, more than all of the work measured here. So each process first touches as
much memory as it will need, gives it back, and is measured right after.
"""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path

WARMED = 4 << 30
STATUS = Path("/proc/self/status")


def warm(size: int = WARMED) -> None:
    with mmap.mmap(-1, size) as memory:
        zeros = bytes(1 << 20)
        for start in range(0, size, 1 << 20):
            memory[start : start + (1 << 20)] = zeros


def resident(name: str = "VmRSS") -> int:
    """Return the bytes in use, or with "VmHWM" the most since :func:`forget_peak`."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(name)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def sync(path: Path) -> float:
    started = time.perf_counter()
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - started
