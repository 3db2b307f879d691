import base64
import csv
import io

from cellferry.annotations.clusters import COLUMNS, Annotation, Annotations
from cellferry.annotations.report.details import conversation_of, csv_base64, rounds_of
from report_page import FOUND, page

EVIDENCE = {
    "0": {
        "rounds": [
            {"round": 1, "answer": "T cell", "by": "checks", "problems": ["X is not in the list."]},
            {"round": 2, "answer": "B cell", "by": "validator", "problems": []},
        ],
        "conversation": [
            {"stage": "annotator", "round": 1, "role": "user", "content": "Which cells?"},
            {"stage": "annotator", "round": 1, "role": "assistant", "content": "<b>T</b>"},
            {"stage": "blind", "round": 1, "role": "assistant", "content": "", "problem": "Empty."},
        ],
    },
    "1": {"rounds": 5, "conversation": "no"},
}
ANSWERED = Annotations(
    (Annotation("0", "ok", label="B cell"), Annotation("1", "ok", label="T cell")), EVIDENCE
)


def test_rounds_and_conversation_are_on_the_card_folded():
    found = page(ANSWERED)
    (details,) = found.all("details", class_="conversation")
    assert "open" not in details["attrs"]
    assert "Conversation, 3 messages" in details["text"]
    assert found.texts("pre") == ["Which cells?", "<b>T</b>", "(empty)"]
    assert found.texts("h4") == [
        "To the annotator, round 1",
        "Reply of the annotator, round 1",
        "Reply of the second reader, round 1, Empty.",
    ]
    assert found.texts("li", "ol") == [
        "T cell: sent back by the automatic checks. X is not in the list.",
        "B cell: passed.",
    ]


def test_evidence_of_other_engines_or_in_no_order_makes_no_trouble():
    assert (
        rounds_of(ANSWERED, "1") == conversation_of(ANSWERED, "1") == rounds_of(ANSWERED, "9") == ()
    )
    assert conversation_of(Annotations((), {"0": [1]}), "0") == ()


def test_the_csv_holds_every_column_and_every_cluster():
    text = base64.b64decode(csv_base64(FOUND)).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == list(COLUMNS)
    assert [r["cluster"] for r in rows] == ["0", "1 a", "2", "3"]
    assert rows[0]["supporting"] == "MS4A1; CD79A"
    assert rows[2]["label"] == ""
