"""Health: `/livez` and `/readyz` over plain HTTP, for the kubelet. Whoever asks learns no more than the reason.

It also answers from the operator's pod when a computer tries whether it can reach another pod.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from rynxs.operator.walls import HEALTH

_PATIENCE = 5.0
_LIMIT = 8192
_WORDS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class Health:
    """Says whether the process is ready, or why not. It is alive as long as it answers at all."""

    def __init__(self, ready: Callable[[], str]) -> None:
        """`ready` gives the reason why it is not, empty when it is."""
        self._ready = ready

    @contextlib.asynccontextmanager
    async def listening(self, port: int = HEALTH, host: str | None = None) -> AsyncIterator[int]:
        """Answer on that port while the context lasts (0 picks one), which is what it gives. Raises OSError."""
        server = await asyncio.start_server(self._answer, host, port, limit=_LIMIT)
        try:
            bound: int = server.sockets[0].getsockname()[1]
            yield bound
        finally:
            server.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: the kubelet keeps none open."""
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                code, text = self._say(head.split(b"\r\n", 1)[0])
                body = f"{text}\n".encode()
                lines = (
                    f"HTTP/1.1 {code} {_WORDS[code]}",
                    "Content-Type: text/plain; charset=utf-8",
                    f"Content-Length: {len(body)}",
                    "Connection: close",
                )
                writer.write("\r\n".join((*lines, "", "")).encode() + body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has left, or never asked
        finally:
            writer.close()

    def _say(self, request: bytes) -> tuple[int, str]:
        match request.split(b" ")[:2]:
            case [b"GET", b"/livez"]:
                return 200, "ok"
            case [b"GET", b"/readyz"]:
                reason = self._ready()
                return (503, reason) if reason else (200, "ok")
            case _:
                return 404, "there are /livez and /readyz"
