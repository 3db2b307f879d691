import hashlib
import threading

import pytest

from cellferry.files import file_hash, write_whole


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


def test_a_reader_never_sees_half_a_file_of_two_writers(tmp_path):
    path = tmp_path / "run.json"
    texts = [letter * 200_000 for letter in "ab"]
    write_whole(path, texts[0])
    stop = threading.Event()

    def write(text):
        while not stop.is_set():
            write_whole(path, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    try:
        assert {path.read_text(encoding="utf-8") for _ in range(200)} <= set(texts)
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def test_the_hash_is_that_of_the_content(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_hash(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
