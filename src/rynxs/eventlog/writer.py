"""The writer: the one that appends to a stream while its epoch lasts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from rynxs.eventlog.anchor import AnchorStore
from rynxs.eventlog.batch import encode, object_name
from rynxs.eventlog.chain import Chain, numbered
from rynxs.eventlog.error import AnchorBackward, Corrupted, Fenced, LogError, LogStopped
from rynxs.eventlog.event import Draft, Event, placed, timestamp, unplaced
from rynxs.eventlog.key import Signer
from rynxs.eventlog.placing import Placing
from rynxs.eventlog.queue import Entry, Queue
from rynxs.eventlog.slot import Verdict
from rynxs.eventlog.store import StoreBroken

ANCHOR_INTERVAL = 1.0
"""Seconds between two writes of the anchor, while the stream moves."""

ANCHOR_PATIENCE = 60.0
"""Seconds for which writing the anchor may fail before the writer stops."""

_logger = logging.getLogger(__name__)


class Writer:
    """Appends to one stream. `Log.claim` makes it; it ends with `close`, or for good with its first error.

    One PUT is in flight at a time: an append to an idle stream is sent at once, those that come in the
    meantime go together in the next batch. `anchor_error` says why the last write of the anchor failed,
    or is "".
    """

    def __init__(
        self,
        placing: Placing,
        chain: Chain,
        *,
        writer: str,
        signer: Signer,
        anchor: AnchorStore,
        observe: Callable[[Sequence[Event]], None],
        now: Callable[[], datetime],
    ) -> None:
        self.stream = placing.stream
        self.incarnation, self.epoch = placing.fence
        self.anchor_error = ""
        self._placing = placing
        self._chain = chain
        self._writer = writer
        self._signer = signer
        self._anchor = anchor
        self._observe = observe
        self._now = now
        self._queue = Queue(self.stream)
        self._ended = asyncio.Event()
        self._moved = asyncio.Event()
        self._moved.set()
        self._tasks = asyncio.gather(self._write(), self._move_anchor())

    @property
    def size(self) -> int:
        """How many events of the stream are durable."""
        return self._chain.size

    @property
    def closed(self) -> bool:
        """Whether nothing can be appended any more."""
        return self._queue.closed

    async def append(self, *drafts: Draft) -> list[Event]:
        """Append events, all in one batch; returns them in their places when they are durable and observed.

        The order is that of the calls. Waits while the queue is full. Cancelling it withdraws nothing
        once the events are queued. Raises TooLarge, TypeError and ValueError (data that is not JSON) with
        nothing queued; Fenced, Corrupted or LogStopped when the writer has ended: then what was queued
        may or may not be in the log.
        """
        if not drafts:
            raise ValueError("append takes at least one event")
        time = timestamp(self._now())
        made = [unplaced(draft, time) for draft in drafts]
        entry = Entry([event for event, _ in made], [rest for _, rest in made])
        await self._queue.put(entry)
        return await entry.done  # a caller that is cancelled cancels its answer, not the entry

    async def close(self) -> None:
        """Write what is queued, as far as the store answers, and the anchor. A second call is allowed.

        Cancelling it stops neither. Raises LogStopped when the anchor could not be written.
        """
        self._queue.close()
        self._placing.closing.set()
        await asyncio.shield(self._tasks)
        if self.anchor_error:
            raise LogStopped(f"stream {self.stream}: its anchor is not up to date: {self.anchor_error}")

    async def _write(self) -> None:
        entries: list[Entry] = []
        error: LogError = LogStopped(f"stream {self.stream}: the writer is closed")
        try:
            while entries := await self._queue.take():
                await self._write_batch(entries)
        except LogError as problem:
            error = problem
        except StoreBroken as problem:
            error = LogStopped(f"stream {self.stream}: {problem}")
        except BaseException as problem:
            error = LogStopped(f"stream {self.stream}: the writer failed: {problem!r}")
            raise
        finally:
            self._queue.stop(error)
            for entry in entries:
                entry.fail(error)
            self._ended.set()
            self._moved.set()

    async def _write_batch(self, entries: list[Entry]) -> None:
        chain, first = self._chain, self._chain.size
        events = numbered([event for entry in entries for event in entry.events], first)
        rests = [rest for entry in entries for rest in entry.rests]
        lines = [placed(rest, seq) for seq, rest in enumerate(rests, first)]
        header = chain.next_header(len(lines), self._placing.fence, self._writer, timestamp(self._now()))
        data = encode(header, lines, self._signer)
        if await self._placing.place(first, data) is not Verdict.OURS:
            raise Corrupted(
                f"stream {self.stream}, object {object_name(first)}: a writer of a lower epoch has written "
                f"behind epoch {self.epoch}; run `rynxs log verify`"
            )
        chain.add(header, lines, data)
        self._moved.set()
        self._observe(events)
        start = 0
        for entry in entries:
            end = start + len(entry.events)
            if not entry.done.done():
                entry.done.set_result(events[start:end])
            start = end

    async def _move_anchor(self) -> None:
        loop = asyncio.get_running_loop()
        anchored, worked = -1, loop.time()
        ended = False
        while not ended:
            await self._moved.wait()
            self._moved.clear()
            ended = self._ended.is_set()
            size = self._chain.size
            if size != anchored and await self._write_anchor():
                anchored, worked = size, loop.time()
            elif self.anchor_error:
                self._moved.set()
                if loop.time() - worked > ANCHOR_PATIENCE:
                    self._stop(LogStopped(f"stream {self.stream}: the anchor can't be written: {self.anchor_error}"))
            if not ended:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ANCHOR_INTERVAL):
                        await self._ended.wait()

    async def _write_anchor(self) -> bool:
        note = self._chain.checkpoint(timestamp(self._now())).sign(self._signer)
        try:
            await self._anchor.write(self.stream, note)
        except AnchorBackward as error:
            self._stop(Fenced(f"stream {self.stream}: epoch {self.epoch} is over: {error}"))
            return False
        except (OSError, LogError) as error:
            if not self.anchor_error:
                _logger.warning("stream %s: the anchor can't be written: %s", self.stream, error)
            self.anchor_error = str(error)
            return False
        self.anchor_error = ""
        return True

    def _stop(self, error: LogError) -> None:
        self._queue.stop(error)
        self._placing.closing.set()
