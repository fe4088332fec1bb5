"""Anchors in files; what holds for all anchors is in tests/contract/test_anchors.py."""

import os

import pytest

from rynxs.eventlog import Checkpoint, FileAnchors, Signer
from rynxs.eventlog.file import SyncFailed

SIGNER = Signer.generate("k")


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
