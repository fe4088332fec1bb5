"""The HTTP server around a gateway's application: how it starts to stop, and what must end before its answers do."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

GRACE = 5
"""Seconds in which callers are answered once the server stops."""


class CannotServe(Exception):
    """The server can't start, or can't go on; the message says why and what to do."""


class Server(uvicorn.Server):
    """Serves until SIGINT or SIGTERM, or until `failed` says that nothing can be run any more.

    Then it calls `end`, which ends or leaves the running actions, and waits for the answers that tell of it.
    `options` are uvicorn's.
    """

    def __init__(
        self, app: Any, *, end: Callable[[], Awaitable[None]], failed: Callable[[], bool], **options: Any
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=GRACE,
                **options,
            )
        )
        self._end = end
        self._failed = failed

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop."""
        return await super().on_tick(counter) or self._failed()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM. Uvicorn would raise them again at the end, before the log is closed."""
        for signal_ in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_, self.handle_exit, signal_, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what runs, then wait for the responses that tell of it."""
        await self._end()
        await super().shutdown(sockets)
