"""The work queue of a controller: each key once, never by two workers, again later if need be.

The behaviour of client-go's rate-limited work queue: a key that is added while it is worked on is worked on once
more afterwards.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

FIRST_PAUSE = 0.2
"""Seconds before the first repetition of a key that failed; each further one waits twice as long."""

LONGEST_PAUSE = 60.0
"""Most seconds before a repetition."""

_DOUBLINGS = 10
"""Of the pause; it is over the longest one then."""


class Queue(Generic[T]):
    """Keys to be worked on, in the order in which they came."""

    def __init__(self) -> None:
        self._ready: deque[T] = deque()
        self._waiting: set[T] = set()
        self._working: set[T] = set()
        self._timers: dict[T, asyncio.TimerHandle] = {}
        self._failures: dict[T, int] = {}
        self._news = asyncio.Event()

    def add(self, key: T, after: float = 0.0) -> None:
        """Have the key worked on, `after` seconds from now at the latest."""
        loop = asyncio.get_running_loop()
        if after <= 0:
            self._drop_timer(key)
            self._push(key)
        elif (timer := self._timers.get(key)) is None or timer.when() > loop.time() + after:
            self._drop_timer(key)
            self._timers[key] = loop.call_later(after, self._due, key)

    def retry(self, key: T) -> None:
        """It failed: have it worked on again, later each time until `forget`."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self.add(key, min(FIRST_PAUSE * 2.0 ** min(failures - 1, _DOUBLINGS), LONGEST_PAUSE))

    def forget(self, key: T) -> None:
        """It succeeded: the next failure waits as the first one."""
        self._failures.pop(key, None)

    async def take(self) -> T:
        """The next key; call `done` when it was worked on."""
        while not self._ready:
            self._news.clear()
            await self._news.wait()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: T) -> None:
        """The key is not worked on any more; if it was added meanwhile it is ready now."""
        self._working.discard(key)
        if key in self._waiting:
            self._ready.append(key)
            self._news.set()

    def _push(self, key: T) -> None:
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._working:
            self._ready.append(key)
            self._news.set()

    def _due(self, key: T) -> None:
        del self._timers[key]
        self._push(key)

    def _drop_timer(self, key: T) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
