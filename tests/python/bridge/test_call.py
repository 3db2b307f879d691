import json
import logging
import time
import warnings

from bridge_messages import ask
from cellferry import bridge
from cellferry.bridge import calls as bridge_calls
from cellferry.errors import SpeciesWarning
from cellferry.runs.worker import run_in_worker


def test_an_error_comes_back_as_data_with_its_code_and_hint():
    answer, buffers = ask("run_show", {"run": "nothing"})
    assert answer["ok"] is False
    assert answer["error"]["code"] == "run_not_found"
    assert answer["error"]["hint"]
    assert buffers == []


def test_faults_of_ours_come_back_as_internal_errors():
    for name, message in ((b"no such call", b"{}"), (b"describe", b"{"), (b"block", b"{}")):
        answer = json.loads(bridge.call(name, message)[0])
        assert answer["error"]["code"] == "internal"
        assert "Please report it" in answer["error"]["hint"]


def test_warnings_and_messages_travel_with_the_answer(monkeypatch):
    def notice(_request, _out, _on_event):
        warnings.warn(SpeciesWarning("It is a mouse.", "Say so."), stacklevel=1)
        warnings.warn("not ours", stacklevel=1)
        logging.getLogger("cellferry").info("It is said.")
        return {}

    monkeypatch.setitem(bridge_calls.CALLS, "notice", notice)
    answer, _ = ask("notice")
    assert answer["warnings"] == [
        {"code": "species", "message": "It is a mouse.", "hint": "Say so."}
    ]
    assert answer["messages"] == ["It is said."]
    assert logging.getLogger("cellferry").handlers == []


def test_an_interrupt_comes_back_with_the_run(monkeypatch):
    def stop(_request, _out, _on_event):
        interrupt = KeyboardInterrupt()
        interrupt.run = "the-run"
        raise interrupt

    monkeypatch.setitem(bridge_calls.CALLS, "stop", stop)
    answer, _ = ask("stop")
    assert answer["error"]["code"] == "interrupted"
    assert answer["error"]["data"] == {"run": "the-run"}
    assert 'ResumeAnnotation(object, run = "the-run")' in answer["error"]["hint"]


def test_r_is_asked_now_and_then_whether_it_was_interrupted(monkeypatch):
    def wait(_request, _out, _on_event):
        return run_in_worker(lambda events: events.wait(30))

    questions = []

    def of_r(question):
        questions.append(json.loads(question))
        failed = {"failed": {"class": "interrupt", "text": ""}}
        return [bytearray(json.dumps(failed).encode())] if len(questions) == 3 else None

    monkeypatch.setitem(bridge_calls.CALLS, "wait", wait)
    begin = time.monotonic()
    answer, _ = ask("wait", on_event=of_r)
    assert answer["error"]["code"] == "interrupted"
    assert time.monotonic() - begin < 5
    assert questions == [{"kind": "interrupted"}] * 3
    # Nobody is asked in the next call.
    monkeypatch.setitem(bridge_calls.CALLS, "wait", lambda *_: run_in_worker(lambda _: 1))
    assert ask("wait")[0]["value"] == 1
    assert len(questions) == 3
