"""The script of the page is one, and its modules do not take each other's names."""

from __future__ import annotations

import re
from importlib import resources

from cellferry.annotations.report import viewer

FOLDER = resources.files("cellferry.annotations.report.viewer")
DECLARED = re.compile(r"^(?:async )?(?:const|let|function|class) +(\w+)", re.MULTILINE)


def test_every_module_is_joined_and_no_name_is_declared_twice():
    files = {f.name.removesuffix(".js") for f in FOLDER.iterdir() if f.name.endswith(".js")}
    assert files == set(viewer.MODULES)
    names = [
        (name, module)
        for module in viewer.MODULES
        for name in DECLARED.findall((FOLDER / f"{module}.js").read_text(encoding="utf-8"))
    ]
    seen = {}
    for name, module in names:
        assert name not in seen, f"{name} is in {seen[name]}.js and in {module}.js"
        seen[name] = module


def test_the_script_needs_nothing_that_the_policy_forbids():
    text = viewer.script()
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|Worker"
    assert not re.search(forbidden, text)
    assert "new Image" not in text
