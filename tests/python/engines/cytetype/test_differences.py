import ast
from pathlib import Path

from cellferry.engines.cytetype.payload import DIFFERENCES

TESTED_TOGETHER = {
    "blank_symbols": "blank_symbols_and_duplicate_symbols",
    "duplicate_symbols": "blank_symbols_and_duplicate_symbols",
    "duplicate_markers": "blank_symbols_and_duplicate_symbols",
    "missing_coordinates": "missing_coordinates_and_cells_without_cluster",
    "cells_without_cluster": "missing_coordinates_and_cells_without_cluster",
}


def test_every_listed_difference_is_explained_and_has_its_test():
    source = (Path(__file__).parent / "test_payload.py").read_text(encoding="utf-8")
    tests = {n.name for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)}
    for name, why in DIFFERENCES.items():
        assert f"test_{TESTED_TOGETHER.get(name, name)}" in tests
        assert why.endswith(".")
