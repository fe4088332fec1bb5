"""The log: streams of events in one object store, with an id and a number of shards that never change."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from rynxs.eventlog.anchor import AnchorStore
from rynxs.eventlog.chain import Chain
from rynxs.eventlog.claim import Claim
from rynxs.eventlog.error import NotALog, WrongLog, WrongShards
from rynxs.eventlog.event import Event
from rynxs.eventlog.id import uuid7
from rynxs.eventlog.key import Signer, Trust
from rynxs.eventlog.reader import check_stream, read_events
from rynxs.eventlog.store import Missing, ObjectStore, StoreError
from rynxs.eventlog.writer import Writer

LOG_KEY = "log.json"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal[1]
    log: str
    shards: int

    def encode(self) -> bytes:
        """The file."""
        return msgspec.json.encode(self) + b"\n"


class Log:
    """A log in a store: its `id`, its `store` and its number of `shards`."""

    def __init__(self, store: ObjectStore, id_: str, shards: int) -> None:
        """Use `create_or_open` or `open`. Raises ValueError."""
        if not _ID.fullmatch(id_):
            raise ValueError(f"{id_!r} can't be a log's id: use letters, digits and . _ -, at most 64")
        if not 1 <= shards <= 4096:
            raise ValueError(f"a log has 1 to 4096 shards, not {shards}")
        self.store = store
        self.id = id_
        self.shards = shards

    @classmethod
    async def create_or_open(cls, store: ObjectStore, log_id: str | None = None, shards: int = 1) -> Log:
        """Open the store's log, or create it. Without `log_id` any log is opened; a new one gets a UUIDv7.

        Raises WrongLog and WrongShards when the store's log is another one, NotALog, StoreError, ValueError.
        """
        new = cls(store, log_id or uuid7(), shards)
        try:
            await store.create(LOG_KEY, _File(format=1, log=new.id, shards=shards).encode())
        except StoreError as problem:  # it exists, or nobody knows: the store's answer counts
            try:
                log = await cls._read(store)
            except Missing:
                raise problem from None
        else:
            return new
        if log_id is not None and log.id != log_id:
            raise WrongLog(f"{store.url} holds the log {log.id}, not {log_id}")
        if log.shards != shards:
            raise WrongShards(
                f"the log {log.id} in {store.url} was made with {log.shards} shards, not {shards}; "
                "the number can't change: set it back, or start a new log"
            )
        return log

    @classmethod
    async def open(cls, store: ObjectStore) -> Log:
        """Open the log that is there. Raises NotALog, StoreError."""
        try:
            return await cls._read(store)
        except Missing as error:
            raise NotALog(f"there is no log in {store.url}: it has no {LOG_KEY}") from error

    @classmethod
    async def _read(cls, store: ObjectStore) -> Log:
        try:
            data = await store.get(LOG_KEY)
            file = msgspec.json.decode(data, type=_File)
            if data != file.encode():
                raise ValueError("it has another spelling than this version writes")
            return cls(store, file.log, file.shards)
        except ValueError as error:
            raise NotALog(f"{store.url}: {LOG_KEY} is not of a log that this version knows: {error}") from error

    async def claim(
        self,
        stream: str,
        *,
        writer: str,
        signer: Signer,
        trust: Trust,
        anchor: AnchorStore,
        observe: Callable[[Sequence[Event]], None],
        now: Callable[[], datetime],
    ) -> Writer:
        """Become the stream's one writer, in a new epoch.

        Reads and checks every event of the stream and passes it to `observe`, in order, and later every
        event that the writer makes durable. `writer` names the process for people; `now` gives the times
        of events, with a zone. Tries again while the store gives no plain answer to a create. Cancelling
        it leaves at most an unused epoch or an empty claim behind.

        Raises Corrupted for a stream that no correct writers wrote; AnchorMissing, BehindAnchor,
        AnchorMismatch when it does not reach, or is not, what its anchor says; Fenced when another writer
        takes a higher epoch meanwhile; WrongLog, BadKey, BadNote for a trust file, key or anchor that
        does not belong here; StoreError, OSError.
        """
        check_stream(stream)
        chain = Chain(self.id, stream)
        claim = Claim(
            self.store,
            chain,
            shards=self.shards,
            writer=writer,
            signer=signer,
            trust=trust,
            anchor=anchor,
            observe=observe,
            now=now,
        )
        placing = await claim.run()
        return Writer(placing, chain, writer=writer, signer=signer, anchor=anchor, observe=observe, now=now)

    def read(self, stream: str, after: int = -1) -> AsyncIterator[Event]:
        """The stream's events behind seq `after`, without verifying them. Raises Corrupted, StoreError."""
        return read_events(self.store, stream, after)

    def follow(self, stream: str, after: int = -1) -> AsyncIterator[Event]:
        """As `read`, but at the end it waits for more. It may give an event that is not acknowledged yet."""
        return read_events(self.store, stream, after, follow=True)
