"""Processes: the daemon's side of starting a program, reading its output and ending its whole tree."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple

from rynxs.computer import tree, zygote
from rynxs.computer.protocol import CHUNK

_START_TIMEOUT = 10.0
_SMALL = 4096
_PIPE_CAPACITY = 65536
_LAST_READS = 32


class ZygoteLost(Exception):
    """The zygote has ended, or does not answer: nothing can be started or accounted for in this computer."""


class Status(NamedTuple):
    """What the reaper last said: `kind` is fork, cwd, exec, exit or signal; `left` if processes were left."""

    kind: str
    number: int
    left: bool


class Launcher:
    """Starts programs through the zygote."""

    def __init__(self, zygote_pid: int, orders: socket.socket) -> None:
        self.zygote_pid = zygote_pid
        self._orders = orders
        orders.setblocking(False)
        self._turn = asyncio.Lock()

    async def start(self, argv: list[str], env: dict[str, str], cwd: int, stdin: bytes) -> Process:
        """Start a program in the open folder `cwd`. Raises OSError (no descriptors left) and ZygoteLost."""
        # One at a time, to its first word: descriptors on their way through the socket are limited.
        async with self._turn:
            with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
                ends = []
                for _ in range(3):
                    read, write = os.pipe()
                    os.set_blocking(read, False)
                    ours.callback(os.close, read)
                    theirs.callback(os.close, write)
                    ends.append((read, write))
                if stdin:
                    source, feed = os.pipe()
                    os.set_blocking(feed, False)
                    ours.callback(os.close, feed)
                else:
                    source, feed = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), None
                theirs.callback(os.close, source)
                (out, out_end), (err, err_end), (status, status_end) = ends
                order = zygote.Order(argv=argv, env=env)
                await self._send(order, [source, out_end, err_end, status_end, cwd])
                theirs.close()
                process = Process(out, err, status, feed, stdin)
                ours.pop_all()
            await process.wait_started()
        return process

    async def end(self, process: Process) -> None:
        """Kill what is left of the process's tree; returns when nothing of it is alive."""
        if process.reaper is not None and (process.status is None or process.status.left):
            await tree.kill_below(process.reaper)
            tree.signal_all([process.reaper], signal.SIGKILL)
            await process.gone
            # What the reaper had started in its last moment, or left behind when a program killed it.
            await tree.kill_strays({self.zygote_pid})
        process.close()

    async def _send(self, order: zygote.Order, descriptors: list[int]) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                body = zygote.send(self._orders, order, descriptors)
                await loop.sock_sendall(self._orders, body)
        except (TimeoutError, BlockingIOError, ConnectionError) as error:
            raise ZygoteLost("the zygote takes no orders") from error


class Process:
    """A started program: `reaper` heads its tree, `status` is its last word, `over` is set with it.

    `gone` is set when the reaper has ended; without a status it was killed.
    """

    def __init__(self, stdout: int, stderr: int, status: int, feed: int | None, stdin: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.stdout = stdout
        self.stderr = stderr
        self.reaper: int | None = None
        self.status: Status | None = None
        self.over: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._started: asyncio.Future[None] = loop.create_future()
        self._status_fd = status
        self._text = b""
        self._feed = feed
        self._stdin = memoryview(stdin)
        loop.add_reader(status, self._read_status)
        if feed is not None:
            self._write_stdin()

    async def wait_started(self) -> None:
        """Wait for the reaper's first word. Raises ZygoteLost when it does not come."""
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await self._started
        except TimeoutError:
            raise ZygoteLost("the zygote started nothing for an order") from None

    def close(self) -> None:
        """Let go of every descriptor but the outputs'."""
        self._close_stdin()
        if not self.gone.done():
            self._lose()

    def _read_status(self) -> None:
        data = os.read(self._status_fd, CHUNK)
        self._text += data
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            kind, number, *left = line.decode().split()
            if kind == "reaper":
                self.reaper = int(number)
            elif self.status is None:
                self.status = Status(kind, int(number), left == ["1"])
                _resolve(self.over)
            _resolve(self._started)
        if not data:
            self._lose()

    def _lose(self) -> None:
        self._loop.remove_reader(self._status_fd)
        os.close(self._status_fd)
        for future in (self._started, self.over, self.gone):
            _resolve(future)

    def _write_stdin(self) -> None:
        if self._feed is None:
            return
        try:
            written = os.write(self._feed, self._stdin[:_PIPE_CAPACITY])
        except BlockingIOError:
            written = 0
        except BrokenPipeError:
            written = len(self._stdin)  # the program does not want it
        self._stdin = self._stdin[written:]
        if self._stdin:
            self._loop.add_writer(self._feed, self._write_stdin)
        else:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self._feed is not None:
            self._loop.remove_writer(self._feed)
            os.close(self._feed)
            self._feed = None


class Pump:
    """Reads a program's output as it comes and gives it to `sink`.

    After a small read it waits, the longer the more reads there were, so that a program that writes byte by
    byte makes tens of thousands of frames in a day, not millions.
    """

    def __init__(self, descriptor: int, sink: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._sink = sink
        self._small = 0
        self._pause: asyncio.TimerHandle | None = None
        self._open = True
        self._watch()

    def finish(self) -> None:
        """Take what is in the pipe now, and close it: some other program may hold its other end open."""
        if self._pause is not None:
            self._pause.cancel()
        for _ in range(_LAST_READS):
            if not self._open or not self._read():
                break
        self._close()

    def _watch(self) -> None:
        self._pause = None
        self._loop.add_reader(self._descriptor, self._ready)

    def _ready(self) -> None:
        length = self._read()
        if 0 < length < _SMALL:
            self._small += 1
            self._loop.remove_reader(self._descriptor)
            self._pause = self._loop.call_later(max(0.01, self._small * 0.00025), self._watch)

    def _read(self) -> int:
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return 0
        if data:
            self._sink(data)
        else:
            self._close()
        return len(data)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
