"""Bodies in memory: bounded together, and slow ones keep nobody waiting."""

import anyio
import pytest
from starlette.requests import Request

from cellferry.server.failures import Code, Failure
from cellferry.server.http import memory as module
from cellferry.server.http.memory import BodyMemory


def request(*pieces, declared=None):
    """Return a request whose body comes in pieces; a number is a pause in seconds."""
    coming = [*pieces]

    async def receive():
        while coming and isinstance(coming[0], float):
            await anyio.sleep(coming.pop(0))
        if not coming:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": coming.pop(0), "more_body": True}

    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    return Request({"type": "http", "headers": headers}, receive)


async def read(memory, sent, most=10**6, hold=0.0):
    async with memory.reading(sent, most) as body:
        await anyio.sleep(hold)
        return body


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)


def test_a_body_is_given_whole_and_forgotten():
    memory = BodyMemory(100)
    assert anyio.run(read, memory, request(b"a" * 60, b"b" * 60)) == b"a" * 60 + b"b" * 60
    assert memory.size == 0


@pytest.mark.parametrize("sent", [request(b"a" * 11), request(declared=11)])
def test_one_that_is_too_large_is_refused(sent):
    memory = BodyMemory(100)
    with pytest.raises(Failure) as caught:
        anyio.run(read, memory, sent, 10)
    assert caught.value.code is Code.PAYLOAD_TOO_LARGE
    assert memory.size == 0


def test_many_large_ones_are_all_read_one_after_the_other(impatient):
    memory, most, found = BodyMemory(1000), [], []

    async def one():
        found.append(len(await read(memory, request(*[b"x" * 300] * 4), hold=0.02)))
        most.append(memory.size)

    async def main():
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(one)

    anyio.run(main)
    assert found == [1200] * 12
    # Bytes beyond the limit are at most of one body and one piece of each other.
    assert max(most) <= 1000 + 1200 + 11 * 300
    assert memory.size == 0


def test_slow_ones_are_given_up_only_while_others_wait(impatient):
    memory, ended = BodyMemory(1000), {}

    async def one(name, sent):
        try:
            ended[name] = len(await read(memory, sent))
        except Failure as failure:
            ended[name] = failure.code

    async def main(*slow):
        async with anyio.create_task_group() as tasks:
            for name, sent in slow:
                tasks.start_soon(one, name, sent)
            await anyio.sleep(0.02)
            tasks.start_soon(one, "quick", request(b"x" * 600, b"x" * 600, b"x" * 600))

    anyio.run(
        main,
        ("slow", request(b"x" * 900, 1.5, b"x")),
        ("trickle", request(b"x" * 90, *[0.05, b"x"] * 30)),
    )
    assert ended == {
        "slow": Code.REQUEST_TIMEOUT,
        "trickle": Code.REQUEST_TIMEOUT,
        "quick": 1800,
    }
    ended.clear()
    anyio.run(one, "slow", request(b"x" * 900, 0.5, b"x"))
    assert ended == {"slow": 901}


def test_many_silent_ones_together_cost_one_moment(monkeypatch):
    """Each has bytes that were not read yet, so that only its turn shows that no more come."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "QUIET", 0.02)
    memory, ended = BodyMemory(1000), []

    async def one(sent):
        ended.append(len(await read(memory, sent)))

    async def main():
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one, request(b"x" * 300, b"x" * 300, 60.0, b"x"))
            await anyio.sleep(0.02)
            tasks.start_soon(one, request(*[b"x" * 300] * 5))
            with anyio.fail_after(module.SLOW_SECONDS):
                while ended != [1500]:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert memory.size == 0
