"""The protocol between a gateway and a computer's daemon.

Frames are a length (4 bytes, big-endian) and a MessagePack map with a `type`. The connection is ordered and
private to the two. The daemon speaks first (`Hello`). Then the gateway gives its fence (`Claim`), and only
then it may `Run`. Many actions share the connection; every frame of an action carries its id.

The daemon keeps an ended action's `Ended` frame and its output until `Settled` says that the outcome is
durable, so that a gateway that lost the answer can `Query`. An id that was queried and unknown is refused
from then on.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec
from msgspec import Struct

from rynxs.action.outcome import Outcome

MAX_FRAME = 8 * 1024 * 1024
"""Most bytes of one frame, either way. A longer one ends the connection."""

GATEWAY = "rynxs-gateway"
"""The common name in a gateway's certificate: a daemon in a pod talks to no other peer."""

CHUNK = 64 * 1024
"""Most bytes of output in one `Output` frame."""


class Fence(Struct, frozen=True, order=True):
    """The fencing token of a shard's owner: compared by incarnation, then epoch."""

    incarnation: int
    epoch: int


class Hello(Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """The daemon's first frame.

    `boot` names this life of the daemon (a UUID). `walls` is what the daemon found of its own confinement
    (`sandbox.wall` says what it must be); it is said before anything untrusted has run in the computer.
    """

    protocol: int
    boot: str
    walls: dict[str, str]


class Claim(Struct, frozen=True, kw_only=True, tag_field="type", tag="claim"):
    """The owner's fence and the ids of the actions that are open in its log: all others are killed."""

    fence: Fence
    open: list[str]


class Run(Struct, frozen=True, kw_only=True, tag_field="type", tag="run"):
    """Run one decided action.

    `args` is the JSON of the tool's arguments; `timeout` and `max_output` bound it.
    """

    action: str
    fence: Fence
    boot: str
    tool: str
    args: bytes
    timeout: float
    max_output: int


class Cancel(Struct, frozen=True, kw_only=True, tag_field="type", tag="cancel"):
    """Kill what the action started; it ends as Cancelled."""

    action: str


class Query(Struct, frozen=True, kw_only=True, tag_field="type", tag="query"):
    """Ask for an action's state: the answer is its `Ended`, `Running` or `Refused` with reason `unknown`."""

    action: str


class Settled(Struct, frozen=True, kw_only=True, tag_field="type", tag="settled"):
    """The outcome is durable: forget result and output (the id stays refused)."""

    action: str


class Output(Struct, frozen=True, kw_only=True, tag_field="type", tag="output"):
    """Bytes that the action's program wrote."""

    action: str
    stream: Literal["stdout", "stderr"]
    data: bytes


class Ended(Struct, frozen=True, kw_only=True, tag_field="type", tag="ended"):
    """The action ended; nothing that it started is alive."""

    action: str
    outcome: Outcome


class Running(Struct, frozen=True, kw_only=True, tag_field="type", tag="running"):
    """The answer to a `Query` of an action that still runs; its `Ended` follows on this connection."""

    action: str


class Refused(Struct, frozen=True, kw_only=True, tag_field="type", tag="refused"):
    """The action was not started, and never will be in this boot."""

    action: str
    reason: Literal["fence", "boot", "duplicate", "unknown", "invalid"]


ToDaemon = Claim | Run | Cancel | Query | Settled
ToGateway = Hello | Output | Ended | Running | Refused

PROTOCOL = 1

_to_daemon: msgspec.msgpack.Decoder[ToDaemon] = msgspec.msgpack.Decoder(ToDaemon)
_to_gateway: msgspec.msgpack.Decoder[ToGateway] = msgspec.msgpack.Decoder(ToGateway)
_encoder = msgspec.msgpack.Encoder()

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for rubbish: also for text that is not UTF-8, and for deep nesting."""


class ProtocolError(Exception):
    """The peer sent something that is not a frame of this protocol."""


def encode(message: ToDaemon | ToGateway) -> bytes:
    """One frame, with its length."""
    body = _encoder.encode(message)
    return struct.pack(">I", len(body)) + body


def decode_to_daemon(body: bytes) -> ToDaemon:
    """A frame's body, as the daemon reads it. Raises ProtocolError."""
    try:
        return _to_daemon.decode(body)
    except _UNDECODABLE as error:
        raise ProtocolError(f"the gateway sent a frame that is not of this protocol: {error}") from error


def decode_to_gateway(body: bytes) -> ToGateway:
    """A frame's body, as the gateway reads it: it comes from an untrusted computer. Raises ProtocolError."""
    try:
        return _to_gateway.decode(body)
    except _UNDECODABLE as error:
        raise ProtocolError(f"the computer sent a frame that is not of this protocol: {error}") from error
