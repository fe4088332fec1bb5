"""Probing a store: whether conditional create and read-your-write hold, without which there is no log."""

from __future__ import annotations

import asyncio

from rynxs.eventlog.error import LogError
from rynxs.eventlog.id import uuid7
from rynxs.eventlog.store import Exists, Missing, ObjectStore, StoreError

PASSED = "probe/passed"
"""Remembers that the store has passed, so that it is asked once."""

WRITERS = 32


class Unfit(LogError):
    """The store does not keep the promises that a log needs."""


async def probe(store: ObjectStore) -> None:
    """Let writers race for one object of the store, once in its life. Raises Unfit, StoreError."""
    try:
        await store.get(PASSED)
    except Missing:
        await _race(store)
    else:
        return
    try:
        await store.create(PASSED, b"conditional create, read-your-write\n")
    except Exists:
        return


async def _race(store: ObjectStore) -> None:
    key = f"probe/{uuid7()}"
    bodies = [f"{number}\n".encode() for number in range(WRITERS)]
    answers = await asyncio.gather(*(store.create(key, body) for body in bodies), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, StoreError):
            raise answer
    winners = [body for body, answer in zip(bodies, answers, strict=True) if answer is None]
    if len(winners) > 1:
        raise Unfit(
            f"refusing to start: {store.url} ignores If-None-Match ({len(winners)} of {WRITERS} writers won a race). "
            "Use an unversioned bucket on this store, or another store"
        )
    unclear = [answer for answer in answers if answer is not None and not isinstance(answer, Exists)]
    if not winners:
        raise StoreError(f"{store.url}: nobody won a race for a new object: {unclear[0] if unclear else 'all lost'}")
    try:
        found = await store.get(key)
    except Missing:
        found = b""
    if found != winners[0]:
        raise Unfit(f"refusing to start: {store.url} does not show what was just written ({key}). Use another store")
