import shutil

import pytest

from cellferry import errors
from cellferry.bridge.r_code import r_sources
from paths import ROOT


def test_in_the_repository_the_files_are_those_of_r():
    found = r_sources()
    assert (found.folder, found.is_package) == (ROOT / "R", False)
    assert {"object-read.R", "object-write.R", "object-construct.R", "bridge-rscript.R"} <= {
        f.name for f in found.files()
    }


def test_in_a_wheel_they_are_beside_the_package(tmp_path):
    package = tmp_path / "cellferry"
    shutil.copytree(ROOT / "R", package / "seurat" / "r")
    found = r_sources(package)
    assert found.folder == package / "seurat" / "r"
    assert {f.name for f in found.files()} == {f.name for f in (ROOT / "R").glob("*.R")}


def test_in_an_installed_r_package_they_are_that_package(tmp_path):
    installed = tmp_path / "library" / "cellferry"
    (installed / "R").mkdir(parents=True)
    (installed / "R" / "cellferry.rdb").write_bytes(b"")
    (installed / "DESCRIPTION").write_text("Package: cellferry\nVersion: 1\n", encoding="utf-8")
    found = r_sources(installed / "python" / "cellferry")
    assert (found.folder, found.is_package, found.files()) == (tmp_path / "library", True, [])


def test_another_package_around_it_is_not_taken_for_ours(tmp_path):
    (tmp_path / "DESCRIPTION").write_text("Package: other\n", encoding="utf-8")
    (tmp_path / "R").mkdir()
    (tmp_path / "R" / "conditions.R").write_text("", encoding="utf-8")
    with pytest.raises(errors.InternalError, match="not beside its Python package"):
        r_sources(tmp_path / "python" / "cellferry")
