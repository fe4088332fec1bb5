"""A shard: the agents whose actions share one stream. Its fold and its writer move together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from rynxs.action.lifecycle import Lifecycle
from rynxs.computer.protocol import Fence
from rynxs.eventlog import AnchorStore, Draft, Event, Log, LogError, Signer, Trust, Writer
from rynxs.gateway.refusal import Unavailable

LOG_TIMEOUT = 5.0
"""Seconds that a caller waits for the log before it is refused."""


class Late(Unavailable):
    """The log did not answer in time. What was queued may become durable yet; `closed` ends when that is settled."""

    def __init__(self, message: str, closed: asyncio.Task[None]) -> None:
        super().__init__(message)
        self.closed = closed


class Shard:
    """The owner of one stream: records events and folds what is durable, in the stream's order."""

    def __init__(self, lifecycle: Lifecycle, writer: Writer) -> None:
        self.lifecycle = lifecycle
        self._writer = writer
        self._late: set[asyncio.Task[None]] = set()

    @classmethod
    async def claim(
        cls,
        log: Log,
        stream: str,
        *,
        writer: str,
        signer: Signer,
        trust: Trust,
        anchor: AnchorStore,
        now: Callable[[], datetime],
    ) -> Shard:
        """Become the stream's only writer; the fold then holds the actions that earlier owners left open.

        Raises LogError, and lifecycle.Violation for a log that no correct gateway wrote.
        """
        lifecycle = Lifecycle()
        claimed = await log.claim(
            stream, writer=writer, signer=signer, trust=trust, anchor=anchor, observe=lifecycle.fold, now=now
        )
        return cls(lifecycle, claimed)

    @property
    def fence(self) -> Fence:
        """The token that executors check."""
        return Fence(self._writer.incarnation, self._writer.epoch)

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self._writer.stream

    @property
    def stopped(self) -> bool:
        """Whether nothing can be recorded any more."""
        return self._writer.closed

    @property
    def size(self) -> int:
        """How many events of the stream are durable."""
        return self._writer.size

    async def record(self, draft: Draft) -> Event:
        """Make the event durable and fold it. Waits as long as the log takes. Raises LogError."""
        [event] = await self._writer.append(draft)
        return event

    async def record_soon(self, draft: Draft, *, else_record: Draft | None = None) -> Event:
        """Make the event durable within LOG_TIMEOUT.

        An event that was queued can't be taken back: should it become durable after the timeout,
        `else_record` is recorded behind it, so that a decision that came too late is closed.
        Raises Late after the timeout, Unavailable when the log is stopped.
        """
        appending = asyncio.ensure_future(self._writer.append(draft))
        try:
            async with asyncio.timeout(LOG_TIMEOUT):
                [event] = await asyncio.shield(appending)
                return event
        except TimeoutError:
            closed = self._close_late(appending, else_record)
            message = f"the log has not answered for {LOG_TIMEOUT:.0f} s ({self.stream}). Nothing was run."
            raise Late(message, closed) from None
        except asyncio.CancelledError:
            self._close_late(appending, else_record)
            raise
        except LogError as error:
            raise Unavailable(f"the log is stopped ({self.stream}): {error}. Nothing was run.") from error

    async def close(self) -> None:
        """Write what is queued, close late decisions as far as the log answers, move the anchor, and stop."""
        if self._late:
            await asyncio.wait(set(self._late), timeout=LOG_TIMEOUT)
        await self._writer.close()
        await asyncio.gather(*self._late, return_exceptions=True)

    def _close_late(self, appending: asyncio.Future[list[Event]], draft: Draft | None) -> asyncio.Task[None]:
        async def close() -> None:
            try:
                await appending
                if draft is not None:
                    await self._writer.append(draft)
            except LogError:
                pass  # the writer is stopped: the next owner closes the action if it was recorded

        task = asyncio.create_task(close())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return task
