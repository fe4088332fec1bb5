"""Output: what is kept of a program's output, counted and hashed."""

from __future__ import annotations

import hashlib
from typing import Literal

from rynxs.action.outcome import Captured

Stream = Literal["stdout", "stderr"]


class Capture:
    """Keeps the first `limit` bytes of both streams together; the rest is counted per stream and dropped."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._hash = {"stdout": hashlib.sha256(), "stderr": hashlib.sha256()}
        self._kept = {"stdout": 0, "stderr": 0}
        self._dropped = {"stdout": 0, "stderr": 0}

    def take(self, stream: Stream, data: bytes) -> bytes:
        """Count `data`; gives the part that is within the limit."""
        kept = data[: self._room]
        self._room -= len(kept)
        self._hash[stream].update(kept)
        self._kept[stream] += len(kept)
        self._dropped[stream] += len(data) - len(kept)
        return kept

    def captured(self, stream: Stream) -> Captured:
        """What was kept and dropped of one stream so far."""
        return Captured(sha256=self._hash[stream].hexdigest(), bytes=self._kept[stream], dropped=self._dropped[stream])
