"""A controller: workers that bring one key after the other to where it should be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx2

from rynxs.kube.queue import Queue
from rynxs.kube.reflector import Key

_logger = logging.getLogger(__name__)


class Controller:
    """Calls `reconcile` with a key, never with one key twice at a time. It gives seconds until it wants to look again.

    An error of the API server (httpx2.HTTPError) is logged and tried again later; any other error ends `run`.
    """

    def __init__(self, reconcile: Callable[[Key], Awaitable[float | None]]) -> None:
        self.queue: Queue[Key] = Queue()
        self._reconcile = reconcile

    async def run(self, workers: int) -> None:
        """Work for ever. Raises what `reconcile` does, as an ExceptionGroup."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            try:
                again = await self._reconcile(key)
            except httpx2.HTTPError as error:
                _logger.warning("%s/%s: %s", *key, str(error) or repr(error))
                self.queue.retry(key)
            else:
                self.queue.forget(key)
                if again is not None:
                    self.queue.add(key, again)
            finally:
                self.queue.done(key)
