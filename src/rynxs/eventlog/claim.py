"""Claiming: becoming the one writer of a stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec.structs import replace

from rynxs.eventlog.anchor import AnchorStore
from rynxs.eventlog.batch import encode, object_name
from rynxs.eventlog.chain import Chain, Invalid, numbered
from rynxs.eventlog.checkpoint import Checkpoint, open_checkpoint
from rynxs.eventlog.epoch import Epoch, create_epoch, last_epoch
from rynxs.eventlog.error import (
    AnchorMismatch,
    AnchorMissing,
    BadKey,
    BehindAnchor,
    Corrupted,
    Fenced,
    WrongLog,
)
from rynxs.eventlog.event import CLAIMED, Draft, Event, placed, timestamp, unplaced
from rynxs.eventlog.id import uuid7
from rynxs.eventlog.key import Signer, Trust
from rynxs.eventlog.placing import Placing
from rynxs.eventlog.reader import read_objects
from rynxs.eventlog.slot import Verdict
from rynxs.eventlog.store import ObjectStore


class Claim:
    """One writer's way to its epoch: read the anchor, fold the stream, create the epoch, append the claim."""

    def __init__(
        self,
        store: ObjectStore,
        chain: Chain,
        *,
        shards: int,
        writer: str,
        signer: Signer,
        trust: Trust,
        anchor: AnchorStore,
        observe: Callable[[Sequence[Event]], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._chain = chain
        self._shards = shards
        self._writer = writer
        self._signer = signer
        self._trust = trust
        self._anchor = anchor
        self._observe = observe
        self._now = now

    async def run(self) -> Placing:
        """Claim the stream; the chain, which is empty before, then ends with the claim's batch.

        Raises what Log.claim does.
        """
        chain = self._chain
        self._check_keys()
        anchored = await self._read_anchor()
        await self._fold(anchored)
        if chain.size < anchored.size:
            raise BehindAnchor(
                f"stream {chain.stream} has {chain.size} events, but its anchor of {anchored.time} says "
                f"{anchored.size}: the end of the log is lost; restore the store from a backup"
            )
        lowest = 1 + max(await last_epoch(self._store, chain.stream), chain.fence[1], anchored.epoch)
        incarnation = anchored.incarnation
        epoch = await create_epoch(
            self._store, chain.stream, lowest, lambda epoch: self._epoch_object(incarnation, epoch)
        )
        fence = (incarnation, epoch)
        placing = Placing(self._store, chain.log, chain.stream, fence, self._trust)
        while True:
            if chain.fence >= fence:
                raise Fenced(
                    f"stream {chain.stream}: epoch {epoch} (incarnation {incarnation}) is over: the stream "
                    f"ends in epoch {chain.fence[1]} (incarnation {chain.fence[0]})"
                )
            if await self._write_claim(placing):
                return placing
            await self._fold(anchored)

    def _check_keys(self) -> None:
        log, stream = self._chain.log, self._chain.stream
        if self._trust.log != log:
            raise WrongLog(f"the trust file is of log {self._trust.log}, the store holds log {log}")
        key = self._trust.key(self._signer.name, stream)
        if key is None or key.public != self._signer.public:
            raise BadKey(f"the trust file does not let key {self._signer.name} sign stream {stream}")

    async def _read_anchor(self) -> Checkpoint:
        """The anchor; the first one of a stream is written here."""
        stream = self._chain.stream
        note = await self._anchor.read(stream)
        if note is not None:
            return open_checkpoint(note, self._trust, stream)
        for folder in (f"streams/{stream}/", f"epochs/{stream}/"):
            async for key in self._store.list(folder):
                raise AnchorMissing(
                    f"stream {stream} has objects ({key}), but there is no anchor that says how far it must "
                    "reach: restore the state folder, or start a new log"
                )
        install = replace(self._chain.checkpoint(timestamp(self._now())), incarnation=1)
        await self._anchor.write(stream, install.sign(self._signer))
        return install

    async def _fold(self, anchored: Checkpoint) -> None:
        """Check and observe all that is behind the chain; where it reaches the anchor's size it must fit."""
        chain = self._chain
        async for slot, data in read_objects(self._store, chain.stream, chain.size):
            where = f"stream {chain.stream}, object {object_name(slot)}"
            try:
                checked = chain.check(slot, data, self._trust)
                chain.check_fence(checked)
            except Invalid as error:
                raise Corrupted(f"{where}: {error}; run `rynxs log verify`") from error
            header = checked.batch.header
            if header.prev != chain.hash:
                raise Corrupted(f"{where}: it does not follow the object before it; run `rynxs log verify`")
            before = chain.size
            chain.add(header, checked.batch.lines, data)
            if before < anchored.size <= chain.size and not chain.is_at(anchored):
                raise AnchorMismatch(
                    f"{where}: the log up to here is not what the anchor of {anchored.time} says of its "
                    f"{anchored.size} events: it was rewritten; restore the store from a backup"
                )
            self._observe(checked.events)

    def _epoch_object(self, incarnation: int, epoch: int) -> bytes:
        return Epoch(
            format=1,
            log=self._chain.log,
            shards=self._shards,
            stream=self._chain.stream,
            epoch=epoch,
            incarnation=incarnation,
            writer=self._writer,
            put=uuid7(),
            time=timestamp(self._now()),
        ).seal(self._signer)

    async def _write_claim(self, placing: Placing) -> bool:
        """Append the claim to the tail; False when an older writer was faster."""
        chain, time = self._chain, timestamp(self._now())
        incarnation, epoch = placing.fence
        data = {"writer": self._writer, "epoch": epoch, "incarnation": incarnation}
        event, rest = unplaced(Draft(type=CLAIMED, subject=chain.stream, data=data), time)
        header = chain.next_header(1, placing.fence, self._writer, time)
        lines = [placed(rest, chain.size)]
        body = encode(header, lines, self._signer)
        if await placing.place(chain.size, body) is Verdict.OLDER:
            return False
        chain.add(header, lines, body)
        self._observe(numbered([event], header.first))
        return True
