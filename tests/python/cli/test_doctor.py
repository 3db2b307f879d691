from click.testing import CliRunner

from cellferry.bridge import installation as doctor
from cellferry.cli import group


def test_a_good_installation_prints_versions_and_leaves_with_zero():
    done = CliRunner().invoke(group, ["doctor"])
    assert done.exit_code == 0
    assert "anndata" in done.output
    assert "Python" in done.output


def test_a_fault_prints_its_fix_and_leaves_with_one(monkeypatch):
    monkeypatch.setattr(doctor, "needed_packages", lambda: {"no-such-package": ">=1"})
    done = CliRunner().invoke(group, ["doctor"])
    assert done.exit_code == 1
    assert 'pip install "no-such-package>=1"' in done.output
