import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r_session import needs_rpy2, r, r_true

pytestmark = needs_rpy2

# R has no text with a zero byte, and its UTF-8 no surrogates.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | words, max_size=120))
def test_text_crosses_exactly_both_ways(given_texts):
    from cellferry.seurat.vectors import text_vector, texts

    made = text_vector(given_texts)
    assert len(made) == len(given_texts)
    assert texts(made) == given_texts


@pytest.mark.parametrize("n", [3, 200])
def test_text_is_the_same_in_r(n):
    from cellferry.seurat.vectors import text_vector

    made = text_vector(["", None, "\u00e9\u4e2d"] * n)
    assert r_true(f'identical(x, rep(c("", NA, "\\u00e9\\u4e2d"), {n}))', x=made)


def test_text_of_another_encoding_becomes_the_same_characters():
    from cellferry.seurat.vectors import texts

    assert texts(r('{ x <- "\\xe9"; Encoding(x) <- "latin1"; x }')) == ["\u00e9"]


def test_the_separator_itself_may_be_in_the_text():
    from cellferry.seurat.vectors import text_vector, texts

    given_texts = ["a\x1fb"] + ["c"] * 99
    assert texts(text_vector(given_texts)) == given_texts


def test_lists_keep_their_names_and_null():
    from cellferry.seurat.vectors import integers, named_list, parts, text, text_vector

    made = named_list({"a": integers([1]), "b": None, "c": text_vector([None])})
    assert r_true("identical(x, list(a = 1L, b = NULL, c = NA_character_))", x=made)
    found = parts(made)
    assert list(found) == ["a", "b", "c"]
    assert (text(found["b"]), text(found["c"])) == (None, None)
    assert parts(r("NULL")) == {}


def test_slots_and_classes_of_an_object():
    from cellferry.seurat.vectors import classes, slot

    sparse = r('{ library(Matrix); new("dgCMatrix", Dim = c(2L, 3L), p = c(0L, 0L, 0L, 0L)) }')
    assert list(slot(sparse, "Dim")) == [2, 3]
    assert classes(sparse) == ["dgCMatrix"]
    assert slot(sparse, "nothing").__class__.__name__ == "NULLType"
