import io

import pytest
import rich.console

from cellferry.runs.progress import progress_events
from cellferry.runs.worker import Event


def test_nothing_is_drawn_when_nobody_asked():
    with progress_events(show=False) as on_event:
        assert on_event is None


def test_nothing_is_drawn_into_a_log(capsys):
    with progress_events(show=True) as on_event:
        assert on_event is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_a_log_gets_a_line_now_and_then(capsys, seconds):
    lines = []
    with progress_events(show=True, title="T", line=lines.append, seconds=seconds) as on_event:
        for done in (1, 2):
            on_event(Event("progress", done=done, total=2))
        on_event(Event("message", text="said"))
    assert lines == ([] if seconds else ["T: 1 of 2", "T: 2 of 2", "T: said"])
    assert capsys.readouterr().err == ""
    with progress_events(show=False, line=lines.append, seconds=0) as on_event:
        assert on_event is None


def test_a_terminal_sees_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    screen = io.StringIO()
    real = rich.console.Console
    monkeypatch.setattr(
        rich.console, "Console", lambda **_: real(file=screen, force_terminal=True, width=80)
    )
    with progress_events(show=True) as on_event:
        on_event(Event("progress", done=2, total=9, unit="1"))
    assert "Annotating clusters" in screen.getvalue()
    assert "2/9" in screen.getvalue()


def test_an_error_inside_is_not_swallowed():
    with pytest.raises(KeyError), progress_events(show=False):
        raise KeyError("x")
