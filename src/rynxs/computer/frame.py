"""Frames on a stream: the length and the body, bounded before anything is read."""

from __future__ import annotations

import asyncio
import struct

from rynxs.computer.protocol import MAX_FRAME, ProtocolError

LIMIT = 1024 * 1024
"""Bytes that a StreamReader of this protocol buffers before it stops reading from the socket."""


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame's body, or None when the peer has closed between two frames.

    Raises ProtocolError for a frame that is too long or cut short, and the connection's OSError.
    """
    try:
        head = await reader.readexactly(4)
        (length,) = struct.unpack(">I", head)
        if length > MAX_FRAME:
            raise ProtocolError(f"a frame of {length} bytes is longer than the limit of {MAX_FRAME}")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        if error.expected == 4 and not error.partial:
            return None
        raise ProtocolError("the connection ended inside a frame") from error
