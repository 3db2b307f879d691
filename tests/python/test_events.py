import threading
import time

import pytest

from cellferry.events import CancelledWork, run_in_worker


def test_work_runs_elsewhere_and_events_arrive_here_in_order():
    here = threading.get_ident()
    seen = []

    def work(events):
        for i in range(3):
            events.emit("progress", i + 1, 3, unit=str(i))
        return threading.get_ident()

    elsewhere = run_in_worker(
        work, lambda event: seen.append((threading.get_ident(), event.done, event.unit))
    )
    assert elsewhere != here
    assert seen == [(here, 1, "0"), (here, 2, "1"), (here, 3, "2")]


def test_an_error_of_the_work_is_raised_with_its_own_class():
    def work(_events):
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_in_worker(work)


def test_events_are_delivered_while_the_work_is_still_running():
    started = threading.Event()
    seen = threading.Event()

    def work(events):
        events.emit("started")
        started.set()
        return seen.wait(5)

    assert run_in_worker(work, lambda _event: seen.set())


def test_an_interrupt_returns_at_once_and_stops_the_work():
    stopped = threading.Event()

    def work(events):
        events.emit("started")
        try:
            events.wait(30)
        except CancelledWork:
            stopped.set()
            raise

    def interrupt(_event):
        raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_in_worker(work, interrupt)
    assert time.monotonic() - begin < 5
    assert stopped.wait(5)


def test_it_works_inside_a_running_event_loop():
    import asyncio

    async def notebook():
        return run_in_worker(lambda _events: 7)

    assert asyncio.run(notebook()) == 7
