import asyncio
import logging

import pytest

from rynxs.eventlog import AnchorBackward, Corrupted, Fenced, LogStopped, StoreBroken, TooLarge
from rynxs.eventlog.batch import MAX_BYTES, MAX_EVENTS
from rynxs.eventlog.checkpoint import read_checkpoint

pytestmark = pytest.mark.looptime

FIRST, SECOND = "streams/shard-0/0000000001", "streams/shard-0/0000000002"


class Gate:
    """Holds creates of batches until it is opened."""

    def __init__(self, store):
        self.open = asyncio.Event()
        self.reached = asyncio.Event()
        store.before_create = self.pass_

    async def pass_(self, key, data):
        self.reached.set()
        await self.open.wait()


async def test_an_append_to_an_idle_stream_is_sent_at_once(world, draft):
    writer = await world.claim()
    start = asyncio.get_running_loop().time()
    [event] = await writer.append(draft(1))
    assert asyncio.get_running_loop().time() == start
    assert (event.seq, event.time, event.data) == (1, "2026-11-23T12:00:00.000Z", {"value": 1})
    assert (writer.stream, writer.epoch, writer.incarnation, writer.size) == ("shard-0", 1, 1, 2)
    await writer.close()


async def test_one_put_at_a_time_and_the_rest_grouped(world, draft):
    writer = await world.claim()
    gate = Gate(world.store)
    first = asyncio.ensure_future(writer.append(draft(0)))
    await gate.reached.wait()
    rest = [asyncio.ensure_future(writer.append(draft(value))) for value in range(1, 10)]
    await asyncio.sleep(1)
    assert world.slots() == [0]
    gate.open.set()
    await asyncio.gather(first, *rest)
    assert world.slots() == [0, 1, 2]
    await writer.close()


async def test_what_is_not_durable_is_neither_observed_nor_acknowledged(world, draft):
    writer = await world.claim()
    gate = Gate(world.store)
    waiting = asyncio.ensure_future(writer.append(draft(1)))
    await gate.reached.wait()
    await asyncio.sleep(60)
    assert not waiting.done()
    assert len(world.observed) == writer.size == 1
    gate.open.set()
    [event] = await waiting
    assert world.observed[1:] == [event]
    await writer.close()


async def test_events_are_observed_before_callers_wake(world, draft):
    order = []

    async def append():
        [event] = await writer.append(draft(1))
        order.append(("woken", event.seq))

    writer = await world.claim(observe=lambda events: order.extend(("observed", event.seq) for event in events))
    await asyncio.gather(append(), append())
    assert order == [("observed", seq) for seq in (0, 1, 2)] + [("woken", 1), ("woken", 2)] or order == [
        ("observed", 0), ("observed", 1), ("woken", 1), ("observed", 2), ("woken", 2),
    ]  # fmt: skip
    await writer.close()


async def test_cancelling_a_caller_withdraws_nothing(world, draft):
    writer = await world.claim()
    gate = Gate(world.store)
    sent, queued = (asyncio.ensure_future(writer.append(draft(value))) for value in range(2))
    await gate.reached.wait()
    sent.cancel()
    queued.cancel()
    await asyncio.gather(sent, queued, return_exceptions=True)
    gate.open.set()
    [event] = await writer.append(draft(2))
    assert event.seq == 3
    assert [found.data.get("value") for found in await world.events()] == [None, 0, 1, 2]
    await writer.close()


@pytest.mark.parametrize("faults", [["before"], ["after"], ["before"] * 6, ["before", "after"], ["after"] * 3])
async def test_a_lost_answer_never_loses_or_repeats_an_event(world, draft, faults):
    writer = await world.claim()
    for value in range(3):
        world.store.faults.extend(faults)
        await writer.append(draft(value))
    assert [event.data.get("value") for event in await world.events()] == [None, 0, 1, 2]
    assert world.slots() == [0, 1, 2, 3]
    await writer.close()


async def test_the_same_bytes_go_to_the_same_slot(world, draft):
    writer = await world.claim()
    sent = []

    async def record(key, data):
        sent.append((key, data))

    world.store.before_create = record
    world.store.faults.extend(["before"] * 4)
    await writer.append(draft(1))
    assert len(sent) == 5
    assert len(set(sent)) == 1
    await writer.close()


async def test_waits_for_a_store_that_comes_back(world, draft):
    writer = await world.claim()
    world.store.down = True
    waiting = asyncio.ensure_future(writer.append(draft(1)))
    await asyncio.sleep(3600)
    assert not waiting.done()
    attempts = len(world.store.creates)
    assert attempts < 10
    world.store.down = False
    [event] = await waiting
    assert event.seq == 1
    await writer.close()


async def test_no_put_starts_later_than_3_s_after_a_look(world, draft):
    old = await world.claim()
    await asyncio.sleep(2.9)
    await old.append(draft(1))
    new = await world.claim()
    creates = len(world.store.creates)
    await asyncio.sleep(10)
    with pytest.raises(Fenced, match="epoch 1 is over"):
        await old.append(draft(2))
    assert len(world.store.creates) == creates
    await new.close()
    await old.close()


async def test_a_put_that_hung_is_looked_after_before_it_is_sent_again(world, draft):
    old = await world.claim()
    gate = Gate(world.store)
    world.store.faults.append("before")
    waiting = asyncio.ensure_future(old.append(draft(1)))
    await gate.reached.wait()
    await asyncio.sleep(10)
    world.store.objects["epochs/shard-0/0000000002"] = b"anything"
    gate.open.set()
    with pytest.raises(Fenced):
        await waiting
    assert world.slots() == [0]
    assert [key for key, _ in world.store.creates].count(FIRST) == 1
    await old.close()


async def test_a_zombie_adds_and_acknowledges_nothing(world, draft):
    old = await world.claim()
    observed_by_old = world.observed
    new = await world.claim()
    results = await asyncio.gather(*(old.append(draft(value)) for value in range(5)), return_exceptions=True)
    assert all(isinstance(result, Fenced) for result in results)
    assert len({id(result) for result in results}) == 5
    with pytest.raises(Fenced):
        await old.append(draft(6))
    assert old.closed
    assert len(observed_by_old) == 1
    await new.append(draft(7))
    assert [event.data.get("value") for event in await world.events()] == [None, None, 7]
    await new.close()
    await old.close()
    anchored = read_checkpoint(await world.anchors.read("shard-0"))
    assert (anchored.epoch, anchored.size) == (2, 3)


@pytest.mark.parametrize("foreign", [b"", b"foreign\n", "older"])
async def test_something_else_in_our_slot_is_corruption(world, draft, foreign):
    writer = await world.claim()
    if foreign == "older":
        foreign = world.store.objects["streams/shard-0/0000000000"]
    world.store.objects[FIRST] = foreign
    with pytest.raises(Corrupted, match="0000000001"):
        await writer.append(draft(1))
    with pytest.raises(Corrupted):
        await writer.append(draft(2))
    assert world.slots() == [0, 1]
    await writer.close()


async def test_a_broken_store_stops_the_writer(world, draft):
    writer = await world.claim()

    async def fail(key, data):
        raise StoreBroken("fsync: Input/output error")

    world.store.before_create = fail
    with pytest.raises(LogStopped, match="Input/output error"):
        await writer.append(draft(1))
    assert writer.closed
    await writer.close()


async def test_a_failing_observer_stops_the_writer(world, draft):
    class Violation(Exception):
        pass

    def observe(events):
        if events[0].seq:
            raise Violation("no")

    writer = await world.claim(observe=observe)
    with pytest.raises(LogStopped, match="Violation"):
        await writer.append(draft(1))
    with pytest.raises(LogStopped):
        await writer.append(draft(2))
    with pytest.raises(Violation):
        await writer.close()


async def test_close_writes_what_is_queued(world, draft):
    writer = await world.claim()
    waiting = [asyncio.ensure_future(writer.append(draft(value))) for value in range(5)]
    await asyncio.sleep(0)
    await writer.close()
    assert [event.seq for [event] in await asyncio.gather(*waiting)] == [1, 2, 3, 4, 5]
    with pytest.raises(LogStopped, match="closed"):
        await writer.append(draft(9))
    await writer.close()


async def test_close_gives_up_on_a_store_that_does_not_answer(world, draft):
    writer = await world.claim()
    world.store.down = True
    waiting = [asyncio.ensure_future(writer.append(draft(value))) for value in range(2)]
    await asyncio.sleep(10)
    closing = asyncio.get_running_loop().time()
    await writer.close()
    assert asyncio.get_running_loop().time() == closing
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, LogStopped)
        assert "may or may not" in str(result)


async def test_what_does_not_fit_a_batch_is_refused(world, draft):
    writer = await world.claim()
    with pytest.raises(TooLarge, match="4097 events"):
        await writer.append(*[draft()] * (MAX_EVENTS + 1))
    large = draft(data={"text": "x" * 60_000})
    with pytest.raises(TooLarge, match="do not fit a batch"):
        await writer.append(*[large] * (MAX_BYTES // 60_000 + 1))
    with pytest.raises(TooLarge, match="has a line"):
        await writer.append(draft(1), draft(data={"text": "x" * 65_535}))
    with pytest.raises(ValueError, match="at least one"):
        await writer.append()
    events = await writer.append(*[draft()] * MAX_EVENTS)
    assert events[-1].seq == MAX_EVENTS
    assert world.slots() == [0, 1]
    await writer.close()


async def test_the_anchor_follows_once_a_second_and_at_close(world, draft):
    writes = []
    real = world.anchors.write

    async def write(stream, note):
        writes.append((asyncio.get_running_loop().time(), read_checkpoint(note).size))
        await real(stream, note)

    world.anchors.write = write
    writer = await world.claim()
    start = asyncio.get_running_loop().time()
    for value in range(50):
        await writer.append(draft(value))
        await asyncio.sleep(0.05)
    await asyncio.sleep(10)
    assert [round(time - start) for time, _ in writes[1:]] == [0, 1, 2, 3]
    await writer.append(draft(50))
    await writer.close()
    assert writes[0] == (start, 0)
    assert writes[-1][1] == writer.size == 52
    assert read_checkpoint(world.anchors.notes["shard-0"]).size == 52


async def test_an_anchor_that_fails_is_seen_and_stops_the_writer_in_the_end(world, draft, caplog):
    writer = await world.claim()
    real = world.anchors.write

    async def fail(stream, note):
        raise OSError(28, "No space left on device")

    await asyncio.sleep(2)
    world.anchors.write = fail
    await writer.append(draft(1))
    await asyncio.sleep(30)
    assert "No space" in writer.anchor_error
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    world.anchors.write = real
    await asyncio.sleep(2)
    assert writer.anchor_error == ""
    world.anchors.write = fail
    await writer.append(draft(2))
    await asyncio.sleep(65)
    with pytest.raises(LogStopped, match="anchor can't be written"):
        await writer.append(draft(3))
    with pytest.raises(LogStopped, match="anchor is not up to date"):
        await writer.close()


async def test_an_anchor_of_a_later_epoch_fences(world, draft):
    writer = await world.claim()
    await asyncio.sleep(2)

    async def refuse(stream, note):
        raise AnchorBackward("a newer one is there")

    world.anchors.write = refuse
    await writer.append(draft(1))
    await asyncio.sleep(2)
    with pytest.raises(Fenced, match="a newer one is there"):
        await writer.append(draft(2))
    await writer.close()


async def test_a_look_is_as_old_as_its_begin(world, draft):
    writer = await world.claim()
    real, looks = world.store.list, []

    async def slow_then_fast(prefix, after=""):
        looks.append(asyncio.get_running_loop().time())
        await asyncio.sleep(3.5 if len(looks) == 1 else 1)
        async for key in real(prefix, after):
            yield key

    world.store.list = slow_then_fast
    await asyncio.sleep(10)
    await writer.append(draft(1))
    assert len(looks) == 2
    await asyncio.sleep(1.5)
    await writer.append(draft(2))
    assert len(looks) == 2
    await asyncio.sleep(1)
    await writer.append(draft(3))
    assert len(looks) == 3
    await writer.close()
