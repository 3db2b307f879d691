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
