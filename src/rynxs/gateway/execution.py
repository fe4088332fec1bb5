"""One allowed action on its way: sent once, followed by its callers, its outcome recorded before it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from rynxs.action.decision import Decision
from rynxs.action.lifecycle import Action
from rynxs.action.outcome import Ending, Outcome, credible
from rynxs.action.record import finished
from rynxs.action.request import Request
from rynxs.computer.client import ConnectionLost
from rynxs.computer.protocol import Ended, Output, ProtocolError, Run
from rynxs.eventlog import LogError
from rynxs.gateway.computers import Computer, Computers
from rynxs.gateway.refusal import Left, Refusal, Unrecorded
from rynxs.gateway.shard import Shard

MAX_OUTPUT = 4 * 1024 * 1024
"""Most bytes of output that are kept of one action, both streams together."""

DEFAULT_TIMEOUT = 60.0
"""Seconds for tools whose arguments give no timeout."""

GRACE = 10.0
"""Seconds after its deadline, or after it was cancelled, in which the computer must say how the action ended."""


class Execution:
    """An allowed action whose decision is durable.

    Callers `follow` it: those who come later (a retry with the same id) get everything from the start. Output is
    kept until the outcome is durable and the last follower is served.
    """

    def __init__(
        self, request: Request, action: Action, computer: Computer, computers: Computers, shard: Shard
    ) -> None:
        self.id = action.id
        self.decision: Decision = action.decision
        self.outcome: Outcome | None = None
        self.followers = 0
        self._request = request
        self._action = action
        self._computer = computer
        self._computers = computers
        self._shard = shard
        self._output: list[Output] = []
        self._lost: Refusal | None = None
        self._news = asyncio.Event()
        self._cancel = asyncio.Event()

    async def run(self) -> None:
        """Run to the end and record the outcome. Call once."""
        try:
            outcome = await self._drive()
            await self._shard.record(finished(self._request.agent, self.id, outcome))
            self.outcome = outcome
        except LogError as error:
            self._lose(str(error) or "the log is stopped")
            return
        except BaseException as error:
            self._lose(repr(error))
            raise
        finally:
            self._tell()
        await self._computers.settle(self._action)

    def cancel(self) -> None:
        """Ask the computer to kill what the action started."""
        self._cancel.set()

    def leave(self) -> None:
        """Tell the callers that it goes on without this gateway. Cancel `run` then: the next owner concludes it."""
        if self.outcome is None:
            self._lost = Left(self.id)
            self._tell()

    async def follow(self) -> AsyncIterator[Output | Outcome]:
        """Output as it comes, and the outcome, once it is durable, as the last item.

        Raises Unrecorded when the outcome can't be recorded, and Left when the gateway leaves the action to the
        next owner of the log, which will record it.
        """
        given = 0
        while True:
            news = self._news
            while given < len(self._output):
                yield self._output[given]
                given += 1
            if self.outcome is not None:
                yield self.outcome
                return
            if self._lost is not None:
                raise self._lost
            await news.wait()

    async def _drive(self) -> Outcome:
        args = self._request.args
        run = Run(
            action=self.id,
            fence=self._shard.fence,
            boot=self._computer.boot,
            tool=self._request.tool.name,
            args=msgspec.json.encode(args),
            timeout=getattr(args, "timeout", DEFAULT_TIMEOUT),
            max_output=MAX_OUTPUT,
        )
        outcome = await self._send(run)
        if outcome is not None:
            return outcome
        # The answer is lost. It is asked for, never sent again: sending again could run it twice.
        async with self._cancelling(None):
            return await self._computers.conclude(self._action)

    async def _send(self, run: Run) -> Outcome | None:
        """Send it, once; gives its outcome, or None when the answer is lost."""
        limit = asyncio.timeout(run.timeout + GRACE)
        async with self._cancelling(limit):
            try:
                async with limit:
                    async for message in self._computer.connection.run(run):
                        if isinstance(message, Output):
                            self._output.append(message)
                            self._tell()
                        elif isinstance(message, Ended):
                            return credible(message.outcome, self._request.tool.result)
                        else:
                            return Outcome(
                                ending=Ending.FAILED,
                                error=f"computer {self._computer.name} refused to start it ({message.reason})",
                            )
            except (ConnectionLost, ProtocolError, TimeoutError):
                pass
        return None

    @contextlib.asynccontextmanager
    async def _cancelling(self, limit: asyncio.Timeout | None) -> AsyncIterator[None]:
        """Pass on that it is cancelled, for as long as the block lasts; then `limit` has GRACE left at most."""

        async def cancel() -> None:
            await self._cancel.wait()
            if limit is not None:
                patience, end = asyncio.get_running_loop().time() + GRACE, limit.when()
                if end is not None and patience < end and not limit.expired():
                    limit.reschedule(patience)
            try:
                await self._computer.connection.cancel(self.id)
            except ConnectionLost:
                pass  # whoever waits for its end notices, too

        canceller = asyncio.create_task(cancel())
        try:
            yield
        finally:
            canceller.cancel()

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = Unrecorded(
                f"action {self.id} ran, but its outcome can't be recorded: {why}. "
                "Look for its outcome in the log before you repeat it."
            )

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Recorded:
    """An action that had ended before its retry came: the outcome as the log has it, without its output."""

    def __init__(self, action: Action, outcome: Outcome) -> None:
        self.id = action.id
        self.decision = action.decision
        self.outcome = outcome

    async def follow(self) -> AsyncIterator[Output | Outcome]:
        """The recorded outcome."""
        yield self.outcome
