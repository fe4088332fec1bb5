import asyncio

import pytest
from msgspec.structs import replace

from rynxs.eventlog import (
    AnchorMismatch,
    AnchorMissing,
    BadKey,
    BadNote,
    BehindAnchor,
    Corrupted,
    Fenced,
    MemoryAnchors,
    Signer,
    StoreError,
    Trust,
    WrongLog,
)
from rynxs.eventlog.batch import digest, encode, object_name, parse
from rynxs.eventlog.checkpoint import read_checkpoint

pytestmark = pytest.mark.looptime


def slot(number):
    return f"streams/shard-0/{object_name(number)}"


@pytest.fixture
def written(world, draft):
    """A closed log of five objects: the claim and four events."""

    async def write():
        writer = await world.claim()
        for value in range(4):
            await writer.append(draft(value))
        await writer.close()

    return write


async def test_the_first_claim(world):
    writer = await world.claim()
    assert (writer.epoch, writer.incarnation, writer.size) == (1, 1, 1)
    [event] = world.observed
    assert (event.seq, event.type, event.subject) == (0, "writer.claimed", "shard-0")
    assert event.data == {"writer": "w", "epoch": 1, "incarnation": 1}
    assert sorted(world.store.objects) == ["epochs/shard-0/0000000001", "log.json", slot(0)]
    await writer.close()


async def test_an_install_writes_an_empty_anchor_before_anything_else(world):
    async def check(key, data):
        if key != "log.json":
            assert read_checkpoint(world.anchors.notes["shard-0"]).size == 0

    world.store.before_create = check
    writer = await world.claim()
    await writer.close()


async def test_a_claim_folds_everything_in_order(world, written):
    await written()
    writer = await world.claim()
    assert [event.seq for event in world.observed] == list(range(6))
    assert world.observed == await world.events()
    assert writer.epoch == 2
    await writer.close()


async def test_epochs_rise_over_claims_that_died(world, written):
    await written()
    for epoch in (2, 5):
        world.store.objects[f"epochs/shard-0/{object_name(epoch)}"] = b"created by one that died"
    writer = await world.claim()
    assert writer.epoch == 6
    await writer.close()


async def test_epochs_rise_over_the_anchor_and_the_tail(world, written):
    await written()
    del world.store.objects["epochs/shard-0/0000000001"]
    writer = await world.claim()
    assert writer.epoch == 2
    await writer.close()


async def test_of_claims_at_once_each_has_its_epoch_and_one_stays(world, draft):
    await (await world.claim()).close()
    results = await asyncio.gather(*(world.claim() for _ in range(5)), return_exceptions=True)
    writers = [result for result in results if not isinstance(result, BaseException)]
    assert all(isinstance(result, Fenced) for result in results if result not in writers)
    assert len({writer.epoch for writer in writers}) == len(writers)
    newest = max(writers, key=lambda writer: writer.epoch)
    for writer in writers:
        if writer is not newest:
            with pytest.raises(Fenced):
                await writer.append(draft(1))
        await asyncio.sleep(0)
    await newest.append(draft(2))
    assert newest.epoch == 6
    for writer in writers:
        await writer.close()


async def test_a_tail_that_an_older_writer_moves_is_read_again(world, draft):
    old = await world.claim()
    moved = asyncio.Event()

    async def move(key, data):
        if b'"epoch":2' in data and key == slot(1):
            world.store.before_create = None
            await old.append(draft(1))
            await old.append(draft(2))
            moved.set()

    world.store.before_create = move
    new = await world.claim()
    assert moved.is_set()
    assert [event.data.get("value") for event in world.observed] == [None, 1, 2, None]
    assert new.size == 4
    with pytest.raises(Fenced):
        await old.append(draft(3))
    await new.append(draft(4))
    await new.close()
    await old.close()


@pytest.mark.parametrize("faults", [["before"], ["after"], ["after"] * 3, ["before", "after", "before"]])
async def test_a_claim_survives_lost_answers(world, written, faults):
    await written()
    await asyncio.sleep(0)
    world.store.faults.append(None)  # log.json
    world.store.faults.extend(faults)
    writer = await world.claim()
    assert writer.epoch == 2
    assert writer.size == 6
    await writer.close()


async def test_a_store_that_is_down_is_said_so(world, written):
    await written()
    world.store.down = True
    with pytest.raises(StoreError, match="connection refused"):
        await world.claim()


async def test_a_stream_without_its_anchor_is_refused(world, written):
    await written()
    with pytest.raises(AnchorMissing, match="restore the state folder, or start a new log"):
        await world.claim(anchor=MemoryAnchors())


async def test_an_epoch_without_a_stream_needs_the_anchor_too(world, written):
    await written()
    for key in [key for key in world.store.objects if key.startswith("streams/")]:
        del world.store.objects[key]
    with pytest.raises(AnchorMissing):
        await world.claim(anchor=MemoryAnchors())


@pytest.mark.parametrize("left", range(5))
async def test_a_stream_behind_its_anchor_is_refused(world, written, left):
    await written()
    for number in range(left, 5):
        del world.store.objects[slot(number)]
    with pytest.raises(BehindAnchor, match=f"has {left} events, but its anchor of 2026-11-23T12:00:00.000Z says 5"):
        await world.claim()
    assert len(world.slots()) == left


async def test_a_rewritten_stream_is_refused(world, written, draft, make_world):
    await written()
    other = make_world(type(world.store)())
    other.signer, other.trust = world.signer, world.trust
    writer = await other.claim()
    for value in range(9):
        await writer.append(draft(value))
    await writer.close()
    world.store = other.store
    with pytest.raises(AnchorMismatch, match="rewritten"):
        await world.claim()


async def test_a_rewritten_stream_with_other_batches_is_refused(world, written, draft, make_world):
    await written()
    other = make_world(type(world.store)())
    other.signer, other.trust = world.signer, world.trust
    writer = await other.claim()
    await writer.append(*[draft(value) for value in range(9)])
    await writer.close()
    world.store = other.store
    with pytest.raises(AnchorMismatch, match="rewritten"):
        await world.claim()


@pytest.mark.parametrize("number", range(5))
async def test_a_changed_object_is_refused(world, written, number):
    await written()
    data = world.store.objects[slot(number)]
    world.store.objects[slot(number)] = data.replace(b"test.made", b"test.mode").replace(b'"w"', b'"v"')
    with pytest.raises(Corrupted, match=f"{object_name(number)}.*does not fit"):
        await world.claim()


async def test_a_gap_is_refused(world, written):
    await written()
    del world.store.objects[slot(2)]
    with pytest.raises(Corrupted, match="0000000002 is missing, but 0000000003 is there"):
        await world.claim()


async def test_a_replaced_object_of_our_own_key_is_refused(world, written, draft, make_world):
    await written()
    other = make_world(type(world.store)())
    other.signer, other.trust = world.signer, world.trust
    writer = await other.claim()
    for value in range(4):
        await writer.append(draft(value))
    await writer.close()
    world.store.objects[slot(3)] = other.store.objects[slot(3)]
    with pytest.raises(Corrupted, match="0000000003: it does not follow"):
        await world.claim()


async def test_another_log_s_trust_or_key_is_refused(world, written):
    await written()
    other = Trust(log="other", keys=world.trust.keys)
    with pytest.raises(WrongLog, match="trust file is of log other"):
        await world.claim(trust=other)
    for signer in (Signer.generate("other"), Signer.generate(world.signer.name)):
        with pytest.raises(BadKey, match="does not let key"):
            await world.claim(signer=signer)


async def test_an_anchor_that_nobody_trusted_signed_is_refused(world, written):
    await written()
    note = world.anchors.notes["shard-0"]
    world.anchors.notes["shard-0"] = note.replace(b"\n5\n", b"\n4\n")
    with pytest.raises(BadNote, match="does not fit"):
        await world.claim()


async def test_the_incarnation_comes_from_the_anchor(world, written):
    await written()
    anchored = read_checkpoint(world.anchors.notes["shard-0"])
    world.anchors.notes["shard-0"] = replace(anchored, incarnation=2).sign(world.signer)
    writer = await world.claim()
    assert (writer.incarnation, writer.epoch) == (2, 2)
    assert parse(world.store.objects[slot(5)]).header.fence == (2, 2)
    await writer.close()
    old = replace(anchored, incarnation=1)
    world.anchors.notes["shard-0"] = old.sign(world.signer)
    with pytest.raises(Fenced, match="incarnation 1"):
        await world.claim()


async def test_an_epoch_that_nobody_claimed_is_refused(world, written):
    await written()
    last = parse(world.store.objects[slot(4)])
    header = replace(last.header, first=5, epoch=3, prev=digest(world.store.objects[slot(4)]))
    line = last.lines[0].replace(b'"seq":4', b'"seq":5')
    world.store.objects[slot(5)] = encode(header, [line], world.signer)
    with pytest.raises(Corrupted, match=r"epoch 3 begins without a writer\.claimed"):
        await world.claim()


async def test_epochs_rise_over_the_anchor_s(world, written):
    await written()
    anchored = read_checkpoint(world.anchors.notes["shard-0"])
    world.anchors.notes["shard-0"] = replace(anchored, epoch=8).sign(world.signer)
    writer = await world.claim()
    assert writer.epoch == 9
    await writer.close()
