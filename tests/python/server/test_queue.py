"""A queue of requests: a few at once, a known length, an answer to who would wait too long."""

import threading
import time

import anyio
import pytest

from cellferry.server.failures import Code, Failure
from cellferry.server.http import queue as module
from cellferry.server.http.queue import Queue


def test_few_are_done_at_once_and_too_many_are_sent_away():
    queue, running, most, ended = Queue(2, 3), [], [], []
    go_on = threading.Event()

    def work():
        running.append(1)
        most.append(len(running))
        go_on.wait(10)
        running.pop()
        return "done"

    async def one():
        try:
            ended.append(await queue.run(work))
        except Failure as failure:
            ended.append((failure.code, failure.headers["Retry-After"]))

    async def main():
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one)
            while len(ended) < 3 or len(running) < 2:
                await anyio.sleep(0.01)
            go_on.set()

    anyio.run(main)
    assert max(most) == 2
    assert ended.count((Code.SERVER_BUSY, "5")) == 3
    assert ended.count("done") == 5


def test_nobody_waits_for_ever(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    queue = Queue(1, 5)

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run, time.sleep, 0.3)
            await anyio.sleep(0.05)
            with pytest.raises(Failure) as caught:
                await queue.run(time.sleep, 0)
            assert caught.value.code is Code.SERVER_BUSY
        # What failed took no place.
        await queue.run(time.sleep, 0)

    anyio.run(main)
