"""Keys: who signs the objects of a stream, and which keys a verifier trusts for it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from rynxs.eventlog.error import BadKey
from rynxs.eventlog.file import write_new

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_ED25519 = b"\x01"


class TrustedKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that may sign streams. `public` is its 32 bytes; `streams` are shell patterns, as `shard-*`."""

    name: str
    public: bytes
    streams: list[str]

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != 32:
            raise ValueError(f"the public key {self.name} has {len(self.public)} bytes, not 32")


class Trust(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a verifier needs besides the objects: the log's id, and which key may sign which streams."""

    format: int = 1
    log: str
    keys: list[TrustedKey]

    def __post_init__(self) -> None:
        if self.format != 1:
            raise ValueError(f"its format is {self.format}; this version reads format 1")
        if len({key.name for key in self.keys}) != len(self.keys):
            raise ValueError("two keys have one name")

    @classmethod
    def load(cls, path: Path) -> Trust:
        """Read a trust file. Raises BadKey, OSError."""
        return cls.parse(path.read_bytes(), str(path))

    @classmethod
    def parse(cls, data: bytes, where: str) -> Trust:
        """Read what `encode` gave; `where` says in errors where it came from. Raises BadKey."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadKey(f"{where} is not a trust file: {error}") from error

    def encode(self) -> bytes:
        """The trust file's content."""
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"

    def save(self, path: Path) -> None:
        """Write a new trust file. Raises OSError, also when it exists."""
        write_new(path, self.encode())

    def key(self, name: str, stream: str) -> TrustedKey | None:
        """The key of that name, if it may sign that stream."""
        return next((key for key in self.keys_of(stream) if key.name == name), None)

    def keys_of(self, stream: str) -> list[TrustedKey]:
        """The keys that may sign that stream."""
        return [key for key in self.keys if any(fnmatchcase(stream, pattern) for pattern in key.streams)]


class Signer:
    """An Ed25519 private key with a name. `public` is the public key's 32 bytes."""

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed` is the private key's 32 bytes (RFC 8032). Raises ValueError."""
        _check_name(name)
        self.name = name
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, name: str) -> Signer:
        """A new key."""
        return cls(name, os.urandom(32))

    @classmethod
    def load(cls, path: Path) -> Signer:
        """Read a key that `save` wrote. Raises BadKey, also for a file that others may read, and OSError."""
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise BadKey(f"{path}: others may read this private key (mode {mode & 0o777:04o}): chmod 600 it")
            return cls.parse(file.read(4096), str(path))

    @classmethod
    def parse(cls, data: bytes, where: str) -> Signer:
        """Make the key of what `private` gives; `where` says in errors where it came from. Raises BadKey."""
        try:
            *prefix, name, id_, encoded = data.strip().split(b"+", 4)
            key = base64.b64decode(encoded, validate=True)
            signer = cls(name.decode("ascii"), key[1:])
            good = prefix == [b"PRIVATE", b"KEY"] and key[:1] == _ED25519 and id_.decode() == signer.id.hex()
        except (ValueError, binascii.Error):
            good = False
        if not good:
            raise BadKey(f"{where} is not a private key of ours: restore it from a backup, or start a new log")
        return signer

    def private(self) -> bytes:
        """The private key in the form of Go's `note` package, one line."""
        encoded = base64.b64encode(_ED25519 + self._seed).decode()
        return f"PRIVATE+KEY+{self.name}+{self.id.hex()}+{encoded}\n".encode()

    def save(self, path: Path) -> None:
        """Write the private key to a new file of mode 0600. Raises OSError."""
        write_new(path, self.private(), 0o600)

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(data)

    @property
    def id(self) -> bytes:
        """The key id of signed notes, 4 bytes."""
        return key_id(self.name, self.public)

    def trusted(self, streams: list[str]) -> TrustedKey:
        """The public side, for a trust file."""
        return TrustedKey(name=self.name, public=self.public, streams=streams)


def key_id(name: str, public: bytes) -> bytes:
    """The id of an Ed25519 key in signed notes (C2SP signed-note), 4 bytes."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def vkey(name: str, public: bytes) -> str:
    """The key as other verifiers of signed notes take it (C2SP signed-note): name, id and public key."""
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def fits(public: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the signature is that key's over that data."""
    try:
        _loaded(public).verify(signature, data)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=64)
def _loaded(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't be a key's name: use letters, digits and . _ / -")
