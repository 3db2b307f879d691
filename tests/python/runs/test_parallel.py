import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.runs.parallel import in_flight, ordered_map
from cellferry.runs.worker import CancelledWork, Events


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_everything_is_done_once(items, most):
    found = list(in_flight(lambda x: x * 2, items, most, Events()))
    assert sorted(found) == sorted(x * 2 for x in items)


def test_no_more_are_made_than_are_under_way():
    made, done, lock = [], [], threading.Lock()
    ahead = []

    def items():
        for i in range(12):
            with lock:
                made.append(i)
                ahead.append(len(made) - len(done))
            yield i

    def work(i):
        time.sleep(0.01)
        return i

    for i in in_flight(work, items(), 3, Events()):
        with lock:
            done.append(i)
    assert sorted(done) == list(range(12))
    assert max(ahead) <= 3


def test_the_first_error_ends_everything():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    def work(i):
        if i == 3:
            raise ValueError("three")
        return i

    with pytest.raises(ValueError, match="three"):
        list(in_flight(work, items(), 2, Events()))
    assert len(made) < 10


def test_an_interrupt_is_seen_while_everything_waits():
    events, blocked = Events(), threading.Event()
    threading.Timer(0.1, events.cancel).start()
    start = time.monotonic()
    with pytest.raises(CancelledWork):
        list(in_flight(lambda _: blocked.wait(20), [1, 2], 2, events))
    assert time.monotonic() - start < 5
    blocked.set()


def test_results_come_in_order_and_few_items_are_taken_ahead():
    taken = []

    def items():
        for i in range(20):
            taken.append(i)
            yield i

    with ThreadPoolExecutor(2) as pool:
        found = ordered_map(pool, lambda i: i * i, items(), ahead=3)
        assert next(found) == 0
        assert len(taken) <= 3
        assert list(found) == [i * i for i in range(1, 20)]


def test_an_error_stops_what_has_not_begun():
    begun, gate = [], threading.Event()

    def work(i):
        if i == 0:
            raise ValueError("no")
        gate.wait(5)
        begun.append(i)

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="no"):
            list(ordered_map(pool, work, range(9), ahead=9))
        gate.set()
    assert len(begun) <= 1
