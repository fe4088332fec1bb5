"""UUIDs of version 7: ids that carry the time of their making (RFC 9562 section 5.7)."""

from __future__ import annotations

import re
import secrets
import time

_SHAPE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_RANDOM_BITS = 74

_last = (-1, 0)


def uuid7(milliseconds: int | None = None) -> str:
    """A new UUIDv7 in lower case, of the given milliseconds since the epoch or of now.

    Ids made one after the other in a process for the same millisecond sort in the order of their making
    (RFC 9562 section 6.2, method 2). Raises ValueError for a time that does not fit 48 bits.
    """
    global _last
    at = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    if not 0 <= at < 1 << 48:
        raise ValueError(f"{at} ms since the epoch does not fit a UUIDv7")
    last_at, last = _last
    # a new millisecond starts with the highest bit free, for the additions
    random = last + 1 + secrets.randbits(32) if at == last_at else secrets.randbits(_RANDOM_BITS - 1)
    _last = (at, random)
    a, b = random >> 62, random & ((1 << 62) - 1)
    text = f"{at << 80 | 7 << 76 | a << 64 | 2 << 62 | b:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def time_of(id_: str) -> float:
    """Seconds since the epoch of a UUIDv7. Raises ValueError for anything else, and for upper case."""
    if not _SHAPE.fullmatch(id_):
        raise ValueError(f"{id_!r} is not a UUIDv7 in lower case")
    return int(id_[:8] + id_[9:13], 16) / 1000
