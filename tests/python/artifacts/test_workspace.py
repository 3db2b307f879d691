import signal

import pytest

from cellferry.artifacts.targets import PREFIX, Workspace, remove_leftovers
from cellferry.files import publish
from other_process import other_process

HOLDER = """
import sys, pathlib
from cellferry.artifacts.targets import Workspace
space = Workspace(pathlib.Path(sys.argv[1]))
(space.folder / "half").write_text("half")
"""


def hidden(folder):
    return [p for p in folder.iterdir() if p.name.startswith(".cellferry")]


def test_a_finished_file_gets_its_name_and_nothing_else_is_left(tmp_path):
    target = tmp_path / "out.bin"
    with Workspace(target) as space:
        (space.folder / "file").write_bytes(b"all")
        assert not target.exists()
        publish(space.folder / "file", target)
    assert target.read_bytes() == b"all"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_nothing(tmp_path):
    def build():
        with Workspace(tmp_path / "out") as space:
            (space.folder / "file").write_bytes(b"half")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        build()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        Workspace(tmp_path / "absent" / "out")


@pytest.fixture
def holder(tmp_path):
    with other_process(HOLDER, tmp_path / "out") as process:
        yield process


def test_the_folder_of_a_living_process_is_left_alone_and_of_a_killed_one_removed(tmp_path, holder):
    assert remove_leftovers(tmp_path) == []
    (folder,) = hidden(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with Workspace(tmp_path / "out") as space:
        assert hidden(tmp_path) == [space.folder]
    assert not folder.exists()


def test_a_folder_without_a_lock_is_not_touched(tmp_path):
    (tmp_path / f"{PREFIX}other").mkdir()
    assert remove_leftovers(tmp_path) == []
    assert hidden(tmp_path)
