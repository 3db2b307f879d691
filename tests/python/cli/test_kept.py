"""What a kill or a full disk in the last moments leaves, and how the same command ends it."""

import os
import signal
import subprocess
import sys
import textwrap

import h5py
import pytest
from click.testing import CliRunner

from cell_data import cells
from cellferry import errors
from cellferry.cli import group
from cellferry.runs.run import Run
from run_attacks import LIMIT

FILES = ("out_annotations.csv", "out_annotations.json", "out_report.html")
KILLED = """
    import os, signal, sys
    from cellferry import files
    publish, left = files.publish, [int(sys.argv[1])]

    def and_die(file, target, **more):
        publish(file, target, **more)
        left[0] -= target.name.startswith("out")
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    files.publish = and_die
    from cellferry.cli import group
    group(["annotate", *sys.argv[2:]], standalone_mode=False)
"""


def child(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.csv").write_text('cluster,marker_genes\n0,"CD79A,MS4A1,CD79B,CD19"\n')
    return tmp_path


@pytest.mark.process
@pytest.mark.parametrize(("files", "how"), [(1, "again"), (3, "resume")])
def test_a_kill_right_after_a_rename_is_ended_by_the_same_command(work, files, how):
    done = child(KILLED, files, "m.csv", "--out", "out")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [(work / name).exists() for name in FILES] == [i < files for i in range(3)]
    again = ["annotate", "m.csv", "--out", "out"] if how == "again" else ["runs", "resume"]
    if how == "resume":
        again.append(Run.open(work / "out_run").id)
    assert CliRunner().invoke(group, again, catch_exceptions=False).exit_code == 0
    assert all((work / name).exists() for name in FILES)
    assert not list(work.rglob(".*partial*"))


def test_what_others_wrote_or_edited_is_still_not_replaced(work):
    run = ["annotate", "m.csv", "--out", "out"]
    CliRunner().invoke(group, run, catch_exceptions=False)
    (work / "out_annotations.csv").write_text("corrected by hand")
    with pytest.raises(errors.OutputError, match="was changed"):
        CliRunner().invoke(group, run, catch_exceptions=False)
    assert (work / "out_annotations.csv").read_text() == "corrected by hand"


def test_a_run_that_was_moved_with_its_files_may_replace_them(work):
    (work / "a").mkdir()
    CliRunner().invoke(group, ["annotate", "m.csv", "--out", "a/out"], catch_exceptions=False)
    (work / "a").rename("b")
    again = CliRunner().invoke(group, ["annotate", "m.csv", "--out", "b/out"])
    assert again.exit_code == 0, again.output


def test_a_folder_of_others_is_not_made_a_run(work):
    (work / "out_run").mkdir()
    (work / "out_run" / "run.json").write_text('{"name": "theirs"}')
    with pytest.raises(errors.OutputError, match="no record of a run"):
        CliRunner().invoke(group, ["annotate", "m.csv", "--out", "out"], catch_exceptions=False)
    assert [p.name for p in (work / "out_run").iterdir()] == ["run.json"]


@pytest.mark.process
def test_an_object_that_has_no_room_is_an_error_and_no_crash(tmp_path):
    code = """
    import sys
    from pathlib import Path
    from cell_data import cells
    from cellferry.annotate.files import AnnDataObject as H5ad
    try:
        H5ad(cells(900), None, "k").save(Path(sys.argv[1]))
    except OSError as error:
        print("refused:", error.strerror)
    """
    done = child(LIMIT.format(40_000) + textwrap.dedent(code), tmp_path / "x.h5ad")
    assert (done.returncode, done.stdout) == (0, "refused: File too large\n"), done.stderr


def test_an_object_is_written_as_anndata_writes_it(tmp_path):
    from cellferry.annotate.files import AnnDataObject as H5ad

    ours, theirs = cells(40), cells(40)
    ours.raw, theirs.raw = ours.copy(), theirs.copy()
    H5ad(ours, None, "k").save(tmp_path / "ours.h5ad")
    theirs.write_h5ad(tmp_path / "theirs.h5ad")
    first, second = (_content(tmp_path / f"{name}.h5ad") for name in ("ours", "theirs"))
    assert first == second
    assert "raw/X/data" in first


def _content(path):
    """Every part of an HDF5 file with its attributes, and the bytes of its values."""
    found = {}

    def note(name, part):
        values = part[()].tolist() if isinstance(part, h5py.Dataset) else None
        found[name] = ({k: str(v) for k, v in part.attrs.items()}, values)

    with h5py.File(path) as file:
        note("/", file)
        file.visititems(note)
    return found


def test_room_is_asked_for_before_the_object_is_written(tmp_path, monkeypatch):
    import shutil

    from cellferry.files import check_room

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 100_000))
    check_room(tmp_path / "x", 10_000)
    with pytest.raises(OSError, match="0 MB are free"):
        check_room(tmp_path / "x", 90_000)
