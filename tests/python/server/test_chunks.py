"""Writing a chunk: in its place, the later of two requests wins."""

import hashlib

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.server.failures import Code, Failure
from cellferry.server.uploads.chunks import (
    BUFFER_BYTES,
    Writers,
    buffered,
    opened,
    write,
    wrong_size,
)


def collect(pieces):
    async def run():
        async def source():
            for piece in pieces:
                yield piece

        return [piece async for piece in buffered(source())]

    return anyio.run(run)


@given(st.lists(st.binary(max_size=50)))
def test_buffering_keeps_the_bytes(pieces):
    found = collect(pieces)
    assert b"".join(found) == b"".join(pieces)
    assert all(found)


def test_buffering_joins_small_pieces():
    found = collect([b"x" * 1000] * 3000)
    assert [len(p) >= BUFFER_BYTES for p in found] == [True, True, False]


def test_a_write_is_in_its_place_and_in_the_hash(tmp_path):
    digest = hashlib.sha256()
    with opened(tmp_path / "f", write=True) as file:
        write(file, b"cd", 2, digest)
        write(file, b"ab", 0, digest)
    assert (tmp_path / "f").read_bytes() == b"abcd"
    assert digest.hexdigest() == hashlib.sha256(b"cdab").hexdigest()


def test_without_writing_the_file_stays_as_it_is(tmp_path):
    (tmp_path / "f").write_bytes(b"kept")
    with opened(tmp_path / "f", write=False) as file:
        write(file, b"other", 0, hashlib.sha256())
    assert (tmp_path / "f").read_bytes() == b"kept"


def test_the_latest_writer_goes_on():
    async def run():
        writers = Writers()
        first, second = writers.enter(), writers.enter()
        writers.check(second)
        with pytest.raises(Failure):
            writers.check(first)
        assert not writers.leave()
        assert writers.leave()

    anyio.run(run)


def test_too_long_and_too_short_are_told_apart():
    assert wrong_size(0, 9, 5, 5).code is Code.PAYLOAD_TOO_LARGE
    assert wrong_size(0, 3, 5, 5).code is Code.VALIDATION_ERROR
    assert "1 to 5" in wrong_size(0, 0, None, 5).message
