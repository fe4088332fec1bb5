"""Object stores: where a log's objects are. The contract is `tests/contract/test_store.py`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Protocol

_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}/)*[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
MAX_KEY = 512


class StoreError(Exception):
    """Not a plain success: what was asked for may or may not have happened."""


class Exists(StoreError):
    """There is an object of that key already."""


class Missing(StoreError):
    """There is no object of that key."""


class StoreBroken(StoreError):
    """The store can no longer say what is durable, and refuses everything from now on."""


class ObjectStore(Protocol):
    """Objects that are created once and never change. `url` says where, for messages.

    Keys are segments of ASCII letters, digits, `.`, `_` and `-`, joined by `/`; no segment begins with a dot.
    Another key is a ValueError.
    """

    url: str

    async def create(self, key: str, data: bytes) -> None:
        """Store a new object; returns when it is durable, and visible to every reader.

        Of many creates of one key exactly one succeeds. Raises Exists, or StoreError when it may or may
        not be there. Cancelling it does not stop the write.
        """

    async def get(self, key: str) -> bytes:
        """The whole object. Raises Missing or StoreError."""

    def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """The keys that begin with `prefix` and sort behind `after`, ascending by byte. Raises StoreError."""


def check_key(key: str) -> None:
    """Raise ValueError for a key that is not allowed."""
    if len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} can't be an object's key")
