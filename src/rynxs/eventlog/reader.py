"""Reading a stream: its objects in order, and its events, without verifying anything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from rynxs.eventlog import event as events
from rynxs.eventlog.batch import MAX_EVENTS, InvalidObject, object_name, parse
from rynxs.eventlog.error import Corrupted
from rynxs.eventlog.event import Event
from rynxs.eventlog.store import Missing, ObjectStore

FOLLOW_INTERVAL = 0.2
"""Seconds between two looks for new events."""

_STREAM = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
_OBJECT = re.compile(r"[0-9]{10}")


def check_stream(stream: str) -> None:
    """Raise ValueError for what can't name a stream: at most 63 lower-case letters, digits, `.` and `-`."""
    if not _STREAM.fullmatch(stream):
        raise ValueError(f"{stream!r} can't name a stream: use lower-case letters, digits, '.' and '-'")


def batch_key(stream: str, slot: int) -> str:
    """Key of the batch whose first event has seq `slot`."""
    return f"streams/{stream}/{object_name(slot)}"


def epoch_key(stream: str, epoch: int) -> str:
    """Key of the object that makes an epoch unique."""
    return f"epochs/{stream}/{object_name(epoch)}"


def number_of(key: str) -> int | None:
    """The seq or epoch that a key ends with, or None for a foreign name."""
    name = key.rpartition("/")[2]
    return int(name) if _OBJECT.fullmatch(name) else None


async def streams(store: ObjectStore) -> list[str]:
    """The names of the streams that have objects, sorted. Raises StoreError."""
    found: list[str] = []
    after = "streams/"
    while True:
        async for key in store.list("streams/", after):
            name = key.split("/")[1]
            found.append(name)
            after = f"streams/{name}/~"  # behind every name of an object
            break
        else:
            return sorted(found)


async def read_objects(store: ObjectStore, stream: str, slot: int = 0) -> AsyncIterator[tuple[int, bytes]]:
    """The objects of a stream from a slot to the end, each with its slot.

    Raises Corrupted for an object whose header can't be read and for a missing object, and StoreError.
    """
    while True:
        try:
            data = await store.get(batch_key(stream, slot))
        except Missing:
            if await _ends(store, stream, slot):
                return
            continue
        try:
            count = parse(data).header.count
        except InvalidObject as error:
            raise Corrupted(f"stream {stream}, object {object_name(slot)}: {error}; run `rynxs log verify`") from error
        yield slot, data
        slot += count


async def _ends(store: ObjectStore, stream: str, slot: int) -> bool:
    """Whether nothing is behind a missing slot; False when it has come in the meantime."""
    missing = batch_key(stream, slot)
    if slot == 0:
        behind = store.list(f"streams/{stream}/")
    else:
        behind = store.list(f"streams/{stream}/", after=batch_key(stream, slot - 1))
    async for key in behind:
        if key == missing:
            return False
        raise Corrupted(
            f"stream {stream}: object {object_name(slot)} is missing, but {key.rpartition('/')[2]} is there; "
            "run `rynxs log verify`, and restore the store from a backup"
        )
    return True


async def read_events(
    store: ObjectStore, stream: str, after: int = -1, *, follow: bool = False
) -> AsyncIterator[Event]:
    """The events behind seq `after`; with `follow` it does not end, but waits for more.

    Raises Corrupted, StoreError, and ValueError for a stream's name that can't be.
    """
    check_stream(stream)
    slot = await _slot_of(store, stream, after + 1)
    while True:
        async for first, data in read_objects(store, stream, slot):
            lines = parse(data).lines
            for seq, line in enumerate(lines, first):
                if seq > after:
                    yield _decode(line, stream, seq)
            slot = first + len(lines)
        if not follow:
            return
        await _wait_for(store, batch_key(stream, slot))


async def _wait_for(store: ObjectStore, key: str) -> None:
    """Return when the object is there. A GET is cheaper than a listing of the stream."""
    while True:
        try:
            await store.get(key)
        except Missing:
            await asyncio.sleep(FOLLOW_INTERVAL)
        else:
            return


async def _slot_of(store: ObjectStore, stream: str, seq: int) -> int:
    """The slot of the batch that holds a seq, or that holds the one before it; 0 if there is neither."""
    lowest = seq - MAX_EVENTS - 1
    after = batch_key(stream, lowest - 1) if lowest > 0 else ""
    found = 0
    async for key in store.list(f"streams/{stream}/", after):
        number = number_of(key)
        if number is None or number > seq:
            break
        found = number
    return found


def _decode(line: bytes, stream: str, seq: int) -> Event:
    try:
        return events.decode(line)
    except ValueError as error:
        raise Corrupted(f"stream {stream}, event {seq} can't be read: {error}; run `rynxs log verify`") from error
