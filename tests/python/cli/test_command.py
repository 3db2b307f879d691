import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cellferry.cli import group

B = "CD79A,MS4A1,CD79B,CD19,BANK1"


def cellferry(*arguments, cwd, **env):
    """Run the real command, as a user does."""
    clean = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    return subprocess.run(
        [sys.executable, "-c", "from cellferry.cli import main; main()", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, check=False, env={**clean, **env},
    )  # fmt: skip


@pytest.fixture
def lists(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(f'cluster,marker_genes\n0,"{B}"\n', encoding="utf-8")
    return path


@pytest.mark.slow
def test_exit_codes_are_the_documented_ones(tmp_path, lists):
    assert cellferry("annotate", lists, cwd=tmp_path).returncode == 0
    assert cellferry("annotate", tmp_path / "absent.csv", cwd=tmp_path).returncode == 1
    assert cellferry("annotate", lists, "--no-such", cwd=tmp_path).returncode == 2
    assert cellferry("annotate", lists, "--option", "n_gene=3", cwd=tmp_path).returncode == 2


def test_errors_are_sentences_on_standard_error_and_no_traceback(tmp_path):
    done = cellferry("annotate", "absent.csv", cwd=tmp_path)
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert "absent.csv" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_a_table_is_annotated_without_what_only_objects_need(tmp_path, lists):
    """Each of these takes longer to import than the table to annotate."""
    code = (
        "import sys\n"
        "from cellferry.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as left:\n    assert not left.code\n"
        "heavy = ('pandas', 'anndata', 'scipy', 'h5py', 'duckdb', 'rich', 'httpx', 'asyncio')\n"
        "print('imported:', [name for name in heavy if name in sys.modules])\n"
    )
    table = tmp_path / "table.csv"
    rows = [f"0,{gene},1e-{9 - i},{3 - i / 9},0.9,0.1" for i, gene in enumerate(B.split(","))]
    table.write_text("\n".join(["cluster,gene,p_val_adj,avg_log2FC,pct.1,pct.2", *rows]), "utf-8")
    clean = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    for file in (lists, table):
        done = subprocess.run(
            [sys.executable, "-c", code, "annotate", str(file), "--out", "x"],
            capture_output=True, text=True, cwd=tmp_path, check=True, env=clean,
        )  # fmt: skip
        assert "imported: []" in done.stdout


def commands(command=group, path=()):
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))
    else:
        yield path


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help_with_an_example(path):
    done = CliRunner().invoke(group, [*path, "--help"])
    assert done.exit_code == 0
    assert "Example" in done.output
    assert f"cellferry {' '.join(path)}" in done.output


def test_the_version_is_printed(tmp_path):
    from cellferry import __version__

    assert cellferry("--version", cwd=tmp_path).stdout.strip().endswith(__version__)


def test_tissues_and_cell_types_are_listed_as_text():
    tissues = CliRunner().invoke(group, ["tissues"]).output.splitlines()
    assert tissues[0].split("\t")[:2] == ["tissue", "other_names"]
    assert any(line.startswith("blood\tpbmc") for line in tissues)
    types = CliRunner().invoke(group, ["cell-types", "--tissue", "lung", "--species", "mm10"])
    assert "Alveolar macrophage\t" in types.output
    assert "Hepatocyte\t" not in types.output
