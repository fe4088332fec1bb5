"""Bubblewrap: starts a computer as a sandbox on this machine, or says why that can't be.

Never without its walls.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rynxs.computer.client import Client, ConnectionLost
from rynxs.computer.frame import LIMIT
from rynxs.computer.init import Settings
from rynxs.computer.limits import Limits
from rynxs.sandbox import boot, host, layout, wall
from rynxs.sandbox.remedy import remedy
from rynxs.sandbox.seccomp import program

_START_TIMEOUT = 15.0
_PROBE_UID = 65534

_ENTRY = f"import sys; sys.path.insert(0, '{layout.PREFIX}/lib'); from rynxs.computer.init import main; main()"


class SandboxUnavailable(Exception):
    """No sandbox can be made here; the message says what is missing or forbidden, and the remedy."""


@dataclass(frozen=True)
class Spec:
    """What a sandbox is made of.

    `workspace` is an existing folder of the host. `uid` is the unprivileged user (and group) that it runs as
    when root starts it, one of its own for each agent; None when not started by root. `mounts` are read-only:
    a path of the host and its place inside.
    """

    name: str
    workspace: Path
    uid: int | None = None
    limits: Limits = field(default_factory=Limits)
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[tuple[Path, str], ...] = ()


class Sandbox:
    """A running sandbox, its walls verified. `record` names its life for `boot.write` and `boot.end`."""

    def __init__(self, client: Client, record: boot.Record, process: subprocess.Popen[bytes]) -> None:
        self.client = client
        self.record = record
        self._process = process

    @property
    def host_pid(self) -> int:
        """The daemon's pid on the host."""
        return self.record.pid

    @property
    def alive(self) -> bool:
        """Whether it can still be used, as far as is known here."""
        return self.client.alive and self._process.returncode is None

    async def stop(self) -> None:
        """Kill everything in it; returns when nothing of it is alive. Raises boot.NotOver."""
        await self.client.close()
        await boot.end(self.record)
        await _exit(self._process)

    async def wait(self) -> None:
        """Wait until it has ended, for whatever reason."""
        await _exit(self._process)


async def check() -> str:
    """Bubblewrap's version, after a trial that sandboxes can be made here. Raises SandboxUnavailable."""
    if platform.machine() not in ("x86_64", "aarch64"):
        raise SandboxUnavailable(f"there is no seccomp filter for {platform.machine()}: use x86_64 or aarch64")
    status, text = await _output("bwrap", "--version")
    if status != 0:
        raise SandboxUnavailable(f"bubblewrap does not work: {text}")
    drop = ["setpriv", f"--reuid={_PROBE_UID}", f"--regid={_PROBE_UID}", "--clear-groups"]
    trial = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--ro-bind", "/", "/", "--proc", "/proc"]
    command = [*(drop if os.geteuid() == 0 else []), *trial, "--dev", "/dev", "true"]
    status, problem = await _output(*command)
    if status != 0:
        raise SandboxUnavailable(f"bubblewrap makes no sandbox here: {problem}. {remedy(problem)}".rstrip())
    return text.removeprefix("bubblewrap ")


async def start(spec: Spec) -> Sandbox:
    """Start a sandbox; returns when its daemon is ready and its walls are verified.

    Raises SandboxUnavailable when it can't be started, and wall.WallDown; then nothing of it is left.
    """
    if (os.geteuid() == 0) != (spec.uid is not None) or spec.uid == 0:
        raise ValueError("a sandbox needs an unprivileged uid if, and only if, root starts it")
    source = host.source(spec.workspace, spec.mounts, spec.env)
    environment = set(layout.environment(source))
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as stack:
        stack.callback(theirs.close)
        files = {inside: _holding(stack, text.encode()) for inside, text in layout.FILES.items()}
        seccomp = _holding(stack, program(platform.machine()))
        info = _holding(stack, b"")
        command: list[str] = []
        if spec.uid is not None:
            os.chown(spec.workspace, spec.uid, spec.uid)
            command, source = layout.outer(source, spec.uid)
        command += layout.inner(source, spec.limits, files, seccomp, info)
        settings = Settings(socket=theirs.fileno(), limits=spec.limits)
        command += [source.interpreter, "-I", "-S", "-c", _ENTRY, msgspec.json.encode(settings).decode()]
        words = _holding(stack, b"")
        process = _spawn(command, words, (*files.values(), seccomp, info, theirs.fileno()))
        theirs.close()
        try:
            return await _greet(spec, process, ours, info, words, environment)
        except BaseException:
            process.kill()
            await _exit(process)
            raise


def _spawn(command: list[str], words: int, descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Start bubblewrap from this thread, whose end is its end. Not by the loop: uvloop's leaks descriptors."""
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=words, pass_fds=descriptors
    )


async def _exit(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end."""
    if process.poll() is None:
        pidfd = os.pidfd_open(process.pid)
        try:
            await boot.ended(pidfd)
        finally:
            os.close(pidfd)
        process.wait()


async def _greet(
    spec: Spec,
    process: subprocess.Popen[bytes],
    ours: socket.socket,
    info: int,
    words: int,
    environment: set[str],
) -> Sandbox:
    """Wait for the daemon's hello and verify what it says."""
    reader, writer = await asyncio.open_connection(sock=ours, limit=LIMIT)
    try:
        async with asyncio.timeout(_START_TIMEOUT):
            client = await Client.connect(reader, writer)
    except (ConnectionLost, TimeoutError) as error:
        writer.transport.abort()
        process.kill()
        await _exit(process)
        said = os.pread(words, 65536, 0).decode(errors="replace").strip()[-2000:]
        problem = said or str(error) or f"no answer for {_START_TIMEOUT:.0f} s"
        raise SandboxUnavailable(f"the sandbox of {spec.name} did not start: {problem}. {remedy(problem)}") from error
    pid = json.loads(os.pread(info, 65536, 0))["child-pid"]
    try:
        wall.verify(client.hello.walls, environment)
        wall.verify_user(pid, os.geteuid() if spec.uid is None else spec.uid)
    except wall.WallDown:
        await client.close()
        raise
    return Sandbox(client, boot.record(client.hello.boot, pid), process)


async def _output(*command: str) -> tuple[int, str]:
    """A command's exit status and what it said. Raises SandboxUnavailable when it is not installed."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except FileNotFoundError as error:
        package = {"bwrap": "bubblewrap", "setpriv": "util-linux"}[command[0]]
        raise SandboxUnavailable(f"{command[0]} is not installed: apt-get install {package}") from error
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace").strip()


def _holding(stack: contextlib.ExitStack, content: bytes) -> int:
    """An anonymous file for bubblewrap to read or write, closed with the stack."""
    descriptor = os.memfd_create("rynxs")
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
