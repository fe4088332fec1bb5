"""The queue of a writer: bounded, in the order of its callers, and taken a batch at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from rynxs.eventlog.batch import MAX_BYTES, MAX_EVENTS
from rynxs.eventlog.error import LogError, LogStopped, TooLarge
from rynxs.eventlog.event import Event

QUEUE_EVENTS = 16 * MAX_EVENTS
QUEUE_BYTES = 4 * MAX_BYTES
"""The queue is full with so many events, or so many bytes of their lines."""


@dataclass(slots=True, eq=False)
class Entry:
    """What a caller wants written in one batch: events without seq, the rest of their lines, its answer."""

    events: list[Event]
    rests: list[bytes]
    size: int = field(init=False)
    done: asyncio.Future[list[Event]] = field(init=False)

    def __post_init__(self) -> None:
        self.size = sum(map(len, self.rests))
        if len(self.events) > MAX_EVENTS or self.size > MAX_BYTES:
            raise TooLarge(
                f"{len(self.events)} events of {self.size} bytes do not fit a batch: it takes {MAX_EVENTS} "
                f"events and {MAX_BYTES} bytes"
            )
        self.done = asyncio.get_running_loop().create_future()

    def fail(self, error: LogError) -> None:
        """Answer with an error of its own, so that callers do not share a traceback."""
        if not self.done.done():
            self.done.set_exception(type(error)(*error.args))


class Queue:
    """Entries in the order of the `put` calls. It ends by `close`, which lets it run empty, or by `stop`."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._entries: deque[Entry] = deque()
        self._events = self._bytes = 0
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self._filled = asyncio.Event()
        self._error: LogError | None = None
        self._stopped = False

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more."""
        return self._error is not None

    async def put(self, entry: Entry) -> None:
        """Queue an entry; wait for room. Cancelling it leaves nothing behind. Raises LogError when closed."""
        async with self._turn:
            while self._error is None and not self._fits(entry):
                self._room.clear()
                await self._room.wait()
            if self._error is not None:
                raise type(self._error)(*self._error.args)
            self._entries.append(entry)
            self._count(entry, 1)
            self._filled.set()

    async def take(self) -> list[Entry]:
        """The entries of the next batch; [] when closed and empty. Raises what the queue was stopped with."""
        while not self._entries and not self.closed:
            self._filled.clear()
            await self._filled.wait()
        if self._stopped and self._error is not None:
            raise self._error
        taken: list[Entry] = []
        events = size = 0
        while self._entries:
            events += len(self._entries[0].events)
            size += self._entries[0].size
            if events > MAX_EVENTS or size > MAX_BYTES:
                break
            entry = self._entries.popleft()
            self._count(entry, -1)
            taken.append(entry)
        self._room.set()
        return taken

    def close(self) -> None:
        """Take nothing more."""
        if self._error is None:
            self._error = LogStopped(f"stream {self._stream}: the writer is closed")
        self._filled.set()
        self._room.set()

    def stop(self, error: LogError) -> None:
        """Take nothing more, and answer all that is queued with the error. The first reason stays."""
        if not self._stopped:
            self._error, self._stopped = error, True
        while self._entries:
            self._entries.popleft().fail(error)
        self._filled.set()
        self._room.set()

    def _fits(self, entry: Entry) -> bool:
        return self._events + len(entry.events) <= QUEUE_EVENTS and self._bytes + entry.size <= QUEUE_BYTES

    def _count(self, entry: Entry, sign: int) -> None:
        self._events += sign * len(entry.events)
        self._bytes += sign * entry.size
