"""Version and day are said once, and a release says what it is not ready for."""

import re
import runpy
import tomllib

import pytest

from cellferry import __version__
from cellferry._version import RELEASED
from paths import ROOT


@pytest.fixture
def release():
    return runpy.run_path(str(ROOT / "scripts" / "release.py"))


def test_every_place_has_the_version_and_the_day(release):
    assert list(release["stale"]()) == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", RELEASED)
    assert f"\nVersion: {__version__}\n" in (ROOT / "DESCRIPTION").read_text(encoding="utf-8")


def test_another_version_is_found_and_written(release, tmp_path):
    found = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    old = found.replace(f"version: {__version__}", "version: 0.0.9")
    assert old != found
    assert release["written"]("CITATION.cff", old) == found
    with pytest.raises(SystemExit, match="0 lines"):
        release["written"]("CITATION.cff", "title: x\n")


def test_the_news_begin_with_this_version(release):
    assert list(release["changelog"]()) == []


def test_the_locks_fit_the_project(release):
    assert list(release["locks"]()) == []


def test_a_lock_that_does_not_fit_is_named(release, tmp_path):
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["numpy>=2,<3", "pandas>=2,<3"]\n'
        "[project.optional-dependencies]\n"
    )
    (tmp_path / "requirements" / "python-3.11.txt").write_text("numpy==1.26.0 --hash=sha256:0\n")
    release["locks"].__globals__["ROOT"] = tmp_path
    assert [line.split(",")[0] for line in release["locks"]()] == [
        "python-3.11.txt has numpy 1.26.0",
        "python-3.11.txt has pandas None",
    ]


def test_the_recipe_of_conda_is_that_of_the_project():
    recipe = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def lines(section):
        block = re.search(rf"\n  {section}:\n((?:    .*\n)+)", recipe)[1]
        return [line.strip()[2:] for line in block.splitlines() if line.strip().startswith("- ")]

    def conda(requirement):
        return re.sub(r"^([\w-]+)", r"\1 ", requirement).replace("duckdb ", "python-duckdb ")

    python = f"python {project['requires-python']}"
    assert lines("run") == [python, *map(conda, project["dependencies"])]
    optional = project["optional-dependencies"]["artifacts"]
    assert sorted(lines("run_constrained")) == sorted(map(conda, optional))
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert lines("host") == [python, "pip", *map(conda, build["requires"])]
    assert project["description"] in recipe
    (script,) = project["scripts"].items()
    assert f"- {script[0]} = {script[1]}" in recipe
