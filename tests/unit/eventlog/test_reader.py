import asyncio

import pytest

from rynxs.eventlog import Corrupted, Log, StoreError, streams
from rynxs.eventlog.batch import MAX_EVENTS
from rynxs.eventlog.reader import number_of

pytestmark = pytest.mark.looptime

SLOT = "streams/shard-0/000000000"


@pytest.fixture
async def log(world, draft):
    writer = await world.claim()
    for _ in range(3):
        await writer.append(draft(), draft())
    await writer.close()
    return await Log.open(world.store)


async def read(log, after=-1):
    return [event.seq async for event in log.read("shard-0", after)]


async def test_reads_from_any_seq(log):
    for after in range(-1, 10):
        assert await read(log, after) == list(range(after + 1, 7))


async def test_starts_at_the_batch_that_holds_the_seq(world, draft):
    writer = await world.claim()
    await writer.append(*[draft()] * MAX_EVENTS)
    await writer.append(draft())
    await writer.close()
    log = await Log.open(world.store)
    assert await read(log, MAX_EVENTS - 1) == [MAX_EVENTS, MAX_EVENTS + 1]
    assert await read(log, MAX_EVENTS) == [MAX_EVENTS + 1]
    assert await read(log, MAX_EVENTS + 1) == []


async def test_does_not_read_what_is_behind_it(world, log):
    del world.store.objects[SLOT + "0"]
    del world.store.objects[SLOT + "1"]
    assert await read(log, 4) == [5, 6]


async def test_a_missing_object_is_not_the_end(world, log):
    del world.store.objects[SLOT + "3"]
    with pytest.raises(Corrupted, match="object 0000000003 is missing, but 0000000005 is there"):
        await read(log)
    del world.store.objects[SLOT + "0"]
    with pytest.raises(Corrupted, match="object 0000000000 is missing"):
        await read(log)


async def test_a_damaged_object_is_said_so(world, log):
    data = world.store.objects[SLOT + "3"]
    world.store.objects[SLOT + "3"] = data[:-9]
    with pytest.raises(Corrupted, match=r"object 0000000003: it is cut short.*rynxs log verify"):
        await read(log)
    world.store.objects[SLOT + "3"] = data.replace(b'"seq":4', b'"sex":4')
    with pytest.raises(Corrupted, match="event 4 can't be read"):
        await read(log)


async def test_an_object_that_comes_while_looking_is_read(world, log):
    last = world.store.objects.pop(SLOT + "5")
    real = world.store.get

    async def get(key):
        try:
            return await real(key)
        finally:
            if key == SLOT + "5":
                world.store.objects[key] = last

    world.store.get = get
    assert await read(log) == list(range(7))


async def test_follow_waits_without_end(world, log, draft):
    seen = {}

    async def follow():
        async for event in log.follow("shard-0", 5):
            seen[event.seq] = True

    following = asyncio.ensure_future(follow())
    await asyncio.sleep(60)
    assert list(seen) == [6]
    writer = await world.claim()
    await writer.append(draft())
    await asyncio.sleep(1)
    assert list(seen) == [6, 7, 8]
    await writer.close()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_a_store_that_is_down_is_an_error(world, log):
    world.store.down = True
    with pytest.raises(StoreError):
        await read(log)


async def test_streams_are_found_without_reading_them(world):
    for key in (
        "streams/b/0000000000",
        "streams/b/0000000001",
        "streams/a.2/0000000000",
        "streams/a/0000000000",
    ):
        world.store.objects[key] = b""
    world.store.objects["epochs/c/0000000001"] = b""
    assert await streams(world.store) == ["a", "a.2", "b"]


def test_numbers_of_names():
    assert number_of("streams/a/0000000412") == 412
    for foreign in ("streams/a/412", "streams/a/00000004120", "streams/a/000000041x", "streams/a/٠٠٠٠٠٠٠٤١٢"):
        assert number_of(foreign) is None
