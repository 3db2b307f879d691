import tomllib

import pytest

from cellferry import __version__
from cellferry._version import pip_install
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


def test_an_extra_that_is_missing_is_no_fault_and_has_its_line(monkeypatch):
    monkeypatch.setitem(doctor.EXTRAS, "artifacts", ("no-such-package", "hdf5plugin"))
    found = {f.name: f for f in doctor.examine()}
    assert found["extra artifacts"].ok
    assert found["extra artifacts"].found == (
        f"not installed: no-such-package (if you want it: {pip_install('artifacts')})"
    )
    assert found["extra plots"].found == "installed"


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for extra, packages in doctor.EXTRAS.items():
        declared = " ".join(extras[extra] + extras["artifacts"])
        assert [name for name in packages if name not in declared] == []


def test_a_folder_of_runs_that_may_not_be_written_is_a_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path / "runs" / "deep"))
    assert doctor._folder_of_runs().ok
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: path != tmp_path)  # root may all
    found = doctor._folder_of_runs()
    assert found.found.endswith("deep, where you may not write")
    assert found.fix == "export CELLFERRY_HOME=$HOME/cellferry"


def test_a_proxy_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy:3128")
    (found,) = doctor._proxy()
    assert (found.found, found.ok) == ("proxy:3128", True)


def test_an_r_package_of_another_version_is_a_fault(monkeypatch, tmp_path):
    other = tmp_path / "Rscript"
    other.write_text("#!/bin/sh\nprintf 'cellferry 0.0.1 \\nSeurat - \\n'\n", encoding="utf-8")
    other.chmod(0o755)
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: str(other))
    found = {f.name: f for f in doctor._r()}
    assert found["R package cellferry"].found == f"0.0.1, and this is {__version__}"
    assert found["R package cellferry"].fix == f'R CMD INSTALL "{ROOT}"'
    assert found["R package Seurat"].found == "not installed"
    assert found["R package Seurat"].ok


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
