"""A small world for the log's tests: a store that can misbehave, keys, anchors, and a clock that stands still."""

import asyncio
from collections import deque
from datetime import UTC, datetime

import pytest

from rynxs.eventlog import Draft, Log, MemoryAnchors, MemoryStore, Signer, StoreError, Trust

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class FaultyStore(MemoryStore):
    """Takes one fault a create from `faults`: "before" (lost on the way), "after" (stored, answer lost).

    While `down` is set nothing answers but with an error. `creates` are the keys that were asked for, with the
    loop's time. `before_create` is awaited before each create takes effect.
    """

    def __init__(self):
        super().__init__()
        self.url = "faulty:"
        self.faults = deque()
        self.down = False
        self.creates = []
        self.before_create = None

    async def create(self, key, data):
        self.creates.append((key, asyncio.get_running_loop().time()))
        if self.before_create is not None:
            await self.before_create(key, data)
        fault = self.faults.popleft() if self.faults else None
        self._check(fault == "before")
        await super().create(key, data)
        if fault == "after":
            raise StoreError("faulty: the answer was lost")

    async def get(self, key):
        self._check()
        return await super().get(key)

    async def list(self, prefix, after=""):
        self._check()
        async for key in super().list(prefix, after):
            yield key

    def _check(self, lost=False):
        if self.down or lost:
            raise StoreError("faulty: connection refused")


class World:
    """One log with one trusted key; `claim` makes writers, each with a list of what it observed."""

    def __init__(self, store):
        self.store = store
        self.signer = Signer.generate("gateway-2026")
        self.anchors = MemoryAnchors()
        self.trust = Trust(log="test", keys=[self.signer.trusted(["shard-*"])])
        self.observed = []

    async def claim(self, **changes):
        log = await Log.create_or_open(self.store, "test")
        self.observed = observed = []
        options = {
            "writer": "w",
            "signer": self.signer,
            "trust": self.trust,
            "anchor": self.anchors,
            "observe": observed.extend,
            "now": lambda: NOON,
        }
        return await log.claim("shard-0", **(options | changes))

    async def events(self):
        return [event async for event in (await Log.open(self.store)).read("shard-0")]

    def slots(self):
        return [int(key[-10:]) for key in sorted(self.store.objects) if key.startswith("streams/")]


@pytest.fixture
def world():
    return World(FaultyStore())


@pytest.fixture
def make_world():
    return World


@pytest.fixture
def draft():
    def make(value=0, **changes):
        return Draft(**({"type": "test.made", "subject": "a/b", "data": {"value": value}} | changes))

    return make
