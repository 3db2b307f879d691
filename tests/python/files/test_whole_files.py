import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry import files
from cellferry.files import file_hash, publish, replacing, write_json, write_whole

ENDLESS = """
import sys, pathlib
from cellferry.files import write_whole
path = pathlib.Path(sys.argv[1])
print("ready", flush=True)
while True:
    for letter in "ab":
        write_whole(path, letter * 300_000)
"""

HALF = """
import sys, pathlib, time
from cellferry.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as partial:
    partial.write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def child(script, path):
    process = subprocess.Popen(
        [sys.executable, "-c", script, path],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def bits(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "run.json"
    write_whole(path, "first")
    write_whole(path, "zweite \u00fc")
    assert path.read_text(encoding="utf-8") == "zweite \u00fc"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    write_whole(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800")
    assert path.read_text(encoding="utf-8") == "first"
    assert list(tmp_path.iterdir()) == [path]


@settings(deadline=None, max_examples=30)
@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.binary()))
def test_what_is_written_is_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("whole") / "x"
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_json_keeps_its_text_readable(tmp_path):
    write_json(tmp_path / "x.json", {"label": "Zelle \u00fc", "n": [1, None]})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "\u00fc" in text
    assert json.loads(text) == {"label": "Zelle \u00fc", "n": [1, None]}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_in_mid_write_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "x.csv"
    write_whole(path, "old")

    def write():
        with replacing(path) as partial:
            assert (partial.parent, partial.suffix) == (path.parent, ".csv")
            partial.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "absent" / "x", "1")


@pytest.mark.parametrize("name", ["x" * 255, "\u00fc" * 125 + ".json", ".hidden", "a[b]*.csv"])
def test_any_name_of_a_file_will_do(tmp_path, name):
    for content in "ab":
        write_whole(tmp_path / name, content)
    assert (tmp_path / name).read_text() == "b"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
def test_a_replaced_file_keeps_its_permission_bits(tmp_path):
    usual, private, closed = (tmp_path / name for name in ("usual", "private", "closed"))
    usual.touch()
    write_whole(tmp_path / "new", "1")
    assert bits(tmp_path / "new") == bits(usual)
    for path, mode in ((private, 0o640), (closed, 0o444)):
        write_whole(path, "1")
        path.chmod(mode)
        write_whole(path, "2")
        assert (path.read_text(), bits(path)) == ("2", mode)


@pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
def test_a_private_file_is_private_from_its_first_byte(tmp_path):
    path = tmp_path / "key"
    path.write_text("seen by all")
    with replacing(path, mode=files.PRIVATE) as partial:
        assert bits(partial) == 0o600
        partial.write_text("secret")
    assert bits(path) == 0o600


def test_file_and_folder_are_on_the_disk_before_the_end(tmp_path, monkeypatch):
    synced, real = [], os.fsync

    def fsync(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "x", "1")
    assert synced == [(tmp_path / "x").stat().st_ino, tmp_path.stat().st_ino]


def test_a_finished_file_is_published(tmp_path):
    (tmp_path / "made").write_bytes(b"all")
    publish(tmp_path / "made", tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == b"all"
    assert [p.name for p in tmp_path.iterdir()] == ["out.bin"]


def test_a_reader_never_sees_half_a_file_of_two_writers(tmp_path):
    path = tmp_path / "run.json"
    texts = [letter * 200_000 for letter in "ab"]
    write_whole(path, texts[0])
    stop = threading.Event()
    failed = []

    def write(given, text):
        try:
            while not stop.is_set():
                write_whole(given, text)
        except BaseException as error:
            failed.append(error)

    # The same file by two names: neither takes the other's for one that was left behind.
    paths = (path, Path(os.path.relpath(path)))
    writers = [threading.Thread(target=write, args=both) for both in zip(paths, texts, strict=True)]
    for writer in writers:
        writer.start()
    try:
        assert {path.read_text(encoding="utf-8") for _ in range(200)} <= set(texts)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert failed == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.process
def test_two_processes_may_write_one_file(tmp_path):
    path = tmp_path / "x.json"
    write_whole(path, "a" * 300_000)
    processes = [child(ENDLESS, path) for _ in range(2)]
    try:
        for _ in range(200):
            text = path.read_text()
            assert text in {letter * 300_000 for letter in "ab"}
        assert [process.poll() for process in processes] == [None, None]
    finally:
        for process in processes:
            kill(process)


@pytest.mark.process
def test_a_process_that_is_killed_leaves_a_whole_file_and_its_remains_go_with_the_next(tmp_path):
    path = tmp_path / "x.json"
    for _ in range(5):
        process = child(ENDLESS, path)
        while not path.exists():
            assert process.poll() is None
        kill(process)
        assert path.read_text() in {letter * 300_000 for letter in "ab"}
    kill(child(HALF, path))
    assert len(list(tmp_path.iterdir())) > 1
    write_whole(tmp_path / "x.csv", "other")
    assert list(tmp_path.glob(".x.*.partial.json")), (
        "the remains of another file are not looked for"
    )
    write_whole(path, "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.csv", "x.json"]
    assert path.read_text() == "new"


@pytest.mark.process
def test_what_a_living_process_writes_is_left_alone(tmp_path):
    path = tmp_path / "x.json"
    process = child(HALF, path)
    try:
        write_whole(path, "new")
        (partial,) = tmp_path.glob(".x.*")
        assert partial.read_text() == "half"
    finally:
        kill(process)


def test_remains_of_another_machine_go_after_a_day_and_other_files_never(tmp_path):
    left, fresh = (tmp_path / f".x.abcdef-1-{i}.partial.json" for i in range(2))
    others = [tmp_path / name for name in (".x.mine.partial.json", ".x.partial.json", "x.partial")]
    for path in (left, fresh, *others):
        path.touch()
        os.utime(path, (1, 1))
    os.utime(fresh)
    write_whole(tmp_path / "x.json", "1")
    assert set(tmp_path.iterdir()) == {fresh, *others, tmp_path / "x.json"}


def test_in_a_container_every_process_may_have_the_same_number(tmp_path):
    left = tmp_path / f".x.{files._HOST}-{os.getpid()}-123456789.partial.json"
    left.touch()
    write_whole(tmp_path / "x.json", "1")
    assert not left.exists()


def test_the_hash_is_that_of_the_content(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_hash(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
