"""Checkpoints: signed statements of a stream's size and Merkle root (C2SP tlog-checkpoint).

    rynxs.dev/log/<log id>/<stream>
    413
    <base64 of the root>
    last 0000000412 sha256:<hex of the last object>
    epoch 7
    incarnation 1
    time 2026-11-23T14:02:21.000Z

The lines from `last` on are extension lines; a stream without events has no `last`.
"""

from __future__ import annotations

import base64
import re

from msgspec import Struct

from rynxs.eventlog.error import BadNote, WrongLog
from rynxs.eventlog.event import Position, check_time
from rynxs.eventlog.key import Signer, Trust
from rynxs.eventlog.note import open_note, sign, text_of

_TEXT = re.compile(
    r"rynxs\.dev/log/(?P<log>[^/\n]+)/(?P<stream>[^/\n]+)\n"
    r"(?P<size>0|[1-9]\d{0,10})\n"
    r"(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"(?:last (?P<slot>\d{10}) (?P<hash>sha256:[0-9a-f]{64})\n)?"
    r"epoch (?P<epoch>0|[1-9]\d{0,9})\n"
    r"incarnation (?P<incarnation>[1-9]\d{0,9})\n"
    r"time (?P<time>[^\n]+)\n",
    re.ASCII,
)


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A stream at `time`, as its writer knew it: `size` events, the RFC 6962 `root`, the last position."""

    log: str
    stream: str
    size: int
    root: bytes
    last: Position | None
    epoch: int
    incarnation: int
    time: str

    @property
    def order(self) -> tuple[int, int, int]:
        """What moves forward: incarnation, epoch, size."""
        return (self.incarnation, self.epoch, self.size)

    def sign(self, signer: Signer) -> bytes:
        """The checkpoint as a signed note."""
        lines = [
            f"rynxs.dev/log/{self.log}/{self.stream}",
            f"{self.size}",
            base64.b64encode(self.root).decode(),
            *([f"last {self.last.batch:010d} {self.last.hash}"] if self.last else []),
            f"epoch {self.epoch}",
            f"incarnation {self.incarnation}",
            f"time {self.time}",
        ]
        return sign("\n".join(lines) + "\n", signer)


def open_checkpoint(note: bytes, trust: Trust, stream: str) -> Checkpoint:
    """The checkpoint of a note that a key trusted for the stream signed. Raises BadNote, WrongLog."""
    checkpoint = _parse(open_note(note, trust.keys_of(stream)))
    if (checkpoint.log, checkpoint.stream) != (trust.log, stream):
        raise WrongLog(
            f"the anchor is of log {checkpoint.log}, stream {checkpoint.stream}, not of {trust.log}, {stream}"
        )
    return checkpoint


def read_checkpoint(note: bytes) -> Checkpoint:
    """The checkpoint of a note whose signatures nobody looked at. Raises BadNote."""
    return _parse(text_of(note))


def _parse(text: str) -> Checkpoint:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise BadNote("the note is not a checkpoint of ours")
    try:
        check_time(match["time"])
    except ValueError as error:
        raise BadNote(f"the note is not a checkpoint of ours: {error}") from error
    last, size = None, int(match["size"])
    if match["slot"]:
        last = Position(stream=match["stream"], batch=int(match["slot"]), seq=size - 1, hash=match["hash"])
    return Checkpoint(
        log=match["log"],
        stream=match["stream"],
        size=size,
        root=base64.b64decode(match["root"]),
        last=last,
        epoch=int(match["epoch"]),
        incarnation=int(match["incarnation"]),
        time=match["time"],
    )
