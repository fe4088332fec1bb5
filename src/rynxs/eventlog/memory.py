"""A store in memory, for tests and simulations. It uses neither threads nor clocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rynxs.eventlog.store import Exists, Missing, check_key


class MemoryStore:
    """Objects in a dict. Every call gives way to other tasks once before it takes effect."""

    def __init__(self) -> None:
        self.url = "memory:"
        self.objects: dict[str, bytes] = {}

    async def create(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        check_key(key)
        await asyncio.sleep(0)
        if key in self.objects:
            raise Exists(f"{self.url}{key} exists")
        self.objects[key] = bytes(data)

    async def get(self, key: str) -> bytes:
        """See ObjectStore."""
        check_key(key)
        await asyncio.sleep(0)
        try:
            return self.objects[key]
        except KeyError:
            raise Missing(f"{self.url}{key} does not exist") from None

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """See ObjectStore."""
        await asyncio.sleep(0)
        for key in sorted(key for key in self.objects if key.startswith(prefix) and key > after):
            yield key
