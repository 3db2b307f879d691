"""`cellferry serve` on the command line."""

import pytest
from click.testing import CliRunner

from cellferry.cli import group
from cellferry.cli.serve import size_in_bytes
from cellferry.errors import DataInUseError, InvalidOptionError
from server_process import ServerProcess


def run(*arguments):
    return CliRunner().invoke(group, ["serve", *arguments])


def test_the_help_has_examples_and_names_the_token():
    text = run("--help").output
    assert "cellferry serve --data ./jobs" in text
    assert "CELLFERRY_SERVE_TOKEN" in text


def test_other_addresses_need_a_token(tmp_path):
    found = run("--data", str(tmp_path / "d"), "--host", "0.0.0.0")
    assert isinstance(found.exception, InvalidOptionError)
    assert not (tmp_path / "d").exists()


@pytest.mark.slow
def test_two_servers_on_one_folder_are_refused(tmp_path):
    with ServerProcess(tmp_path / "data"):
        found = run("--data", str(tmp_path / "data"), "--port", "0")
    assert isinstance(found.exception, DataInUseError)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", 5), ("1K", 1024), ("1.5 MiB", 1_572_864), ("2g", 2 * 1024**3), ("1T", 1024**4)],
)
def test_sizes(text, expected):
    assert size_in_bytes(text, "--x") == expected


@pytest.mark.parametrize("text", ["", "-1", "1X", "x", "1e3"])
def test_sizes_that_are_none(text):
    with pytest.raises(InvalidOptionError, match="--x"):
        size_in_bytes(text, "--x")
