"""A computer without the gateway: how long `true` takes through its daemon, and by how much its disk is overshot."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from rynxs.action.tool import ShellExec
from rynxs.computer.limits import GIB, MIB, Limits
from rynxs.computer.protocol import Ended, Fence, Run
from rynxs.sandbox.bubblewrap import Sandbox, Spec, start

FENCE = Fence(1, 1)
FILL = "for i in 1 2 3 4 5 6; do head -c 900000000 /dev/zero > big$i & done; wait"
_ids = itertools.count()


async def execute(sandbox: Sandbox, *argv: str) -> Ended:
    """Run a program to its end."""
    run = Run(
        action=str(next(_ids)),
        fence=FENCE,
        boot=sandbox.client.hello.boot,
        tool="shell_exec",
        args=msgspec.json.encode(ShellExec(argv=list(argv))),
        timeout=60,
        max_output=1000,
    )
    async for message in sandbox.client.run(run):
        if isinstance(message, Ended):
            await sandbox.client.settle(message.action)
            return message
    raise AssertionError("it was refused")


async def begin(folder: str) -> tuple[Sandbox, Path]:
    """A sandbox with a workspace of 1 GiB."""
    workspace = Path(folder, "workspace")
    workspace.mkdir()
    uid = 1_900_900_000 if os.geteuid() == 0 else None
    sandbox = await start(Spec(name="bench", workspace=workspace, uid=uid, limits=Limits(workspace=GIB)))
    await sandbox.client.claim(FENCE, [])
    return sandbox, workspace


async def spawning() -> None:
    """`true`, one after the other, without and with a pause in between."""
    with tempfile.TemporaryDirectory() as folder:
        sandbox, _ = await begin(folder)
        for pause in (0.0, 0.003):
            times = []
            for _ in range(300):
                await asyncio.sleep(pause)
                began = time.perf_counter()
                await execute(sandbox, "true")
                times.append((time.perf_counter() - began) * 1000)
            print(
                f"true through the daemon, {pause * 1000:.0f} ms pause   p50 {statistics.median(times):5.2f} ms",
                flush=True,
            )
        await sandbox.stop()


async def overshoot(files: int) -> None:
    """Six writers fill a workspace that holds so many files already."""
    with tempfile.TemporaryDirectory() as folder:
        sandbox, workspace = await begin(folder)
        for number in range(files):
            (workspace / f"file-{number}").touch()
        began = time.perf_counter()
        ended = await execute(sandbox, "sh", "-c", FILL)
        seconds = time.perf_counter() - began
        used = sum(path.stat().st_blocks * 512 for path in workspace.iterdir()) / MIB
        over, rate = used - GIB / MIB, used / seconds
        print(
            f"1 GiB with {files:6} files: over by {over:4.0f} MiB at {rate:5.0f} MiB/s ({ended.outcome.ending})",
            flush=True,
        )
        await sandbox.stop()


async def measure() -> None:
    """Both."""
    await spawning()
    for files in (0, 20_000):
        await overshoot(files)


def main() -> None:
    """Run and print."""
    asyncio.run(measure())
