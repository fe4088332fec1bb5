"""Batches: one object each, as newline-delimited JSON: a header, the events, a signature over all before it.

Pure. A batch has one spelling: `parse` refuses any other, so that a changed byte never goes unseen.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

import msgspec
from msgspec import Struct

from rynxs.eventlog.event import MAX_SEQ
from rynxs.eventlog.key import Signer, Trust, fits

MAX_EVENTS = 4096
"""Most events of a batch."""

MAX_BYTES = 4 * 1024 * 1024
"""Most bytes of a batch's event lines."""


class InvalidObject(Exception):
    """The bytes are not a batch, or not a signed one; the message is a clause that says why."""


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First line: where the batch belongs. `prev` is the hash of the previous object, "" for the first."""

    format: Literal[1]
    log: str
    stream: str
    first: int
    count: int
    epoch: int
    incarnation: int
    writer: str
    put: str
    prev: str
    time: str

    @property
    def fence(self) -> tuple[int, int]:
        """Incarnation and epoch, as writers are compared."""
        return (self.incarnation, self.epoch)


class Signature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Last line: `ed25519:<base64>` over all bytes before it, and the key's name."""

    signature: str
    key: str


class Sealed(Struct, frozen=True):
    """Bytes split into their lines and the signature, which is not verified yet."""

    lines: list[bytes]
    signed: bytes
    signature: bytes
    key: str


class Batch(Struct, frozen=True):
    """A batch as it was read; `lines` are the events, without newlines. Nothing is verified."""

    header: Header
    lines: list[bytes]
    sealed: Sealed


_header = msgspec.json.Decoder(Header)
_signature = msgspec.json.Decoder(Signature)
_ALGORITHM = "ed25519:"


def object_name(seq: int) -> str:
    """The name of a batch by its first seq, or of an epoch: ten digits. Raises ValueError beyond them."""
    if not 0 <= seq <= MAX_SEQ:
        raise ValueError(f"{seq} does not fit the ten digits of an object's name: the stream is full")
    return f"{seq:010d}"


def digest(data: bytes) -> str:
    """`sha256:<hex>` of an object."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def seal(lines: list[bytes], signer: Signer) -> bytes:
    """An object: the lines, and the signature over them."""
    signed = b"\n".join(lines) + b"\n"
    return signed + _signature_line(signer.sign(signed), signer.name)


def unseal(data: bytes) -> Sealed:
    """Split an object. Raises InvalidObject."""
    end = data.rfind(b"\n", 0, -1) + 1
    if not data.endswith(b"\n") or not end:
        raise InvalidObject("it is cut short: it does not end with a signature line")
    try:
        last = _signature.decode(data[end:-1])
        signature = base64.b64decode(last.signature.removeprefix(_ALGORITHM), validate=True)
    except (ValueError, RecursionError) as error:
        raise InvalidObject("it does not end with a signature line") from error
    if data[end:] != _signature_line(signature, last.key):
        raise InvalidObject("its signature line was changed")
    return Sealed(lines=data[: end - 1].split(b"\n"), signed=data[:end], signature=signature, key=last.key)


def check_signature(sealed: Sealed, stream: str, trust: Trust) -> None:
    """Raise InvalidObject unless a key that may sign this stream signed these bytes."""
    key = trust.key(sealed.key, stream)
    if key is None:
        raise InvalidObject(f"key {sealed.key!r} may not sign stream {stream}")
    if not fits(key.public, sealed.signed, sealed.signature):
        raise InvalidObject(f"the signature of key {sealed.key} does not fit the bytes")


def encode(header: Header, lines: list[bytes], signer: Signer) -> bytes:
    """A batch's object."""
    return seal([msgspec.json.encode(header), *lines], signer)


def parse(data: bytes) -> Batch:
    """A batch from an object. Raises InvalidObject."""
    sealed = unseal(data)
    try:
        header = _header.decode(sealed.lines[0])
    except (ValueError, RecursionError) as error:
        raise InvalidObject(f"its header can't be read: {error}") from error
    lines = sealed.lines[1:]
    if not lines or header.count != len(lines):
        raise InvalidObject(f"its header says {header.count} events, it has {len(lines)}")
    return Batch(header=header, lines=lines, sealed=sealed)


def _signature_line(signature: bytes, key: str) -> bytes:
    line = Signature(signature=_ALGORITHM + base64.b64encode(signature).decode(), key=key)
    return msgspec.json.encode(line) + b"\n"
