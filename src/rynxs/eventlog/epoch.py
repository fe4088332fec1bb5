"""Epochs: each is an object that is created once, so no two writers of a stream ever have the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct

from rynxs.eventlog.batch import InvalidObject, check_signature, seal, unseal
from rynxs.eventlog.error import Corrupted
from rynxs.eventlog.event import check_time
from rynxs.eventlog.key import Signer, Trust
from rynxs.eventlog.placing import FIRST_PAUSE, LONGEST_PAUSE
from rynxs.eventlog.reader import epoch_key, number_of
from rynxs.eventlog.store import ObjectStore, StoreBroken, StoreError


class Epoch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an epoch's object says, as a JSON line before a signature line.

    `shards` is the log's number of shards as the writer found it; `put` makes the bytes unique.
    """

    format: Literal[1]
    log: str
    shards: int
    stream: str
    epoch: int
    incarnation: int
    writer: str
    put: str
    time: str

    def seal(self, signer: Signer) -> bytes:
        """The object."""
        return seal([msgspec.json.encode(self)], signer)


def parse_epoch(data: bytes, stream: str, epoch: int, trust: Trust) -> Epoch:
    """The epoch of an object that a trusted key signed. Raises InvalidObject."""
    sealed = unseal(data)
    check_signature(sealed, stream, trust)
    try:
        [line] = sealed.lines
        found = msgspec.json.decode(line, type=Epoch)
        check_time(found.time)
    except (ValueError, RecursionError) as error:
        raise InvalidObject(f"it is not an epoch: {error}") from error
    if (found.log, found.stream, found.epoch) != (trust.log, stream, epoch):
        raise InvalidObject(f"it is epoch {found.epoch} of stream {found.stream} in log {found.log}")
    return found


async def last_epoch(store: ObjectStore, stream: str) -> int:
    """The highest epoch that was ever created, 0 if none was. Raises Corrupted, StoreError."""
    last = 0
    async for key in store.list(f"epochs/{stream}/"):
        number = number_of(key)
        if number is None:
            raise Corrupted(f"{key} is not the name of an epoch; run `rynxs log verify`")
        last = number
    return last


async def create_epoch(store: ObjectStore, stream: str, lowest: int, make: Callable[[int], bytes]) -> int:
    """Create the first free epoch from `lowest` on, with the object that `make` gives for it; return it.

    Tries as long as the store gives no plain answer. Raises StoreBroken.
    """
    epoch, data, pause = lowest, make(lowest), FIRST_PAUSE
    while True:
        try:
            await store.create(epoch_key(stream, epoch), data)
            return epoch
        except StoreBroken:
            raise
        except StoreError:
            found = await _found(store, epoch_key(stream, epoch))
        if found == data:
            return epoch
        if found:
            epoch, data = epoch + 1, make(epoch + 1)
        else:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _found(store: ObjectStore, key: str) -> bytes | None:
    """What is there; None when nothing is, or when the store does not say."""
    try:
        return await store.get(key)
    except StoreBroken:
        raise
    except StoreError:
        return None
