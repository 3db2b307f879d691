import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cellferry.artifacts import machine


def test_this_machine_has_processors_and_memory():
    assert 1 <= machine.processors() <= machine.MOST_THREADS
    assert machine.available_memory() > 100 << 20


def test_the_control_group_counts_if_it_has_less(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 2048 kB\n")
    monkeypatch.setattr(machine, "_MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "_CONTROL_GROUP", tmp_path)
    assert machine.available_memory() == 2048 * 1024
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert machine.available_memory() == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory() == 2048 * 1024


def test_without_any_knowledge_it_assumes_something(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_machine_memory", lambda: None)
    monkeypatch.setattr(machine, "_group_memory", lambda: None)
    assert machine.available_memory() == machine.UNKNOWN_MEMORY


def test_results_come_in_order_and_few_items_are_taken_ahead():
    taken = []

    def items():
        for i in range(20):
            taken.append(i)
            yield i

    with ThreadPoolExecutor(2) as pool:
        found = machine.ordered_map(pool, lambda i: i * i, items(), ahead=3)
        assert next(found) == 0
        assert len(taken) <= 3
        assert list(found) == [i * i for i in range(1, 20)]


def test_an_error_stops_what_has_not_begun():
    begun, gate = [], threading.Event()

    def work(i):
        if i == 0:
            raise ValueError("no")
        gate.wait(5)
        begun.append(i)

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="no"):
            list(machine.ordered_map(pool, work, range(9), ahead=9))
        gate.set()
    assert len(begun) <= 1
