"""CONTRIBUTING.md is true: its recipe for an engine works as it stands, its files exist."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from paths import PACKAGE, ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def recipe(name):
    """Return the code below a mark of the page."""
    found = re.search(rf"<!-- recipe: {re.escape(name)} -->\n *```python\n(.*?)\n *```", PAGE, re.S)
    return textwrap.dedent(found[1]) + "\n"


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of the package in which the recipe for an engine was followed."""
    folder = tmp_path_factory.mktemp("recipe")
    copy = folder / "cellferry"
    shutil.copytree(PACKAGE / "cellferry", copy, ignore=shutil.ignore_patterns("__pycache__"))
    made = copy / "engines" / "shortest" / "__init__.py"
    made.parent.mkdir()
    made.write_text(recipe("engines/shortest/__init__.py"), encoding="utf-8")
    table = copy / "engines" / "__init__.py"
    text = table.read_text(encoding="utf-8")
    (head,) = re.findall(r"^ENGINES: .* = \{$", text, re.M)
    line = textwrap.indent(recipe("ENGINES"), "    ")
    table.write_text(text.replace(head, f"{head}\n{line.rstrip()}"), encoding="utf-8")
    return folder


def run(changed, *arguments, **options):
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False,
        env={**environment, "PYTHONPATH": str(changed)}, **options,
    )  # fmt: skip


@pytest.mark.process
def test_the_engine_of_the_recipe_answers_in_python_and_resumes(changed):
    code = """
        import json, cellferry
        found = cellferry.annotate_clusters(
            {"0": ["CD79A", "MS4A1"], "1": ["CD3E", "TRAC"]}, engine="shortest", n_genes=1,
            progress=False,
        )
        again = cellferry.resume(found.provenance["run"])
        print(json.dumps([found.labels(), again.labels()]))
    """
    done = run(changed, "-c", textwrap.dedent(code))
    labels = {"0": "CD79A cell", "1": "CD3E cell"}
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [labels, labels]


@pytest.mark.process
def test_the_engine_of_the_recipe_answers_on_the_command_line(changed, tmp_path):
    (tmp_path / "markers.csv").write_text("cluster,gene\n0,CD79A\n0,MS4A1\n1,IL7R\n")
    command = ["-c", "from cellferry.cli import main; main()", "annotate", "markers.csv"]
    done = run(
        changed, *command, "--engine", "shortest", "--out", "x", "--option", "n_genes=2",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CD79A cell" in (tmp_path / "x_annotations.csv").read_text(encoding="utf-8")
    wrong = run(
        changed, *command, "--engine", "shortest", "--out", "y", "--option", "n_gene=2",
        cwd=tmp_path,
    )  # fmt: skip
    assert wrong.returncode != 0
    assert "Did you mean `n_genes`?" in wrong.stderr


def test_the_code_of_the_recipe_is_in_style(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text(recipe("engines/shortest/__init__.py"), encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "--config", str(ROOT / "pyproject.toml")]
    for command_words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [*command[:3], *command_words, *command[3:], path], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|R|md|toml|tsv))`", PAGE)))
)
def test_the_files_it_names_exist(name):
    places = [ROOT, ROOT / "inst" / "python" / "cellferry", ROOT / "tests" / "testthat", ROOT / "R"]
    wanted = name.replace("NAME/", "local/")
    assert any((place / wanted).exists() for place in places) or list(
        (PACKAGE / "cellferry").rglob(wanted)
    ), name
