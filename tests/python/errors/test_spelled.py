"""Messages name an argument once, in backquotes, and each interface writes it in its own way."""

import ast
import re

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.bridge.r_code import in_r
from cellferry.cli import group
from cellferry.cli.options import leaves, spelling_of
from cellferry.errors import spelled
from paths import PACKAGE

COMMANDS = dict(leaves(group))


@pytest.mark.parametrize(
    ("text", "r", "command_line"),
    [
        ("Pass `overwrite=True`.", "Pass `overwrite = TRUE`.", "Pass --overwrite."),
        ("Say `allow_upload=True`.", "Say `allow.upload = TRUE`.", "Say --allow-upload."),
        ("Name it: `group_key`.", "Name it: `group.by`.", "Name it: --group-key."),
        ('Use `species="human"`.', 'Use `species = "human"`.', "Use --species human."),
        ('Use `tissue="bone marrow"`.', 'Use `tissue = "bone marrow"`.',
         "Use --tissue 'bone marrow'."),
        ("`n_genes` must be a number.", "`n_genes` must be a number.",
         "`n_genes` must be a number."),
        ("Or `require_artifacts=False`.", "Or `require_artifacts = FALSE`.",
         "Or --option require_artifacts=false."),
        ("Or `query_filename`.", "Or `query_filename`.", "Or `query_filename`."),
        ("Choose another `output_name`.", "Choose another `output_name`.",
         "Choose another --out."),
        ("Leave `data` out.", "Leave `object` out.", "Leave INPUT out."),
        ("Use `annotate_cells()`.", "Use AnnotateCells().", "Use cellferry annotate --cells."),
        # R's own messages cross to the command line.
        ("Another with `group.by`.", "Another with `group.by`.", "Another with --group-key."),
        ("Pass `markers = FindAllMarkers(x, only.pos = TRUE)`.",
         "Pass `markers = FindAllMarkers(x, only.pos = TRUE)`.", "Pass --markers FILE."),
        # What is no argument is left alone.
        ("Add its folder `bin` to the PATH.",) * 3,
        ("It has `x`, `1a` and ``.",) * 3,
    ],
)  # fmt: skip
def test_each_interface_writes_arguments_in_its_own_way(text, r, command_line):
    assert spelled(text, lambda _name, _value: None) == text
    assert spelled(text, in_r) == r
    assert spelled(text, spelling_of(COMMANDS["annotate"])) == command_line


NAMES = st.sampled_from(["overwrite", "group_key", "n_genes", "output_name", "no_such", "data"])
VALUES = st.one_of(st.none(), st.just("True"), st.text("abc é\"'$;", max_size=5).map(repr))


@given(st.sampled_from(sorted(COMMANDS)), NAMES, VALUES)
def test_an_option_that_a_message_names_exists(command, name, value):
    value = value and value.replace("'", '"')
    text = spelling_of(COMMANDS[command])(name, value if value is None else value.strip("`"))
    known = {o for p in COMMANDS[command].params if isinstance(p, click.Option) for o in p.opts}
    if text is not None and text.startswith("-"):
        assert text.split()[0] in known


def messages():
    """Every text of the package that is no docstring, with where it is."""
    for path in sorted((PACKAGE / "cellferry").rglob("*.py")):
        # Users of these are in Python alone, or know the command line alone.
        if path.relative_to(PACKAGE / "cellferry").parts[0] in {"compat", "seurat", "server"}:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # What in_language() is given is in the words of one interface, and only that one reads it.
        of_one = {
            id(part)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "in_language"
            for part in ast.walk(call)
        }
        for node in ast.walk(tree):
            if id(node) in of_one:
                continue
            if isinstance(node, ast.JoinedStr | ast.Constant) and not isinstance(
                getattr(node, "value", ""), bytes
            ):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                text = "".join(str(p.value) if isinstance(p, ast.Constant) else "x" for p in parts)
                # A docstring and code of R have several lines.
                if "\n" not in text:
                    yield f"{path.name}:{node.lineno}", text


PLAIN = re.compile(
    r"\(Python: |\b[a-z][\w.]* ?= ?(?:True|TRUE|False|FALSE)\b"
    r"|\b(?:pass|by|allow) [a-z_]+=|\b(?:group\.by|allow\.upload|study\.context)\b"
)


CODE = re.compile(r"`[^`]*`|\w\([^()]*\)|, pts=True\)")


def test_no_message_names_an_argument_of_one_language_outside_of_backquotes():
    found = {
        where: text
        for where, text in messages()
        if PLAIN.search(re.sub(r"`[^`]*`|\w\([^()]*\)|, pts=True(, use_raw=False)?\)", "", text))
        and "." in text
        and " " in text
    }
    assert found == {}
