"""The client: a gateway's end of the connection to a computer's daemon, which it does not trust.

Frames are bounded, and so is what a daemon can make the gateway keep: each action's output by its
`max_output` and MAX_OUTPUT_FRAMES. A frame that no honest daemon sends closes the connection.

A computer in a pod outlives its connections. The actions that a claim says are open may have been started by way of
an earlier one: their output is dropped, and their ends are remembered by the daemon until `settle`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from rynxs.computer.frame import read_frame
from rynxs.computer.protocol import (
    CHUNK,
    PROTOCOL,
    Cancel,
    Claim,
    Ended,
    Fence,
    Hello,
    Output,
    ProtocolError,
    Query,
    Refused,
    Run,
    Running,
    Settled,
    ToDaemon,
    ToGateway,
    decode_to_gateway,
    encode,
)

MAX_OUTPUT_FRAMES = 65_536
"""Most Output frames of one action: an honest daemon's `process.Pump` slows down long before it."""


class ConnectionLost(Exception):
    """The connection to the computer has ended; the message says why. What ran there may have happened."""


class _Followed:
    """A run whose end has not come: what it gave that was not taken yet, and what it may still give."""

    def __init__(self, room: int) -> None:
        self.output: deque[Output] = deque()
        self.last: Ended | Refused | None = None
        self.news = asyncio.Event()
        self.ended = asyncio.Event()
        self.room = room
        self.frames = 0
        self.abandoned = False

    def add(self, frame: Output) -> None:
        """Raises ProtocolError for more than the action may give."""
        self.room -= len(frame.data)
        self.frames += 1
        if not frame.data or len(frame.data) > CHUNK or self.room < 0 or self.frames > MAX_OUTPUT_FRAMES:
            raise ProtocolError(f"the computer sent more output of action {frame.action} than it may")
        if not self.abandoned:
            self.output.append(frame)
            self.news.set()

    def end(self, last: Ended | Refused | None) -> None:
        self.last = last
        self.news.set()
        self.ended.set()


_Answer = Ended | Running | Refused
_Asked = asyncio.Future[tuple[_Answer, _Followed | None]]


class Client:
    """One connection. Every call raises ConnectionLost once it has ended, for whatever reason."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: Hello) -> None:
        self.hello = hello
        self._reader = reader
        self._writer = writer
        self._followed: dict[str, _Followed] = {}
        self._queries: dict[str, deque[_Asked]] = {}
        self._open: set[str] = set()
        self._lost: ConnectionLost | None = None
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Client:
        """Wait for the daemon's Hello. Give the streams a limit of `frame.LIMIT`. Raises ConnectionLost."""
        try:
            body = await read_frame(reader)
            hello = None if body is None else decode_to_gateway(body)
            if hello is None:
                raise ProtocolError("the computer closed the connection before its first frame")
            if not isinstance(hello, Hello):
                raise ProtocolError("the computer's first frame is not a hello")
            if hello.protocol != PROTOCOL:
                raise ProtocolError(f"the computer speaks protocol {hello.protocol}, not {PROTOCOL}")
        except (OSError, ProtocolError) as error:
            writer.transport.abort()
            raise ConnectionLost(str(error)) from error
        return cls(reader, writer, hello)

    @property
    def alive(self) -> bool:
        """Whether the connection is up, as far as is known here."""
        return self._lost is None

    async def claim(self, fence: Fence, open_ids: Iterable[str]) -> None:
        """Give the owner's fence, and the actions that are open in its log; the daemon kills all others."""
        self._open = set(open_ids)
        await self._send(Claim(fence=fence, open=sorted(self._open)))

    async def run(self, run: Run) -> AsyncIterator[Output | Ended | Refused]:
        """Send the run, once; output as it comes, then Ended or Refused as the last item.

        Leaving early does not cancel the action; its end can be had from `wait`.
        """
        self._check()
        if run.action in self._followed:
            raise ValueError(f"action {run.action} was sent to this computer already")
        followed = self._followed[run.action] = _Followed(run.max_output)
        try:
            await self._send(run)
            while True:
                while followed.output:
                    yield followed.output.popleft()
                if followed.last is not None:
                    yield followed.last
                    return
                self._check()
                followed.news.clear()
                await followed.news.wait()
        finally:
            followed.abandoned = True
            followed.output.clear()

    async def query(self, action: str) -> Ended | Running | Refused:
        """Ask for an action's state. After Refused (`unknown`) the daemon never starts it."""
        answer, _ = await self._ask(action)
        return answer

    async def wait(self, action: str) -> Ended | Refused:
        """Ask for an action's state and, while it runs, wait for its end."""
        answer, followed = await self._ask(action)
        if not isinstance(answer, Running):
            return answer
        if followed is None:
            raise ConnectionLost("the computer's answer was lost")
        await followed.ended.wait()
        if followed.last is None:
            raise ConnectionLost(str(self._lost))
        return followed.last

    async def cancel(self, action: str) -> None:
        """Kill what the action started; `run` then gives its Ended."""
        await self._send(Cancel(action=action))

    async def settle(self, action: str) -> None:
        """The outcome is durable: the daemon may forget it."""
        self._open.discard(action)
        await self._send(Settled(action=action))

    async def close(self) -> None:
        """End the connection. A sandbox ends with it, a computer in a pod does not."""
        self._end(ConnectionLost("the connection was closed"))
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _send(self, message: ToDaemon) -> None:
        self._check()
        try:
            self._writer.write(encode(message))
            await self._writer.drain()
        except OSError as error:
            self._end(ConnectionLost(f"the computer can't be written to: {error}"))
        self._check()

    def _check(self) -> None:
        if self._lost is not None:
            raise ConnectionLost(str(self._lost)) from self._lost.__cause__

    async def _ask(self, action: str) -> tuple[_Answer, _Followed | None]:
        asked: _Asked = asyncio.get_running_loop().create_future()
        self._queries.setdefault(action, deque()).append(asked)
        await self._send(Query(action=action))
        return await asked

    async def _read(self) -> None:
        try:
            while (body := await read_frame(self._reader)) is not None:
                self._take(decode_to_gateway(body))
            self._end(ConnectionLost("the computer closed the connection"))
        except (OSError, ProtocolError) as error:
            lost = ConnectionLost(str(error))
            lost.__cause__ = error
            self._end(lost)

    def _take(self, frame: ToGateway) -> None:
        """Give a frame to whom it belongs. Raises ProtocolError for one that nobody can expect."""
        if isinstance(frame, Hello):
            raise ProtocolError("the computer sent a second hello")
        followed = self._followed.get(frame.action)
        if isinstance(frame, Output):
            if followed is not None:
                followed.add(frame)
            elif frame.action not in self._open:
                raise ProtocolError(f"the computer sent output of action {frame.action}, which does not run")
        elif isinstance(frame, Running):
            if followed is None:
                followed = self._followed[frame.action] = _Followed(MAX_OUTPUT_FRAMES * CHUNK)
                followed.abandoned = True
            self._answer(frame, followed)
        elif followed is not None and not (isinstance(frame, Refused) and frame.reason == "unknown"):
            if isinstance(frame, Refused) and followed.frames:
                raise ProtocolError(f"the computer refused action {frame.action}, which runs")
            del self._followed[frame.action]
            followed.end(frame)
        else:
            self._answer(frame, None)

    def _answer(self, frame: _Answer, followed: _Followed | None) -> None:
        """Answer the oldest query of that action; the daemon answers in order."""
        asked = self._queries.get(frame.action)
        if not asked and isinstance(frame, Ended) and frame.action in self._open:
            return  # it has just ended; the daemon says so again when it is asked
        if not asked:
            raise ProtocolError(f"the computer sent a state of action {frame.action} that nobody asked for")
        future = asked.popleft()
        if not asked:
            del self._queries[frame.action]
        if not future.done():
            future.set_result((frame, followed))

    def _end(self, lost: ConnectionLost) -> None:
        """The connection is over: tell all who wait. The first reason stands."""
        if self._lost is not None:
            return
        self._lost = lost
        self._writer.transport.abort()
        for followed in self._followed.values():
            followed.end(None)
        for asked in self._queries.values():
            for future in asked:
                if not future.done():
                    future.set_exception(ConnectionLost(str(lost)))
        self._followed.clear()
        self._queries.clear()
