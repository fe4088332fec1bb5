"""Tar archives that nobody vouches for: their members in order, with bounded memory. POSIX.1-2017 pax, and GNU tar.

`tarfile` reads an extended header of any size into memory, so an image of a few kilobytes could fill it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

MAX_HEADER = 1 << 20
"""Bytes of an extended header: names, and what else is said of one member."""

MAX_NAME = 4096
"""PATH_MAX of Linux."""

_BLOCK = 512
Kind = Literal["file", "folder", "link", "hardlink", "other"]
_KINDS: dict[bytes, Kind] = {b"0": "file", b"\0": "file", b"7": "file", b"S": "file", b"1": "hardlink"}
_KINDS |= {b"2": "link", b"5": "folder"}


class BadTar(Exception):
    """It can't be read as a tar archive; the message says why."""


class Member(NamedTuple):
    """A member: its name as it stands there, a link's target, and where how many bytes of data begin."""

    name: str
    kind: Kind
    target: str
    offset: int
    size: int


def members(stream: BinaryIO, limit: int) -> Iterator[Member]:
    """The members in order. The stream is read forward from 0, at most `limit` bytes of it.

    Raises BadTar, OSError.
    """
    position = 0

    def take(size: int, *, end: bool = False) -> bytes:
        nonlocal position
        stream.seek(position)
        data = stream.read(size)
        if len(data) < size and not (end and not data):
            raise BadTar("it ends too early")
        position += size
        return data

    def skip(size: int) -> None:
        nonlocal position
        if position + size > limit:
            raise BadTar(f"it has more than {limit} bytes")
        if size:
            stream.seek(position + size - 1)
            if not stream.read(1):
                raise BadTar("it ends too early")
        position += size

    said: dict[str, str] = {}
    while (header := take(_BLOCK, end=True)).strip(b"\0"):
        kind, size = header[156:157], _number(header[124:136])
        if _number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * 32:
            raise BadTar("a header's checksum is wrong: it is no tar archive, or a damaged one")
        if kind in b"xgLK":
            if size > MAX_HEADER:
                raise BadTar(f"an extended header has {size} bytes, more than {MAX_HEADER}")
            data = take(size + -size % _BLOCK)[:size]
            if kind == b"x":
                said |= _pax(data)
            elif kind != b"g":  # what is said for all members has no names
                said["path" if kind == b"L" else "linkpath"] = _text(data)
            continue
        more = header[482:483] if kind == b"S" else b"\0"  # GNU's old sparse files: their map has blocks of its own
        while more.strip(b"\0"):
            more = take(_BLOCK)[504:505]
        if "size" in said:
            size = _decimal(said["size"])
        name = said.get("GNU.sparse.name") or said.get("path") or _name(header)
        target = said.get("linkpath") or _text(header[157:257])
        if max(len(name), len(target)) > MAX_NAME:
            raise BadTar(f"a name has more than {MAX_NAME} characters")
        found = _KINDS.get(kind, "other")
        if found == "file" and name.endswith("/"):
            found = "folder"  # as in archives older than POSIX
        said = {}
        yield Member(name, found, target, position, size)
        skip(size)
        skip(-size % _BLOCK)


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """Octal digits, or GNU's binary numbers."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b"\0 ") or b"0"
    if not set(digits) <= set(b"01234567"):
        raise BadTar("a header's number is none: it is no tar archive, or a damaged one")
    return int(digits, 8)


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise BadTar(f"an extended header says that a size is {text[:20]!r}")
    return int(text)


def _pax(data: bytes) -> dict[str, str]:
    """Records `LENGTH KEY=VALUE` and a newline, the length counting all of it."""
    said = {}
    at = 0
    while at < len(data):
        length, _, _ = data[at : at + 20].partition(b" ")
        size = _decimal(length.decode("ascii", "replace"))
        key, equals, value = data[at + len(length) + 1 : at + size].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise BadTar("an extended header is damaged")
        said[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
        at += size
    return said
