"""What a contributor runs: setting up, the second lane, the closing line of the tests."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paths import ROOT


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
        done = subprocess.run(
            [sys.executable, "scripts/sum_results.py", str(here), str(lane)],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        return done.returncode, done.stdout.splitlines()

    code, lines = closing()
    assert code == 1
    assert lines[-1] == "5 passed, 1 failed, 3 skipped"
    assert "this machine: R 4.2.2, Python 3.11.7" in lines
    assert "Debian 13: left out, no root" in lines
    (lane / "skipped").unlink()
    assert closing()[1][-1] == "5 passed, 3 failed, 2 skipped", "a lane that died is a failure"
