"""One call: retries in transit, the ladder of modes, settings that a model refuses."""

import re
import time

import pytest

from cellferry import errors
from llm_cases import TWO, ask, many

ONE = {"0": ["CD79A", "MS4A1", "CD79B"]}


def styles(server, stage="annotator"):
    return [r["style"] for r in server.log if r["stage"] == stage]


@pytest.mark.slow
def test_a_call_that_fails_in_transit_is_tried_again_without_a_word_to_the_model(llm_server):
    llm_server.script = {("B cell", "annotator"): ["500", "503", "drop"]}
    found = ask(llm_server, ONE)
    assert found["0"].label == "B cell"
    assert found["0"].iterations == 1
    first, *others = [r["user"] for r in llm_server.log if r["stage"] == "annotator"]
    assert len(others) == 3
    assert set(others) == {first}


@pytest.mark.slow
def test_the_pause_of_a_429_is_kept(llm_server):
    llm_server.script = {("B cell", "annotator"): ["429:2"]}
    ask(llm_server, ONE)
    one, two = [r["time"] for r in llm_server.log if r["stage"] == "annotator"]
    assert 1.95 < two - one < 4


@pytest.mark.slow
def test_many_429_slow_the_batch_down_and_every_cluster_is_answered(llm_server):
    llm_server.script = {("*", "annotator"): ["429:1"] * 12}
    found = ask(llm_server, many(16), max_workers=8)
    assert {row.status for row in found} == {"ok"}
    first = [r for r in llm_server.log if r["fault"]]
    resumed = [r["time"] for r in llm_server.log if not r["fault"]]
    assert len(first) == 12
    assert min(resumed) - first[0]["time"] >= 0.95


@pytest.mark.slow
def test_service_down_for_good_is_a_failed_row_not_a_hang(llm_server, monkeypatch):
    from cellferry.engines.llm.client import Client

    monkeypatch.setattr(Client, "base_wait", 0.01)
    llm_server.script = {("B cell", "*"): ["500", "..."]}
    found = ask(llm_server, TWO)
    assert found["0"].status == "failed"
    assert "status 500" in found["0"].error
    assert found["1"].label == "T cell"


@pytest.mark.parametrize(("fault", "expected"), [("no_tools", "schema"), ("prompted_only", "text")])
def test_the_mode_that_a_service_can_do_is_found_once_and_remembered(llm_server, fault, expected):
    llm_server.script = {("*", "*"): [fault, "..."]}
    found = ask(llm_server, many(8), max_workers=1)
    assert {row.status for row in found} == {"ok"}
    assert set(styles(llm_server)[3:]) == {expected}
    assert set(styles(llm_server, "validator")) == {expected}
    if expected == "text":
        # The schema must fit the words: it is all such a model has.
        assert '"supporting_genes"' in llm_server.log[-2]["system"]


def test_a_model_that_answers_in_prose_gets_the_next_mode(llm_server):
    llm_server.script = {("B cell", "annotator"): ["prose"]}
    assert ask(llm_server, ONE)["0"].label == "B cell"
    assert styles(llm_server) == ["tool", "schema"]


def test_a_call_that_was_cut_off_is_asked_again_in_the_same_mode(llm_server):
    llm_server.script = {("B cell", "annotator"): ["truncated"]}
    assert ask(llm_server, ONE)["0"].label == "B cell"
    assert styles(llm_server) == ["tool", "tool"]
    assert "cut off" in llm_server.log[1]["user"]


@pytest.mark.parametrize(
    ("mode", "style"), [("tool", "tool"), ("schema", "schema"), ("prompted", "text")]
)
def test_a_mode_that_was_asked_for_is_kept(llm_server, mode, style):
    ask(llm_server, ONE, output_mode=mode)
    assert {r["style"] for r in llm_server.log} == {style}


def test_settings_are_sent_and_one_that_is_refused_is_left_out(llm_server):
    ask(llm_server, ONE, temperature=0, reasoning="high", model_settings={"max_tokens": 99})
    sent = llm_server.log[0]["settings"]
    assert sent["temperature"] == 0
    assert sent["reasoning_effort"] == "high"
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 99
    llm_server.log.clear()
    llm_server.script = {("*", "*"): ["no_temperature", "..."]}
    assert ask(llm_server, ONE)["0"].label == "B cell"
    # Refused once, it is left out of the call that is sent again, and of calls after it or not.
    assert ["temperature" in r["settings"] for r in llm_server.log][:2] == [True, False]


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [("401", errors.CredentialsRequiredError, "refused the key"),
     ("403", errors.CredentialsRequiredError, "refused the key"),
     ("402", errors.ServiceError, "no credit"), ("404", errors.ServiceError, "does not know")],
)  # fmt: skip
def test_what_no_other_call_can_mend_stops_the_run_at_once(llm_server, fault, error, message):
    llm_server.script = {("*", "*"): [fault, "..."]}
    with pytest.raises(error, match=message) as caught:
        ask(llm_server, many(30), max_workers=2)
    assert len(llm_server.log) <= 12
    assert re.fullmatch(r"\d{8}T\d{6}Z-llm-\w+", caught.value.data["run"])


def test_a_message_that_holds_the_number_401_is_no_refused_key(llm_server):
    llm_server.script = {("B cell", "annotator"): ["500:24010 tokens 401"]}
    assert ask(llm_server, ONE)["0"].label == "B cell"


def test_a_timeout_is_tried_again(llm_server):
    llm_server.script = {("B cell", "annotator"): ["slow:3"]}
    began = time.monotonic()
    assert ask(llm_server, ONE, timeout=0.4)["0"].label == "B cell"
    assert time.monotonic() - began < 3
