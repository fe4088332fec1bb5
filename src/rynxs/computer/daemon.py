"""The daemon: pid 1 of a computer. It runs tools for the one gateway that holds the other end of its socket.

When the connection ends the daemon exits, and the kernel ends everything in its pid namespace. It exits as
well on what it can't account for: a lost zygote, a frame that is not of the protocol, an error of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
import uuid

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
    """Serves one connection, for the life of the computer."""

    def __init__(self, register: Register, tools: Tools, writer: asyncio.StreamWriter) -> None:
        self._register = register
        self._tools = tools
        self._writer = writer
        self._stops: dict[str, Stop] = {}

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Answer frames until the gateway closes.

        Raises ProtocolError, fence.Fenced, and what a tool's bug raises.
        """
        async with asyncio.TaskGroup() as actions:
            while (body := await read_frame(reader)) is not None:
                message = decode_to_daemon(body)
                if isinstance(message, Run):
                    self._run(message, actions)
                else:
                    self._answer(message)
            for stop in self._stops.values():
                stop.set(Ending.CANCELLED, "the gateway is gone")

    def _answer(self, message: Claim | Cancel | Query | Settled) -> None:
        if isinstance(message, Claim):
            for action in self._register.claim(message.fence, message.open):
                self._stops[action].set(Ending.CANCELLED, "not open in the log of the computer's new owner")
        elif self._register.fence is None:
            raise ProtocolError("the gateway sent a frame before its claim")
        elif isinstance(message, Cancel):
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

    def _run(self, run: Run, actions: asyncio.TaskGroup) -> None:
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
            actions.create_task(self._act(run, args))

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
        # What is not read yet is bounded by each action's max_output, so writing never has to wait.
        self._writer.write(encode(message))


async def serve(
    connection: socket.socket, zygote_pid: int, orders: socket.socket, limits: Limits, found: dict[str, str]
) -> None:
    """Serve the connection until it ends. `found` is what `walls.probe` gave. Raises as Daemon.serve does."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, _bury, zygote_pid)
    reader, writer = await asyncio.open_connection(sock=connection, limit=LIMIT)
    boot = str(uuid.uuid4())
    writer.write(encode(Hello(protocol=PROTOCOL, boot=boot, walls=found)))
    workspace = Workspace()
    watch = Watch(workspace.descriptor, limits, {1, zygote_pid})
    watch.look_at_disk()
    tools = Tools(workspace, Launcher(zygote_pid, orders), watch, dict(os.environ))
    await Daemon(Register(boot), tools, writer).serve(reader)


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
