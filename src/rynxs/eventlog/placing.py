"""Placing: gets objects into the slots of a stream for one epoch, through a store that may not answer."""

from __future__ import annotations

import asyncio
import math

from rynxs.eventlog.batch import object_name
from rynxs.eventlog.error import Corrupted, Fenced, LogStopped
from rynxs.eventlog.key import Trust
from rynxs.eventlog.reader import batch_key, epoch_key
from rynxs.eventlog.slot import Verdict, settle
from rynxs.eventlog.store import Missing, ObjectStore, StoreBroken, StoreError

LOOK_INTERVAL = 3.0
"""No PUT starts later than this many seconds after the last look for a higher epoch began."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two attempts; each pause is twice the one before."""


class Placing:
    """One epoch's hand on a stream's slots. Once `closing` is set it never waits to try again."""

    def __init__(self, store: ObjectStore, log: str, stream: str, fence: tuple[int, int], trust: Trust) -> None:
        self.stream = stream
        self.fence = fence
        self.closing = asyncio.Event()
        self._store = store
        self._log = log
        self._trust = trust
        self._looked = -math.inf
        self._pause = FIRST_PAUSE

    async def place(self, slot: int, data: bytes) -> Verdict:
        """Put the object into the slot; try until it is there (OURS), or an older writer's is (OLDER).

        Raises Fenced, Corrupted, StoreBroken, and LogStopped when closing: then it may or may not be there.
        """
        self._pause = FIRST_PAUSE
        while True:
            await self._look()
            try:
                await self._store.create(batch_key(self.stream, slot), data)
            except StoreBroken:
                raise
            except StoreError as error:
                problem = error
            else:
                return Verdict.OURS
            verdict = await self._settle(slot, data)
            if verdict is not Verdict.MISSING:
                return verdict
            await self._wait(problem)

    async def _look(self) -> None:
        """Look for a higher epoch, unless the last look is young enough for a PUT to start now."""
        time = asyncio.get_running_loop().time
        while time() - self._looked > LOOK_INTERVAL:
            began = time()
            try:
                async for key in self._store.list(f"epochs/{self.stream}/", epoch_key(self.stream, self.fence[1])):
                    raise Fenced(f"stream {self.stream}: epoch {self.fence[1]} is over: {key} exists")
                self._looked = began
            except StoreBroken:
                raise
            except StoreError as error:
                await self._wait(error)

    async def _settle(self, slot: int, data: bytes) -> Verdict:
        while True:
            try:
                found = await self._store.get(batch_key(self.stream, slot))
            except Missing:
                found = None
            except StoreBroken:
                raise
            except StoreError as error:
                await self._wait(error)
                continue
            break
        verdict = settle(
            found,
            data,
            slot=slot,
            log=self._log,
            stream=self.stream,
            fence=self.fence,
            trust=self._trust,
        )
        where = f"stream {self.stream}, object {object_name(slot)}"
        if verdict is Verdict.NEWER:
            raise Fenced(f"{where}: epoch {self.fence[1]} is over: a writer of a higher epoch has written it")
        if verdict is Verdict.FOREIGN:
            raise Corrupted(f"{where}: it holds what no writer of this stream wrote; run `rynxs log verify`")
        return verdict

    async def _wait(self, problem: StoreError) -> None:
        try:
            async with asyncio.timeout(self._pause):
                await self.closing.wait()
        except TimeoutError:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return
        raise LogStopped(
            f"stream {self.stream}: closed while the store did not answer ({problem}); "
            "what was not acknowledged may or may not be in the log"
        )
