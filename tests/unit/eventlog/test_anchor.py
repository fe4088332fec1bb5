import asyncio
import os

import pytest

from rynxs.eventlog import AnchorBackward, BadNote, Checkpoint, FileAnchors, MemoryAnchors, Signer
from rynxs.eventlog.file import SyncFailed

SIGNER = Signer.generate("k")


@pytest.fixture(params=["memory", "file"])
def anchors(request, tmp_path):
    return MemoryAnchors() if request.param == "memory" else FileAnchors(tmp_path / "state" / "anchors")


def note(size, epoch=1, incarnation=1):
    return Checkpoint(
        log="test",
        stream="shard-0",
        size=size,
        root=bytes(32),
        last=None,
        epoch=epoch,
        incarnation=incarnation,
        time="2026-11-23T12:00:00.000Z",
    ).sign(SIGNER)


async def test_there_is_none_at_first(anchors):
    assert await anchors.read("shard-0") is None


async def test_moves_forward(anchors):
    for step in (note(0, epoch=0), note(5), note(5), note(6, epoch=2), note(2, epoch=3, incarnation=2)):
        await anchors.write("shard-0", step)
        assert await anchors.read("shard-0") == step
    assert await anchors.read("shard-1") is None


@pytest.mark.parametrize("step", [note(4, epoch=3), note(5, epoch=1), note(9, epoch=1), note(9, 9, incarnation=1)])
async def test_never_backward(anchors, step):
    await anchors.write("shard-0", note(5, epoch=2, incarnation=2))
    with pytest.raises(AnchorBackward, match="shard-0 is at size 5"):
        await anchors.write("shard-0", step)
    assert await anchors.read("shard-0") == note(5, epoch=2, incarnation=2)


async def test_a_smaller_size_is_backward_even_in_a_higher_epoch(anchors):
    await anchors.write("shard-0", note(5))
    with pytest.raises(AnchorBackward):
        await anchors.write("shard-0", note(4, epoch=2))


async def test_takes_checkpoints_only(anchors):
    with pytest.raises(BadNote):
        await anchors.write("shard-0", b"anything")
    assert await anchors.read("shard-0") is None


async def test_many_writers_leave_the_newest(anchors):
    results = await asyncio.gather(
        *(anchors.write("shard-0", note(size)) for size in range(20)), return_exceptions=True
    )
    assert await anchors.read("shard-0") == note(19)
    assert all(result is None or isinstance(result, AnchorBackward) for result in results)


async def test_a_failed_sync_is_an_error_and_leaves_the_old_anchor(tmp_path, monkeypatch):
    anchors = FileAnchors(tmp_path)
    await anchors.write("shard-0", note(1))

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SyncFailed, match="Input/output error"):
        await anchors.write("shard-0", note(2))
    assert await anchors.read("shard-0") == note(1)
    assert [file.name for file in tmp_path.iterdir()] == ["shard-0"]
