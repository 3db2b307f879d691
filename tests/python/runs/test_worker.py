import os
import subprocess
import sys
import threading
import time

import pytest

from cellferry.runs import worker as events_module
from cellferry.runs.parallel import bounded_map
from cellferry.runs.worker import Caller, CancelledWork, Worker, run_in_worker


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

        return list(bounded_map(one, range(7), 3, events))

    assert run_in_worker(work) == [0, 10, 20, 30, 40, 50, 60]
    assert run_in_worker(lambda events: list(bounded_map(str, [], 3, events))) == []


def test_the_first_error_stops_the_others():
    done = []

    def one(item):
        if item == 1:
            raise KeyError(item)
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(KeyError):
        run_in_worker(lambda events: list(bounded_map(one, range(200), 2, events)))
    time.sleep(0.1)
    assert len(done) < 50


def test_an_interrupt_ends_parallel_work_and_the_process_can_end():
    """A thread that is stuck in a socket must block neither the prompt nor the exit."""
    script = (
        "import time\n"
        "from cellferry.runs.parallel import bounded_map\n"
        "from cellferry.runs.worker import run_in_worker\n"
        "def interrupt(event): raise KeyboardInterrupt\n"
        "def work(events):\n"
        "    events.emit('started')\n"
        "    list(bounded_map(lambda _: time.sleep(60), range(4), 2, events))\n"
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
            run_in_worker(lambda events: list(bounded_map(work, range(5), 1, events)))
        assert begun == [0, 1]


def test_work_has_things_done_in_the_callers_thread_at_once(monkeypatch):
    # Were it only looked for at every drain, it would take a minute.
    monkeypatch.setattr(events_module, "DRAIN_SECONDS", 60)
    here, caller = threading.get_ident(), Caller.here()

    def work(_events):
        assert not caller.is_here
        return [caller.ask(threading.get_ident).result() for _ in range(20)]

    begin = time.monotonic()
    assert run_in_worker(work) == [here] * 20
    assert time.monotonic() - begin < 5
    assert caller.is_here
    assert caller.ask(threading.get_ident).result() == here
    assert Caller.here() is caller


def test_events_are_delivered_between_what_is_asked():
    caller, seen = Caller.here(), []

    def work(events):
        for i in range(3):
            events.emit("progress", i, 3)
            caller.ask(lambda i=i: seen.append(("request", i))).result()

    run_in_worker(work, lambda event: seen.append(("event", event.done)))
    assert [x for x in seen if x[0] == "request"] == [("request", i) for i in range(3)]
    assert [x for x in seen if x[0] == "event"] == [("event", i) for i in range(3)]
    assert seen.index(("event", 0)) < seen.index(("request", 1))


def test_threads_of_the_work_may_ask_too():
    here, caller = threading.get_ident(), Caller.here()

    def work(events):
        def one(i):
            return i, caller.ask(threading.get_ident).result()

        return list(bounded_map(one, range(20), 4, events))

    assert run_in_worker(work) == [(i, here) for i in range(20)]


def test_an_error_of_what_was_asked_is_the_answer():
    caller = Caller.here()

    def fail():
        raise KeyError("mine")

    def work(_events):
        with pytest.raises(KeyError, match="mine"):
            caller.ask(fail).result()
        return caller.ask(lambda: 7).result()

    assert run_in_worker(work) == 7
    with pytest.raises(KeyError, match="mine"):
        run_in_worker(lambda _events: caller.ask(fail).result())
    with pytest.raises(KeyError, match="mine"):
        caller.ask(fail).result()


def interrupt():
    raise KeyboardInterrupt


def test_an_interrupt_in_what_was_asked_is_the_callers_and_ends_the_wait():
    caller, ended = Caller.here(), threading.Event()

    def work(_events):
        try:
            caller.ask(interrupt).result()
        except CancelledWork:
            ended.set()
            raise

    with pytest.raises(KeyboardInterrupt):
        run_in_worker(work)
    assert ended.wait(5)
    with pytest.raises(KeyboardInterrupt):
        caller.ask(interrupt)


def test_when_the_caller_leaves_nobody_is_left_waiting():
    """Of three that ask at once the first is answered by an interrupt, the others by the end."""
    caller, ended, ready = Caller.here(), [], threading.Barrier(3, timeout=5)

    def ask():
        ready.wait()
        try:
            caller.ask(interrupt).result()
        except CancelledWork:
            ended.append(1)

    threads = [threading.Thread(target=ask) for _ in range(3)]

    def work(_events):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with pytest.raises(KeyboardInterrupt):
        run_in_worker(work)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert len(ended) == 3


def test_while_it_waits_the_caller_looks_whether_it_should_go_on(monkeypatch):
    monkeypatch.setattr(events_module, "DRAIN_SECONDS", 0.01)
    caller, looked = Caller.here(), []

    def look():
        looked.append(threading.get_ident())
        if len(looked) == 3:
            raise KeyboardInterrupt

    caller.watch = look
    try:
        with pytest.raises(KeyboardInterrupt):
            run_in_worker(lambda events: events.wait(30))
    finally:
        caller.watch = None
    assert looked == [threading.get_ident()] * 3
    assert run_in_worker(lambda events: time.sleep(0.05)) is None
    assert len(looked) == 3


def test_who_asks_when_nobody_waits_is_sent_away():
    caller, gone, found = Caller.here(), threading.Event(), []

    def late():
        gone.wait(5)
        try:
            caller.ask(lambda: 1)
        except CancelledWork:
            found.append("sent away")

    thread = threading.Thread(target=late)
    thread.start()
    assert run_in_worker(lambda _events: 3) == 3
    gone.set()
    thread.join(5)
    assert found == ["sent away"]


def test_what_is_asked_before_the_caller_waits_is_done_when_it_does():
    caller = Caller.here()
    worker = Worker(lambda _events: caller.ask(lambda: 5).result())
    time.sleep(0.1)
    assert not worker.ended
    assert worker.result() == 5
    # One that is cancelled and never waited for leaves nobody waiting either.
    worker = Worker(lambda _events: caller.ask(lambda: 5).result())
    worker.cancel(5)
    assert worker.ended
    with pytest.raises(CancelledWork):
        worker.result()


def test_what_is_not_wanted_any_more_is_not_done():
    caller, done = Caller.here(), []
    blocked = threading.Event()

    def work(_events):
        first = caller.ask(lambda: blocked.wait(5))
        second = caller.ask(lambda: done.append("second"))
        assert second.cancel()
        blocked.set()
        assert first.result()
        return caller.ask(lambda: "third").result()

    assert run_in_worker(work) == "third"
    assert done == []


def test_interrupts_at_any_moment_leave_nobody_waiting():
    """Real signals, while blocks are asked for as fast as can be."""
    script = (
        "import random, signal, threading, time, os\n"
        "from cellferry.runs.worker import Caller, CancelledWork, run_in_worker\n"
        "caller = Caller.here()\n"
        "ended = threading.Semaphore(0)\n"
        "def work(events):\n"
        "    try:\n"
        "        caller.ask(sender.start).result()\n"
        "        while True:\n"
        "            caller.ask(lambda: sum(range(50))).result()\n"
        "    except CancelledWork:\n"
        "        ended.release()\n"
        "        raise\n"
        "def later():\n"
        "    time.sleep(random.random() * 0.02)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "for i in range(60):\n"
        "    sender = threading.Thread(target=later)\n"
        "    try:\n"
        "        run_in_worker(work)\n"
        "    except KeyboardInterrupt:\n"
        "        pass\n"
        "    sender.join()\n"
        "    assert ended.acquire(timeout=5), i\n"
        "print('none left')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "none left\n", done.stderr


def test_an_abandoned_thread_of_ours_is_at_work_until_it_ends():
    # In a process of its own: here threads of other tests may still wait for a server.
    code = (
        "import threading, time\n"
        "from cellferry.runs.worker import at_work, run_in_worker\n"
        "def leave(event):\n"
        "    raise RuntimeError\n"
        "go_on = threading.Event()\n"
        "assert not at_work()\n"
        "try:\n"
        "    run_in_worker(lambda events: (events.emit('message'), go_on.wait()), leave)\n"
        "except RuntimeError:\n"
        "    assert at_work()\n"
        "go_on.set()\n"
        "[t.join() for t in threading.enumerate() if t is not threading.main_thread()]\n"
        "assert not at_work()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
