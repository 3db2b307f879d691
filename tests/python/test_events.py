import os
import subprocess
import sys
import threading
import time

import pytest

from cellferry.events import CancelledWork, Worker, run_in_worker, run_parallel


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


def test_items_are_done_side_by_side_and_answered_in_their_order():
    def work(events):
        barrier = threading.Barrier(3, timeout=5)

        def one(item):
            if item < 3:
                barrier.wait()
            return item * 10

        return run_parallel(one, range(7), 3, events)

    assert run_in_worker(work) == [0, 10, 20, 30, 40, 50, 60]
    assert run_in_worker(lambda events: run_parallel(str, [], 3, events)) == []


def test_the_first_error_stops_the_others():
    done = []

    def one(item):
        if item == 1:
            raise KeyError(item)
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(KeyError):
        run_in_worker(lambda events: run_parallel(one, range(200), 2, events))
    time.sleep(0.1)
    assert len(done) < 50


def test_an_interrupt_ends_parallel_work_and_the_process_can_end():
    """A thread that is stuck in a socket must hold neither the prompt nor the exit."""
    script = (
        "import time\n"
        "from cellferry.events import run_in_worker, run_parallel\n"
        "def interrupt(event): raise KeyboardInterrupt\n"
        "def work(events):\n"
        "    events.emit('started')\n"
        "    run_parallel(lambda _: time.sleep(60), range(4), 2, events)\n"
        "try:\n"
        "    run_in_worker(work, interrupt)\n"
        "except KeyboardInterrupt:\n"
        "    print('prompt')\n"
    )
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "prompt\n"
    assert time.monotonic() - begin < 15


def test_a_worker_tells_whether_it_has_ended_and_stops_when_asked():
    def work(events):
        while True:
            events.wait(0.01)

    worker = Worker(work)
    assert not worker.ended
    worker.cancel(5)
    assert worker.ended
    with pytest.raises(CancelledWork):
        worker.result()


def test_after_an_error_nothing_more_is_begun():
    begun = []

    def work(item):
        begun.append(item)
        if item % 5 == 1:
            message = "no"
            raise ValueError(message)

    for _ in range(300):
        begun.clear()
        with pytest.raises(ValueError, match="no"):
            run_in_worker(lambda events: run_parallel(work, range(5), 1, events))
        assert begun == [0, 1]
