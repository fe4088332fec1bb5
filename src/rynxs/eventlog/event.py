"""Events: what a stream holds, one JSON line each, with names from CloudEvents."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct, field

from rynxs.eventlog.error import TooLarge
from rynxs.eventlog.id import uuid7

MAX_LINE = 65_535
"""Most bytes of an event's line without its newline: the length of a C2SP tlog-tiles entry is 16 bits."""

MAX_DEPTH = 128
"""How deep an event's lists and objects may nest: every reader's stack must stand it."""

MAX_SEQ = 9_999_999_999
"""The highest seq and epoch: they are ten digits in names."""

CLAIMED = "writer.claimed"
"""Type of the event that opens each epoch of a stream."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_UNPLACED = b'{"seq":0'
_WIDEST = len(f'{{"seq":{MAX_SEQ}')


class Draft(Struct, frozen=True, kw_only=True):
    """An event before it has a place. `data` is JSON; `id` is a UUIDv7."""

    type: str
    subject: str
    data: dict[str, Any]
    actor: str = ""
    trace_id: str = ""
    id: str = field(default_factory=uuid7)


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An event in its place: `seq` counts a stream's events from 0, `time` is what `timestamp` writes."""

    seq: int
    id: str
    type: str
    time: str
    subject: str
    actor: str = ""
    trace_id: str = ""
    data: dict[str, Any]


class Position(Struct, frozen=True, kw_only=True):
    """Where an event is: in the object of slot `batch`, whose SHA-256 is `hash` (`sha256:<hex>`)."""

    stream: str
    batch: int
    seq: int
    hash: str


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, of a datetime that knows its zone."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def check_time(text: str) -> None:
    """Raise ValueError for what `timestamp` would not write."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is not a time in RFC 3339, UTC, milliseconds")
    datetime.fromisoformat(text)


def unplaced(draft: Draft, time: str) -> tuple[Event, bytes]:
    """The event as a reader will see it, with seq 0, and the part of its line behind the seq.

    Raises TooLarge for a line over MAX_LINE bytes or nested deeper than MAX_DEPTH, and TypeError or
    ValueError for data that is not JSON.
    """
    event = Event(
        seq=0,
        id=draft.id,
        type=draft.type,
        time=time,
        subject=draft.subject,
        actor=draft.actor,
        trace_id=draft.trace_id,
        data=draft.data,
    )
    too_deep = f"event {draft.id} ({draft.type}) nests deeper than {MAX_DEPTH} levels"
    try:
        line = _encoder.encode(event)
    except RecursionError as error:
        raise TooLarge(too_deep) from error
    size = len(line) - len(_UNPLACED) + _WIDEST
    if size > MAX_LINE:
        raise TooLarge(
            f"event {draft.id} ({draft.type}) has a line of {size} bytes; the most is {MAX_LINE}: "
            "store large values elsewhere and record their SHA-256"
        )
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH and _depth(line) > MAX_DEPTH:
        raise TooLarge(too_deep)
    return decode(line), line[len(_UNPLACED) :]


def placed(rest: bytes, seq: int) -> bytes:
    """The whole line of an event, from what `unplaced` gave and its seq."""
    return b'{"seq":%d' % seq + rest


def decode(line: bytes) -> Event:
    """The event of a line. Raises ValueError."""
    try:
        return _decoder.decode(line)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def _depth(line: bytes) -> int:
    depth = deepest = 0
    for token in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', line):
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in b"]}":
            depth -= 1
    return deepest
