"""Time and memory of one process, on machines that give memory back to their host.

In a virtual machine with free page reporting (this project's has it) the first touch of a
page that the host took back costs six times as much as any later one: 3.9 s for 1 GB
against 0.6 s, more than all of the work measured here. So there are two measures, by the
environment variable MEMORY: "found" is what a user meets, memory as the process finds it;
for "touched" each process first touches more than it will need, gives it back, and is
measured right after, which leaves the work alone.
"""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path
from typing import NotRequired, TypedDict

TOUCHED = 4 << 30
PAUSE = 5
STATUS = Path("/proc/self/status")


class Figures(TypedDict):
    """What one run took: seconds and bytes."""

    what: str
    total: float
    processor_seconds: float
    fsync: float
    extra_memory: int
    vars_h5_bytes: int
    obs_duckdb_bytes: int
    load: NotRequired[float]
    cells: NotRequired[int]
    values: NotRequired[int]


class Part(TypedDict):
    """Seconds on all processors, and processor seconds."""

    seconds: float
    processor_seconds: float


class Floor(TypedDict):
    """What no writer gets around; see floor.py."""

    what: str
    processors: int
    parts: dict[str, Part]
    vars_h5_bytes: int


def prepare(size: int = TOUCHED) -> None:
    """Touch memory, or let the machine take back what others have left."""
    if os.environ["MEMORY"] == "found":
        time.sleep(PAUSE)
        return
    zeros = bytes(1 << 20)
    small, large = mmap.mmap(-1, size), mmap.mmap(-1, size)
    # Arrays come in large pages, and those are found elsewhere.
    large.madvise(mmap.MADV_HUGEPAGE)
    with small, large:
        for memory in (large, small):
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
