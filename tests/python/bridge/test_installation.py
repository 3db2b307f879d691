import tomllib

import pytest

from cellferry.bridge import installation as doctor
from paths import ROOT


def test_it_looks_at_every_package_that_the_core_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["dependencies"]
    assert len(doctor.needed_packages()) == len(declared)
    assert all(any(line.startswith(n) for line in declared) for n in doctor.needed_packages())
    assert None not in doctor.installed_versions().values()


def test_a_good_installation_needs_no_fix():
    assert [f for f in doctor.examine() if not f.ok] == []


@pytest.mark.parametrize(
    ("version", "span", "within"),
    [
        ("2.3.3", ">=2.2,<3", True),
        ("3.0.0", ">=2.2,<3", False),
        ("2.1", ">=2.2,<3", False),
        ("0.27.0", ">=0.27,<1", True),
        ("10.2", ">=9", True),
        ("1.4.0rc1", ">=1.4", True),
        ("1.0", "", True),
    ],
)
def test_version_ranges(version, span, within):
    assert doctor._within(version, span) is within


def test_missing_and_wrong_packages_get_the_exact_line_that_fixes_them(monkeypatch):
    monkeypatch.setattr(
        doctor, "needed_packages", lambda: {"pandas": ">=99", "no-such-package": ">=1"}
    )
    found = {f.name: f for f in doctor.examine()}
    assert found["pandas"].fix.endswith('-m pip install "pandas>=99"')
    assert found["no-such-package"].found == "not installed"
    assert found["no-such-package"].fix.endswith('-m pip install "no-such-package>=1"')


def test_r_is_optional(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)
    (r,) = [f for f in doctor.examine() if f.name == "R"]
    assert r.ok
    assert "not found" in r.found


def test_rpy2_is_optional(monkeypatch):
    def missing(_name):
        raise doctor.metadata.PackageNotFoundError

    monkeypatch.setattr(doctor.metadata, "version", missing)
    monkeypatch.setattr(doctor, "needed_packages", dict)
    (rpy2,) = [f for f in doctor.examine() if f.name == "rpy2"]
    assert rpy2.ok
    assert "only needed for cellferry.seurat" in rpy2.found
