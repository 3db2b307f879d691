import errno
import signal
import threading
import time

import pytest

from cellferry.files import locked
from other_process import other_process

HOLDER = """
import sys, pathlib
from cellferry.files import locked
lock = locked(pathlib.Path(sys.argv[1]))
"""


@pytest.fixture
def holder(tmp_path):
    with other_process(HOLDER, tmp_path / "lock") as process:
        yield process


def test_one_has_it_until_it_is_released(tmp_path):
    lock = locked(tmp_path / "lock")
    assert lock is not None
    assert locked(tmp_path / "lock") is None
    begin = time.monotonic()
    assert locked(tmp_path / "lock", seconds=0.2) is None
    assert 0.1 < time.monotonic() - begin < 5
    lock.release()
    other = locked(tmp_path / "lock")
    assert other is not None
    other.release()


@pytest.mark.process
def test_a_killed_process_has_it_no_more(tmp_path, holder):
    assert locked(tmp_path / "lock") is None
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = locked(tmp_path / "lock")
    assert lock is not None
    lock.release()


def test_it_is_waited_for(tmp_path):
    lock = locked(tmp_path / "lock")
    threading.Timer(0.2, lock.release).start()
    other = locked(tmp_path / "lock", seconds=20)
    assert other is not None
    other.release()


def test_another_thread_may_release_it(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(locked(tmp_path / "lock")))
    thread.start()
    thread.join()
    assert locked(tmp_path / "lock") is None
    found[0].release()
    assert not found[0].is_locked


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as error:
        locked(tmp_path / "file" / "lock")
    assert error.value.errno in {errno.ENOTDIR, errno.EEXIST}
