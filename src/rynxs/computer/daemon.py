"""The daemon: pid 1 of a computer. It runs tools for the gateway that owns the computer.

When the daemon exits, the kernel ends everything in its pid namespace. It exits on what it can't account for: a
lost zygote, an error of its own. In a sandbox it also exits with its one connection; in a pod (`listener`) gateways
come and go, and what runs goes on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from typing import Any

import msgspec
from msgspec import Struct

from rynxs.action.outcome import Ending, Outcome
from rynxs.action.tool import TOOLS
from rynxs.computer.fence import Register
from rynxs.computer.files import Workspace
from rynxs.computer.frame import LIMIT, read_frame
from rynxs.computer.limits import Limits
from rynxs.computer.process import Launcher
from rynxs.computer.protocol import (
    PROTOCOL,
    Cancel,
    Claim,
    Ended,
    Hello,
    Output,
    ProtocolError,
    Query,
    Refused,
    Run,
    Running,
    Settled,
    ToGateway,
    decode_to_daemon,
    encode,
)
from rynxs.computer.stop import Stop
from rynxs.computer.tools import Tools
from rynxs.computer.watch import Watch


class Daemon:
    """Runs actions for the gateway that has claimed the computer last; use it as a context for the life of a boot.

    Leaving the context waits for the actions that run; what a tool's bug raises ends it.
    """

    def __init__(self, register: Register, tools: Tools) -> None:
        self._register = register
        self._tools = tools
        self._stops: dict[str, Stop] = {}
        self._actions = asyncio.TaskGroup()
        self._owner: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Daemon:
        await self._actions.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._actions.__aexit__(*error)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, found: dict[str, str]) -> None:
        """Answer one gateway's frames until it closes, or another one claims. What runs goes on afterwards.

        `found` is what `walls.probe` gave. Raises ProtocolError, fence.Fenced and the connection's OSError.
        """
        writer.write(encode(Hello(protocol=PROTOCOL, boot=self._register.boot, walls=found)))
        try:
            while (body := await read_frame(reader)) is not None:
                message = decode_to_daemon(body)
                if isinstance(message, Claim):
                    self._claim(message, writer)
                elif self._owner is not writer:
                    raise ProtocolError("the gateway sent a frame without its claim")
                elif isinstance(message, Run):
                    self._run(message)
                else:
                    self._answer(message)
        finally:
            if self._owner is writer:
                self._owner = None
            writer.transport.abort()

    def cancel(self, reason: str) -> None:
        """Kill what all actions started; each ends as Cancelled."""
        for stop in self._stops.values():
            stop.set(Ending.CANCELLED, reason)

    def _claim(self, claim: Claim, writer: asyncio.StreamWriter) -> None:
        for action in self._register.claim(claim.fence, claim.open):
            self._stops[action].set(Ending.CANCELLED, "not open in the log of the computer's new owner")
        if self._owner is not None and self._owner is not writer:
            self._owner.transport.abort()
        self._owner = writer

    def _answer(self, message: Cancel | Query | Settled) -> None:
        if isinstance(message, Cancel):
            if stop := self._stops.get(message.action):
                stop.set(Ending.CANCELLED, "cancelled")
        elif isinstance(message, Query):
            state = self._register.query(message.action)
            if isinstance(state, Outcome):
                self._send(Ended(action=message.action, outcome=state))
            elif state == "running":
                self._send(Running(action=message.action))
            else:
                self._send(Refused(action=message.action, reason="unknown"))
        else:
            self._register.settled(message.action)

    def _run(self, run: Run) -> None:
        tool = TOOLS.get(run.tool)
        try:
            args = msgspec.json.decode(run.args, type=tool.args) if tool else None
        except msgspec.MsgspecError:
            args = None
        if args is None:
            self._register.query(run.action)  # it is refused for good
            self._send(Refused(action=run.action, reason="invalid"))
        elif reason := self._register.admit(run):
            self._send(Refused(action=run.action, reason=reason))
        else:
            self._stops[run.action] = Stop()
            self._actions.create_task(self._act(run, args))

    async def _act(self, run: Run, args: Struct) -> None:
        stop = self._stops[run.action]
        start = time.monotonic()
        too_late = f"the deadline of {run.timeout:g} s has passed"
        timer = asyncio.get_running_loop().call_later(run.timeout, stop.set, Ending.TIMED_OUT, too_late)
        outcome = await self._tools.run(
            args,
            stop,
            run.max_output,
            lambda stream, data: self._send(Output(action=run.action, stream=stream, data=data)),
        )
        timer.cancel()
        outcome = msgspec.structs.replace(outcome, seconds=round(time.monotonic() - start, 6))
        del self._stops[run.action]
        self._register.ended(run.action, outcome)
        self._send(Ended(action=run.action, outcome=outcome))

    def _send(self, message: ToGateway) -> None:
        # What is not read yet is bounded by each action's max_output, so writing never has to wait. Without a
        # gateway output is dropped; how the action ended is kept until one asks.
        if self._owner is not None:
            self._owner.write(encode(message))


def start(zygote_pid: int, orders: socket.socket, limits: Limits) -> Daemon:
    """The daemon of this boot, to be entered as a context; call it in the loop."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, _bury, zygote_pid)
    workspace = Workspace()
    watch = Watch(workspace.descriptor, limits, {1, zygote_pid})
    watch.look_at_disk()
    tools = Tools(workspace, Launcher(zygote_pid, orders), watch, dict(os.environ))
    return Daemon(Register(str(uuid.uuid4())), tools)


async def serve(
    connection: socket.socket, zygote_pid: int, orders: socket.socket, limits: Limits, found: dict[str, str]
) -> None:
    """Serve the one gateway that holds the other end of the socket, until it ends.

    `found` is what `walls.probe` gave. Raises as Daemon.serve does, and what a tool's bug raises.
    """
    reader, writer = await asyncio.open_connection(sock=connection, limit=LIMIT)
    async with start(zygote_pid, orders, limits) as daemon:
        await daemon.serve(reader, writer, found)
        daemon.cancel("the gateway is gone")


def _bury(zygote_pid: int) -> None:
    """Reap what has ended; without the zygote nothing can be accounted for."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pid = zygote_pid
        if pid == zygote_pid:
            print("the zygote was killed", file=sys.stderr)  # noqa: T201 - to who started the computer
            os._exit(1)
        if pid == 0:
            return
