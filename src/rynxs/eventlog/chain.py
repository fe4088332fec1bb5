"""The chain: checks a stream's batches one after the other, and keeps what the next one must fit. No I/O."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from rynxs.eventlog import event as events
from rynxs.eventlog.batch import (
    Batch,
    Header,
    InvalidObject,
    check_signature,
    digest,
    object_name,
    parse,
)
from rynxs.eventlog.checkpoint import Checkpoint
from rynxs.eventlog.event import CLAIMED, Event, Position
from rynxs.eventlog.id import uuid7
from rynxs.eventlog.key import Trust
from rynxs.eventlog.merkle import Frontier


class Checked(Struct, frozen=True):
    """A batch whose signature and contents hold, and its events."""

    batch: Batch
    events: list[Event]


class Invalid(Exception):
    """An object is not the batch that belongs here: the clause why, and the first seq it concerns."""

    def __init__(self, message: str, seq: int) -> None:
        super().__init__(message)
        self.seq = seq


class Chain:
    """A stream up to its last batch: `size` events, the `last` one's position, its fence, the Merkle tree."""

    def __init__(self, log: str, stream: str) -> None:
        self.log = log
        self.stream = stream
        self.size = 0
        self.last: Position | None = None
        self.fence = (0, 0)
        self.tree = Frontier()

    @property
    def hash(self) -> str:
        """The hash of the last object, "" when there is none: what the next header's `prev` must be."""
        return self.last.hash if self.last else ""

    def check(self, slot: int, data: bytes, trust: Trust) -> Checked:
        """Check the object of a slot by itself: form, signature, and that header and events tell the truth.

        Whether it follows the chain is not looked at. Raises Invalid.
        """
        try:
            batch = parse(data)
            check_signature(batch.sealed, self.stream, trust)
        except InvalidObject as error:
            raise Invalid(str(error), slot) from error
        header = batch.header
        place = (header.log, header.stream, header.first)
        if place != (self.log, self.stream, slot):
            raise Invalid(
                f"it is the object {object_name(header.first)} of stream {header.stream} in log {header.log}",
                slot,
            )
        _check_time(header.time, slot)
        found = []
        for seq, line in enumerate(batch.lines, slot):
            found.append(_event(line, seq))
        return Checked(batch, found)

    def check_fence(self, checked: Checked) -> None:
        """Check that the epoch does not fall, and that a new one begins with its claim. Raises Invalid."""
        header, first = checked.batch.header, checked.events[0]
        if header.fence < self.fence:
            raise Invalid(
                f"epoch {header.epoch} (incarnation {header.incarnation}) comes behind "
                f"epoch {self.fence[1]} (incarnation {self.fence[0]})",
                header.first,
            )
        claims = first.type == CLAIMED and first.data.get("epoch") == header.epoch
        if header.fence > self.fence and not claims:
            raise Invalid(f"epoch {header.epoch} begins without a {CLAIMED} event", header.first)

    def next_header(self, count: int, fence: tuple[int, int], writer: str, time: str) -> Header:
        """The header of the batch that comes next."""
        return Header(
            format=1,
            log=self.log,
            stream=self.stream,
            first=self.size,
            count=count,
            epoch=fence[1],
            incarnation=fence[0],
            writer=writer,
            put=uuid7(),
            prev=self.hash,
            time=time,
        )

    def add(self, header: Header, lines: list[bytes], data: bytes) -> None:
        """Move on behind a batch."""
        for line in lines:
            self.tree.append(line)
        self.size = header.first + len(lines)
        self.last = Position(stream=self.stream, batch=header.first, seq=self.size - 1, hash=digest(data))
        self.fence = header.fence

    def skip(self, slot: int, data: bytes) -> None:
        """Move on to an object that is no good: where it ends is unknown, its hash is not."""
        self.last = Position(stream=self.stream, batch=slot, seq=slot, hash=digest(data))

    def checkpoint(self, time: str) -> Checkpoint:
        """The statement of what the chain holds now."""
        return Checkpoint(
            log=self.log,
            stream=self.stream,
            size=self.size,
            root=self.tree.root(),
            last=self.last,
            epoch=self.fence[1],
            incarnation=self.fence[0],
            time=time,
        )

    def is_at(self, anchor: Checkpoint) -> bool:
        """Whether the chain is exactly what the anchor says."""
        return (self.size, self.tree.root(), self.last) == (anchor.size, anchor.root, anchor.last)


def _event(line: bytes, seq: int) -> Event:
    try:
        event = events.decode(line)
    except ValueError as error:
        raise Invalid(f"event {seq} can't be read: {error}", seq) from error
    if event.seq != seq:
        raise Invalid(f"it has event {event.seq} in the place of event {seq}", seq)
    _check_time(event.time, seq)
    return event


def _check_time(time: str, seq: int) -> None:
    try:
        events.check_time(time)
    except ValueError as error:
        raise Invalid(str(error), seq) from error


def numbered(unplaced: list[Event], first: int) -> list[Event]:
    """Events with their seqs, from `first` on."""
    return [replace(event, seq=seq) for seq, event in enumerate(unplaced, first)]
