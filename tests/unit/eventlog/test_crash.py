"""A writer that dies at any call into the disk leaves a log that the next one opens, with all that was acknowledged."""

import contextlib
import os

import pytest

from rynxs.eventlog import DiskStore, FileAnchors, LogError, verify


class Killed(BaseException):
    """The process is gone: also nothing cleans up."""


@pytest.fixture
def kill(monkeypatch):
    """A context in which the process dies at its n-th call into the disk, after `torn` bytes if that is a write."""

    @contextlib.contextmanager
    def kill(at, torn):
        calls = 0

        def dying(name, real):
            def call(*arguments, **options):
                nonlocal calls
                calls += 1
                if calls == at and name == "write":
                    real(arguments[0], bytes(arguments[1])[:torn])
                if calls >= at:
                    raise Killed
                return real(*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for name in ("open", "write", "fsync", "link", "unlink", "replace", "mkdir"):
                patch.setattr(os, name, dying(name, getattr(os, name)))
            yield

    return kill


@pytest.mark.parametrize("at", range(1, 60, 3))
async def test_killed_at_any_call(tmp_path, kill, make_world, draft, at):
    acknowledged = []

    async def live():
        store = DiskStore(tmp_path / "log")
        world.store, world.anchors = store, FileAnchors(tmp_path / "anchors")
        writer = await world.claim()
        try:
            for value in range(3):
                acknowledged.extend(await writer.append(draft(value)))
        finally:
            await writer.close()

    world = make_world(None)
    for shift in range(3):
        with kill(at + shift, torn=at), contextlib.suppress(Killed, LogError):
            await live()
    await live()
    events = await world.events()
    assert [events[event.seq] for event in acknowledged] == acknowledged
    report = await verify(DiskStore(tmp_path / "log"), "shard-0", world.trust, world.anchors)
    assert report.findings == []
    assert report.complete_up_to == len(events) - 1
