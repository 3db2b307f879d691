import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.llm.replies import Answer, UnreadableReplyError, read_answer
from cellferry.engines.llm.replies.lenient import read_object, read_value
from cellferry.engines.llm.replies.reasoning import answer_part
from llm_cases import answer

RIGHT = answer().model_dump()
TEXT = json.dumps(RIGHT)


@pytest.mark.parametrize(
    "text",
    [TEXT, f"```json\n{TEXT}\n```", f"```JSON\r\n{TEXT}```", f"Sure {{x}}!\n{TEXT}\nDone.",
     json.dumps(RIGHT, indent=2), f"[{TEXT}]", f"{TEXT}\n{TEXT}"],
)  # fmt: skip
def test_an_answer_is_found_in_any_wrapping(text):
    assert read_answer([text], Answer).main_type == "B cell"


@given(st.text(), st.text())
def test_words_around_an_answer_never_change_it(before, after):
    try:
        found = read_answer([f"{before}\n{TEXT}\n{after}"], Answer)
    except UnreadableReplyError:
        # An opening brace before it can make of all an object that does not fit.
        assert any(c in before + after for c in '{["')
    else:
        assert found == answer()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("  ", "empty"), ("B cells, surely.", "no JSON"), (TEXT[:80], "no JSON"),
     ("[1, 2]", "no JSON"), ('{"main_type": "B cell"}', "cluster_token: field required"),
     (TEXT.replace('"B cell", "subtypes"', '"", "subtypes"'), "main_type: string should have"),
     (f"<think>{TEXT}", "within its reasoning"), ('{"a": ' + TEXT + ', "b', "no JSON"),
     (TEXT[:-1], "no JSON"), (TEXT.replace("B cell", "B 'cell")[:-2], "no JSON"),
     (TEXT + json.dumps({**RIGHT, "main_type": "T cell"}), "more than one")],
)  # fmt: skip
def test_what_is_no_answer_says_why(text, reason):
    with pytest.raises(UnreadableReplyError, match=reason):
        read_answer([text], Answer)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(WORDS, VALUES, max_size=4), st.booleans())
def test_what_is_json_is_read_as_json(content, indented):
    text = json.dumps(content, indent=2 if indented else None)
    assert read_object(text, 0) == (content, len(text))
    assert read_value(text) == content


@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=3), st.data())
def test_what_is_cut_off_is_never_completed(content, data):
    text = json.dumps(content)
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    with pytest.raises(ValueError, match=r"."):
        read_object(cut, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("{'a': True, 'b': None, 'c': [1, 2,],}", {"a": True, "b": None, "c": [1, 2]}),
     ('{"a\\_b": "x\\_y \\d"}', {"a_b": "x_y d"}), ('{a: high, b: 90%}', {"a": "high", "b": "90%"}),
     ('{"a": "so-called "naive" cells", "b": 1}', {"a": 'so-called "naive" cells', "b": 1}),
     ("{'a': 'it's a B cell'}", {"a": "it's a B cell"}),
     ('{"a": 1, // why\n"b": 2}', {"a": 1, "b": 2}),
     ('{"a": "x"\n "b": "y"}', {"a": "x", "b": "y"}), ('{"a": "1\n2"}', {"a": "1\n2"}),
     ("{\u201ca\u201d: \u201cb\u201d}", {"a": "b"}), ('{"a": NaN}', {"a": None})],
)  # fmt: skip
def test_json_as_models_write_it(text, value):
    assert read_object(text, 0)[0] == value


def test_the_answer_stands_behind_the_last_reasoning():
    assert answer_part("<think>a</think>b<THINK>c</THINK>d") == "d"
    assert answer_part("a<|channel|>analysis<|message|>b<|channel|>final<|message|>c") == "c"
    assert answer_part("[THINK]a[/THINK]b [THINK] c") is None
