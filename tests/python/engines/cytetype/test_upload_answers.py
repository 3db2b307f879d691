import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.cytetype.uploads import pieces_of, safe_id, signed_urls
from cellferry.errors import OutputError, ServiceAnswerError


@given(data=st.binary(max_size=3000), cuts=st.tuples(st.integers(0, 3000), st.integers(0, 3000)))
def test_pieces_are_exactly_the_part_and_can_be_made_again(data, cuts, tmp_path_factory):
    start, stop = sorted(min(c, len(data)) for c in cuts)
    path = tmp_path_factory.mktemp("pieces") / "x"
    path.write_bytes(data)
    part = pieces_of(path, start, stop - start, lambda: None)
    assert b"".join(part()) == b"".join(part()) == data[start:stop]


def test_a_file_that_became_shorter_is_an_error(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    with pytest.raises(OutputError, match="shorter"):
        list(pieces_of(tmp_path / "x", 0, 9, lambda: None)())


@given(st.text(max_size=20))
def test_an_id_that_passes_cannot_leave_its_place_in_a_path(identifier):
    try:
        passed = safe_id(identifier, "example.org")
    except ServiceAnswerError:
        return
    assert passed == identifier
    assert passed
    assert not set(passed) & set("/?#%\\ \n")
    assert passed.strip(".")


@pytest.mark.parametrize(
    ("url", "valid"),
    [("https://s3.example.org/1?X=1", True), ("http://127.0.0.1:9/1", True),
     ("http://example.org/1", False), ("https://", False), ("ftp://127.0.0.1/1", False),
     (None, False), (7, False)],
)  # fmt: skip
def test_signed_addresses_are_https_or_of_this_machine(url, valid):
    if valid:
        assert signed_urls([url, "more"], 1, "h") == (url,)
    else:
        with pytest.raises(ServiceAnswerError):
            signed_urls([url], 1, "h")
