"""What users of other tools report of servers: a usable answer is used, a draft never is."""

import pytest

from cellferry import errors, resume
from cellferry.annotate.verb import annotate
from cellferry.engines.llm import client
from cellferry.runs.run import Run
from cellferry.study.build import study_from_markers
from llm_cases import LABELS, LISTS, TWO, ask, engine, many
from llm_replies import USED

SIX = {**LISTS, "5": ["COL1A1", "DCN", "LUM"]}
SIX_LABELS = {**LABELS, "5": "Fibroblast"}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(client.Client, "base_wait", 0.01)


def every(server, fault, **options):
    """Ask about six clusters a server whose every reply is like this."""
    server.script = {("*", "*"): [fault, "..."]}
    return ask(server, SIX, max_workers=2, **options)


@pytest.mark.parametrize("form", USED)
def test_a_usable_answer_is_used_and_nothing_is_asked_again(llm_server, form):
    llm_server.script = {("*", "*"): [f"as:{form}", "..."]}
    found = ask(llm_server, TWO)
    assert found.labels() == {"0": "B cell", "1": "T cell"}
    assert len(llm_server.log) == 4
    row = found["0"]
    assert row.supporting == ("CD79A", "MS4A1", "CD79B")
    assert row.ontology_id == "CL:0000236"
    assert row.confidence == (None if form == "confidence_nan" else 0.9)
    # What the service does not say is reckoned, never free.
    assert row.input_tokens > 500
    assert row.output_tokens > 20


@pytest.mark.parametrize(
    "form", ["think_cut", "think_cut_no_tag", "think_open", "stream_broken"]
)  # fmt: skip
def test_an_unfinished_reply_is_no_answer(llm_server, form):
    with pytest.raises(errors.ServiceError, match="first 5 clusters failed"):
        every(llm_server, f"as:{form}")
    llm_server.script = {("B cell", "annotator"): [f"as:{form}", "..."]}
    llm_server.used.clear()
    found = ask(llm_server, TWO)
    assert (found["0"].status, found["0"].label) == ("failed", None)
    assert "cut off" in found["0"].error
    assert found["1"].label == "T cell"


def test_words_that_are_no_label_are_unknown(llm_server):
    found = every(llm_server, "as:cannot")
    assert {row.status for row in found} == {"unknown"}
    assert len(llm_server.log) == 6


@pytest.mark.parametrize(
    "fault", ["choices_empty", "error_in_200", "limit_in_200", "finish_error", "not_a_reply",
              "nonsense", "408", "429", "502", "529"],
)  # fmt: skip
def test_one_bad_reply_ends_no_batch(llm_server, fault):
    llm_server.script = {("T cell", "annotator"): [fault]}
    found = ask(llm_server, SIX, max_workers=2)
    assert found.labels() == SIX_LABELS
    assert len(llm_server.log) == 13


@pytest.mark.parametrize(
    ("fault", "words"),
    [("moderated", "Input was flagged (violence)"), ("too_long", "maximum context length"),
     ("not_a_reply", "empty"), ("nonsense", "could not be read"), ("choices_empty", "empty"),
     ("error_in_200", "status 502, Upstream went away"), ("529", "overloaded: status 529"),
     ("408", "took too long to answer: status 408")],
)  # fmt: skip
def test_one_cluster_that_never_works_is_one_failed_row_with_the_words(llm_server, fault, words):
    llm_server.script = {("T cell", "annotator"): [fault, "..."]}
    found = ask(llm_server, SIX, max_workers=2)
    assert found["1"].status == "failed"
    assert words in found["1"].error
    assert {row.status for row in found if row.cluster != "1"} == {"ok"}


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [("region", errors.ServiceForbiddenError, "Country, region"),
     ("retired", errors.ServiceError, "has been retired"),
     ("no_such_model", errors.ServiceError, "does not know the model"),
     ("no_api", errors.ServiceNotFoundError, "no API of a language model"),
     ("page", errors.ServiceNotFoundError, "web page")],
)  # fmt: skip
def test_what_no_call_can_mend_ends_the_run_at_once(llm_server, fault, error, message):
    with pytest.raises(error, match=message):
        every(llm_server, fault)
    assert len(llm_server.log) <= 2


def test_an_address_without_v1_is_named_with_the_right_one(llm_server):
    with pytest.raises(errors.ServiceNotFoundError) as caught:
        every(llm_server, "no_api")
    assert f'base_url="{llm_server.url}/v1"' in caught.value.hint


def test_a_pause_beyond_the_limit_ends_the_run_at_once_with_the_time(llm_server, tmp_path):
    llm_server.script = {("T cell", "*"): ["daily"]}
    with pytest.raises(errors.ServiceLimitError, match=r"wait 25 min, until \d\d:\d\d") as caught:
        ask(llm_server, SIX, max_workers=1)
    assert caught.value.retry_after == 1500
    assert "Resume the run" in caught.value.hint
    known = Run.open(caught.value.data["run"]).finished()
    assert len(known) == 1
    assert resume(caught.value.data["run"]).labels() == SIX_LABELS
    assert llm_server.annotated().count("B cell") == 1


def test_a_wait_is_said_with_its_reason(llm_server, monkeypatch):
    monkeypatch.setattr(client, "SAID_FROM", 0.0)
    llm_server.script = {("B cell", "annotator"): ["429:0.1"]}
    events = []
    annotate(study_from_markers(TWO), engine(llm_server), on_event=events.append)
    said = [e.text for e in events if e.kind == "message"]
    assert any(text.startswith("Waiting 0 s, until ") and "429" in text for text in said)


@pytest.mark.parametrize("workers", [1, 4, 6])
@pytest.mark.parametrize("mode", ["auto", "tool"])
def test_a_refused_setting_is_dropped_for_all_calls_under_way(llm_server, workers, mode):
    llm_server.delay = 0.05
    llm_server.script = {("*", "*"): ["refuses:temperature", "..."]}
    found = ask(llm_server, SIX, max_workers=workers, output_mode=mode)
    assert found.labels() == SIX_LABELS
    assert {r["style"] for r in llm_server.log} == {"tool"}
    assert sum("temperature" in r["settings"] for r in llm_server.log) <= workers


@pytest.mark.parametrize("refused", ["max_tokens", "max_completion_tokens"])
def test_the_limit_is_sent_by_the_name_that_the_server_knows(llm_server, refused):
    llm_server.delay = 0.05
    llm_server.script = {("*", "*"): [f"refuses:{refused}", "..."]}
    found = ask(llm_server, SIX, max_workers=3, model_settings={"max_tokens": 77})
    assert found.labels() == SIX_LABELS
    taken = [r["settings"] for r in llm_server.log if refused not in r["settings"]]
    assert {tuple(s.values())[-1] for s in taken} == {77}
    assert len(llm_server.log) <= 15
    assert {r["style"] for r in llm_server.log} == {"tool"}


def test_a_setting_of_the_user_that_is_refused_is_left_out_and_said(llm_server):
    llm_server.script = {("*", "*"): ["refuses:top_p", "..."]}
    events = []
    options = {"model_settings": {"top_p": 0.5}}
    annotate(study_from_markers(TWO), engine(llm_server, **options), on_event=events.append)
    assert any("does not take `top_p`" in e.text for e in events)


def test_calls_that_cannot_be_read_lead_to_the_next_mode(llm_server):
    found = every(llm_server, "bad_call")
    assert found.labels() == SIX_LABELS
    # Two calls of each of the two workers, no more.
    assert sum(r["style"] == "tool" for r in llm_server.log) <= 4


def test_one_call_that_cannot_be_read_changes_no_mode(llm_server):
    llm_server.script = {("B cell", "annotator"): ["bad_call"], ("T cell", "*"): ["bad_call"]}
    assert ask(llm_server, SIX, max_workers=4).labels() == SIX_LABELS
    assert {r["style"] for r in llm_server.log} == {"tool"}


def test_no_tools_at_a_server_that_says_500_is_seen_at_once(llm_server):
    llm_server.script = {("B cell", "annotator"): ["no_tools_500"]}
    assert ask(llm_server, {"0": LISTS["0"]})["0"].label == "B cell"
    assert [r["style"] for r in llm_server.log] == ["tool", "schema", "schema"]


def test_what_was_refused_or_unreadable_counts_in_the_budget(llm_server):
    llm_server.script = {("*", "annotator"): ["not_a_reply", "..."]}
    found = ask(llm_server, many(4), max_workers=1, max_tokens=12_000, max_retries=3)
    assert {row.status for row in found} == {"failed", "skipped"}
    failed = next(row for row in found if row.status == "failed")
    assert failed.input_tokens > 4 * 600


def test_a_refusal_has_its_tokens_and_cost(llm_server):
    llm_server.script = {("B cell", "annotator"): ["refusal"]}
    row = ask(llm_server, TWO, prices={"input": 3, "output": 15})["0"]
    assert (row.status, row.input_tokens, row.output_tokens) == ("failed", 1000, 100)
    assert row.cost_usd == pytest.approx(0.0045)
