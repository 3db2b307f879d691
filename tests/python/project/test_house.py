"""The rules of the house that a machine can check."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paths import ROOT


def run(*command, **options):
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False, env=environment, **options
    )


@pytest.mark.parametrize(
    "command", [["check", "."], ["format", "--check", "."]], ids=lambda c: c[0]
)
def test_ruff_finds_nothing(command):
    done = run(sys.executable, "-m", "ruff", *command)
    assert done.returncode == 0, done.stdout


def test_mypy_strict_finds_nothing():
    done = run(sys.executable, "-m", "mypy")
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_lintr_finds_nothing():
    done = run("Rscript", "scripts/lint.R")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["cellferry", "cellferry.engines.local", "cellferry.cli"])
def test_importing_is_light_and_changes_nothing(module):
    """No pandas or anndata, no network, no environment, no logging handlers."""
    script = (
        "import json, logging, os, socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "before = dict(os.environ)\n"
        f"import {module}\n"
        "heavy = [m for m in ('pandas', 'anndata', 'scipy', 'scanpy', 'rpy2', 'httpx')"
        " if m in sys.modules]\n"
        "handlers = logging.getLogger('cellferry').handlers + logging.getLogger().handlers\n"
        "print(json.dumps([heavy, dict(os.environ) == before, len(handlers)]))\n"
    )
    done = run(sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], True, 0]


def test_public_names_are_exactly_the_promised_ones():
    import cellferry

    for name in cellferry.__all__:
        assert getattr(cellferry, name) is not None
    assert dir(cellferry) == sorted(cellferry.__all__)
    with pytest.raises(AttributeError, match="no attribute 'anotate'"):
        _ = cellferry.anotate


def test_every_python_module_has_a_test_file_of_its_name():
    package = ROOT / "inst" / "python" / "cellferry"
    missing = []
    for path in package.rglob("*.py"):
        parts = list(path.relative_to(package).with_suffix("").parts)
        if parts[-1].startswith("_"):
            parts.pop()
        # engines/local/score.py is tested by test_score.py
        name = "_".join(parts).removeprefix("engines_")
        if name and not (ROOT / "tests" / "python" / f"test_{name}.py").exists():
            missing.append(name)
    assert missing == []


@pytest.fixture
def open_folder():
    """A folder that other users may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_setup_says_what_is_missing_when_it_may_not_install(open_folder):
    """As another user, with no R on the path: the names of the packages, and no traceback."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root to become another user")
    copy, bare = open_folder / "clone", open_folder / "bin"
    shutil.copytree(ROOT / "scripts", copy / "scripts")
    bare.mkdir()
    for tool in [
        "bash",
        "env",
        "dirname",
        "readlink",
        "mkdir",
        "sort",
        "tr",
        "id",
        "apt-get",
        "cat",
    ]:
        if found := shutil.which(tool):
            (bare / tool).symlink_to(found)
    copy.chmod(0o777)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i",
         f"PATH={bare}", "bash", copy / "scripts" / "setup"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "r-cran-seurat" in done.stderr
    assert "apt-get install --no-install-recommends" in done.stderr
    assert "Cannot go on without" in done.stderr


def test_the_debian_13_lane_says_why_it_can_not_be_made_here():
    """As another user, who may not enter a root: one reason, and one counted skip."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root to become another user")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(ROOT / "scripts", Path(folder) / "clone" / "scripts")
        lane = Path(folder) / "clone" / "scripts" / "lane"
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        command = [*become, "bash", str(lane)]
        checked = subprocess.run([*command, "check"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0
        assert checked.stdout == "a Debian 13 root can only be built and entered by root\n"
        built = subprocess.run([*command, "build"], capture_output=True, text=True, check=False)
        assert built.returncode == 3


def test_the_closing_line_sums_the_lanes(tmp_path):
    here, lane = tmp_path / "here", tmp_path / "seurat5"
    here.mkdir()
    lane.mkdir()
    (here / "versions").write_text("R 4.2.2\nPython 3.11.7\n")
    (here / "pytest.xml").write_text('<testsuites><testsuite tests="5" skipped="1"/></testsuites>')
    rows = ["failed,skipped,error", "0,FALSE,FALSE", "0,TRUE,FALSE", "1,FALSE,FALSE"]
    (here / "testthat.csv").write_text("\n".join(rows))
    for suite in ("pytest", "testthat"):
        (here / f"{suite}.exit").write_text("0")
    (lane / "skipped").write_text("no root\n")

    def closing():
        done = run(sys.executable, "scripts/sum_results.py", str(here), str(lane))
        return done.returncode, done.stdout.splitlines()

    code, lines = closing()
    assert code == 1
    assert lines[-1] == "5 passed, 1 failed, 3 skipped"
    assert "this machine: R 4.2.2, Python 3.11.7" in lines
    assert "Debian 13: left out, no root" in lines
    (lane / "skipped").unlink()
    assert closing()[1][-1] == "5 passed, 3 failed, 2 skipped", "a lane that died is a failure"
