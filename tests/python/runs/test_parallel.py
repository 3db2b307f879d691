import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.runs.parallel import begun, bounded_map
from cellferry.runs.worker import CancelledWork, Events


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_everything_is_done_once(items, most):
    found = list(bounded_map(lambda x: x * 2, items, most, Events(), ordered=False))
    assert sorted(found) == sorted(x * 2 for x in items)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5), st.integers(1, 9))
def test_results_come_in_the_order_of_the_items(items, workers, ahead):
    def work(x):
        time.sleep(x % 3 / 1000)
        return x * 2

    assert list(bounded_map(work, items, workers, ahead=ahead)) == [x * 2 for x in items]


@settings(deadline=None, max_examples=20)
@given(st.sets(st.integers(0, 11), min_size=1), st.integers(1, 4))
def test_in_order_the_error_of_the_earliest_item_is_raised(bad, workers):
    def work(i):
        time.sleep((11 - i) / 2000)
        if i in bad:
            raise KeyError(i)
        return i

    seen = []
    with pytest.raises(KeyError) as error:
        seen.extend(bounded_map(work, range(12), workers))
    assert error.value.args == (min(bad),)
    assert seen == list(range(min(bad)))


def test_a_slow_item_does_not_hold_up_the_others_where_order_does_not_matter():
    slow = threading.Event()

    def work(i):
        if i == 0:
            slow.wait(20)
        return i

    found = bounded_map(work, range(6), 2, ordered=False)
    assert sorted(next(found) for _ in range(5)) == [1, 2, 3, 4, 5]
    slow.set()
    assert list(found) == [0]


@pytest.mark.parametrize("ordered", [True, False])
def test_after_an_error_no_item_is_taken_and_what_waits_is_not_begun(ordered):
    taken, begun, first, second = [], [], threading.Event(), threading.Event()

    def items():
        for i in range(99):
            taken.append(i)
            yield i

    def work(i):
        begun.append(i)
        if i == 0:
            first.wait(20)
            raise ValueError("no")
        second.wait(20)

    threading.Timer(0.05, first.set).start()
    with pytest.raises(ValueError, match="no"):
        list(bounded_map(work, items(), 1, ordered=ordered, ahead=5))
    second.set()
    time.sleep(0.05)
    assert taken == [0, 1, 2, 3, 4]
    assert begun in ([0], [0, 1])


def test_after_a_close_what_waits_is_not_begun():
    begun, second = [], threading.Event()

    def work(i):
        begun.append(i)
        if i:
            second.wait(20)

    found = bounded_map(work, range(99), 1, ahead=5)
    next(found)
    found.close()
    second.set()
    time.sleep(0.05)
    assert begun in ([0], [0, 1])


def test_neither_items_nor_results_are_kept():
    class Large:
        pass

    made, results = [], []

    def items():
        for _ in range(20):
            item = Large()
            made.append(weakref.ref(item))
            yield item
            del item

    def work(_item):
        result = Large()
        results.append(weakref.ref(result))
        return result

    for ordered in (True, False):
        for found in bounded_map(work, items(), 2, ordered=ordered):
            del found
            assert sum(ref() is not None for ref in made) <= 3
            assert sum(ref() is not None for ref in results) <= 3


def test_threads_end_with_the_work():
    before = set(threading.enumerate())
    list(bounded_map(str, range(20), 3))
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_error_of_the_items_is_raised():
    def items():
        yield 1
        raise KeyError("source")

    with pytest.raises(KeyError, match="source"):
        list(bounded_map(str, items(), 2))


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

    for i in bounded_map(work, items(), 3, Events(), ordered=False):
        with lock:
            done.append(i)
    assert sorted(done) == list(range(12))
    assert max(ahead) <= 3


def recorded(n, taken):
    for i in range(n):
        taken.append(i)
        yield i


def test_the_first_error_ends_everything():
    made = []

    def work(i):
        if i == 3:
            raise ValueError("three")
        return i

    with pytest.raises(ValueError, match="three"):
        list(bounded_map(work, recorded(100, made), 2, Events(), ordered=False))
    assert len(made) < 50


def test_an_interrupt_is_seen_while_everything_waits():
    events, blocked = Events(), threading.Event()
    threading.Timer(0.1, events.cancel).start()
    start = time.monotonic()
    with pytest.raises(CancelledWork):
        list(bounded_map(lambda _: blocked.wait(20), [1, 2], 2, events, ordered=False))
    assert time.monotonic() - start < 5
    blocked.set()


def test_results_come_in_order_and_few_items_are_taken_ahead():
    taken = []
    with ThreadPoolExecutor(2) as pool:
        found = bounded_map(lambda i: i * i, recorded(20, taken), pool, ahead=3)
        assert next(found) == 0
        assert len(taken) <= 3
        assert list(found) == [i * i for i in range(1, 20)]


def test_an_error_stops_what_has_not_begun():
    begun, released = [], threading.Event()

    def work(i):
        if i == 0:
            raise ValueError("no")
        released.wait(5)
        begun.append(i)

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="no"):
            list(bounded_map(work, range(9), pool, ahead=9))
        released.set()
    assert len(begun) <= 1


def test_what_was_begun_is_done_beside_and_its_error_comes_when_it_is_asked_for():
    asked, answered = threading.Event(), threading.Event()

    def work():
        answered.set()
        assert asked.wait(10)
        return 42

    found = begun(work)
    assert answered.wait(10), "it does not wait to be asked"
    asked.set()
    assert (found(), found()) == (42, 42)

    def fail():
        raise KeyError("seven")

    found = begun(fail)
    with pytest.raises(KeyError, match="seven"):
        found()


def test_an_interrupt_does_not_wait_for_what_was_begun():
    events, never = Events(), threading.Event()
    found = begun(never.wait, events)
    events.cancel()
    with pytest.raises(CancelledWork):
        found()
    never.set()
