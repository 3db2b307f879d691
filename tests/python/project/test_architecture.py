"""The rules that a reader of the code relies on, and that no linter checks.

Which package may import which is checked by import-linter (``make lint``, pyproject.toml).
"""

import ast
from collections import defaultdict

import pytest

from paths import PACKAGE, ROOT

TOP = PACKAGE / "cellferry"
MOST_ENTRIES = 15
MOST_MODULES = 16
NOT_COUNTED = {"__init__.py", "__main__.py", "_version.py", "py.typed"}


def module_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in TOP.rglob("*.py")}


def imports_of(module, path):
    """Return the modules of ours that a file imports, wherever in it, for types too."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                below = f"{target}.{alias.name}"
                found.add(below if below in MODULES else target)
    return found & MODULES.keys() - {module}


def circles(graph):
    """Return the sets of nodes that reach each other, by Tarjan's algorithm (1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            part = {stack.pop()}
            while node not in part:
                part.add(stack.pop())
            if len(part) > 1:
                found.append(part)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [{"b", "c"}]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_module_imports_itself_by_way_of_others():
    """Type-only and late imports count: a circle that can be survived is a circle."""
    assert circles({m: imports_of(m, path) for m, path in MODULES.items()}) == []


def entries(folder):
    return {p.name for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}


def test_the_top_of_the_package_can_be_read_at_a_glance():
    assert len(entries(TOP) - NOT_COUNTED) <= MOST_ENTRIES


def test_no_folder_has_more_modules_than_a_reader_can_hold():
    counted = defaultdict(int)
    for path in MODULES.values():
        counted[path.parent] += path.name != "__init__.py"
    assert {p: n for p, n in counted.items() if n > MOST_MODULES} == {}


ENGINES = [f"engines/{p.parent.name}" for p in (TOP / "engines").glob("*/__init__.py")]


@pytest.mark.parametrize("package", sorted({*entries(TOP) - NOT_COUNTED, *ENGINES}))
def test_every_package_has_a_folder_of_tests(package):
    folder = ROOT / "tests" / "python" / package.removesuffix(".py")
    assert list(folder.glob("test_*.py")), f"{folder} has no tests"
