import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.llm.replies import Answer, UnreadableReplyError, read_answer
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
     (TEXT.replace("0.9", "95"), "confidence: input should be less"),
     (TEXT + json.dumps({**RIGHT, "main_type": "T cell"}), "more than one")],
)  # fmt: skip
def test_what_is_no_answer_says_why(text, reason):
    with pytest.raises(UnreadableReplyError, match=reason):
        read_answer([text], Answer)
