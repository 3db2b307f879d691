"""What a shell is told when the user presses TAB, asked as shells ask: by the environment."""

import os
import shutil
import subprocess
import sys

import pytest

from cellferry import annotate_clusters
from cellferry.engines import engine_names, engine_options

MARKERS = {"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]}
CODE = 'import sys; sys.argv[0] = "cellferry"; from cellferry.cli import main; main()'
pytestmark = pytest.mark.process


def completed(*words, shell="zsh"):
    """Return what is offered for the last of the words, which is begun."""
    given = {
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_CELLFERRY_COMPLETE": f"{shell}_complete",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **given},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    return lines[1::3] if shell == "zsh" else [line.partition(",")[2] for line in lines]


def test_names_of_engines_are_offered_where_one_is_named():
    every = {*engine_names(), *engine_names("cells")}
    assert set(completed("cellferry", "annotate", "x", "--engine", "")) == every
    assert completed("cellferry", "annotate", "x", "--engine", "lo") == ["local"]
    assert completed("cellferry", "annotate", "x", "--engine", "a=lo") == ["a=local"]
    assert completed("cellferry", "engines", "lo") == ["local"]
    assert completed("cellferry", "embed", "x", "--engine", "c") == ["cellatlas"]


def test_options_of_the_engine_that_was_named_are_offered():
    def of(*words):
        return completed("cellferry", "annotate", "x", *words)

    assert of("--option", "") == [f"{name}=" for name in engine_options("local")]
    assert of("--engine", "llm", "--option", "max_w") == ["max_workers="]
    assert of("--cells", "--option", "smo") == ["smooth="]
    both = of("--engine", "a=local", "--engine", "b=llm", "--option", "b.max_w")
    assert both == ["b.max_workers="]
    embedding = completed("cellferry", "embed", "x", "--engine", "cellatlas", "--option", "emb")
    assert embedding == ["embedding_path="]


def test_options_of_the_engine_of_a_run_are_offered(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path))
    run = annotate_clusters(MARKERS).provenance["run"]
    words = ("cellferry", "runs", "resume", run, "--option", "n_")
    assert completed(*words) == ["n_genes="]
    # One that is not there is no reason to disturb the line.
    words = ("cellferry", "runs", "resume", "none", "--option", "n_")
    assert completed(*words) == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["annotate", "x", "--engine", "lo"], ["local"]),
        # Bash ends words at "=", and replaces the last.
        (["annotate", "x", "--engine", "a", "=", "lo"], ["local"]),
        (
            ["annotate", "x", "--option", "n_genes", "=", "5", "--option", "tissue"],
            ["tissue_only="],
        ),
        (
            [
                "annotate",
                "x",
                "--engine",
                "a",
                "=",
                "local",
                "--engine",
                "b",
                "=",
                "llm",
                "--option",
                "b.max_w",
            ],
            ["b.max_workers="],
        ),
        (["annotate", "x", "--spec"], ["--species"]),
    ],
)
def test_bash_itself_completes_by_the_line_of_the_readme(tmp_path, words, offered):
    command = tmp_path / "cellferry"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{CODE}\' "$@"\n')
    command.chmod(0o755)
    script = """
eval "$(_CELLFERRY_COMPLETE=bash_source cellferry)"
COMP_WORDS=(cellferry "$@") COMPREPLY=()
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_cellferry_completion cellferry
printf '%s\\n' "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == offered
