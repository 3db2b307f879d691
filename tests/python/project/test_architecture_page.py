"""ARCHITECTURE.md is true: its paths, functions and schemas exist, its picture is new."""

import re
import runpy

import pytest

from paths import PACKAGE, ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", PAGE)
DRAWN = runpy.run_path(str(ROOT / "scripts" / "architecture_picture.py"))
PACKAGES = [package for layer in reversed(DRAWN["layers"]()) for package in layer]

SCHEMA = re.compile(r"cellferry\.\w+/\d+")
PATHS = sorted(
    text
    for text in set(CODE)
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", text)
    and ("/" in text or text.endswith((".py", ".R")))
    and not SCHEMA.fullmatch(text)
)
FUNCTIONS = sorted({text.removesuffix("()") for text in CODE if re.fullmatch(r"\w+\(\)", text)})
OF_OTHERS = {"JoinLayers", "LayerData"}


@pytest.mark.parametrize("path", PATHS)
def test_every_path_exists(path):
    assert (ROOT / path).exists() or (PACKAGE / "cellferry" / path).exists()


def test_paths_were_found():
    assert len(PATHS) > 80


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - OF_OTHERS))
def test_every_function_exists(name):
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "R").glob("*.R")]
    defined = re.compile(rf"^(def {name}\(|{name} <- function)", re.MULTILINE)
    assert any(defined.search(file.read_text(encoding="utf-8")) for file in files)


def test_every_stored_schema_is_named_as_it_is():
    files = (file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    stored = {schema for text in files for schema in SCHEMA.findall(text)}
    assert {text for text in CODE if SCHEMA.fullmatch(text)} == stored


def test_every_package_has_a_line():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == PACKAGES


def test_the_page_can_be_read_at_once():
    assert len(PAGE.splitlines()) < 150


def test_the_picture_is_the_one_that_the_script_makes():
    drawn = (ROOT / "man" / "figures" / "architecture.svg").read_text(encoding="utf-8")
    assert drawn == DRAWN["picture"](), "run: python scripts/architecture_picture.py"
