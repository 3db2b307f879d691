"""Files that workers leave for others: made again where a crash of the machine left another."""

import pytest

from cellferry.artifacts.ranges.pieces import is_whole, remove_beside, write_piece
from cellferry.errors import OutputError


def test_a_piece_is_known_by_size_and_content(tmp_path):
    path = tmp_path / "x.bin"
    known = write_piece(path, [memoryview(b"abc"), memoryview(b""), memoryview(b"de")])
    assert path.read_bytes() == b"abcde"
    assert is_whole(path, known)
    # What a file system may leave of a file that was not on the disk yet.
    path.write_bytes(b"abc" + bytes(2))
    assert not is_whole(path, known)
    path.write_bytes(b"")
    assert not is_whole(path, known)
    path.unlink()
    assert not is_whole(path, known)


def test_a_piece_that_cannot_be_written_is_said_and_nothing_is_left(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_piece(tmp_path / "none" / "x.bin", [memoryview(b"abc")])

    def failing():
        yield memoryview(b"abc")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_piece(tmp_path / "x.bin", failing())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_removed_beside(tmp_path):
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces" / "x.bin").write_bytes(b"a")
    remove_beside(tmp_path / "pieces").join()
    remove_beside(tmp_path / "none").join()
    assert list(tmp_path.iterdir()) == []
