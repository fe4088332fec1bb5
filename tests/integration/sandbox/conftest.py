"""Real sandboxes for the tests: started by root with a user of their own, or by whoever runs the tests."""

import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from rynxs.action.outcome import Outcome
from rynxs.action.tool import TOOLS, ShellExec
from rynxs.computer.client import Client
from rynxs.computer.limits import MIB, Limits
from rynxs.computer.protocol import Ended, Fence, Output, Run
from rynxs.sandbox.bubblewrap import Sandbox, Spec, start

FENCE = Fence(1, 1)
LIMITS = Limits(processes=100, memory=512 * MIB, workspace=64 * MIB, tmp=16 * MIB)
_uids = itertools.count(41000)


@dataclass
class Computer:
    sandbox: Sandbox
    workspace: Path
    uid: int | None
    _ids: itertools.count = field(default_factory=itertools.count)

    @property
    def client(self) -> Client:
        return self.sandbox.client

    def run(self, args: msgspec.Struct, *, timeout: float = 20, max_output: int = MIB) -> Run:
        [tool] = [tool.name for tool in TOOLS.values() if isinstance(args, tool.args)]
        return Run(
            action=f"action-{next(self._ids)}",
            fence=FENCE,
            boot=self.client.hello.boot,
            tool=tool,
            args=msgspec.json.encode(args),
            timeout=timeout,
            max_output=max_output,
        )

    async def tool(self, args: msgspec.Struct, **bounds) -> Outcome:
        outcome, _ = await self.follow(self.run(args, **bounds))
        return outcome

    async def follow(self, run: Run) -> tuple[Outcome, dict[str, str]]:
        output = {"stdout": b"", "stderr": b""}
        async for frame in self.client.run(run):
            if isinstance(frame, Output):
                output[frame.stream] += frame.data
            else:
                assert isinstance(frame, Ended), frame
                await self.client.settle(frame.action)
                return frame.outcome, {name: data.decode(errors="replace") for name, data in output.items()}
        raise AssertionError("a run ended without its last frame")

    async def exec(self, *argv: str, stdin: str = "", env=None, cwd: str = ".", **bounds) -> tuple[Outcome, str]:
        """The outcome, and both outputs one after the other."""
        args = ShellExec(argv=list(argv), stdin=stdin, env=env or {}, cwd=cwd)
        outcome, output = await self.follow(self.run(args, **bounds))
        return outcome, output["stdout"] + output["stderr"]

    async def sh(self, script: str, **bounds) -> tuple[Outcome, str]:
        return await self.exec("sh", "-c", script, **bounds)

    async def python(self, script: str, **bounds) -> tuple[Outcome, str]:
        return await self.exec("python3", "-c", script, **bounds)

    def processes(self) -> list[int]:
        """Host pids of everything in the sandbox's pid namespace, the daemon and its zygote included."""
        namespace = os.readlink(f"/proc/{self.sandbox.host_pid}/ns/pid")
        found = []
        for name in filter(str.isdecimal, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{name}/ns/pid") == namespace and state(int(name)) not in "ZX":
                    found.append(int(name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def strangers(self) -> list[bytes]:
        """Command lines of what runs in the sandbox besides the daemon, its zygote and its reapers."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        return [line for line in found if line and b"rynxs.computer.init" not in line]


def state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", "rb") as file:
        stat = file.read()
    return chr(stat[stat.rindex(b")") + 2])


@pytest.fixture
async def computers(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Computer]]]:
    """Start a computer; all are stopped after the test."""
    started = []

    async def open_one(limits: Limits = LIMITS, **more) -> Computer:
        workspace = tmp_path / f"workspace-{len(started)}"
        workspace.mkdir()
        uid = next(_uids) if os.geteuid() == 0 else None
        sandbox = await start(Spec(name="team/dev", workspace=workspace, uid=uid, limits=limits, **more))
        started.append(sandbox)
        await sandbox.client.claim(FENCE, [])
        return Computer(sandbox, workspace, uid)

    yield open_one
    for sandbox in started:
        await sandbox.stop()


@pytest.fixture
async def computer(computers) -> Computer:
    return await computers()
