import ast
import csv
import re

import pytest

from paths import ROOT

SPECS = {"cassia-batch-processing", "cytetype-configuration", "cell-atlas-sparse-api"}
KINDS = {"parameter", "format", "output", "behaviour"}


def rows():
    with (ROOT / "tests" / "spec_coverage.tsv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def named_tests(path):
    """Return the names of the tests that a file really has."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        found = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
        return {n.name for n in found if n.name.startswith("test_")}
    return set(re.findall(r'test_that\(\s*"((?:[^"\\]|\\.)*)"', text))


def test_every_row_is_complete_and_said_once():
    table = rows()
    assert {row["spec"] for row in table} == SPECS
    assert {row["kind"] for row in table} <= KINDS
    keys = [(row["spec"], row["kind"], row["item"]) for row in table]
    assert len(set(keys)) == len(keys)
    assert all(row["test"] for row in table)


@pytest.mark.parametrize("row", [r for r in rows() if r["test"] != "open"], ids=lambda r: r["item"])
def test_the_named_test_is_real(row):
    for name in row["test"].split(" + "):
        file, _, test = name.partition("::")
        path = ROOT / "tests" / file
        assert path.is_file(), file
        assert test in named_tests(path), name
