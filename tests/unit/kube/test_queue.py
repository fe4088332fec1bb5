"""Each key once, never by two workers, again later if need be."""

from __future__ import annotations

import asyncio

import pytest

from rynxs.kube.queue import FIRST_PAUSE, LONGEST_PAUSE, Queue

pytestmark = pytest.mark.looptime


async def test_keys_come_in_their_order_and_once() -> None:
    queue: Queue[str] = Queue()
    for key in "abab":
        queue.add(key)
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert not await soon(queue)


async def soon(queue: Queue[str], seconds: float = 0.0) -> str:
    """The next key if it comes within that time, or an empty string."""
    try:
        async with asyncio.timeout(seconds):
            return await queue.take()
    except TimeoutError:
        return ""


async def test_a_key_that_is_worked_on_waits_until_that_is_done() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.add("a")
    assert not await soon(queue, 5)
    queue.done("a")
    assert await soon(queue) == "a"
    queue.done("a")
    assert not await soon(queue, 5)


async def test_later() -> None:
    queue: Queue[str] = Queue()
    queue.add("a", 10)
    queue.add("a", 20)
    assert (await soon(queue, 9), await soon(queue, 2)) == ("", "a")
    queue.done("a")
    queue.add("a", 20)
    queue.add("a", 10)
    assert (await soon(queue, 9), await soon(queue, 2), await soon(queue, 30)) == ("", "a", "")
    queue.done("a")
    queue.add("a", 10)
    queue.add("a")
    assert await soon(queue) == "a"
    queue.done("a")
    assert not await soon(queue, 60)


async def test_pauses_grow_until_it_succeeds() -> None:
    queue: Queue[str] = Queue()
    loop, pauses = asyncio.get_running_loop(), []
    for _ in range(12):
        began = loop.time()
        queue.retry("a")
        await queue.take()
        queue.done("a")
        pauses.append(loop.time() - began)
    assert pauses == pytest.approx([min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(12)])
    queue.forget("a")
    queue.retry("a")
    assert (await soon(queue, FIRST_PAUSE / 2), await soon(queue, FIRST_PAUSE)) == ("", "a")


async def test_a_key_may_fail_for_ever() -> None:
    queue: Queue[str] = Queue()
    for _ in range(3000):
        queue.retry("a")
    assert await soon(queue, LONGEST_PAUSE + 1) == "a"


async def test_a_worker_that_is_cancelled_takes_nothing_with_it() -> None:
    queue: Queue[str] = Queue()
    waiting = [asyncio.create_task(queue.take()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    queue.add("a")
    assert await waiting[1] == "a"
    queue.done("a")
    queue.add("b")
    assert await soon(queue) == "b"
