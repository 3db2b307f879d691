"""`make attack` begins: every module yields rows, and the small ones hold at a small scale."""

import importlib
import os
import subprocess
import sys

import pytest

from paths import ROOT

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def attack(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("tests.attack.__main__")


def test_every_module_is_found_and_can_be_read(attack):
    names = attack.modules(())
    assert {n.rpartition(".")[2] for n in names} >= {"kills", "folders", "raw", "crowds", "joins"}
    for name in names:
        assert callable(importlib.import_module(name).rows)


def test_a_part_is_tried_and_its_rows_are_printed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.attack", "--scale", "0.02", "--only", "folders"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "ATTACK_SEED": "7"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 7, scale 0.02" in done.stdout
    assert "0 rows not full" in done.stdout


def test_a_row_that_is_not_full_fails(attack, tmp_path, monkeypatch, capsys):
    (tmp_path / "fallen.py").write_text("def rows(scale):\n    yield 'a row', 3, 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(attack, "modules", lambda words: ["fallen"])
    monkeypatch.setattr(sys, "argv", ["attack"])
    assert attack.main() == 1
    assert "<-- not full" in capsys.readouterr().out
