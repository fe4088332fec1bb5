import asyncio

import pytest

from rynxs.eventlog import LogStopped
from rynxs.eventlog.batch import MAX_EVENTS
from rynxs.eventlog.event import unplaced
from rynxs.eventlog.queue import QUEUE_BYTES, QUEUE_EVENTS, Entry, Queue

pytestmark = pytest.mark.looptime


@pytest.fixture
def entry(draft):
    event, rest = unplaced(draft(), "2026-11-23T12:00:00.000Z")

    def make(events=1, rest=rest):
        return Entry([event] * events, [rest] * events)

    return make


async def test_takes_whole_entries_in_order(entry):
    queue = Queue("shard-0")
    entries = [entry(MAX_EVENTS - 1), entry(1), entry(2), entry(3)]
    for one in entries:
        await queue.put(one)
    assert await queue.take() == entries[:2]
    assert await queue.take() == entries[2:]


async def test_a_batch_is_bounded_in_bytes(entry):
    queue = Queue("shard-0")
    entries = [entry(1, bytes(3_000_000)), entry(1, bytes(1_000_000)), entry(1, bytes(1_000_000))]
    for one in entries:
        await queue.put(one)
    assert await queue.take() == entries[:2]
    assert await queue.take() == entries[2:]


@pytest.mark.parametrize("count", ["events", "bytes"])
async def test_a_full_queue_makes_callers_wait_in_order(entry, count):
    queue = Queue("shard-0")
    large = entry(MAX_EVENTS) if count == "events" else entry(1, bytes(4 * 1024 * 1024))
    room = QUEUE_EVENTS // MAX_EVENTS if count == "events" else QUEUE_BYTES // large.size
    for _ in range(room):
        await queue.put(large)
    small = entry()
    waiting = [asyncio.ensure_future(queue.put(one)) for one in (large, small)]
    await asyncio.sleep(10)
    assert not any(task.done() for task in waiting)
    await queue.take()
    await waiting[0]
    await asyncio.sleep(1)
    assert not waiting[1].done()
    taken = []
    while len(taken) < room + 1:
        taken += await queue.take()
    assert taken[-1] is small
    await waiting[1]


async def test_one_that_stops_waiting_leaves_nothing(entry):
    queue = Queue("shard-0")
    for _ in range(QUEUE_EVENTS // MAX_EVENTS):
        await queue.put(entry(MAX_EVENTS))
    first, second = entry(1), entry(1)
    waiting = [asyncio.ensure_future(queue.put(one)) for one in (first, second)]
    await asyncio.sleep(1)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    await queue.take()
    await waiting[1]
    taken = []
    while second not in taken:
        taken += await queue.take()
    assert first not in taken


async def test_close_lets_it_run_empty(entry):
    queue = Queue("shard-0")
    one = entry()
    await queue.put(one)
    queue.close()
    with pytest.raises(LogStopped, match="closed"):
        await queue.put(entry())
    assert await queue.take() == [one]
    assert await queue.take() == []


async def test_stop_answers_everybody(entry):
    queue = Queue("shard-0")
    large = [entry(MAX_EVENTS) for _ in range(QUEUE_EVENTS // MAX_EVENTS)]
    for one in large:
        await queue.put(one)
    waiting = asyncio.ensure_future(queue.put(entry()))
    await asyncio.sleep(1)
    queue.stop(LogStopped("because"))
    with pytest.raises(LogStopped, match="because"):
        await waiting
    for one in large:
        with pytest.raises(LogStopped, match="because"):
            await one.done
    queue.stop(LogStopped("later"))
    with pytest.raises(LogStopped, match="because"):
        await queue.take()


async def test_a_waiting_taker_is_woken(entry):
    queue = Queue("shard-0")
    taking = asyncio.ensure_future(queue.take())
    await asyncio.sleep(1)
    one = entry()
    await queue.put(one)
    assert await taking == [one]
    taking = asyncio.ensure_future(queue.take())
    await asyncio.sleep(1)
    queue.close()
    assert await taking == []
