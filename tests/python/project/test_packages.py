"""The tarball of the R package and the wheel of the Python package contain the core."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest

from paths import ROOT

pytestmark = pytest.mark.process


CORE = ROOT / "inst" / "python" / "cellferry"


def core_files():
    """Return every file of the core that a package must contain, relative to its parent."""
    return {
        str(path.relative_to(CORE.parent))
        for path in CORE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def without_library_path():
    return {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}


def test_the_wheel_holds_the_core_and_the_code_of_r_once(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
        env=without_library_path(),
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert core_files() <= names
    of_r = {f"cellferry/seurat/r/{path.name}" for path in (ROOT / "R").glob("*.R")}
    assert {n for n in names if n.endswith(".R")} == of_r
    assert not [n for n in names if n.endswith(".pyc") or n.startswith("tests")]
    metadata = next(n for n in names if n.endswith(".dist-info/licenses/LICENSE.md"))
    assert b"MIT License" in zipfile.ZipFile(wheel).read(metadata)


@pytest.mark.skipif(shutil.which("R") is None, reason="R is not installed")
def test_the_r_tarball_holds_the_core_once_and_no_clutter(tmp_path):
    source = tmp_path / "source"
    wanted = ("DESCRIPTION", "NAMESPACE", ".Rbuildignore", "LICENSE", "NEWS.md", "pyproject.toml")
    source.mkdir()
    for name in wanted:
        shutil.copy(ROOT / name, source / name)
    for name in ("R", "man", "inst"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "python").symlink_to("inst/python")
    subprocess.run(
        ["R", "CMD", "build", "--no-build-vignettes", source],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    (tarball,) = tmp_path.glob("cellferry_*.tar.gz")
    with tarfile.open(tarball) as content:
        names = set(content.getnames())
    assert {f"cellferry/inst/python/{name}" for name in core_files()} <= names
    assert "cellferry/inst/backend-requirements.txt" in names
    assert not [n for n in names if n.startswith("cellferry/python") or n.endswith(".pyc")]
    assert "cellferry/pyproject.toml" not in names


def test_r_installs_exactly_the_python_packages_that_python_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        "backend-requirements.txt": project["dependencies"],
        # The live page is opened from R as often as a file is written.
        "backend-requirements-server.txt": [
            *project["optional-dependencies"]["artifacts"],
            *project["optional-dependencies"]["server"][1:],
        ],
    }
    for name, lines in declared.items():
        for_r = (ROOT / "inst" / name).read_text(encoding="utf-8").splitlines()
        assert for_r == lines, "run `make document`"


def test_both_packages_have_the_same_version():
    from cellferry import __version__

    description = (ROOT / "DESCRIPTION").read_text(encoding="utf-8")
    assert f"\nVersion: {__version__}\n" in description
