"""What a log promises to its users, on every store."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from rynxs.eventlog import (
    DiskStore,
    Draft,
    Fenced,
    FileAnchors,
    Log,
    MemoryAnchors,
    MemoryStore,
    NotALog,
    Signer,
    Trust,
    WrongLog,
    WrongShards,
    streams,
    verify,
)


@pytest.fixture(params=["memory", "disk", "versitygw", "minio"])
def place(request, tmp_path, buckets):
    """A function that opens the same store anew, as another process would, and its anchors."""
    anchors = MemoryAnchors()
    if request.param == "memory":
        store = MemoryStore()
        return lambda: (store, anchors)
    if request.param in ("versitygw", "minio"):
        opened = buckets(request.param)
        return lambda: (opened(), anchors)
    return lambda: (DiskStore(tmp_path / "log"), FileAnchors(tmp_path / "state" / "anchors"))


@pytest.fixture
def signer():
    return Signer.generate("gateway-2026")


@pytest.fixture
def claim(place, signer):
    async def claim(observe=lambda events: None, stream="shard-0"):
        store, anchors = place()
        log = await Log.create_or_open(store, "prod")
        trust = Trust(log="prod", keys=[signer.trusted(["*"])])
        return log, await log.claim(
            stream,
            writer="test",
            signer=signer,
            trust=trust,
            anchor=anchors,
            observe=observe,
            now=lambda: datetime.now(UTC),
        )

    return claim


def draft(value=0):
    return Draft(type="test.made", subject="a/b", data={"value": value})


async def read(log, after=-1):
    return [event async for event in log.read("shard-0", after)]


async def test_what_is_acknowledged_is_read_in_order(claim):
    observed = []
    log, writer = await claim(observed.extend)
    appended = [await writer.append(draft(1), draft(2)), await writer.append(draft(3))]
    assert [[event.seq for event in batch] for batch in appended] == [[1, 2], [3]]
    events = await read(log)
    assert events[0].type == "writer.claimed"
    assert events[1:] == [*appended[0], *appended[1]]
    assert observed == events
    await writer.close()


async def test_many_callers_share_batches_and_keep_their_order(claim):
    log, writer = await claim()
    answers = await asyncio.gather(*(writer.append(draft(value), draft(value)) for value in range(300)))
    for value, (first, second) in enumerate(answers):
        assert (first.data["value"], second.seq) == (value, first.seq + 1)
    assert [first.seq for first, _ in answers] == list(range(1, 601, 2))
    batches = [key async for key in log.store.list("streams/")]
    assert len(batches) < 20
    assert len(await read(log)) == 601
    await writer.close()


async def test_another_process_goes_on(claim):
    _, first = await claim()
    await first.append(draft(1))
    await first.close()
    observed = []
    log, second = await claim(observed.extend)
    assert (first.epoch, second.epoch) == (1, 2)
    assert [event.data.get("value") for event in observed] == [None, 1, None]
    await second.append(draft(2))
    assert second.size == 4
    assert await read(log) == observed
    await second.close()


async def test_a_deposed_writer_adds_nothing(claim):
    _, old = await claim()
    log, new = await claim()
    with pytest.raises(Fenced):
        await old.append(draft(1))
    assert old.closed
    [event] = await new.append(draft(2))
    assert [found.data.get("value") for found in await read(log)] == [None, None, 2]
    await old.close()
    await new.append(draft(3))
    assert event.seq == 2
    await new.close()


async def test_a_closed_writer_left_a_clean_and_anchored_log(claim, place, signer):
    _, writer = await claim()
    for value in range(5):
        await writer.append(draft(value))
    await writer.close()
    store, anchors = place()
    report = await verify(store, "shard-0", Trust(log="prod", keys=[signer.trusted(["*"])]), anchors)
    assert report.findings == []
    assert (report.events, report.epochs, report.complete_up_to) == (6, 1, 5)


async def test_streams_are_separate(claim):
    log, one = await claim(stream="shard-1")
    _, ten = await claim(stream="shard-10")
    _, continued = await claim(stream="shard-1.2")
    await one.append(draft(1))
    await ten.append(draft(10))
    await ten.append(draft(10))
    assert await streams(log.store) == ["shard-1", "shard-1.2", "shard-10"]
    assert [event.data["value"] async for event in log.read("shard-1", 0)] == [1]
    for writer in (one, ten, continued):
        await writer.close()


async def test_reads_behind_a_seq(claim):
    log, writer = await claim()
    for _ in range(3):
        await writer.append(draft(), draft(), draft())
    for after in range(-1, 12):
        assert [event.seq for event in await read(log, after)] == list(range(after + 1, 10))
    await writer.close()


async def test_follow_sees_what_comes(claim):
    log, writer = await claim()
    following = log.follow("shard-0", 0)
    seen = []
    for value in range(3):
        await writer.append(draft(value))
        seen.append((await anext(following)).data["value"])
    waiting = asyncio.ensure_future(anext(following))
    await writer.append(draft(3))
    assert (await waiting).data["value"] == 3
    assert seen == [0, 1, 2]
    await following.aclose()
    await writer.close()


async def test_follow_waits_for_a_stream_that_is_not_there_yet(claim, place):
    store, _ = place()
    following = (await Log.create_or_open(store, "prod")).follow("shard-0")
    waiting = asyncio.ensure_future(anext(following))
    _, writer = await claim()
    assert (await waiting).type == "writer.claimed"
    await following.aclose()
    await writer.close()


async def test_a_log_is_created_once(place):
    logs = await asyncio.gather(*(Log.create_or_open(place()[0]) for _ in range(5)))
    assert len({log.id for log in logs}) == 1
    assert (await Log.open(place()[0])).id == logs[0].id


async def test_id_and_shards_never_change(place):
    await Log.create_or_open(place()[0], "prod", shards=8)
    with pytest.raises(WrongShards, match="with 8 shards, not 1"):
        await Log.create_or_open(place()[0], "prod")
    with pytest.raises(WrongLog, match="prod, not test"):
        await Log.create_or_open(place()[0], "test", shards=8)
    assert (await Log.open(place()[0])).shards == 8


async def test_nothing_is_not_a_log(place):
    store, _ = place()
    with pytest.raises(NotALog, match="no log"):
        await Log.open(store)
    assert [key async for key in store.list("")] == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format":2,"log":"a","shards":1}', b'{"format":1,"log":"../a","shards":1}']
)
async def test_refuses_a_log_that_it_does_not_know(place, content):
    store, _ = place()
    await store.create("log.json", content)
    with pytest.raises(NotALog, match=r"log\.json"):
        await Log.create_or_open(store)


@pytest.mark.parametrize("stream", ["", "A", "a/b", "..", ".a", "a.", "a" * 64, "a\n"])
async def test_refuses_names_that_are_no_streams(claim, stream):
    with pytest.raises(ValueError, match="stream"):
        await claim(stream=stream)


async def test_objects_are_json_lines_that_need_no_tool_of_ours(claim):
    log, writer = await claim()
    await writer.append(draft("é"))
    await writer.close()
    lines = [json.loads(line) for line in (await log.store.get("streams/shard-0/0000000001")).splitlines()]
    header, event, signature = lines
    assert list(header) == [
        "format", "log", "stream", "first", "count", "epoch", "incarnation", "writer", "put", "prev", "time",
    ]  # fmt: skip
    assert (header["first"], header["count"], header["prev"][:7]) == (1, 1, "sha256:")
    assert event["data"] == {"value": "é"}
    assert list(signature) == ["signature", "key"]
