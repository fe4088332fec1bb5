import pytest

from rynxs.eventlog import Corrupted, Signer, Trust
from rynxs.eventlog.batch import InvalidObject
from rynxs.eventlog.epoch import Epoch, create_epoch, last_epoch, parse_epoch

pytestmark = pytest.mark.looptime

SIGNER = Signer.generate("k")
TRUST = Trust(log="test", keys=[SIGNER.trusted(["*"])])


def epoch(number=3, **changes):
    fields = {
        "format": 1,
        "log": "test",
        "shards": 1,
        "stream": "shard-0",
        "epoch": number,
        "incarnation": 1,
        "writer": "w",
        "put": "p",
        "time": "2026-11-23T12:00:00.000Z",
    }
    return Epoch(**(fields | changes))


def test_what_is_sealed_is_parsed():
    assert parse_epoch(epoch().seal(SIGNER), "shard-0", 3, TRUST) == epoch()


@pytest.mark.parametrize("changes", [{"log": "other"}, {"stream": "shard-1"}, {"epoch": 4}, {"time": "now"}])
def test_an_epoch_of_something_else_is_invalid(changes):
    data = epoch(**changes).seal(SIGNER)
    with pytest.raises(InvalidObject):
        parse_epoch(data, "shard-0", 3, TRUST)


def test_every_changed_byte_is_found():
    data = epoch().seal(SIGNER)
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1
        with pytest.raises(InvalidObject):
            parse_epoch(bytes(changed), "shard-0", 3, TRUST)


async def test_takes_the_first_free_one(world):
    for number in (3, 4):
        world.store.objects[f"epochs/shard-0/000000000{number}"] = b"taken"
    assert await last_epoch(world.store, "shard-0") == 4
    assert await create_epoch(world.store, "shard-0", 3, lambda number: b"%d" % number) == 5
    assert world.store.objects["epochs/shard-0/0000000005"] == b"5"


@pytest.mark.parametrize("faults", [["before"], ["after"], ["before"] * 5 + ["after"]])
async def test_lost_answers_use_no_second_epoch(world, faults):
    world.store.faults.extend(faults)
    assert await create_epoch(world.store, "shard-0", 1, lambda number: b"%d" % number) == 1
    assert list(world.store.objects) == ["epochs/shard-0/0000000001"]


async def test_a_foreign_name_is_corruption(world):
    assert await last_epoch(world.store, "shard-0") == 0
    world.store.objects["epochs/shard-0/foreign"] = b""
    with pytest.raises(Corrupted, match="foreign"):
        await last_epoch(world.store, "shard-0")
