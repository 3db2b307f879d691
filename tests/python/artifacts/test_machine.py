import os
import subprocess
import sys

import psutil
import pytest

from cellferry.artifacts import machine

MEMORY = (
    "MemTotal: 9000 kB\nMemFree: 1000 kB\nMemAvailable: 2048 kB\nBuffers: 0 kB\nCached: 0 kB\n"
    "Active: 0 kB\nInactive: 0 kB\nShmem: 0 kB\n"
)


def test_this_machine_has_processors_and_memory():
    assert 1 <= machine.processors() <= machine.MOST_THREADS
    assert machine.available_memory() > 100 << 20


def test_the_control_group_counts_if_it_has_less(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text(MEMORY)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    monkeypatch.setattr(machine, "_CONTROL_GROUP", tmp_path)
    assert machine.available_memory() == 2048 * 1024
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert machine.available_memory() == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory() == 2048 * 1024


def test_without_any_knowledge_it_assumes_something(monkeypatch, tmp_path):
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    monkeypatch.setattr(machine, "_CONTROL_GROUP", tmp_path)
    assert machine.available_memory() == machine.UNKNOWN_MEMORY
    assert machine.processors() >= 1


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_only_the_processors_that_the_process_may_use_count():
    script = (
        "import os; from cellferry.artifacts.machine import processors\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(processors())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "1\n"
