"""Uploads: every chunk once, in any order; complete means complete; expiry."""

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellferry.server.failures import Code, Failure
from cellferry.server.settings import Settings
from cellferry.server.store import Store, new_id
from cellferry.server.uploads.uploads import Uploads


@pytest.fixture
def uploads(tmp_path):
    store = Store(tmp_path / "data")
    yield made(store, tmp_path)
    store.close()


def made(store, tmp_path, **options):
    options = {"chunk_bytes": 4, "free_bytes": 0, **options}
    return Uploads(Settings(tmp_path, **options), store)


def send(uploads, upload, position, content, declared=None):
    async def run():
        async def body():
            yield content

        return await uploads.write_chunk(upload, position, declared, body())

    return anyio.run(run)


def refusal(function, *arguments, **named):
    with pytest.raises(Failure) as caught:
        function(*arguments, **named)
    return caught.value.code


@given(st.binary(max_size=40), st.randoms(), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_order_gives_the_file_with_and_without_a_stated_size(uploads, content, random, stated):
    upload = uploads.initiate("vars_h5", len(content) if stated else None)
    order = list(range(-(-len(content) // 4)))
    random.shuffle(order)
    for i in [*order, *order[:1]]:
        send(uploads, upload, i, content[4 * i : 4 * i + 4])
    assert uploads.check_complete(upload) == len(content)
    done = uploads.complete(upload, len(content))
    assert (done.state, done.size) == ("complete", len(content))
    assert uploads._store.upload_path(upload.id).read_bytes() == content


def test_a_chunk_with_other_content_is_refused_and_the_first_stays(uploads):
    upload = uploads.initiate("vars_h5", 8)
    send(uploads, upload, 0, b"abcd")
    assert refusal(send, uploads, upload, 0, b"wxyz") is Code.CHUNK_CONFLICT
    send(uploads, upload, 1, b"efgh")
    assert uploads._store.upload_path(upload.id).read_bytes() == b"abcdefgh"


@pytest.mark.parametrize(
    ("position", "content", "expected"),
    [
        (2, b"abcd", Code.VALIDATION_ERROR),
        (0, b"abc", Code.VALIDATION_ERROR),
        (0, b"", Code.VALIDATION_ERROR),
        (0, b"abcde", Code.PAYLOAD_TOO_LARGE),
        (1, b"ab", Code.PAYLOAD_TOO_LARGE),
    ],
)
def test_wrong_positions_and_sizes_leave_nothing(uploads, position, content, expected):
    upload = uploads.initiate("vars_h5", 5)
    assert refusal(send, uploads, upload, position, content) is expected
    assert uploads.received(upload) == {}


def test_a_truncated_chunk_can_be_sent_again(uploads):
    upload = uploads.initiate("vars_h5", 4)
    assert refusal(send, uploads, upload, 0, b"ab", declared=4) is Code.VALIDATION_ERROR
    send(uploads, upload, 0, b"abcd")
    assert uploads.check_complete(upload) == 4


def test_incomplete_is_said_with_what_is_missing(uploads):
    upload = uploads.initiate("vars_h5", 12)
    send(uploads, upload, 1, b"abcd")
    with pytest.raises(Failure, match="2 of 3 chunks are missing, first 0"):
        uploads.check_complete(upload)
    unknown = uploads.initiate("vars_h5", None)
    send(uploads, unknown, 0, b"ab")
    send(uploads, unknown, 1, b"ab")
    with pytest.raises(Failure, match="not the last"):
        uploads.check_complete(unknown)


def test_limits(uploads, tmp_path, monkeypatch):
    assert refusal(uploads.initiate, "other", 1) is Code.NOT_FOUND
    assert refusal(uploads.initiate, "obs_duckdb", 3 * 1024**3) is Code.PAYLOAD_TOO_LARGE
    monkeypatch.setattr(uploads._store, "free_bytes", 2**60)
    assert refusal(uploads.initiate, "vars_h5", 1) is Code.INSUFFICIENT_STORAGE
    monkeypatch.undo()
    few = made(uploads._store, tmp_path, open_uploads=1)
    few.initiate("vars_h5", 1)
    assert refusal(few.initiate, "vars_h5", 1) is Code.SERVER_BUSY


def test_space_is_promised_once(uploads, tmp_path, monkeypatch):
    """Uploads that have begun count with what they will still bring."""
    checked = []
    monkeypatch.setattr(uploads._store, "check_space", checked.append)
    first = uploads.initiate("vars_h5", 8)
    send(uploads, first, 0, b"abcd")
    uploads.initiate("vars_h5", 100)
    assert [n for n in checked if n] == [8, 104]


def test_an_expired_upload_is_gone_and_one_of_a_job_is_kept(uploads, tmp_path):
    short = made(uploads._store, tmp_path, upload_hours=0)
    kept, old = uploads.initiate("vars_h5", 1), short.initiate("vars_h5", 1)
    with uploads._store.transaction() as sql:
        sql.execute(
            "INSERT INTO jobs (id, state, visibility, needs_keys, request_hash, created) "
            "VALUES ('j', 'pending', 'private', 0, '', 0)"
        )
        sql.execute("INSERT INTO job_uploads VALUES ('j', 'vars_h5', ?)", (kept.id,))
        sql.execute("UPDATE uploads SET expires = 0 WHERE id = ?", (kept.id,))
    assert refusal(uploads.find, old.id) is Code.UPLOAD_EXPIRED
    left = uploads._store.upload_path(new_id())
    stray = uploads._store.upload_path("stray")
    left.touch()
    stray.touch()
    uploads.expire()
    assert refusal(uploads.find, old.id) is Code.UPLOAD_NOT_FOUND
    assert uploads.find(kept.id).id == kept.id
    assert not left.exists()
    assert stray.exists()  # a name that is not ours


def test_what_is_refused_leaves_nothing(uploads):
    upload = uploads.initiate("vars_h5", 4)
    send(uploads, upload, 0, b"abcd")
    uploads.refuse(upload)
    assert not uploads._store.upload_path(upload.id).exists()
    assert refusal(uploads.find, upload.id) is Code.UPLOAD_NOT_FOUND


def test_a_complete_upload_takes_the_same_chunk_and_no_other(uploads):
    upload = uploads.initiate("vars_h5", 4)
    send(uploads, upload, 0, b"abcd")
    done = uploads.complete(upload, 4)
    assert send(uploads, done, 0, b"abcd") == 4
    assert refusal(send, uploads, done, 0, b"wxyz") is Code.CHUNK_CONFLICT
    assert uploads._store.upload_path(upload.id).read_bytes() == b"abcd"


@pytest.mark.parametrize("identifier", ["..", "../../etc/passwd", "", "x" * 500, "\x00"])
def test_ids_that_are_paths_are_no_ids(uploads, identifier):
    assert refusal(uploads.find, identifier) is Code.UPLOAD_NOT_FOUND
